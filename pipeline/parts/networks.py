"""The LSTM and the GRU: built, saved, opened and asked. Beside `fitting`, which trains them, nothing else knows Keras.

    tokens (B, T) -> embedding (B, T, E) -> dropout -> LSTMs or GRUs (B, T, U) -> pooling (B, U) -> probabilities

Texts are padded on the right and the recurrent layers run unmasked: they read left to right, so what stands before
the padding never sees it. A layer that reads from the end gets each text reversed within its own length, so its
padding comes last too. Only the pooling looks at the mask, which costs far less than masking every step.
"""

import json
import os
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pipeline.parts.batches import in_length_order, pad
from pipeline.parts.tokens import PAD, Tokens, from_lists

if TYPE_CHECKING:  # a model that MLflow loads has this file and not params.py
    from pipeline.parts.params import TrainParams


@contextmanager
def _without_notices() -> Iterator[None]:
    """Drop what TensorFlow's C++ prints at import about the processor; no setting of its own does. Errors raise."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = os.dup(2)
    with Path(os.devnull).open("wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


with _without_notices():
    import keras
    from keras import layers, ops

CellName = Literal["lstm", "gru"]
CELLS: dict[CellName, type[keras.Layer]] = {"lstm": layers.LSTM, "gru": layers.GRU}

# Predicting takes less memory per text than training, and larger batches are faster.
PREDICTION_BATCH = 256


def build(cell: CellName, vocabulary: int, classes: int, settings: "TrainParams") -> keras.Model:
    """Make the network, made only of what Keras brings, so that the saved file opens without this project.

    Args:
        cell: the recurrent layers.
        vocabulary: token ids are below this.
        classes: two give one sigmoid output, p(class 1), (B, 1); more give a softmax, (B, classes).
        settings: the `train` block of params.yaml.

    Returns:
        A model from int32 tokens, (B, T), right-padded with 0, to float32. With `settings.segment`, S, tokens are
        (B, T / S, S): texts are chopped into pieces of S tokens, which the recurrent layers read each for itself
        (Johnson & Zhang 2016, arXiv:1602.02373); the pooling is over the whole text. A piece is shorter than a text,
        and its steps are taken for all pieces of the batch at once. Between layers, each piece has a dropout mask.
    """
    shape = (None, settings.segment) if settings.segment else (None,)
    inputs = tokens = keras.Input(shape, dtype="int32", name="tokens")
    if settings.segment:
        tokens = layers.Reshape((-1,), name="text")(inputs)
    x = layers.Embedding(vocabulary, settings.embedding_dim, name="embedding")(tokens)
    if settings.word_dropout:
        # Whole words go: Iyyer et al. 2015, https://aclanthology.org/P15-1162/.
        x = layers.Dropout(settings.word_dropout, noise_shape=(None, None, 1), name="word_dropout")(x)
    # The same mask for all tokens of a text: the input dropout of Gal & Ghahramani 2016, arXiv:1512.05287.
    x = layers.SpatialDropout1D(settings.dropout, name="dropout")(x)
    mask = ops.not_equal(tokens, PAD)
    x, read = (_chopped(values, settings.segment) for values in (x, mask)) if settings.segment else (x, mask)
    for number in range(1, settings.layers + 1):
        if number > 1 and settings.output_dropout:
            x = layers.SpatialDropout1D(settings.output_dropout, name=f"dropout_{number}")(x)
        x = _recurrent(cell, number, x, read, settings)
    x = _pool(x, read, tokens, settings)
    if settings.output_dropout:
        x = layers.Dropout(settings.output_dropout, name="output_dropout")(x)
    if classes == 2:
        outputs = layers.Dense(1, activation="sigmoid", name="probability")(x)
    else:
        outputs = layers.Dense(classes, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, outputs, name=cell)


def _chopped(values: Any, segment: int) -> Any:
    """Every piece of a text as a text of its own, (B T / S, S, any), from (B, T, any) or (B, T)."""
    return ops.reshape(values, (-1, segment, *values.shape[2:]))


def _joined(values: Any, tokens: Any, segment: int) -> Any:
    """What each piece gives, (B T / S, any), side by side for each text, (B, T / S, any)."""
    # A reshape, but Keras has none in which two sizes are unknown: all are taken from their places.
    ones = ops.ones_like(tokens[:, ::segment])
    row, column = (ops.cumsum(ones, axis=axis) - 1 for axis in (0, 1))
    return ops.take(values, row * ops.sum(ones, axis=1, keepdims=True) + column, axis=0)


def _recurrent(cell: CellName, number: int, x: Any, mask: Any, settings: "TrainParams") -> Any:
    """One recurrent layer, (B, T, U); bidirectional (Schuster & Paliwal 1997), (B, T, 2 U), left to right first."""
    name = f"{cell}_{number}"
    forward = CELLS[cell](settings.units, return_sequences=True, name=name)(x)
    if not settings.bidirectional:
        return forward
    places = _reversed_places(mask)
    backward = CELLS[cell](settings.units, return_sequences=True, name=f"{name}_backward")(_taken(x, places))
    return ops.concatenate([forward, _taken(backward, places)], axis=-1)


def _reversed_places(mask: Any) -> Any:
    """Where each token goes when every text is reversed within its own length, int32, (B, T); padding stays."""
    real = ops.cast(mask, "int32")
    places = ops.cumsum(ops.ones_like(real), axis=1) - 1
    return ops.where(mask, ops.sum(real, axis=1, keepdims=True) - 1 - places, places)


def _taken(vectors: Any, places: Any) -> Any:
    """The vectors at these places, (B, T, U), from (B, T, U) and (B, T)."""
    return ops.take_along_axis(vectors, ops.expand_dims(places, -1), axis=1)


def _pool(states: Any, mask: Any, tokens: Any, settings: "TrainParams") -> Any:
    """Reduce the states of all tokens to one vector per text, leaving padding out.

    Args:
        states: of the top layer, (B, T, D), D being U, or 2 U where it is bidirectional; in pieces (B T / S, S, D).
        mask: which tokens are no padding, bool, shaped likewise.
        tokens: int32, (B, T).
        settings: `pooling` counts: see params.yaml.

    Returns:
        (B, D), or, for `max+mean`, (B, 2 D).
    """
    real = ops.expand_dims(mask, -1)
    if settings.pooling == "last":
        return _last(states, real, settings)
    if settings.pooling == "attention":
        if settings.segment:
            width = states.shape[-1]
            pieces = ops.reshape(states, (-1, settings.segment * width))
            states = layers.Reshape((-1, width), name="states")(_joined(pieces, tokens, settings.segment))
            real = ops.expand_dims(ops.not_equal(tokens, PAD), -1)
        return _attended(states, real)

    def over_text(of_pieces: Any, reduce: Any) -> Any:
        """From one vector per piece to one per text: the pieces are so few that to join them costs nothing."""
        return reduce(_joined(of_pieces, tokens, settings.segment), axis=1) if settings.segment else of_pieces

    pooled = []
    if "max" in settings.pooling:
        highest = ops.max(ops.where(real, states, -1.0), axis=1)  # states lie between -1 and 1
        pooled.append(over_text(highest, ops.max))
    if "mean" in settings.pooling:
        total = over_text(ops.sum(ops.where(real, states, 0.0), axis=1), ops.sum)
        pooled.append(total / over_text(ops.sum(ops.cast(real, "float32"), axis=1), ops.sum))
    return ops.concatenate(pooled, axis=-1) if len(pooled) > 1 else pooled[0]


def _last(states: Any, real: Any, settings: "TrainParams") -> Any:
    """What a direction has when it has read all: the right end of the one, the left end of the other; (B, D)."""
    lengths = ops.sum(ops.cast(real, "int32"), axis=1, keepdims=True)  # (B, 1, 1)
    end = ops.squeeze(ops.take_along_axis(states, lengths - 1, axis=1), axis=1)
    if not settings.bidirectional:
        return end
    return ops.concatenate([end[:, : settings.units], states[:, 0, settings.units :]], axis=-1)


def _attended(states: Any, real: Any) -> Any:
    """One learnt question to all states, (B, D): Yang et al. 2016, https://aclanthology.org/N16-1174/, less a layer."""
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
    """Weights of the recurrent layers alone."""
    return sum(int(layer.count_params()) for layer in model.layers if isinstance(layer, (layers.LSTM, layers.GRU)))


def segment(model: keras.Model) -> int:
    """S of a network that reads texts in pieces of S tokens; 0 of one that reads them whole."""
    return int(model.input_shape[2]) if len(model.input_shape) == 3 else 0


def seed_everything(seed: int) -> None:
    """Make what follows in this process a function of `seed`: names of operations, weights, dropout, batches."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def predict(model: keras.Model, tokens: Tokens) -> np.ndarray:
    """Probabilities of every class.

    Args:
        model: what `build` made, trained.
        tokens: clipped texts.

    Returns:
        float32, (texts, classes), in the order of the texts.
    """
    outputs = np.empty((len(tokens), model.output_shape[-1]), np.float32)
    S = segment(model)
    for texts in in_length_order(tokens.lengths, PREDICTION_BATCH, S):
        # Not `model.predict`, which sets up threads and callbacks: 40 ms more for a single text.
        outputs[texts] = model.predict_on_batch(pad(tokens, texts, S))
    return np.hstack([1 - outputs, outputs]) if outputs.shape[1] == 1 else outputs


def save(model: keras.Model, path: Path) -> None:
    """Write a `.keras` file, without the optimizer, whose bytes depend on the model alone.

    Keras puts the time of saving and the addresses of objects into the file: these are taken out or renumbered.
    """
    temporary = path.with_name(f"{path.stem}.part.keras")
    # A model made anew of the same layers was never compiled: Keras would save the optimizer, twice the weights.
    keras.Model(model.input, model.output, name=model.name).save(temporary)
    with zipfile.ZipFile(temporary) as archive:
        members = {name: archive.read(name) for name in sorted(archive.namelist())}
    temporary.unlink()
    metadata = json.loads(members["metadata.json"])
    metadata.pop("date_saved")
    members["metadata.json"] = json.dumps(metadata).encode()
    members["config.json"] = _renumbered(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0)), data)


def _renumbered(config: str) -> str:
    """Number the shared objects in the order in which they appear."""
    numbers: dict[str, int] = {}
    return re.sub(
        r'("shared_object_id": )(\d+)',
        lambda match: f"{match[1]}{numbers.setdefault(match[2], len(numbers))}",
        config,
    )


def load(path: Path) -> keras.Model:
    """Open a `.keras` file. Keras's safe mode refuses code inside it."""
    model: keras.Model = keras.models.load_model(path, compile=False, safe_mode=True)
    return model


def weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    """The weights of a network without Keras around them.

    Returns:
        Layer name to its arrays, in the order of the layers; layers without weights are left out.
    """
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def inside(model: keras.Model, text: np.ndarray) -> dict[str, np.ndarray]:
    """What a network computes on the way to its verdict on one text, for checks of whoever computes it again.

    Args:
        model: what `build` made.
        text: token ids, int32, (T,).

    Returns:
        Name of each recurrent layer to its states, float32, (T, U), in the order in which it read; `pooled`, (P,).
    """
    recurrent = [layer for layer in model.layers if isinstance(layer, (layers.LSTM, layers.GRU))]
    ways = keras.Model(model.input, [*(layer.output for layer in recurrent), model.layers[-1].input])
    with keras.device("cpu"):  # where products are of full precision
        *states, pooled = ways(pad(from_lists([text.tolist()]), np.zeros(1, int), segment(model)))
    named = {
        layer.name: np.concatenate(np.asarray(values))[: len(text)]  # the pieces, and the padding away
        for layer, values in zip(recurrent, states, strict=True)
    }
    return named | {"pooled": np.asarray(pooled)[0]}
