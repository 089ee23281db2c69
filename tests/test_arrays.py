"""A .npz that is the same for the same arrays."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from pipeline.core.arrays import Spool, save_arrays


def test_the_bytes_are_those_of_the_arrays_and_of_no_python_version(tmp_path: Path) -> None:
    arrays = {"ids": np.arange(3, dtype=np.int32), "names": np.array(["a", "bc"]), "one": np.array(2.5)}
    save_arrays(tmp_path / "a.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as found:
        assert found.files == list(arrays)
        assert all(
            np.array_equal(found[name], array) and found[name].dtype == array.dtype for name, array in arrays.items()
        )
    assert (
        hashlib.sha256((tmp_path / "a.npz").read_bytes()).hexdigest()
        == "d9b7b5359438dcc73f139d08f62ea373c259fc91904fc514621a0da3663cf6eb"
    )


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"Object"):
        save_arrays(tmp_path / "a.npz", {"a": np.array([{}], dtype=object)})


@pytest.mark.parametrize("parts", [[], [[]], [[1, 2, 3], [], [4]]])
def test_a_vector_on_disk_is_saved_as_one_in_memory_is(tmp_path: Path, parts: list[list[int]]) -> None:
    with Spool(tmp_path, np.int32) as spool:
        for part in parts:
            spool.append(np.array(part, np.int64))
        assert list(tmp_path.iterdir()) == []
        save_arrays(tmp_path / "disk.npz", {"first": spool, "second": np.arange(2)})
    whole = np.array([number for part in parts for number in part], np.int32)
    save_arrays(tmp_path / "memory.npz", {"first": whole, "second": np.arange(2)})
    assert (tmp_path / "disk.npz").read_bytes() == (tmp_path / "memory.npz").read_bytes()
