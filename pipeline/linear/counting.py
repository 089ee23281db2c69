"""Count n-grams of tokens: which ones enough texts have, and how often each text has them.

K is the number of n-grams. An n-gram is known by its rank among those of its length, and coded as (rank of all but its
last token) × (size of the vocabulary) + (last token): to find it is one look into a sorted array.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp
from tokenizers import Tokenizer

from pipeline.tokens.ragged import PAD, UNKNOWN, Tokens
from pipeline.tokens.tokenizer import SPECIAL_TOKENS, has_words, with_words

_TOKENS_AT_A_TIME = 1 << 20  # of each, the work needs about a hundred bytes


@dataclass(frozen=True)
class Ngrams:
    """Hold the n-grams that are counted, over the tokens of a tokenizer.

    Attributes:
        tokenizer: that cuts texts into tokens.
        table: token ids, int32, (K, longest), with PAD behind a shorter n-gram; sorted, in the order of the columns.
    """

    tokenizer: Tokenizer
    table: np.ndarray

    @classmethod
    def find(cls, tokenizer: Tokenizer, tokens: Tokens, longest: int, min_texts: int) -> "Ngrams":
        """Find the n-grams of up to `longest` tokens that at least `min_texts` texts have. Unknown tokens part them."""
        size = tokenizer.get_vocab_size()
        levels: list[np.ndarray] = []
        for _ in range(longest):
            levels.append(_frequent(tokens, levels, size, min_texts))
        rows = np.zeros((1, 0), np.int32)
        tables = []
        for codes in levels:
            rows = np.hstack([rows[codes // size], (codes % size)[:, None].astype(np.int32)])
            tables.append(np.pad(rows, [(0, 0), (0, longest - rows.shape[1])], constant_values=PAD))
        return cls(tokenizer, in_order(np.vstack(tables)))

    def __len__(self) -> int:
        return len(self.table)

    def count(self, tokens: Tokens) -> sp.csr_matrix:
        """Count the n-grams of every text: float32, (texts, K)."""
        counted = [sp.csr_matrix((0, len(self)), dtype=np.float32)]
        for part in _parts(tokens):
            walk = _walk(part, self._levels, self._size)
            next(walk)
            texts, columns = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
            for of_level, (starts, ranks) in zip(self._columns, walk, strict=True):
                texts.append(part.texts[starts])
                columns.append(of_level[ranks])
            cells = np.concatenate(texts) * len(self) + np.concatenate(columns)
            counted.append(_matrix(cells, part.size, len(self)))
        return sp.vstack(counted, format="csr")

    def without_other_words(self) -> "Ngrams":
        """Forget the words that are in no n-gram, where tokens are whole words."""
        if not has_words(self.tokenizer):
            return self
        used = np.unique(self.table[self.table != PAD])
        tokenizer = with_words(self.tokenizer, [str(self.tokenizer.id_to_token(word)) for word in used])
        table = np.where(self.table == PAD, PAD, np.searchsorted(used, self.table) + len(SPECIAL_TOKENS))
        return Ngrams(tokenizer, table.astype(np.int32))

    @property
    def names(self) -> list[str]:
        """Write out the n-grams, their tokens parted by blanks."""
        tokens = [self.tokenizer.id_to_token(token) for token in range(self._size)]
        return [" ".join(tokens[token] for token in row if token != PAD) for row in self.table.tolist()]

    @cached_property
    def _size(self) -> int:
        return int(self.tokenizer.get_vocab_size())

    @cached_property
    def _columns(self) -> list[np.ndarray]:
        """List the columns of the n-grams of each length, in the order of their ranks."""
        lengths = (self.table != PAD).sum(axis=1)
        return [np.flatnonzero(lengths == length) for length in range(1, self.table.shape[1] + 1)]

    @cached_property
    def _levels(self) -> list[np.ndarray]:
        """List the sorted codes of the n-grams of each length."""
        levels: list[np.ndarray] = []
        for length, columns in enumerate(self._columns, start=1):
            rows = self.table[columns, :length]
            ranks = np.zeros(len(rows), np.int64)
            for level, place in zip(levels, range(length - 1), strict=True):
                ranks = np.searchsorted(level, ranks * self._size + rows[:, place])
            levels.append(ranks * self._size + rows[:, -1])
        return levels


def in_order(table: np.ndarray) -> np.ndarray:
    """Sort n-grams by their first token, then by their second, and so on: those of few tokens before longer ones."""
    return table[np.lexsort(table.T[::-1])]


def _matrix(cells: np.ndarray, rows: int, columns: int) -> sp.csr_matrix:
    """Make a matrix of how often each cell, row × columns + column, is named: float32, (rows, columns)."""
    cells, counts = _distinct(cells)
    row_ends = np.searchsorted(cells, np.arange(rows + 1) * columns)
    content = counts.astype(np.float32), (cells % max(columns, 1)).astype(np.int32), row_ends.astype(np.int32)
    return sp.csr_matrix(content, shape=(rows, columns))


@dataclass(frozen=True)
class _Part:
    """Hold some of the texts.

    Attributes:
        ids: of their tokens, int64, (tokens,).
        texts: the text of each token, from 0.
        ends: where in `ids` the text of each token ends.
        size: how many texts there are.
    """

    ids: np.ndarray
    texts: np.ndarray
    ends: np.ndarray
    size: int


def _parts(tokens: Tokens) -> Iterator[_Part]:
    """Cut many texts into some at a time."""
    for some in tokens.parts(_TOKENS_AT_A_TIME):
        texts, ends = (np.repeat(values, some.lengths) for values in (np.arange(len(some)), some.offsets[1:]))
        yield _Part(some.ids.astype(np.int64), texts, ends, len(some))


def _frequent(tokens: Tokens, levels: Sequence[np.ndarray], size: int, min_texts: int) -> np.ndarray:
    """Find the n-grams that are one token longer than the longest in `levels`: their codes, sorted, int64."""
    codes, texts = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for part in _parts(tokens):
        *_, (starts, ranks) = _walk(part, levels, size)
        starts, wanted = _longer(part, starts, ranks, len(levels), size)
        # One sort of one array is ten times as fast as sorting the n-grams of every text. The products stay below 2^63:
        # a million words, ten million n-grams and a hundred thousand texts in a part make 10^18.
        in_texts, _ = _distinct(wanted * part.size + part.texts[starts])
        distinct, counts = _distinct(in_texts // max(part.size, 1))
        codes.append(distinct)
        texts.append(counts)
    all_codes, which = np.unique(np.concatenate(codes), return_inverse=True)
    frequent: np.ndarray = all_codes[np.bincount(which, np.concatenate(texts), len(all_codes)) >= min_texts]
    return frequent


def _walk(part: _Part, levels: Sequence[np.ndarray], size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield, for n-grams of 0, 1, 2, … tokens, where they begin, and their ranks."""
    starts, ranks = np.arange(len(part.ids)), np.zeros(len(part.ids), np.int64)
    yield starts, ranks
    for length, codes in enumerate(levels):
        starts, wanted = _longer(part, starts, ranks, length, size)
        places = _places(codes, wanted)
        found = places >= 0
        starts, ranks = starts[found], places[found]
        yield starts, ranks


def _places(codes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Find numbers among sorted ones: their places, -1 where they are not there."""
    limit = int(codes[-1]) + 1 if len(codes) else 0
    if limit < len(wanted):  # a table is made faster than so many are searched for
        table = np.full(limit + 1, -1)
        table[codes] = np.arange(len(codes))
        found: np.ndarray = table[np.minimum(wanted, limit)]
        return found
    places = np.searchsorted(codes, wanted)
    places[places == len(codes)] = 0
    return np.where(codes[places] == wanted, places, -1)


def _distinct(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the different numbers, sorted, and how often there is each. `np.unique` takes forty times as long."""
    numbers = np.sort(numbers)
    begins = np.flatnonzero(np.concatenate([numbers[:1] == numbers[:1], numbers[1:] != numbers[:-1]]))
    return numbers[begins], np.diff(begins, append=len(numbers))


def _longer(
    part: _Part, starts: np.ndarray, ranks: np.ndarray, length: int, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Add the next token to n-grams of `length` tokens: where the longer ones begin, and their codes.

    Those at the end of a text, or before an unknown token, have no longer one.
    """
    inside = starts + length < part.ends[starts]
    starts, ranks = starts[inside], ranks[inside]
    following = part.ids[starts + length]
    known = following != UNKNOWN
    return starts[known], (ranks * size + following)[known]
