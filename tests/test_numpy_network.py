"""Networks in NumPy against Keras, with random and with trained weights: verdicts, slopes, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest
from conftest import Project, train_params
from strong_networks import TEXT, VOCABULARY, in_numpy, strong_network

from pipeline.core.command import InputError
from pipeline.core.params import CELLS
from pipeline.inside import numpy_network as gates
from pipeline.inside.numpy_network import Network, log_odds, log_odds_slopes
from pipeline.networks import building, networks
from pipeline.tokens.ragged import from_lists
from pipeline.tokens.tokenized import TokenizedSplits

# Every cell, number of layers, direction, pooling and number of classes meets every other one.
BUILDS = [
    pytest.param(cell, layers, bidirectional, pooling, 2 + (number + layers + bidirectional) % 2, marks=marks)
    for number, pooling in enumerate(gates.POOLINGS)
    for cell, layers, bidirectional, marks in [
        ("lstm", 2, True, [] if pooling in ("max", "max+mean", "attention") else [pytest.mark.slow]),
        ("gru", 2, False, [] if pooling in ("last", "attention") else [pytest.mark.slow]),
        *[(cell, 1, True, []) for cell in CELLS if cell not in ("lstm", "gru")],
        ("lstm", 1, False, [pytest.mark.slow]),
        ("gru", 1, True, [pytest.mark.slow]),
        ("gru", 1, False, [pytest.mark.slow]),
        ("lstm", 1, True, [pytest.mark.slow]),
    ]
]


@pytest.mark.parametrize(("cell", "layers", "bidirectional", "pooling", "classes"), BUILDS)
def test_the_verdict_so_far_and_its_slopes_are_those_of_keras(
    cell: str, layers: int, bidirectional: bool, pooling: str, classes: int
) -> None:
    model = strong_network(cell, classes, pooling, layers, bidirectional)
    network = in_numpy(model, pooling)
    assert network.classes == classes
    assert len(network.passes) == layers * (1 + bidirectional)
    vectors = network.embedding[TEXT]
    so_far = gates.probabilities(network.logits_so_far(vectors))
    beginnings = from_lists([TEXT[: end + 1].tolist() for end in range(len(TEXT))])
    np.testing.assert_allclose(so_far, networks.predict(model, beginnings), atol=1e-5)

    def odds(changed: np.ndarray) -> float:
        states = network.top(network.run(changed[None], kept=["state"]))
        return float(log_odds(network.logits(states), classes - 1)[0])

    passes = network.run(vectors[None])
    by_logits = log_odds_slopes(network.logits(network.top(passes)), classes - 1)
    slopes = network.slopes(passes, by_logits)
    for place, step in ((0, 1e-5), (3, 1e-5), (6, 1e-5)):
        for component in range(4):
            moved = np.zeros_like(vectors)
            moved[place, component] = step
            numerical = (odds(vectors + moved) - odds(vectors - moved)) / (2 * step)
            assert slopes.vectors[0, place, component] == pytest.approx(numerical, abs=1e-6)
    assert {title: states.shape for title, states in slopes.states.items()} == {
        title: (1, len(TEXT), 3) for title in network.passes
    }


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_text_is_read_the_same_alone_and_padded_among_others(bidirectional: bool) -> None:
    network = in_numpy(strong_network("gru", 3, "max+mean", 2, bidirectional), "max+mean")
    lengths = np.array([7, 3, 1])
    batch = np.where(np.arange(8) < lengths[:, None], 5, 0) * (np.arange(8) % 2 + 1)
    together = network.logits(network.top(network.run(network.embedding[batch], lengths)), lengths)
    for row, length in enumerate(lengths):
        alone = network.run(network.embedding[batch[row, :length]][None])
        np.testing.assert_allclose(network.logits(network.top(alone))[0], together[row], atol=1e-12)


def test_equal_states_share_the_slope_of_max_pooling_as_in_tensorflow() -> None:
    """A text whose tokens all leave the same state: kernel and recurrent kernel are zero."""
    tensorflow = pytest.importorskip("tensorflow")
    network = in_numpy(strong_network("lstm"))
    states = np.tile(np.array([[[0.5, -0.2, 0.1]]]), (1, 4, 1))
    by_pooled = np.array([[1.0, 2.0, 3.0]])
    variable = tensorflow.Variable(states)
    with tensorflow.GradientTape() as tape:
        value = tensorflow.reduce_sum(tensorflow.reduce_max(variable, axis=1) * by_pooled)
    np.testing.assert_allclose(network._pooling_slopes(states, by_pooled), tape.gradient(value, variable).numpy())


def test_reading_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = in_numpy(strong_network("lstm", bidirectional=True))
    whole = network.logits_so_far(network.embedding[TEXT])
    monkeypatch.setattr(gates, "_BYTES", 1)
    assert network.texts_at_a_time(len(TEXT)) == 1
    np.testing.assert_allclose(network.logits_so_far(network.embedding[TEXT]), whole, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm-1", "gru-1"])
def test_trained_weights_give_the_stored_predictions(trained_project: Project, name: str) -> None:
    folder = trained_project.root / "data/models" / name
    network = in_numpy(networks.load(folder / "model.keras"))
    tokens = TokenizedSplits.load(trained_project.root / "data/processed/tokens.npz").tokens["test"]
    with np.load(folder / "predictions.npz") as arrays:
        stored = arrays["test"]
    assert len(tokens) > 10
    logits = [network.logits_so_far(network.embedding[tokens[text]])[-1] for text in range(len(tokens))]
    np.testing.assert_allclose(gates.probabilities(np.array(logits)), stored, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_reading_goes_on_where_it_stopped(cell: str) -> None:
    network = in_numpy(strong_network(cell, layers=2))
    vectors = network.embedding[np.arange(1, 11)][None]
    whole = network.run(vectors)
    for end in (0, 1, 7):
        before = {title: {name: values[:, :end] for name, values in of.items()} for title, of in whole.items()}
        after = network.run(np.repeat(vectors[:, end:], 2, axis=0), before=before)
        for title, of in after.items():
            for name, values in of.items():
                np.testing.assert_allclose(values, np.repeat(whole[title][name][:, end:], 2, axis=0))


def test_log_odds_are_those_of_the_probabilities() -> None:
    logits = np.random.default_rng(7).normal(0, 3, (4, 5))
    p = gates.probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    for code in range(5):
        np.testing.assert_allclose(gates.log_odds(logits, code), np.log(p[:, code] / (1 - p[:, code])))
        more = logits + 1e-6 * np.eye(5)[2]
        slope = (gates.log_odds(more, code) - gates.log_odds(logits, code)) / 1e-6
        np.testing.assert_allclose(log_odds_slopes(logits, code)[:, 2], slope, atol=1e-5)
    assert gates.log_odds(np.array([0.0, 900.0]), 1) == 900  # where the probability is 1 to the last digit
    np.testing.assert_array_equal(log_odds_slopes(np.array([0.0, 900.0]), 1), [-1, 1])


@pytest.mark.parametrize(
    ("layers", "pooling", "message"),
    [
        ({}, "median", "pooling median"),
        ({}, "attention", "lstm_1, probability; pooling attention"),
        ({"lstm_3": []}, "max", "embedding, lstm_1, probability, lstm_3"),
        ({"lstm_1": [np.zeros((8, 8))] * 2}, "max", "not one of Keras' default build"),
        ({"gru_1": []}, "max", "gates can be shown of"),
    ],
)
def test_another_build_is_refused(layers: dict[str, list[np.ndarray]], pooling: str, message: str) -> None:
    weights = networks.weights(building.build("lstm", VOCABULARY, 2, train_params())) | layers
    with pytest.raises(InputError, match=message):
        Network.from_weights(weights, pooling)


def test_no_framework_is_needed() -> None:
    code = (
        "import sys, pipeline.inside.numpy_network, pipeline.inside.importance;"
        "sys.exit(bool({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
