"""Hold texts of different lengths as token ids, one after the other."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

PAD, UNKNOWN = 0, 1  # ids that every vocabulary has: the filling of a padded batch, and any word that is not known


@dataclass(frozen=True)
class Tokens:
    """Hold texts as token ids without padding.

    Attributes:
        ids: int32, (sum of lengths,).
        offsets: int64, (texts + 1,); text i is `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, text: int) -> np.ndarray:
        return self.ids[self.offsets[text] : self.offsets[text + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Count the tokens of each text: int64, (texts,)."""
        return np.diff(self.offsets)

    def parts(self, tokens: int) -> Iterator["Tokens"]:
        """Yield some of the texts at a time, which have about as many tokens as asked for; a text stays whole."""
        first = 0
        while first < len(self):
            last = max(first + 1, int(np.searchsorted(self.offsets, self.offsets[first] + tokens, side="right")) - 1)
            begin, end = self.offsets[first], self.offsets[last]
            yield Tokens(self.ids[begin:end], self.offsets[first : last + 1] - begin)
            first = last


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Compute where each text begins, and where the last one ends, from the lengths: int64, (texts + 1,).

    >>> offsets_of(np.array([4, 1, 2])).tolist()
    [0, 4, 5, 7]
    """
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def from_lists(texts: Sequence[Sequence[int]]) -> Tokens:
    """Make `Tokens` from one list of ids per text."""
    offsets = offsets_of(np.fromiter(map(len, texts), np.int64, len(texts)))
    ids = np.fromiter(chain.from_iterable(texts), np.int32, int(offsets[-1]))
    return Tokens(ids, offsets)


def concatenate(parts: Iterable[Tokens]) -> Tokens:
    """Join the texts of several `Tokens` in order."""
    parts = list(parts)
    if not parts:
        return from_lists([])
    lengths = np.concatenate([part.lengths for part in parts])
    return Tokens(np.concatenate([part.ids for part in parts]), offsets_of(lengths))
