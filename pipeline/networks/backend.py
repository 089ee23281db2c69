"""Keras, imported in one place: without the notices that TensorFlow prints about the processor."""

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


with _without_notices():
    import keras
    from keras import layers, ops

__all__ = ["keras", "layers", "ops"]
