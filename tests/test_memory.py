"""Half-lives, distances and responses of networks whose memory is known, because their weights are set by hand."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from conftest import train_params
from samples import random_network

from pipeline import cells
from pipeline.core.command import InputError
from pipeline.inside import memory
from pipeline.inside.memory import Memory
from pipeline.inside.numpy_network import Network
from pipeline.memory import measure
from pipeline.networks import building, networks
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import Tokens, from_lists
from pipeline.trained.trained import Trained

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "film": 2, "not": 3, "isn't": 4, "great": 5, "note": 6}
SUB_WORDS = {"[PAD]": 0, "[UNK]": 1, "▁film": 2, "▁not": 3, "not": 4, "▁great": 5, "▁t": 6}


def logit(p: float) -> float:
    return math.log(p / (1 - p))


def two_unit_network(cell: str, keep: tuple[float, float], pooling: str = "last", backward: bool = False) -> Network:
    """Every token is kept with these constant gates; a token of id k writes k / 10, and gates see nothing else."""
    embedding = np.arange(7.0)[:, None] / 10
    gates = [logit(share) for share in keep]
    writes = np.array([[1.0, 1.0]])
    nothing = np.zeros((1, 2))
    if cell == "lstm":  # input, forget, candidate, output
        kernel = np.hstack([nothing, nothing, writes, nothing])
        weights = [kernel, np.zeros((2, 8)), np.array([0, 0, *gates, 0, 0, 0, 0])]
    else:  # update, reset, candidate
        kernel = np.hstack([nothing, nothing, writes])
        weights = [kernel, np.zeros((2, 6)), np.array([[*gates, 0, 0, 0, 0], [0.0] * 6])]
    passes = {"layer 1": weights} | ({"layer 1 backward": weights} if backward else {})
    head = np.tile([[0.0, 1.0]], (2 * len(passes), 1)), np.zeros(2)
    return Network(cells.find(cell), pooling, embedding, passes, head)


def texts() -> Tokens:
    rng = np.random.default_rng(1)
    return from_lists([rng.integers(1, 7, length).tolist() for length in (3, 30, 40, 12, 25)])


def steps(network: Network, tokens: Tokens, vocabulary: dict[str, int] | None = None) -> memory.Steps:
    return memory.read_steps(network, tokens, vocabulary or VOCABULARY)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_half_life_is_that_of_the_gate_in_every_pass(cell: str) -> None:
    lives = steps(two_unit_network(cell, (0.5, 0.5 ** (1 / 8)), backward=True), texts()).half_lives()
    assert list(lives) == ["layer 1", "layer 1 backward"]
    for of_pass in lives.values():
        np.testing.assert_allclose(of_pass, [1, 8])


def test_a_plain_rnn_keeps_by_the_weight_of_a_unit_to_itself() -> None:
    """States near 0, where tanh is a straight line: so much is left as the weight says."""
    embedding = np.arange(7.0)[:, None] / 1e6
    weights = [np.ones((1, 2)), np.diag([0.5, 0.5 ** (1 / 8)]), np.zeros(2)]
    head = np.tile([[0.0, 1.0]], (2, 1)), np.zeros(2)
    network = Network(cells.find("rnn"), "last", embedding, {"layer 1": weights}, head)
    np.testing.assert_allclose(steps(network, texts()).half_lives()["layer 1"], [1, 8], rtol=1e-6)


def test_the_half_life_of_a_shut_or_open_gate_is_a_number() -> None:
    shut, open_ = steps(two_unit_network("gru", (1e-300, 1 - 1e-16)), texts()).half_lives()["layer 1"]
    assert 0 < shut < 0.03
    assert 1e10 < open_ < math.inf


def test_bins_of_distances_double_up_to_the_longest_text() -> None:
    assert memory._distance_bins(9) == [(1, 1), (2, 2), (3, 4), (5, 8), (9, 16)]


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_last_state_forgets_with_distance_at_the_rate_of_the_gates(cell: str) -> None:
    tokens = from_lists([[5] * 16, [5] * 16, [5]])
    distances, agreement = memory.distance_effects(two_unit_network(cell, (0.8, 0.8)), tokens)
    assert distances["nearest"].tolist() == [1, 2, 3, 5, 9]
    assert distances["texts"].tolist() == [2] * 5
    first, second, third = distances["gradient"][:3]
    assert second / first == pytest.approx(0.8)
    assert third / second == pytest.approx((0.8 + 0.8**2) / 2)  # three and four from the end
    np.testing.assert_allclose(distances["low"], distances["occlusion"])  # all texts are equal
    assert agreement is not None
    assert agreement > 0.99


def test_the_whole_length_is_looked_at_where_enough_texts_have_it() -> None:
    network = random_network("gru", units=4)
    rng = np.random.default_rng(2)
    tokens = from_lists([rng.integers(1, 60, length).tolist() for length in [20] * 30 + [70] * 6 + [300]])
    distances, _ = memory.distance_effects(network, tokens)
    assert distances["farthest"].tolist() == [1, 2, 4, 8, 16, 32, 64, 128]
    assert distances["texts"].tolist() == [37, 37, 37, 37, 37, 37, 7, 7]
    assert (distances["low"] <= distances["occlusion"]).all()
    assert (distances["high"] >= distances["occlusion"]).all()


def test_of_many_classes_the_one_that_the_network_says_is_explained() -> None:
    """The last class has no weights: explaining it alone would still see the first two, but less of them."""
    network = two_unit_network("gru", (0.5, 0.5))
    kernel = np.array([[3.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    three = Network(cells.find("gru"), "last", network.embedding, network.passes, (kernel, np.array([0.0, -9.0, -9.0])))
    tokens = from_lists([[5, 5], [5, 5]])
    distances, _ = memory.distance_effects(three, tokens)
    states = three.run(three.embedding[np.array([[5, 5], [5, 0]])])["layer 1"]["state"][:, -1, 0]
    blanked_last = three.run(np.array([[[0.5], [0.0]]]))["layer 1"]["state"][0, -1, 0]
    assert distances["occlusion"][0] == pytest.approx(3 * (states[0] - blanked_last))  # log-odds of the first class


def test_nothing_that_varies_gives_no_correlation_and_valid_json() -> None:
    network = two_unit_network("gru", (0.5, 0.5))
    network.head[0][:] = 0
    measured = memory.remember(network, texts(), VOCABULARY, "gru-1")
    assert measured.agreement is None
    json.loads(measured.to_json(), parse_constant=pytest.fail)
    assert "nothing varies" in memory.summary(measured).values()
    assert "memory/gru agreement" not in memory.metrics({"gru": measured})


@pytest.mark.parametrize("backward", [False, True])
def test_units_that_a_word_moves_are_found(backward: bool) -> None:
    network = two_unit_network("gru", (0.2, 0.2), backward=backward)
    network.passes["layer 1"][0][0, -1] = -1  # the second unit sinks where the first one rises
    found = steps(network, from_lists([[2, 2, 5, 2], [2, 6, 2, 2, 2]]))
    for title in network.passes:
        up, down = found.responses(title, np.array([5]))
        assert up > 1
        assert down == pytest.approx(-up)


def test_a_response_is_the_difference_of_mean_steps_in_standard_deviations() -> None:
    network = two_unit_network("gru", (0.3, 0.3), backward=True)
    tokens = from_lists([[2, 5, 3, 3], [5, 2]])
    for title, way in (("layer 1", 1), ("layer 1 backward", -1)):
        all_steps = []
        for text in (tokens[0], tokens[1]):
            state = network.run(network.embedding[text][None])[title]["state"][0, :, 0]
            all_steps += np.diff(state[::way], prepend=0.0)[::way].tolist()
        marked, values = tokens.ids == 5, np.array(all_steps)
        expected = (values[marked].mean() - values[~marked].mean()) / values.std()
        np.testing.assert_allclose(steps(network, tokens).responses(title, np.array([5])), [expected, expected])


def test_a_unit_that_never_moves_has_no_response() -> None:
    network = two_unit_network("gru", (0.3, 0.3))
    network.passes["layer 1"][0][:] = 0
    network.passes["layer 1"][2][0, -1] = 1e-12
    np.testing.assert_array_equal(steps(network, texts()).responses("layer 1", np.array([5])), [0, 0])


def test_only_whole_words_count() -> None:
    """`▁not` before `not` is the beginning of another word."""
    tokens = from_lists([[3, 4, 2], [2, 3], [3, 5]])
    assert steps(two_unit_network("gru", (0.5, 0.5)), tokens, SUB_WORDS).counts.tolist() == [0, 0, 2, 2, 0, 1, 0]
    assert steps(two_unit_network("gru", (0.5, 0.5)), tokens).counts.tolist() == [0, 0, 2, 3, 1, 1, 0]


def test_words_are_found_in_word_and_sub_word_vocabularies() -> None:
    assert memory.word_ids(VOCABULARY, memory.WORDS["negation"]).tolist() == [3, 4]  # and not `note`
    assert memory.word_ids(VOCABULARY, memory.WORDS["praise"]).tolist() == [5]
    assert memory.word_ids(SUB_WORDS, memory.WORDS["negation"]).tolist() == [3, 6]  # no inside of a word; isn’t
    assert memory.word_ids({"t": 2}, memory.WORDS["praise"]).tolist() == []


def test_random_words_of_the_same_frequency_move_units_less() -> None:
    network = two_unit_network("gru", (0.2, 0.2))
    network = Network(cells.find("gru"), "last", np.full((60, 1), 0.1), network.passes, network.head)
    network.embedding[5] = 3.0  # only this word says much
    rng = np.random.default_rng(3)
    tokens = from_lists([rng.integers(1, 60, 50).tolist() for _ in range(20)])
    found = memory.read_steps(network, tokens, {"great": 5, "film": 2})
    band = memory._middle(found.random_responses("layer 1", np.array([5])))
    assert band[1] < 0.5
    assert found.responses("layer 1", np.array([5])).min() > 2


def test_a_data_set_without_such_words_has_no_such_numbers() -> None:
    network = two_unit_network("lstm", (0.5, 0.5))
    assert memory.remember(network, texts(), VOCABULARY, "lstm-1").kinds == ["negation", "praise"]
    assert memory.remember(network, from_lists([[2, 3, 2]]), VOCABULARY, "lstm-1").kinds == ["negation"]
    assert memory.remember(network, texts(), {"film": 2}, "lstm-1").kinds == []


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    measured = memory.remember(two_unit_network("lstm", (0.5, 0.8), backward=True), texts(), VOCABULARY, "lstm-1")
    (tmp_path / "memory.json").write_text(measured.to_json())
    again = Memory.load(tmp_path / "memory.json")
    assert again.to_json() == measured.to_json()
    assert len(again.units) == 4
    assert Memory.from_json(Memory().to_json()).layers == []


@pytest.mark.parametrize("content", [None, "{}", "[]", "{", '{"half_lives": [1.0]}'])
def test_a_memory_that_is_missing_or_of_another_version_is_one_line(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "memory.json").write_text(content)
    with pytest.raises(InputError, match=r"memory.json is missing or not readable; make it anew with: dvc repro"):
        Memory.load(tmp_path / "memory.json")


def test_the_seeds_of_a_model_are_told_as_one_and_units_by_their_network() -> None:
    first, second = (
        memory.remember(two_unit_network("gru", keep), texts(), VOCABULARY, name)
        for name, keep in (("gru-1", (0.5, 0.5)), ("gru-2", (0.5 ** (1 / 3),) * 2))
    )
    both = memory.pooled([first, second, Memory()])
    assert both.units["half_life"].round(6).tolist() == [1, 1, 3, 3]
    assert both.distances["occlusion"].tolist() == pytest.approx(
        ((first.distances["occlusion"] + second.distances["occlusion"]) / 2).tolist()
    )
    assert memory.metrics({"gru": both})["memory/gru half_life median"] == pytest.approx(2)
    assert memory.summary(both)["half-life in tokens: 10 %, median, 90 %"] == "1, 2, 3"
    named = [unit["unit"] for unit in memory.top_units(both, "praise")]
    assert set(named) <= {f"gru-{seed} {unit}" for seed in (1, 2) for unit in (0, 1)}
    numbers = memory.numbers(both)
    json.dumps(numbers, allow_nan=False)
    assert numbers["half_life"]["layer 1"]["median"] == pytest.approx(2)
    assert [unit["unit"] for unit in numbers["responses"]["praise"]["most"]] == named


def test_a_model_whose_memory_was_not_measured_is_told_as_that() -> None:
    nothing = memory.pooled([Memory(), Memory()])
    assert memory.metrics({"gru": nothing}) == {}
    assert memory.summary(nothing) == {}
    assert memory.numbers(nothing)["half_life"] == {}


def test_a_sample_is_spread_evenly_and_never_larger_than_the_texts() -> None:
    tokens = from_lists([[i] for i in range(1, 12)])
    assert [memory.sample(tokens, 3)[i].tolist() for i in range(3)] == [[1], [6], [11]]
    assert len(memory.sample(tokens, 100)) == 11


@pytest.mark.parametrize("broken", [False, True])
def test_training_measures_every_build_and_loses_none_that_cannot_be_checked(
    tmp_path: Path, broken: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    build = train_params(pooling="attention", layers=2, bidirectional=True)
    model = building.build("gru", 7, 3, build)
    model.set_weights([np.full_like(weight, np.nan) if broken else weight for weight in model.get_weights()])
    networks.save(model, tmp_path / "model.keras")
    card = {"model": "gru", "settings": build.model_dump() | {"max_tokens": 20}}
    answers = {"validation": networks.predict(model, clip(texts(), 20, build.keep))}
    measured = measure(Trained(tmp_path, card, answers), texts(), VOCABULARY)
    assert ("its memory is not measured" in capsys.readouterr().err) == broken
    assert measured.layers == ([] if broken else ["layer 1", "layer 1 backward", "layer 2", "layer 2 backward"])
    assert Memory.from_json(measured.to_json()).layers == measured.layers
