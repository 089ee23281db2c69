"""The memory that a network needs is known before it is made."""

import re

import pytest
from conftest import train_params

from pipeline.core.command import InputError
from pipeline.networks.room import check_room, free_memory, room


def test_the_parts_are_counted_from_the_numbers_of_params_yaml() -> None:
    settings = train_params(embedding_dim=10, units=6, bidirectional=True, layers=2, patience=0)
    words, weights, states, vectors = room("lstm", 1000, settings, 32, 50).values()
    # float32: weights, slopes and two means of Adam.
    assert words == 4 * 4 * 1000 * 10
    assert weights == 4 * 4 * 2 * (4 * 6 * (10 + 6 + 1) + 4 * 6 * (12 + 6 + 1))
    assert (states, vectors) == (4 * 32 * 50 * 2 * 2 * 6 * 5, 4 * 32 * 50 * 10)
    more = train_params(embedding_dim=10, units=6, bidirectional=True, layers=2, averaging=0.9, adversarial=1.0)
    assert [*room("lstm", 1000, more, 32, 50).values()] == [words * 6 // 4, weights * 6 // 4, 2 * states, 2 * vectors]


def test_a_network_that_cannot_fit_is_refused_with_its_largest_parts() -> None:
    check_room("gru", 10_000, train_params(), 64, 64)
    large = train_params(units=4096, embedding_dim=4096, layers=16)
    with pytest.raises(InputError) as caught:
        check_room("gru", 2_000_000, large, 65_536, 100_000)
    told = str(caught.value)
    assert re.search(r"at least [\d,]+\.\d GB of memory, and [\d,.]+ [GM]B are free: [\d,.]+ GB for the states", told)
    named = ["batch_size", "max_tokens", "train.units", "vocabulary", "train.embedding_dim"]
    assert [name for name in named if name not in told] == []


def test_memory_is_free() -> None:
    assert 10_000_000 < free_memory() < 1e14
