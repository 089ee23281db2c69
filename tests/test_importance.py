"""Occlusion and gradient × input: against one another, against re-reading, and against Keras' own gradient."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import train_params

from pipeline.parts import importance, networks
from pipeline.parts.gates import Network, log_odds
from pipeline.parts.importance import gradient_times_input, occlusion

TEXT = np.array([3, 7, 1, 7, 9, 2, 4])


def strong_model(cell: networks.CellName, classes: int, pooling: str = "mean") -> keras.Model:
    settings = train_params(embedding_dim=6, units=5, dropout=0.0, pooling=pooling)
    networks.seed_everything(8)
    model = networks.build(cell, 12, classes, settings)
    rng = np.random.default_rng(9)
    model.set_weights([3 * weight + rng.normal(0, 0.3, weight.shape) for weight in model.get_weights()])
    return model


def in_numpy(model: keras.Model, pooling: str = "mean") -> Network:
    return Network.from_weights(networks.weights(model), pooling)


@pytest.mark.parametrize(("cell", "classes"), [("lstm", 2), ("gru", 2), ("gru", 3)])
def test_gradient_times_input_is_the_gradient_that_tensorflow_takes(cell: networks.CellName, classes: int) -> None:
    model = strong_model(cell, classes)
    layers = {layer.name: layer for layer in model.layers}
    vectors = tf.Variable(layers["embedding"](TEXT[None]))
    with tf.GradientTape() as tape:
        pooled = tf.reduce_mean(layers[f"{cell}_1"](vectors), axis=1)
        p = model.layers[-1](pooled)[0, -1]
        odds = tf.math.log(p / (1 - p))
    expected = tf.reduce_sum(tape.gradient(odds, vectors) * vectors, axis=-1)[0].numpy()
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(gradient_times_input(in_numpy(model), TEXT, classes - 1), expected, atol=1e-4)


@pytest.mark.parametrize("pooling", ["last", "max", "mean"])
def test_occlusion_is_the_difference_to_a_text_with_a_zero_vector(pooling: str) -> None:
    network = in_numpy(strong_model("lstm", 2, pooling), pooling)

    def read(vectors: np.ndarray) -> float:
        logits = network.logits_so_far(network.run(vectors[None])["state"])
        return float(log_odds(logits[0, -1], 1))

    vectors = network.embedding[TEXT]
    expected = []
    for place in range(len(TEXT)):
        blanked = vectors.copy()
        blanked[place] = 0
        expected.append(read(vectors) - read(blanked))
    np.testing.assert_allclose(occlusion(network, TEXT, 1), expected, atol=1e-12)
    np.testing.assert_allclose(occlusion(network, TEXT, 1, np.array([5, 2])), [expected[5], expected[2]])


def test_what_speaks_for_one_of_two_classes_speaks_against_the_other() -> None:
    network = in_numpy(strong_model("gru", 2))
    for measure in (occlusion, gradient_times_input):
        np.testing.assert_allclose(measure(network, TEXT, 0), -measure(network, TEXT, 1), atol=1e-8)


def test_both_agree_where_the_network_is_nearly_linear() -> None:
    network = in_numpy(strong_model("lstm", 2))
    small = Network("lstm", "mean", network.embedding * 1e-3, network.recurrent, network.head)
    blanked, slopes = (measure(small, TEXT, 1) for measure in (occlusion, gradient_times_input))
    np.testing.assert_allclose(blanked, slopes, rtol=0.05, atol=1e-6)


def test_long_texts_are_read_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    network = in_numpy(strong_model("gru", 3))
    whole = occlusion(network, TEXT, 2)
    monkeypatch.setattr(importance, "_TOKENS_AT_A_TIME", 3 * len(TEXT))
    np.testing.assert_allclose(occlusion(network, TEXT, 2), whole)
    monkeypatch.setattr(importance, "_TOKENS_AT_A_TIME", 1)
    np.testing.assert_allclose(occlusion(network, TEXT, 2), whole)
