"""The NumPy cells against numbers worked out by hand, and against Keras with random and with trained weights."""

import math
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import Project, train_params

from pipeline.parts import gates, networks
from pipeline.parts.command import InputError
from pipeline.parts.gates import Network
from pipeline.parts.params import TrainParams
from pipeline.parts.tokens import TokenizedSplits, Tokens, from_lists

VOCABULARY = 12


def settings(pooling: str = "max") -> TrainParams:
    return train_params(embedding_dim=6, units=5, pooling=pooling)


def strong_network(cell: networks.CellName, classes: int, pooling: str) -> keras.Model:
    """Random weights, large enough that the gates open and shut, and biases that are not zero."""
    networks.seed_everything(3)
    model = networks.build(cell, VOCABULARY, classes, settings(pooling))
    rng = np.random.default_rng(4)
    model.set_weights([4 * weight + rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    return model


def texts() -> Tokens:
    rng = np.random.default_rng(5)
    return from_lists([rng.integers(1, VOCABULARY, length).tolist() for length in (1, 2, 9, 30)])


def logits_so_far(network: Network, text: np.ndarray) -> np.ndarray:
    logits: np.ndarray = network.logits_so_far(network.run(network.embedding[text][None])["state"])[0]
    return logits


def test_one_unit_of_an_lstm_worked_out_by_hand() -> None:
    """Gates of one half, by pre-activations of 0: every number can be followed on paper."""
    kernel = np.array([[0.0, 0.0, 1.0, 0.0]])  # input, forget, candidate, output: x moves the candidate alone
    seen = gates.lstm(np.array([[[math.atanh(0.8)], [0.0]]]), kernel, np.zeros((1, 4)), np.zeros(4))
    for gate in ("input gate", "forget gate", "output gate"):
        np.testing.assert_allclose(seen[gate].ravel(), [0.5, 0.5])
    np.testing.assert_allclose(seen["candidate"].ravel(), [0.8, 0.0])
    np.testing.assert_allclose(seen["cell state"].ravel(), [0.4, 0.2])  # 0.5 * 0.8, then 0.5 * 0.4
    np.testing.assert_allclose(seen["state"].ravel(), [0.5 * math.tanh(0.4), 0.5 * math.tanh(0.2)])


def test_the_order_of_the_lstm_gates_is_input_forget_candidate_output() -> None:
    bias = np.array([math.log(4), math.log(9), math.atanh(0.5), -math.log(4)])  # sigmoids of 0.8, 0.9 and 0.2
    seen = gates.lstm(np.zeros((1, 2, 1)), np.zeros((1, 4)), np.zeros((1, 4)), bias)
    shown = {name: values.ravel().tolist() for name, values in seen.items()}
    assert shown["input gate"] == pytest.approx([0.8, 0.8])
    assert shown["forget gate"] == pytest.approx([0.9, 0.9])
    assert shown["output gate"] == pytest.approx([0.2, 0.2])
    assert shown["candidate"] == pytest.approx([0.5, 0.5])
    assert shown["cell state"] == pytest.approx([0.4, 0.76])  # 0.8 * 0.5, then 0.9 * 0.4 + 0.4


def test_one_unit_of_a_gru_worked_out_by_hand() -> None:
    bias = np.array([[math.log(3), 0.0, math.atanh(0.8)], [0.0, 0.0, 0.0]])  # z = 0.75 and r = 0.5
    recurrent_kernel = np.array([[0.0, 0.0, 2.0]])
    seen = gates.gru(np.zeros((1, 2, 1)), np.zeros((1, 3)), recurrent_kernel, bias)
    second = math.tanh(math.atanh(0.8) + 0.5 * (2 * 0.2))  # the reset gate halves h' R = 2 * 0.2
    np.testing.assert_allclose(seen["update gate"].ravel(), [0.75, 0.75])
    np.testing.assert_allclose(seen["reset gate"].ravel(), [0.5, 0.5])
    np.testing.assert_allclose(seen["candidate"].ravel(), [0.8, second])
    np.testing.assert_allclose(seen["state"].ravel(), [0.25 * 0.8, 0.75 * 0.2 + 0.25 * second])


def test_the_reset_gate_of_a_gru_scales_the_recurrent_bias_too() -> None:
    """What `reset_after` means: r * (h' R + b'), so the second bias counts even for the first token."""
    bias = np.array([[0.0, math.log(3), 0.1], [0.0, 0.0, 0.4]])  # r = 0.75
    seen = gates.gru(np.zeros((1, 1, 1)), np.zeros((1, 3)), np.zeros((1, 3)), bias)
    assert seen["candidate"].item() == pytest.approx(math.tanh(0.1 + 0.75 * 0.4))


@pytest.mark.parametrize("gate", ["forget gate", "update gate"])
def test_a_keeping_gate_of_one_keeps_and_of_zero_forgets(gate: str) -> None:
    first_only = np.array([[[1.0], [0.0]]])
    for opening, remembered in ((50.0, 1.0), (-50.0, 0.0)):
        if gate == "forget gate":
            kernel = np.array([[50.0, 0.0, 50.0, 0.0]])
            memory = gates.lstm(first_only, kernel, np.zeros((1, 4)), np.array([0, opening, 0, 0]))["cell state"]
        else:  # the first token shuts the gate, so that it is taken in
            kernel = np.array([[-200.0, 0.0, 50.0]])
            bias = np.array([[opening, 0, 0], [0, 0, 0]])
            memory = gates.gru(first_only, kernel, np.zeros((1, 3)), bias)["state"]
        assert memory.ravel() == pytest.approx([1.0, remembered], abs=1e-9)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_states_and_the_cell_agree_with_keras(cell: networks.CellName) -> None:
    model = strong_network(cell, 2, "last")
    layer = model.get_layer(f"{cell}_1")
    vectors = np.random.default_rng(6).normal(0, 1, (3, 40, 6)).astype(np.float32)
    seen = gates.CELLS[cell](vectors, *layer.get_weights())
    np.testing.assert_allclose(seen["state"], np.asarray(layer(vectors)), atol=1e-5)
    assert seen["state"].dtype == np.float32
    keep = seen[gates.KEEPING_GATE[cell]]
    assert keep.min() < 0.02  # the gates were really tried
    assert keep.max() > 0.98
    if cell == "lstm":
        ends = keras.layers.LSTM(5, return_state=True)
        ends.build((None, None, 6))
        ends.set_weights(layer.get_weights())
        np.testing.assert_allclose(seen["cell state"][:, -1], np.asarray(ends(vectors)[2]), atol=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("pooling", gates.POOLINGS)
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_verdict_so_far_is_what_the_network_says_of_every_beginning(
    cell: networks.CellName, pooling: str, classes: int
) -> None:
    model = strong_network(cell, classes, pooling)
    network = Network.from_weights(networks.weights(model), pooling)
    assert network.classes == classes
    tokens = texts()
    for text in map(tokens.__getitem__, range(len(tokens))):
        so_far = gates.probabilities(logits_so_far(network, text))
        beginnings = from_lists([text[: end + 1].tolist() for end in range(len(text))])
        np.testing.assert_allclose(so_far, networks.predict(model, beginnings), atol=1e-5)


@pytest.mark.parametrize("name", ["lstm-1", "gru-1"])
def test_trained_weights_give_the_stored_predictions(trained_project: Project, name: str) -> None:
    folder = trained_project.root / "data/models" / name
    network = Network.from_weights(networks.weights(networks.load(folder / "model.keras")), "max")
    tokens = TokenizedSplits.load(trained_project.root / "data/processed/tokens.npz").tokens["test"]
    with np.load(folder / "predictions.npz") as arrays:
        stored = arrays["test"]
    assert len(tokens) > 10
    ours = [gates.probabilities(logits_so_far(network, tokens[text]))[-1] for text in range(len(tokens))]
    np.testing.assert_allclose(ours, stored, atol=1e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_reading_goes_on_where_it_stopped(cell: networks.CellName) -> None:
    network = Network.from_weights(networks.weights(strong_network(cell, 2, "max")), "max")
    vectors = network.embedding[np.arange(1, 11)][None]
    whole = network.run(vectors)
    for end in (0, 1, 7):
        before = {name: values[:, :end] for name, values in whole.items()}
        for name, values in network.run(np.repeat(vectors[:, end:], 2, axis=0), before).items():
            np.testing.assert_allclose(values, np.repeat(whole[name][:, end:], 2, axis=0))


def test_log_odds_are_those_of_the_probabilities() -> None:
    logits = np.random.default_rng(7).normal(0, 3, (4, 5))
    p = gates.probabilities(logits)
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    for code in range(5):
        np.testing.assert_allclose(gates.log_odds(logits, code), np.log(p[:, code] / (1 - p[:, code])))
    assert gates.log_odds(np.array([0.0, 900.0]), 1) == 900  # where the probability is 1 to the last digit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pooling": "attention"}, "pooling attention"),
        ({"stacked": True}, "embedding, lstm_1, lstm_2, probability"),
        ({"bias": False}, "not one of Keras' default build"),
    ],
)
def test_another_build_is_refused(change: dict[str, object], message: str) -> None:
    layers = networks.weights(networks.build("lstm", VOCABULARY, 2, settings()))
    if "stacked" in change:
        head = layers.pop("probability")
        layers |= {"lstm_2": layers["lstm_1"], "probability": head}
    if "bias" in change:
        layers["lstm_1"] = layers["lstm_1"][:2]
    with pytest.raises(InputError, match=message):
        Network.from_weights(layers, str(change.get("pooling", "max")))


def test_no_framework_is_needed() -> None:
    source = Path(gates.__file__).read_text()
    assert "import keras" not in source
    assert "tensorflow" not in source
