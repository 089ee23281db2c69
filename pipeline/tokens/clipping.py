"""Shorten long texts: read their beginning, their end, or both."""

from typing import Literal

import numpy as np

from pipeline.tokens.ragged import Tokens, offsets_of

Keep = Literal["head", "tail", "head+tail"]


def ends(max_tokens: int, keep: Keep) -> tuple[int, int]:
    """Divide `max_tokens` into the tokens read at the beginning and at the end of a longer text.

    Of `head+tail`, a quarter is the beginning: the best split that Sun et al. 2019, arXiv:1905.05583, found on IMDB.

    >>> ends(400, "head+tail")
    (100, 300)
    """
    head = {"head": max_tokens, "tail": 0, "head+tail": max_tokens // 4}[keep]
    return head, max_tokens - head


def read_ends(head: int, tail: int) -> str:
    """Say in words which tokens are read.

    >>> read_ends(1, 2)
    'first 1 and last 2'
    """
    return " and ".join(f"{end} {count}" for end, count in (("first", head), ("last", tail)) if count)


def clip(tokens: Tokens, max_tokens: int, keep: Keep) -> Tokens:
    """Keep at most `max_tokens` tokens of each text, from its beginning, its end or both."""
    lengths = np.minimum(tokens.lengths, max_tokens)
    offsets = offsets_of(lengths)
    head, _ = ends(max_tokens, keep)
    in_text = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    # The tokens that are left out stand between the beginning and the end.
    skipped = np.repeat(tokens.lengths - lengths, lengths)
    places = np.repeat(tokens.offsets[:-1], lengths) + in_text + np.where(in_text < head, 0, skipped)
    return Tokens(tokens.ids[places], offsets)
