"""Keras, imported in one place: on the backend and the numbers that this project means, and without notices.

`keras.json` in the user's home may name another backend or other numbers: with `floatx: float16` there, other networks
would come out, and nothing would say so; with what Keras does not allow, none would. So it is neither read nor written.
KERAS_BACKEND=jax is a wish and is heard.
"""

import logging
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


@contextmanager
def _without_home() -> Iterator[None]:
    """Let Keras look for keras.json where no file can be. For downloads of its own, it then takes /tmp."""
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_HOME"] = f"{os.devnull}/keras"
    try:
        yield
    finally:
        del os.environ["KERAS_HOME"]
        if home is not None:
            os.environ["KERAS_HOME"] = home


os.environ.setdefault("KERAS_BACKEND", "tensorflow")
if os.environ["KERAS_BACKEND"] == "jax" and "xla_gpu_deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
    # On a GPU, sums come in any order without it: each training gives another network.
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
# TensorFlow's advice to programmers, as on texts of many lengths ("retracing"), says nothing to who runs the pipeline.
logging.getLogger("tensorflow").setLevel(logging.ERROR)
with _without_notices(), _without_home():
    import keras
    from keras import layers, ops


def set_numbers() -> None:
    """Set what else in Keras would change a network: whoever has imported it before may have set it."""
    keras.config.set_floatx("float32")
    keras.config.set_epsilon(1e-7)
    keras.config.set_image_data_format("channels_last")  # of the pooling layers, too
    keras.config.set_max_epochs(None)  # KERAS_MAX_EPOCHS
    keras.config.set_max_steps_per_epoch(None)


set_numbers()

__all__ = ["keras", "layers", "ops", "set_numbers"]
