"""Networks of random weights that are large enough for gates to open and shut."""

import keras
import numpy as np
from conftest import train_params

from pipeline.inside.numpy_network import Network
from pipeline.networks import building, networks

VOCABULARY = 12


TEXT = np.array([3, 7, 1, 7, 9, 2, 4])


def strong_network(
    cell: str,
    classes: int = 2,
    pooling: str = "max",
    layers: int = 1,
    bidirectional: bool = False,
) -> keras.Model:
    """Random weights, large enough that the gates open and shut, and biases that are not zero."""
    networks.seed_everything(3)
    build = {"pooling": pooling, "layers": layers, "bidirectional": bidirectional}
    settings = train_params(embedding_dim=4, units=3, **build)
    model = building.build(cell, VOCABULARY, classes, settings)
    rng = np.random.default_rng(4)
    model.set_weights([3 * weight + rng.normal(0, 0.5, weight.shape) for weight in model.get_weights()])
    model.run_eagerly = True  # each is asked a few short texts only, and to compile it takes longer
    return model


def in_numpy(model: keras.Model, pooling: str = "max") -> Network:
    return Network.from_weights(networks.weights(model), pooling)
