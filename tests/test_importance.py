"""Occlusion and gradient × input: against one another, against re-reading, and against Keras' own gradient."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from samples import random_network
from strong_networks import TEXT, in_numpy, strong_network

from pipeline.core.params import CELLS
from pipeline.inside import numpy_network as gates
from pipeline.inside.importance import gradient_times_input, occlusion, slopes
from pipeline.inside.numpy_network import Network, log_odds


def gradient_of(network: Network, text: np.ndarray, code: int) -> np.ndarray:
    vectors = network.embedding[text[None]]
    (found,) = gradient_times_input(vectors, slopes(network, network.run(vectors), np.array([code])))
    return np.asarray(found)


def occlusion_of(network: Network, text: np.ndarray, code: int, places: np.ndarray | None = None) -> np.ndarray:
    (found,) = occlusion(network, text[None], np.array([code]), places)
    return np.asarray(found)


@pytest.mark.parametrize("pooling", gates.POOLINGS)
@pytest.mark.parametrize(("cell", "classes"), [(cell, 2 + number % 2) for number, cell in enumerate(CELLS)])
def test_gradient_times_input_is_the_gradient_that_tensorflow_takes(cell: str, classes: int, pooling: str) -> None:
    model = strong_network(cell, classes, pooling)
    layers = {layer.name: layer for layer in model.layers}
    vectors = tf.Variable(layers["embedding"](TEXT[None]))
    with tf.GradientTape() as tape:
        states = layers[f"{cell}_1"](vectors)
        pooled = {
            "last": lambda: states[:, -1],
            "max": lambda: tf.reduce_max(states, axis=1),
            "mean": lambda: tf.reduce_mean(states, axis=1),
            "max+mean": lambda: tf.concat([tf.reduce_max(states, axis=1), tf.reduce_mean(states, axis=1)], axis=1),
            "attention": lambda: tf.reduce_sum(
                tf.nn.softmax(layers["attention"](tf.tanh(states)), axis=1) * states, axis=1
            ),
        }[pooling]()
        p = model.layers[-1](pooled)[0, -1]
        odds = tf.math.log(p / (1 - p))
    expected = tf.reduce_sum(tape.gradient(odds, vectors) * vectors, axis=-1)[0].numpy()
    assert np.abs(expected).max() > 0.002
    network = in_numpy(model, pooling)
    np.testing.assert_allclose(gradient_of(network, TEXT, classes - 1), expected, atol=1e-4)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pooling", gates.POOLINGS)
def test_occlusion_is_the_difference_to_a_text_with_a_zero_vector(pooling: str, bidirectional: bool) -> None:
    network = random_network("lstm", 2, 3, pooling, 2, bidirectional)

    def read(vectors: np.ndarray) -> float:
        return float(log_odds(network.logits(network.top(network.run(vectors[None])))[0], 1))

    vectors = network.embedding[TEXT]
    expected = []
    for place in range(len(TEXT)):
        blanked = vectors.copy()
        blanked[place] = 0
        expected.append(read(vectors) - read(blanked))
    np.testing.assert_allclose(occlusion_of(network, TEXT, 1), expected, atol=1e-12)
    places = np.array([5, 2])
    np.testing.assert_allclose(occlusion_of(network, TEXT, 1, places), np.array(expected)[places], atol=1e-12)


def test_what_speaks_for_one_of_two_classes_speaks_against_the_other() -> None:
    network = random_network("gru")
    for measure in (occlusion_of, gradient_of):
        np.testing.assert_allclose(measure(network, TEXT, 0), -measure(network, TEXT, 1), atol=1e-8)


def test_both_agree_where_the_network_is_nearly_linear() -> None:
    network = random_network("lstm", pooling="mean")
    small = replace(network, embedding=network.embedding * 1e-3)
    blanked, gradient = (measure(small, TEXT, 1) for measure in (occlusion_of, gradient_of))
    np.testing.assert_allclose(blanked, gradient, rtol=0.05, atol=1e-6)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_long_texts_are_read_in_parts_with_the_same_result(
    bidirectional: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = random_network("gru", 3, bidirectional=bidirectional)
    whole = occlusion_of(network, TEXT, 2)
    for texts in (3, 1):
        monkeypatch.setattr(gates, "_BYTES", texts * gates._BYTES // network.texts_at_a_time(len(TEXT)))
        np.testing.assert_allclose(occlusion_of(network, TEXT, 2), whole, atol=1e-12)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_texts_of_one_length_are_read_at_once_with_the_same_result(bidirectional: bool) -> None:
    network = random_network("lstm", 3, bidirectional=bidirectional)
    texts, codes, places = np.stack([TEXT, TEXT[::-1], np.roll(TEXT, 2)]), np.array([0, 2, 1]), np.array([5, 2])
    together = occlusion(network, texts, codes, places)
    for text, code, found in zip(texts, codes, together, strict=True):
        np.testing.assert_allclose(found, occlusion_of(network, text, code, places), atol=1e-12)
    vectors = network.embedding[texts]
    gradient = gradient_times_input(vectors, slopes(network, network.run(vectors), codes))
    for text, code, found in zip(texts, codes, gradient, strict=True):
        np.testing.assert_allclose(found, gradient_of(network, text, code), atol=1e-12)
