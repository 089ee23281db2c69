"""Keep where a training stands after every epoch, so that a killed one goes on from there.

A checkpoint is one .npz file, `<name>-<key>.npz`, which is written beside and renamed. The key is a hash of everything
that may change the bytes of the network: with other code, data, settings or versions, the file has another name.
"""

import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.arrays import save_arrays
from pipeline.networks.backend import keras

_FACTS = "facts"
_ABANDONED = 7 * 24 * 3600  # seconds
_PACKAGES = ("keras", "tensorflow", "tensorflow-cpu", "jax", "jaxlib", "numpy")
_LIBRARIES = ("JAX_", "ONEDNN_", "TF_", "XLA_")  # whose variables of the environment may change numbers,
_HARMLESS = ("TF_CPP_", "TF_NUM_")  # other than those on messages and threads


@dataclass(frozen=True)
class State:
    """Hold all that training needs to go on.

    Attributes:
        arrays: by name; the names are those of `fitting`.
        facts: what JSON can hold.
    """

    arrays: dict[str, np.ndarray]
    facts: dict[str, Any]


@dataclass
class Checkpoint:
    """Keep the state of one training in a file.

    Args:
        path: of the file.
        origin: everything that may change the bytes of the network; a file of another origin is not taken.
    """

    path: Path
    origin: Mapping[str, Any]
    _warned: bool = field(default=False, init=False)

    @classmethod
    def of(cls, folder: Path, name: str, origin: Mapping[str, Any]) -> "Checkpoint":
        """Name the checkpoint of a training.

        Args:
            folder: for the checkpoints of all trainings; made when needed.
            name: of the network, such as `lstm-1`.
            origin: what the network is made from, as JSON can hold it.
        """
        origin = {**origin, "surroundings": surroundings()}
        key = hashlib.sha256(json.dumps(origin, sort_keys=True).encode()).hexdigest()[:16]
        return cls(folder / f"{name}-{key}.npz", json.loads(json.dumps(origin)))

    def load(self) -> State | None:
        """Read the state, if there is one. A damaged file is named, removed, and not taken."""
        try:
            with np.load(self.path, allow_pickle=False) as file:
                arrays = {name: file[name] for name in file.files}  # the archive has a checksum of each
            facts = json.loads(arrays.pop(_FACTS).tobytes())
            if facts.pop("origin") != self.origin:
                raise ValueError("it is of another training")
            return State(arrays, facts)
        except FileNotFoundError:
            return None
        except Exception as error:  # whatever NumPy and zipfile raise on bytes that they did not write
            self.refuse(str(error))
            return None

    def refuse(self, reason: str) -> None:
        """Say that the file is not taken, and remove it."""
        print(
            f"warning: {self.path} is damaged and is not used ({reason}): training begins with epoch 1", file=sys.stderr
        )
        self.remove()

    def save(self, state: State) -> None:
        """Write the state, in place of the earlier one. On a full disk, say so once and keep the earlier one.

        Not forced onto the disk (fsync): a kill of the process leaves what is written, and after a loss of power the
        checksums tell a file that is not whole.
        """
        part = self.path.with_suffix(f".{os.getpid()}.part")  # two copies of a project may train the same
        facts = np.frombuffer(json.dumps({**state.facts, "origin": self.origin}).encode(), np.uint8)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_arrays(part, {**state.arrays, _FACTS: facts})
            part.replace(self.path)
        except OSError as error:
            _unlink(part)
            if not self._warned:
                self._warned = True
                print(
                    f"warning: training goes on, but its state cannot be kept in {self.path}: {error}. After a kill, it"
                    f" would begin with {'an earlier epoch' if self.path.exists() else 'epoch 1'}",
                    file=sys.stderr,
                )

    def remove(self) -> None:
        """Remove the file, and what a kill in the middle of writing it has left."""
        for path in (self.path, *self.path.parent.glob(f"{self.path.stem}.*.part")):
            _unlink(path)

    def finish(self) -> None:
        """Remove the file, since the network is whole, and those of other trainings that nobody has gone on with."""
        self.remove()
        for path in self.path.parent.glob("*"):
            if path.suffix in (".npz", ".part") and time.time() - _changed(path) > _ABANDONED:
                _unlink(path)
        with suppress(OSError):  # it is not there, or there are others
            self.path.parent.rmdir()


def _changed(path: Path) -> float:
    """Get when a file was written, in seconds; in the far future, where it is gone."""
    try:
        return path.stat().st_mtime
    except OSError:
        return float("inf")


def _unlink(path: Path) -> None:
    with suppress(OSError):  # it is gone, or the disk is read-only by now
        path.unlink()


def surroundings() -> dict[str, Any]:
    """Name what else than code, data and settings may change the bytes of a network."""
    numbers = {name: value for name, value in os.environ.items() if name.startswith(_LIBRARIES)}
    return {
        "backend": keras.backend.backend(),
        "devices": keras.distribution.list_devices(),
        "environment": {name: value for name, value in numbers.items() if not name.startswith(_HARMLESS)},
        "machine": [platform.system(), platform.machine(), _processor()],
        "python": platform.python_version(),
        "versions": {name: version for name in _PACKAGES if (version := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _processor() -> list[str]:
    """Name the kind of the processor and what it can compute, where the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return [platform.processor()]
    return sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})
