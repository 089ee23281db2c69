"""Keras, imported in one place: on the backend and the numbers that this project means, and without notices.

`~/.keras/keras.json` in the user's home may name another backend or other numbers: with `floatx: float16` there, other
networks would come out, and nothing would say so. KERAS_BACKEND=jax is a wish and is heard.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
with _without_notices():
    import keras
    from keras import layers, ops


def set_numbers() -> None:
    """Set what else in Keras would change a network, and comes from the home or the environment of the user."""
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_max_epochs(None)  # KERAS_MAX_EPOCHS
    keras.config.set_max_steps_per_epoch(None)


set_numbers()

__all__ = ["keras", "layers", "ops", "set_numbers"]
