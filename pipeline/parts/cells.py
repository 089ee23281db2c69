"""The LSTM and the GRU in NumPy, written from their equations: every gate and state of every token, and their slopes.

Keras gives out the states of a recurrent layer and keeps its gates to itself. Here both cells are computed once more
from the trained weights, in the order in which Keras stores them. Nothing is approximated, the derivatives included.

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
B is the number of texts, T of tokens, E of components of a token's vector, U of units.
"""

from collections.abc import Callable, Sequence

import numpy as np

Gates = dict[str, np.ndarray]

# What is kept per token, in the order in which it is shown; `state` is what the layer gives out.
LSTM_GATES = ["input gate", "forget gate", "output gate", "candidate", "cell state", "state"]
GRU_GATES = ["update gate", "reset gate", "candidate", "state"]
GATES = {"lstm": LSTM_GATES, "gru": GRU_GATES}
# What a cell needs to go on from where it stopped.
CARRIED = {"lstm": ["cell state", "state"], "gru": ["state"]}
# The gate by which what a unit remembers is multiplied at every token: 1 keeps, 0 forgets.
KEEPING_GATE = {"lstm": "forget gate", "gru": "update gate"}


def lstm(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
    kept: Sequence[str] = tuple(LSTM_GATES),
) -> Gates:
    """Run an LSTM over texts of the same length.

    Args:
        vectors: of the tokens, float, (B, T, E).
        kernel: W, (E, 4 U); the blocks of columns are input gate, forget gate, candidate, output gate.
        recurrent_kernel: R, (U, 4 U), in the same order.
        bias: b, (4 U,), in the same order.
        before: state and cell state of what was read before, each (B or 1, any number, U), if it goes on from there.
        kept: which of the `LSTM_GATES` to give out: all of them take six times the memory of one.

    Returns:
        What is `kept`, each (B, T, U), of the dtype of `vectors`.
    """
    given = vectors @ kernel + bias
    gates = _room(given, kept, recurrent_kernel)
    h, c = (_last(before, name, recurrent_kernel) for name in ("state", "cell state"))
    for t in range(vectors.shape[1]):
        i, f, g, o = np.split(given[:, t] + h @ recurrent_kernel, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, values in zip(LSTM_GATES, (i, f, o, g, c, h), strict=True):
            if name in gates:
                gates[name][:, t] = values
    return gates


def gru(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
    kept: Sequence[str] = tuple(GRU_GATES),
) -> Gates:
    """Run a GRU (`reset_after=True`) over texts of the same length.

    Args:
        vectors: of the tokens, float, (B, T, E).
        kernel: W, (E, 3 U); the blocks of columns are update gate, reset gate, candidate.
        recurrent_kernel: R, (U, 3 U), in the same order.
        bias: b and b', (2, 3 U): of the product with the vectors and of the one with the states, in the same order.
        before: the state of what was read before, (B or 1, any number, U), if it goes on from there.
        kept: which of the `GRU_GATES` to give out.

    Returns:
        What is `kept`, each (B, T, U), of the dtype of `vectors`.
    """
    given = vectors @ kernel + bias[0]
    gates = _room(given, kept, recurrent_kernel)
    h = _last(before, "state", recurrent_kernel)
    for t in range(vectors.shape[1]):
        z, r, g = np.split(given[:, t], 3, axis=1)
        of_z, of_r, of_g = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
        z, r = _sigmoid(z + of_z), _sigmoid(r + of_r)
        g = np.tanh(g + r * of_g)
        h = z * h + (1 - z) * g
        for name, values in zip(GRU_GATES, (z, r, g, h), strict=True):
            if name in gates:
                gates[name][:, t] = values
    return gates


Slopes = tuple[np.ndarray, np.ndarray]


def lstm_slopes(gates: Gates, weights: list[np.ndarray], by_outputs: np.ndarray) -> Slopes:
    """The way back through an LSTM (backpropagation through time; Werbos 1990, https://doi.org/10.1109/5.58337).

    Args:
        gates: all that `lstm` gave.
        weights: kernel, recurrent kernel and bias.
        by_outputs: slope of some number by each state as the layer gives it out, (B, T, U).

    Returns:
        The slope of the number by the vectors, (B, T, E), and by the states with all that follows from them in the
        layer, (B, T, U).
    """
    kernel, recurrent_kernel, _ = weights
    by_given, by_states = np.empty((*by_outputs.shape[:2], kernel.shape[1])), np.empty(by_outputs.shape)
    by_h, by_c = np.zeros(by_outputs[:, 0].shape), np.zeros(by_outputs[:, 0].shape)
    cells_before = _one_later(gates["cell state"])
    for t in reversed(range(by_outputs.shape[1])):
        i, f, o, g, c = (gates[name][:, t] for name in LSTM_GATES[:5])
        by_states[:, t] = by_h = by_h + by_outputs[:, t]
        shown = np.tanh(c)
        by_c = by_c + by_h * o * (1 - shown**2)
        by_given[:, t] = np.concatenate(
            [
                by_c * g * i * (1 - i),
                by_c * cells_before[:, t] * f * (1 - f),
                by_c * i * (1 - g**2),
                by_h * shown * o * (1 - o),
            ],
            axis=1,
        )
        by_h, by_c = by_given[:, t] @ recurrent_kernel.T, by_c * f
    return by_given @ kernel.T, by_states


def gru_slopes(gates: Gates, weights: list[np.ndarray], by_outputs: np.ndarray) -> Slopes:
    """The way back through a GRU; as `lstm_slopes`."""
    kernel, recurrent_kernel, bias = weights
    by_given, by_states = np.empty((*by_outputs.shape[:2], kernel.shape[1])), np.empty(by_outputs.shape)
    by_h = np.zeros(by_outputs[:, 0].shape)
    states_before = _one_later(gates["state"])
    units = len(recurrent_kernel)
    of_g = states_before @ recurrent_kernel[:, 2 * units :] + bias[1, 2 * units :]
    for t in reversed(range(by_outputs.shape[1])):
        z, r, g = (gates[name][:, t] for name in GRU_GATES[:3])
        by_states[:, t] = by_h = by_h + by_outputs[:, t]
        by_g = by_h * (1 - z) * (1 - g**2)
        by_z, by_r = by_h * (states_before[:, t] - g) * z * (1 - z), by_g * of_g[:, t] * r * (1 - r)
        by_given[:, t] = np.concatenate([by_z, by_r, by_g], axis=1)
        by_h = by_h * z + np.concatenate([by_z, by_r, by_g * r], axis=1) @ recurrent_kernel.T
    return by_given @ kernel.T, by_states


CELLS: dict[str, Callable[..., Gates]] = {"lstm": lstm, "gru": gru}
SLOPES: dict[str, Callable[[Gates, list[np.ndarray], np.ndarray], Slopes]] = {"lstm": lstm_slopes, "gru": gru_slopes}


def _room(given: np.ndarray, kept: Sequence[str], recurrent_kernel: np.ndarray) -> Gates:
    return {name: np.empty((*given.shape[:2], len(recurrent_kernel)), given.dtype) for name in kept}


def _last(before: Gates | None, name: str, recurrent_kernel: np.ndarray) -> np.ndarray:
    """What the last token left, (B or 1, U); zero before the first one."""
    if before is None or not before[name].shape[1]:
        return np.zeros((1, len(recurrent_kernel)), recurrent_kernel.dtype)
    return before[name][:, -1]


def _one_later(states: np.ndarray) -> np.ndarray:
    """What each token found, (B, T, U): the state that the one before left, zero at first."""
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    values: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))  # the same number as 1 / (1 + exp(-x)), and cannot overflow
    return values
