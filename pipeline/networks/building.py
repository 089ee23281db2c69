"""Build a recurrent network, saved as layers of Keras alone.

    tokens (B, T) -> embedding (B, T, E) -> dropout -> recurrent layers (B, T, U) -> pooling (B, U) -> probabilities

Texts are padded on the right and the recurrent layers run unmasked: they read left to right, so what stands before
the padding never sees it. A layer that reads from the end gets each text reversed within its own length, so its
padding comes last too. Only the pooling looks at the mask, which costs far less than masking every step.
"""

from typing import Any

import numpy as np

from pipeline import cells
from pipeline.core.params import TrainParams
from pipeline.networks.backend import keras, layers, ops
from pipeline.tokens.ragged import PAD


def build(cell: str, vocabulary: int, classes: int, settings: TrainParams) -> keras.Model:
    """Make the network, saved as layers of Keras alone, so that the file opens without this project.

    Args:
        cell: the name of the cell of the recurrent layers.
        vocabulary: token ids are below this.
        classes: two give one sigmoid output, p(class 1), (B, 1); more give a softmax, (B, classes).
        settings: the `train` block of params.yaml.

    Returns:
        A model from int32 tokens, (B, T), right-padded with 0, to float32.
    """
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = layers.Embedding(vocabulary, settings.embedding_dim, name="embedding")(tokens)
    if settings.word_dropout:
        # Whole words go: Iyyer et al. 2015, https://aclanthology.org/P15-1162/.
        x = layers.Dropout(settings.word_dropout, noise_shape=(None, None, 1), name="word_dropout")(x)
    # The same mask for all tokens of a text: the input dropout of Gal & Ghahramani 2016, arXiv:1512.05287.
    x = layers.SpatialDropout1D(settings.dropout, name="dropout")(x)
    mask = ops.not_equal(tokens, PAD)
    for number in range(1, settings.layers + 1):
        if number > 1 and settings.output_dropout:
            x = layers.SpatialDropout1D(settings.output_dropout, name=f"dropout_{number}")(x)
        x = _recurrent(cell, number, x, mask, settings)
    x = _pool(x, mask, settings)
    if settings.output_dropout:
        x = layers.Dropout(settings.output_dropout, name="output_dropout")(x)
    if classes == 2:
        outputs = layers.Dense(1, activation="sigmoid", name="probability")(x)
    else:
        outputs = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(tokens, outputs, name=cell)


def _recurrent(cell: str, number: int, x: Any, mask: Any, settings: TrainParams) -> Any:
    """Add one recurrent layer, (B, T, U); bidirectional (Schuster & Paliwal 1997), (B, T, 2 U), left to right first."""
    name = f"{cell}_{number}"
    made = cells.find(cell)
    forward = made.make_layer(settings.units, name)(x)
    if not settings.bidirectional:
        return forward
    places = _reversed_places(mask)
    backward = made.make_layer(settings.units, f"{name}_backward")(_taken(x, places))
    return ops.concatenate([forward, _taken(backward, places)], axis=-1)


def _reversed_places(mask: Any) -> Any:
    """Number the places of a text reversed within its own length, int32, (B, T); padding stays."""
    real = ops.cast(mask, "int32")
    places = ops.cumsum(ops.ones_like(real), axis=1) - 1
    return ops.where(mask, ops.sum(real, axis=1, keepdims=True) - 1 - places, places)


def _taken(vectors: Any, places: Any) -> Any:
    """Take the vectors at these places, (B, T, U), from (B, T, U) and (B, T)."""
    return ops.take_along_axis(vectors, ops.expand_dims(places, -1), axis=1)


def _pool(states: Any, mask: Any, settings: TrainParams) -> Any:
    """Reduce the states of all tokens to one vector per text, leaving padding out.

    Args:
        states: of the top layer, (B, T, D), D being U, or 2 U where it is bidirectional.
        mask: which tokens are no padding, bool, (B, T).
        settings: `pooling` counts: see params.yaml.

    Returns:
        (B, D), or, for `max+mean`, (B, 2 D).
    """
    real = ops.expand_dims(mask, -1)
    if settings.pooling == "last":
        return _last(states, real, settings)
    if settings.pooling == "attention":
        return _attended(states, real)
    pooled = []
    if "max" in settings.pooling:
        pooled.append(ops.max(ops.where(real, states, -1.0), axis=1))  # states lie between -1 and 1
    if "mean" in settings.pooling:
        total = ops.sum(ops.where(real, states, 0.0), axis=1)
        pooled.append(total / ops.sum(ops.cast(real, "float32"), axis=1))
    return ops.concatenate(pooled, axis=-1) if len(pooled) > 1 else pooled[0]


def _last(states: Any, real: Any, settings: TrainParams) -> Any:
    """Take the last state of each direction: at the text's last token, and backward at its first; (B, D)."""
    lengths = ops.sum(ops.cast(real, "int32"), axis=1, keepdims=True)  # (B, 1, 1)
    end = ops.squeeze(ops.take_along_axis(states, lengths - 1, axis=1), axis=1)
    if not settings.bidirectional:
        return end
    return ops.concatenate([end[:, : settings.units], states[:, 0, settings.units :]], axis=-1)


def _attended(states: Any, real: Any) -> Any:
    """Weigh all states by attention with one learnt vector, (B, D).

    It is that of Yang et al. 2016, https://aclanthology.org/N16-1174/, without their hidden layer.
    """
    scores = layers.Dense(1, use_bias=False, name="attention")(ops.tanh(states))
    weights = ops.softmax(ops.where(real, scores, -1e9), axis=1)
    return ops.sum(weights * states, axis=1)


def start_from(model: keras.Model, vectors: np.ndarray, known: np.ndarray) -> None:
    """Put word vectors into a network that has not been trained; words without one keep their random start.

    Args:
        model: what `build` made.
        vectors: float32, (vocabulary, E).
        known: which words have one, bool, (vocabulary,).
    """
    embedding = model.get_layer("embedding")
    (random,) = embedding.get_weights()
    random[known] = vectors[known]
    embedding.set_weights([random])


def recurrent_parameters(model: keras.Model) -> int:
    """Count the weights of the recurrent layers alone."""
    return sum(int(layer.count_params()) for layer in model.layers if isinstance(layer, layers.RNN))
