"""Save, open and ask a recurrent network; `building` makes it and `fitting` trains it.

A model that MLflow loads has this file without the other two, and without params.yaml.
"""

import json
import re
import zipfile
from pathlib import Path

import numpy as np

from pipeline.networks.backend import keras, layers, set_numbers
from pipeline.tokens.batches import in_length_order, pad
from pipeline.tokens.ragged import Tokens, from_lists

# Predicting takes less memory per text than training, and larger batches are faster.
PREDICTION_BATCH = 256


def seed_everything(seed: int) -> None:
    """Make what follows in this process a function of `seed`: names of operations, weights, dropout, batches."""
    set_numbers()
    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)


def predict(model: keras.Model, tokens: Tokens) -> np.ndarray:
    """Predict the probabilities of every class.

    Args:
        model: what `build` made, trained.
        tokens: clipped texts.

    Returns:
        float32, (texts, classes), in the order of the texts.
    """
    outputs = np.empty((len(tokens), model.output_shape[-1]), np.float32)
    for texts in in_length_order(tokens.lengths, PREDICTION_BATCH):
        # Not `model.predict`, which sets up threads and callbacks: 40 ms more for a single text.
        outputs[texts] = model.predict_on_batch(pad(tokens, texts))
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
    """Take the weights out of a network.

    Returns:
        Layer name to its arrays, in the order of the layers; layers without weights are left out.
    """
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def inside(model: keras.Model, text: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the states of all recurrent layers and what is pooled of them, to check a second implementation by.

    Args:
        model: what `build` made.
        text: token ids, int32, (T,).

    Returns:
        Name of each recurrent layer to its states, float32, (T, U), in the order in which it read; `pooled`, (P,).
    """
    recurrent = [layer for layer in model.layers if isinstance(layer, layers.RNN)]
    ways = keras.Model(model.input, [*(layer.output for layer in recurrent), model.layers[-1].input])
    with keras.device("cpu"):  # where products are of full precision
        *states, pooled = ways(pad(from_lists([text.tolist()]), np.zeros(1, int)))
    named = {
        layer.name: np.asarray(values)[0, : len(text)]  # without padding
        for layer, values in zip(recurrent, states, strict=True)
    }
    return named | {"pooled": np.asarray(pooled)[0]}
