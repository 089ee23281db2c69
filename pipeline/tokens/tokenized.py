"""Write and read tokens.npz: the token ids of all splits, and the labels of train and validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import Spool, save_arrays
from pipeline.tokens.ragged import Tokens

_TOKENIZED = ("train", "validation", "test")
_LABELLED = ("train", "validation")


def save_tokens(
    path: Path,
    tokens: Mapping[str, tuple[np.ndarray | Spool, np.ndarray]],
    labels: Mapping[str, np.ndarray],
    label_names: Sequence[str],
    vocabulary_size: int,
) -> None:
    """Write the file that `TokenizedSplits.load` reads, also if memory does not hold the tokens.

    Args:
        path: the file to write, an uncompressed .npz.
        tokens: split to the ids and the offsets of its texts, as in `Tokens`.
        labels: the other three as in `TokenizedSplits`.
        label_names: the class of code i.
        vocabulary_size: ids are below this.
    """
    arrays: dict[str, np.ndarray | Spool] = {}
    for split, (ids, offsets) in tokens.items():
        arrays |= {f"{split}_tokens": ids, f"{split}_offsets": offsets}
    arrays |= {f"{split}_labels": codes for split, codes in labels.items()}
    arrays |= {"label_names": np.array(label_names), "vocabulary_size": np.array(vocabulary_size)}
    save_arrays(path, arrays)


@dataclass(frozen=True)
class TokenizedSplits:
    """Hold the content of tokens.npz: all that training needs, without the labels of the test split.

    Attributes:
        tokens: `train`, `validation` and `test` to their texts.
        labels: `train` and `validation` to int32 codes, (texts,).
        label_names: the class of code i.
        vocabulary_size: ids are below this.
    """

    tokens: dict[str, Tokens]
    labels: dict[str, np.ndarray]
    label_names: list[str]
    vocabulary_size: int

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz, the same bytes for the same content."""
        tokens = {split: (tokens.ids, tokens.offsets) for split, tokens in self.tokens.items()}
        save_tokens(path, tokens, self.labels, self.label_names, self.vocabulary_size)

    @classmethod
    def load(cls, path: Path) -> "TokenizedSplits":
        """Read the file that `save` or `save_tokens` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                {split: Tokens(arrays[f"{split}_tokens"], arrays[f"{split}_offsets"]) for split in _TOKENIZED},
                {split: arrays[f"{split}_labels"] for split in _LABELLED},
                arrays["label_names"].tolist(),
                int(arrays["vocabulary_size"]),
            )
