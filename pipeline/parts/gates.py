"""The LSTM and the GRU in NumPy, written from their equations, with every gate and state of every token kept.

Keras gives out the states of a recurrent layer and keeps its gates to itself. Here both cells are computed once more
from the trained weights, in the order in which Keras stores them, so that the gates can be looked at. Nothing is
approximated: the probabilities that come out are those of the network. No framework is imported.

LSTM (Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735; the forget gate: Gers, Schmidhuber &
Cummins 2000, https://doi.org/10.1162/089976600300015015), as https://keras.io/api/layers/recurrent_layers/lstm/:

    i, f, o = sigmoid(x W + h' R + b), one block of columns each;  g = tanh(x W + h' R + b)
    c = f * c' + i * g
    h = o * tanh(c)

GRU (Cho et al. 2014, https://aclanthology.org/D14-1179/), as https://keras.io/api/layers/recurrent_layers/gru/ with
`reset_after=True`, the default, which has a second bias and applies the reset gate after the matrix product:

    z, r = sigmoid(x W + b + h' R + b'), one block of columns each
    g = tanh(x W + b + r * (h' R + b'))
    h = z * h' + (1 - z) * g

x is the vector of a token, h' and c' are what the token before left (zero at first), * is by element.
B is the number of texts, T of tokens, E of components of a token's vector, U of units, C of classes.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pipeline.parts.command import InputError

Gates = dict[str, np.ndarray]

# What is kept per token, in the order in which it is shown; `state` is what the layer gives out.
LSTM_GATES = ["input gate", "forget gate", "output gate", "candidate", "cell state", "state"]
GRU_GATES = ["update gate", "reset gate", "candidate", "state"]
# The gate by which what a unit remembers is multiplied at every token: 1 keeps, 0 forgets.
KEEPING_GATE = {"lstm": "forget gate", "gru": "update gate"}

POOLINGS = ("last", "max", "mean")
_HEADS = ("probability", "probabilities")


def lstm(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
) -> Gates:
    """Run an LSTM over texts of the same length.

    Args:
        vectors: of the tokens, float, (B, T, E).
        kernel: W, (E, 4 U); the blocks of columns are input gate, forget gate, candidate, output gate.
        recurrent_kernel: R, (U, 4 U), in the same order.
        bias: b, (4 U,), in the same order.
        before: the gates of what was read before, each (B or 1, any number, U), if it goes on from there.

    Returns:
        The `LSTM_GATES`, each (B, T, U), of the dtype of `vectors`.
    """
    B, T, _ = vectors.shape
    gates = {name: np.empty((B, T, len(recurrent_kernel)), vectors.dtype) for name in LSTM_GATES}
    h, c = (_last(before, name, recurrent_kernel) for name in ("state", "cell state"))
    for t in range(T):
        i, f, g, o = np.split(vectors[:, t] @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, values in zip(LSTM_GATES, (i, f, o, g, c, h), strict=True):
            gates[name][:, t] = values
    return gates


def gru(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
) -> Gates:
    """Run a GRU (`reset_after=True`) over texts of the same length.

    Args:
        vectors: of the tokens, float, (B, T, E).
        kernel: W, (E, 3 U); the blocks of columns are update gate, reset gate, candidate.
        recurrent_kernel: R, (U, 3 U), in the same order.
        bias: b and b', (2, 3 U): of the product with the vectors and of the one with the states, in the same order.
        before: the gates of what was read before, each (B or 1, any number, U), if it goes on from there.

    Returns:
        The `GRU_GATES`, each (B, T, U), of the dtype of `vectors`.
    """
    B, T, _ = vectors.shape
    gates = {name: np.empty((B, T, len(recurrent_kernel)), vectors.dtype) for name in GRU_GATES}
    h = _last(before, "state", recurrent_kernel)
    for t in range(T):
        z, r, g = np.split(vectors[:, t] @ kernel + bias[0], 3, axis=1)
        of_z, of_r, of_g = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
        z, r = _sigmoid(z + of_z), _sigmoid(r + of_r)
        g = np.tanh(g + r * of_g)
        h = z * h + (1 - z) * g
        for name, values in zip(GRU_GATES, (z, r, g, h), strict=True):
            gates[name][:, t] = values
    return gates


def _last(before: Gates | None, name: str, recurrent_kernel: np.ndarray) -> np.ndarray:
    """What the last token left, (B or 1, U); zero before the first one."""
    if before is None or not before[name].shape[1]:
        return np.zeros((1, len(recurrent_kernel)), recurrent_kernel.dtype)
    return before[name][:, -1]


CELLS: dict[str, Callable[..., Gates]] = {"lstm": lstm, "gru": gru}


@dataclass(frozen=True)
class Network:
    """A trained network: embedding -> one LSTM or GRU -> pooling -> dense. Everything in float64.

    Attributes:
        cell: `lstm` or `gru`.
        pooling: one of `POOLINGS`.
        embedding: vectors of the tokens, (vocabulary, E).
        recurrent: kernel, recurrent kernel and bias of the cell.
        head: kernel, (U, C), and bias, (C,), of the logits; a sigmoid is held as a softmax whose first logit is 0.
    """

    cell: str
    pooling: str
    embedding: np.ndarray
    recurrent: list[np.ndarray]
    head: tuple[np.ndarray, np.ndarray]

    @classmethod
    def from_weights(cls, layers: dict[str, list[np.ndarray]], pooling: str) -> "Network":
        """Take over the weights of a network.

        Args:
            layers: what `networks.weights` gives: layer name to its arrays.
            pooling: as on the card of the model.

        Raises:
            InputError: the network is of another build than this module computes.
        """
        names = [name for name in layers if name not in ("embedding", *_HEADS)]
        cells = [name.removesuffix("_1") for name in names]
        if len(layers) != 3 or len(names) != 1 or cells[0] not in CELLS or pooling not in POOLINGS:
            raise InputError(
                "the gates can be shown of an embedding, one LSTM or GRU, last, max or mean pooling, and a dense layer."
                f" Received: {', '.join(layers)}; pooling {pooling}"
            )
        (cell,) = cells
        (embedding,), recurrent, (kernel, bias) = ([_float64(array) for array in layer] for layer in layers.values())
        if len(recurrent) != 3 or recurrent[2].ndim != {"lstm": 1, "gru": 2}[cell]:
            raise InputError(f"the {cell.upper()} is not one of Keras' default build (biases; GRU: reset_after)")
        if kernel.shape[1] == 1:
            kernel, bias = np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        return cls(cell, pooling, embedding, recurrent, (kernel, bias))

    @property
    def classes(self) -> int:
        return len(self.head[1])

    def run(self, vectors: np.ndarray, before: Gates | None = None) -> Gates:
        """All gates and states, (B, T, U) each, for texts of the same length, (B, T, E), `before` as for the cells."""
        return CELLS[self.cell](vectors, *self.recurrent, before)

    def logits_so_far(self, states: np.ndarray) -> np.ndarray:
        """The logits of every class had the text ended at each token, (B, T, C), from the states, (B, T, U).

        The layer reads from left to right: the states of a beginning of the text are the beginning of its states.
        """
        if self.pooling == "max":
            states = np.maximum.accumulate(states, axis=1)
        elif self.pooling == "mean":
            states = np.cumsum(states, axis=1) / np.arange(1, states.shape[1] + 1)[:, None]
        kernel, bias = self.head
        logits: np.ndarray = states @ kernel + bias
        return logits


def probabilities(logits: np.ndarray) -> np.ndarray:
    """The softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_odds(logits: np.ndarray, code: int) -> np.ndarray:
    """ln(p / (1 - p)) of the class `code` in nats, (...,), from logits, (..., C): nothing that saturates at 0 or 1."""
    others = np.delete(logits, code, axis=-1)
    highest = others.max(axis=-1, keepdims=True)
    odds: np.ndarray = logits[..., code] - highest[..., 0] - np.log(np.exp(others - highest).sum(axis=-1))
    return odds


def _sigmoid(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))  # the same number as 1 / (1 + exp(-x)), and cannot overflow
    return values


def _float64(array: np.ndarray) -> np.ndarray:
    return np.asarray(array, np.float64)
