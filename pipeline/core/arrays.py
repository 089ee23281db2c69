"""Write NumPy arrays into a .npz file whose bytes depend on the arrays alone."""

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

_DATE = (1980, 1, 1, 0, 0, 0)


# preprocess spools the token ids: IMDB's, 16 times, are 1,500 MB, where it may take 853 MB (see corpus/reviews.py).
class Spool:
    """Keep a growing vector on disk instead of in memory. Use it as a context manager.

    The file has no name: if the process is killed, nothing stays.

    Args:
        folder: on the disk to use.
        dtype: of the numbers.
    """

    def __init__(self, folder: Path, dtype: type[np.generic]) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._dtype = np.dtype(dtype)
        self.nbytes = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def append(self, values: np.ndarray) -> None:
        """Write numbers at the end of the vector."""
        self.nbytes += self._file.write(np.ascontiguousarray(values, self._dtype).data)

    def write_npy(self, file: IO[bytes]) -> None:
        """Write the whole vector as `np.save` does."""
        shape = (self.nbytes // self._dtype.itemsize,)
        header = {"descr": np.lib.format.dtype_to_descr(self._dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        self._file.seek(0)
        shutil.copyfileobj(self._file, file)


def save_arrays(path: Path, arrays: Mapping[str, "np.ndarray | Spool"]) -> None:
    """Write an uncompressed .npz without pickles, for `np.load`.

    Not `np.savez`, which leaves the headers to the zipfile module of whatever Python runs: 3.11.2 and 3.11.7 write
    different ones.

    Raises:
        ValueError: an array holds objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", _DATE)
            values = array if isinstance(array, Spool) else np.asanyarray(array)
            member.file_size = values.nbytes + _HEADER  # how large a header the archive needs goes by it
            with archive.open(member, "w") as file:
                if isinstance(values, Spool):
                    values.write_npy(file)
                else:
                    np.lib.format.write_array(file, values, allow_pickle=False)


_HEADER = 1024  # of a .npy file, at the most
