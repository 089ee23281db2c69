"""Find again, check and count what a trained model learnt from, as its card names it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from pipeline.core.hashes import md5
from pipeline.trained.trained import Trained


def input_path(trained: Trained, name: str) -> Path:
    """Find an input by its name in the card: a path from the top of the project that the model's folder is in."""
    for folder in trained.folder.resolve().parents:
        if (folder / name).is_file():
            return folder / name
    return Path(name)  # of a model that was trained into a folder elsewhere


def changed_inputs(trained: Trained) -> list[str]:
    """List the inputs of a model that are gone, or other files now; empty for a model that fits its project's data."""
    return [name for name, digest in trained.card["inputs"].items() if not is_file(input_path(trained, name), digest)]


def is_file(path: Path, digest: str) -> bool:
    """Tell if there is a file with this MD5."""
    return path.is_file() and md5(path) == digest


def label_counts(trained: Trained) -> dict[str, dict[str, int]]:
    """Count the texts of every label that a model learnt from (`train`) and stopped by (`validation`).

    Empty where the inputs are not there any more.
    """
    if not trained.card["inputs"] or changed_inputs(trained):
        return {}
    data = input_path(trained, next(iter(trained.card["inputs"])))
    read = _codes_of_table if data.suffix == ".parquet" else _codes_of_tokens
    names: list[str] = trained.card["labels"]
    return {
        split: dict(zip(names, np.bincount(codes, minlength=len(names)).tolist(), strict=True))
        for split, codes in read(data).items()
    }


_SPLITS = ("train", "validation")


def _codes_of_tokens(tokens: Path) -> dict[str, np.ndarray]:
    with np.load(tokens, allow_pickle=False) as arrays:
        return {split: arrays[f"{split}_labels"] for split in _SPLITS if f"{split}_labels" in arrays.files}


def _codes_of_table(reviews: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(reviews, columns=["split", "label"]).to_pandas()
    return {split: table.loc[table["split"] == split, "label"].to_numpy(np.int32) for split in _SPLITS}
