"""The NumPy cells against numbers worked out by hand, and against Keras."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from pipeline import cells
from pipeline.cells import gru, lstm, rnn
from pipeline.core.params import CELLS


def test_one_unit_of_an_lstm_worked_out_by_hand() -> None:
    """Gates of one half, by pre-activations of 0: every number can be followed on paper."""
    kernel = np.array([[0.0, 0.0, 1.0, 0.0]])  # input, forget, candidate, output: x moves the candidate alone
    seen = lstm.run(np.array([[[math.atanh(0.8)], [0.0]]]), kernel, np.zeros((1, 4)), np.zeros(4))
    for gate in ("input gate", "forget gate", "output gate"):
        np.testing.assert_allclose(seen[gate].ravel(), [0.5, 0.5])
    np.testing.assert_allclose(seen["candidate"].ravel(), [0.8, 0.0])
    np.testing.assert_allclose(seen["cell state"].ravel(), [0.4, 0.2])  # 0.5 * 0.8, then 0.5 * 0.4
    np.testing.assert_allclose(seen["state"].ravel(), [0.5 * math.tanh(0.4), 0.5 * math.tanh(0.2)])


def test_the_order_of_the_lstm_gates_is_input_forget_candidate_output() -> None:
    bias = np.array([math.log(4), math.log(9), math.atanh(0.5), -math.log(4)])  # sigmoids of 0.8, 0.9 and 0.2
    seen = lstm.run(np.zeros((1, 2, 1)), np.zeros((1, 4)), np.zeros((1, 4)), bias)
    shown = {name: values.ravel().tolist() for name, values in seen.items()}
    assert shown["input gate"] == pytest.approx([0.8, 0.8])
    assert shown["forget gate"] == pytest.approx([0.9, 0.9])
    assert shown["output gate"] == pytest.approx([0.2, 0.2])
    assert shown["candidate"] == pytest.approx([0.5, 0.5])
    assert shown["cell state"] == pytest.approx([0.4, 0.76])  # 0.8 * 0.5, then 0.9 * 0.4 + 0.4


def test_one_unit_of_a_gru_worked_out_by_hand() -> None:
    bias = np.array([[math.log(3), 0.0, math.atanh(0.8)], [0.0, 0.0, 0.0]])  # z = 0.75 and r = 0.5
    recurrent_kernel = np.array([[0.0, 0.0, 2.0]])
    seen = gru.run(np.zeros((1, 2, 1)), np.zeros((1, 3)), recurrent_kernel, bias)
    second = math.tanh(math.atanh(0.8) + 0.5 * (2 * 0.2))  # the reset gate halves h' R = 2 * 0.2
    np.testing.assert_allclose(seen["update gate"].ravel(), [0.75, 0.75])
    np.testing.assert_allclose(seen["reset gate"].ravel(), [0.5, 0.5])
    np.testing.assert_allclose(seen["candidate"].ravel(), [0.8, second])
    np.testing.assert_allclose(seen["state"].ravel(), [0.25 * 0.8, 0.75 * 0.2 + 0.25 * second])


def test_the_reset_gate_of_a_gru_scales_the_recurrent_bias_too() -> None:
    """What `reset_after` means: r * (h' R + b'), so the second bias counts even for the first token."""
    bias = np.array([[0.0, math.log(3), 0.1], [0.0, 0.0, 0.4]])  # r = 0.75
    seen = gru.run(np.zeros((1, 1, 1)), np.zeros((1, 3)), np.zeros((1, 3)), bias)
    assert seen["candidate"].item() == pytest.approx(math.tanh(0.1 + 0.75 * 0.4))


@pytest.mark.parametrize("gate", ["forget gate", "update gate"])
def test_a_keeping_gate_of_one_keeps_and_of_zero_forgets(gate: str) -> None:
    first_only = np.array([[[1.0], [0.0]]])
    for opening, remembered in ((50.0, 1.0), (-50.0, 0.0)):
        if gate == "forget gate":
            kernel = np.array([[50.0, 0.0, 50.0, 0.0]])
            memory = lstm.run(first_only, kernel, np.zeros((1, 4)), np.array([0, opening, 0, 0]))["cell state"]
        else:  # the first token shuts the gate, so that it is taken in
            kernel = np.array([[-200.0, 0.0, 50.0]])
            bias = np.array([[opening, 0, 0], [0, 0, 0]])
            memory = gru.run(first_only, kernel, np.zeros((1, 3)), bias)["state"]
        assert memory.ravel() == pytest.approx([1.0, remembered], abs=1e-9)


@pytest.mark.parametrize("cell", CELLS)
def test_states_and_the_cell_agree_with_keras(cell: str) -> None:
    keras.utils.set_random_seed(7)
    layer = cells.find(cell).make_layer(5, "layer")
    vectors = np.random.default_rng(6).normal(0, 1, (3, 40, 6)).astype(np.float32)
    layer(vectors)  # makes the weights
    rng = np.random.default_rng(4)
    layer.set_weights([4 * weight + rng.normal(0, 0.5, weight.shape) for weight in layer.get_weights()])
    seen = cells.find(cell).run(vectors, *layer.get_weights())
    assert layer.count_params() == cells.find(cell).parameters(6, 5)
    np.testing.assert_allclose(seen["state"], np.asarray(layer(vectors)), atol=1e-5)
    assert seen["state"].dtype == np.float32
    keep = cells.find(cell).kept(seen, layer.get_weights())
    assert keep.min() < 0.02  # whatever keeps a memory was really tried
    assert keep.max() > 0.98
    if cell == "lstm":
        ends = keras.layers.LSTM(5, return_state=True)
        ends(vectors)
        ends.set_weights(layer.get_weights())
        np.testing.assert_allclose(seen["cell state"][:, -1], np.asarray(ends(vectors)[2]), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_step_of_our_own_trains_to_the_bits_of_keras_and_is_saved_as_its_layer(cell: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    vectors, labels = rng.normal(0, 1, (8, 20, 6)).astype(np.float32), rng.integers(0, 2, (8, 1))

    def trained(make: Callable[[], Any]) -> Any:
        keras.utils.set_random_seed(7)
        given = keras.Input((None, 6), name="given")
        network = keras.Model(given, keras.layers.Dense(1, name="output")(make()(given)[:, -1]), name="network")
        network.compile(optimizer=keras.optimizers.Adam(0.01), loss="mse")
        network.fit(vectors, labels, epochs=5, shuffle=False, verbose=0)
        return network

    ours = trained(lambda: cells.find(cell).make_layer(5, "layer"))
    kind = getattr(keras.layers, cells.find(cell).layer)
    theirs = trained(lambda: kind(5, return_sequences=True, name="layer"))
    for one, other in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    ours.save(tmp_path / "ours.keras")
    opened = keras.models.load_model(tmp_path / "ours.keras", safe_mode=True)
    assert type(opened.get_layer("layer")) is kind
    np.testing.assert_allclose(opened.predict(vectors, verbose=0), ours.predict(vectors, verbose=0), atol=1e-6)


def test_what_is_not_asked_for_is_not_kept() -> None:
    kernel, recurrent_kernel, vectors = np.ones((1, 4)), np.ones((1, 4)), np.ones((2, 3, 1))
    whole = lstm.run(vectors, kernel, recurrent_kernel, np.zeros(4))
    part = lstm.run(vectors, kernel, recurrent_kernel, np.zeros(4), kept=["state"])
    assert list(part) == ["state"]
    np.testing.assert_array_equal(part["state"], whole["state"])


def test_one_unit_of_a_plain_rnn_worked_out_by_hand() -> None:
    vectors = np.array([[[math.atanh(0.6)], [0.0]]])
    weights = [np.array([[1.0]]), np.array([[2.0]]), np.array([0.1])]
    seen = rnn.run(vectors, weights[0], weights[1], weights[2])["state"].ravel()
    first = math.tanh(math.atanh(0.6) + 0.1)
    np.testing.assert_allclose(seen, [first, math.tanh(2 * first + 0.1)])
    kept = rnn.CELL.kept({"state": seen[None, :, None]}, weights).ravel()
    np.testing.assert_allclose(kept, [2 * (1 - seen[0] ** 2), 2 * (1 - seen[1] ** 2)])
