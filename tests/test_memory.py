"""Half-lives, distances and responses of networks whose memory is known, because their weights are set by hand."""

import math

import numpy as np
import pytest

from pipeline.parts import memory
from pipeline.parts.gates import Network
from pipeline.parts.tokens import Tokens, from_lists

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "film": 2, "▁not": 3, "isn't": 4, "great": 5, "note": 6}


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def two_unit_network(cell: str, keep: tuple[float, float], pooling: str = "last") -> Network:
    """Every token is kept with these constant gates; a token of id k writes k / 10, and gates see nothing else."""
    embedding = np.arange(7.0)[:, None] / 10
    gates = [logit(share) for share in keep]
    writes = np.array([[1.0, 1.0]])
    nothing = np.zeros((1, 2))
    if cell == "lstm":  # input, forget, candidate, output
        kernel = np.hstack([nothing, nothing, writes, nothing])
        recurrent = [kernel, np.zeros((2, 8)), np.array([0, 0, *gates, 0, 0, 0, 0])]
    else:  # update, reset, candidate
        kernel = np.hstack([nothing, nothing, writes])
        recurrent = [kernel, np.zeros((2, 6)), np.array([[*gates, 0, 0, 0, 0], [0.0] * 6])]
    head = np.array([[0.0, 1.0], [0.0, 1.0]]), np.zeros(2)
    return Network(cell, pooling, embedding, recurrent, head)


def texts() -> Tokens:
    rng = np.random.default_rng(1)
    return from_lists([rng.integers(1, 7, length).tolist() for length in (3, 30, 40, 12, 25)])


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_half_life_is_that_of_the_gate(cell: str) -> None:
    lives = memory.half_lives(two_unit_network(cell, (0.5, 0.5 ** (1 / 8))), texts())
    np.testing.assert_allclose(lives, [1, 8])


def test_the_half_life_of_a_shut_or_open_gate_is_a_number() -> None:
    shut, open_ = memory.half_lives(two_unit_network("gru", (1e-300, 1 - 1e-16)), texts())
    assert 0 < shut < 0.03
    assert 1e10 < open_ < math.inf


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_state_forgets_with_distance_at_the_rate_of_the_gates(cell: str) -> None:
    tokens = from_lists([[5] * 20, [5] * 20, [5]])
    distances, agreement = memory.distance_effects(two_unit_network(cell, (0.8, 0.8)), tokens)
    assert distances["distance"].tolist() == list(range(20))
    ratios = distances["gradient"].to_numpy()[1:] / distances["gradient"].to_numpy()[:-1]
    np.testing.assert_allclose(ratios, 0.8, atol=1e-6)
    assert agreement > 0.99


def test_units_that_a_word_moves_are_found() -> None:
    network = two_unit_network("gru", (0.2, 0.2))
    network.recurrent[0][0, -1] = -1  # the second unit sinks where the first one rises
    tokens = from_lists([[2, 2, 5, 2], [2, 6, 2, 2, 2]])
    up, down = memory.responses(network, tokens, np.array([5]))
    assert up > 1
    assert down == pytest.approx(-up)


def test_a_response_is_the_difference_of_mean_steps_in_standard_deviations() -> None:
    network = two_unit_network("gru", (0.3, 0.3))
    tokens = from_lists([[2, 5, 3, 3], [5, 2]])
    steps = []
    for text in (tokens[0], tokens[1]):
        state = network.run(network.embedding[text][None])["state"][0, :, 0]
        steps += np.diff(state, prepend=0.0).tolist()
    marked = tokens.ids == 5
    expected = (np.mean(np.array(steps)[marked]) - np.mean(np.array(steps)[~marked])) / np.std(steps)
    np.testing.assert_allclose(memory.responses(network, tokens, np.array([5])), [expected, expected])


def test_words_are_found_whole_in_word_and_sub_word_vocabularies() -> None:
    assert memory.word_ids(VOCABULARY, memory.WORDS["negation"]).tolist() == [3, 4]  # and not `note`
    assert memory.word_ids(VOCABULARY, memory.WORDS["praise"]).tolist() == [5]


def test_a_data_set_without_such_words_has_no_such_numbers() -> None:
    network = two_unit_network("lstm", (0.5, 0.5))
    assert list(memory.remember(network, texts(), VOCABULARY).responses) == ["negation", "praise"]
    assert list(memory.remember(network, from_lists([[2, 3, 2]]), VOCABULARY).responses) == ["negation"]
    assert memory.remember(network, texts(), {"film": 2}).responses == {}


def test_a_sample_is_spread_evenly_and_never_larger_than_the_texts() -> None:
    tokens = from_lists([[i] for i in range(1, 12)])
    assert [memory.sample(tokens, 3)[i].tolist() for i in range(3)] == [[1], [6], [11]]
    assert len(memory.sample(tokens, 100)) == 11
