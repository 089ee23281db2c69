"""Batches of texts of about the same length."""

import numpy as np
import pytest

from pipeline.tokens.batches import in_length_order, pad, shuffled
from pipeline.tokens.ragged import from_lists


def review_lengths(texts: int, seed: int = 0) -> np.ndarray:
    """Lengths as in the IMDB reviews: most near 180 words, some ten times that, cut at 500."""
    return np.minimum(500, np.random.default_rng(seed).lognormal(5.2, 0.7, texts).astype(np.int64) + 1)


def batches_of(kind: str, lengths: np.ndarray, batch_size: int, seed: int = 0) -> list[np.ndarray]:
    if kind == "shuffled":
        return shuffled(lengths, batch_size, np.random.default_rng(seed))
    return in_length_order(lengths, batch_size)


def width(lengths: np.ndarray, batch: np.ndarray) -> int:
    return int(pad(from_lists([[1] * length for length in lengths[batch]]), np.arange(len(batch))).shape[1])


KINDS = pytest.mark.parametrize("kind", ["in_length_order", "shuffled"])


@KINDS
@pytest.mark.parametrize(("texts", "batch_size"), [(1, 8), (8, 8), (100, 8), (103, 8), (5, 1)])
def test_every_text_comes_exactly_once(kind: str, texts: int, batch_size: int) -> None:
    batches = batches_of(kind, review_lengths(texts), batch_size)
    assert sorted(np.concatenate(batches).tolist()) == list(range(texts))
    assert max(map(len, batches)) <= batch_size
    assert len(batches) == -(-texts // batch_size)


@KINDS
@pytest.mark.parametrize("seed", range(5))
def test_the_first_two_batches_differ_in_width_if_any_two_do(kind: str, seed: int) -> None:
    lengths = review_lengths(60, seed)
    lengths[:40] = 5  # many batches of one width
    batches = batches_of(kind, lengths, 4, seed)
    assert width(lengths, batches[0]) != width(lengths, batches[1])


@KINDS
def test_texts_of_one_width_are_fine(kind: str) -> None:
    assert len(batches_of(kind, np.full(20, 5), 8)) == 3


@KINDS
def test_little_work_goes_into_padding(kind: str) -> None:
    lengths = review_lengths(2000)
    batches = batches_of(kind, lengths, 32)
    padded = sum(len(batch) * width(lengths, batch) for batch in batches)
    assert padded / lengths.sum() < 1.08  # one width for all: 2.4
    assert 2000 * lengths.max() / lengths.sum() > 2


def test_prediction_begins_with_the_longest_texts() -> None:
    assert [batch.tolist() for batch in in_length_order(np.array([3, 90, 20, 9]), 2)] == [[1, 2], [3, 0]]


def test_the_seed_alone_decides_the_batches_of_an_epoch() -> None:
    lengths = review_lengths(200)
    first, same, other = ([batch.tolist() for batch in batches_of("shuffled", lengths, 16, seed)] for seed in (3, 3, 4))
    assert first == same
    assert first != other


def test_an_epoch_is_not_in_the_order_of_length_and_the_next_one_mixes_anew() -> None:
    lengths, rng = review_lengths(640), np.random.default_rng(0)
    first, second = shuffled(lengths, 32, rng), shuffled(lengths, 32, rng)
    longest = [int(lengths[batch].max()) for batch in first]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))
    assert {frozenset(batch.tolist()) for batch in first} != {frozenset(batch.tolist()) for batch in second}


def test_padding_is_zeros_on_the_right_to_a_multiple_of_eight() -> None:
    tokens = from_lists([[5, 6], [7], [2, 3, 4], list(range(1, 10))])
    assert pad(tokens, np.array([2, 0])).tolist() == [[2, 3, 4, 0, 0, 0, 0, 0], [5, 6, 0, 0, 0, 0, 0, 0]]
    assert pad(tokens, np.array([3, 1])).tolist() == [[1, 2, 3, 4, 5, 6, 7, 8, 9] + [0] * 7, [7] + [0] * 15]
    assert pad(tokens, np.array([0])).dtype == np.int32
