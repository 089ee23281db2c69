"""NumPy arrays as a .npz file whose bytes depend on the arrays alone."""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

_DATE = (1980, 1, 1, 0, 0, 0)


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write an uncompressed .npz without pickles, for `np.load`.

    Not `np.savez`, which leaves the headers to the zipfile module of whatever Python runs: 3.11.2 and 3.11.7 write
    different ones.

    Raises:
        ValueError: an array holds objects.
    """
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asanyarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", _DATE), content.getbuffer())
