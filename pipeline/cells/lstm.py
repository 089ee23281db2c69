"""The LSTM (Hochreiter & Schmidhuber 1997, https://doi.org/10.1162/neco.1997.9.8.1735).

With the forget gate of Gers, Schmidhuber & Cummins 2000, https://doi.org/10.1162/089976600300015015, and as
https://keras.io/api/layers/recurrent_layers/lstm/ has it:

    i, f, o = sigmoid(x W + h' R + b), one block of columns each;  g = tanh(x W + h' R + b)
    c = f * c' + i * g
    h = o * tanh(c)

x is the vector of a token, h' and c' are what the token before left (zero at first), * is by element. The blocks of
columns of W (E, 4 U), R (U, 4 U) and b (4 U,) are i, f, g, o.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.cells import STATE, Cell, Gate, Gates, Slopes, empty_gates, last, one_later, sigmoid

_GATES = {
    "input gate": Gate("i", "write"),
    "forget gate": Gate("f", "keep", "1 keeps"),
    "output gate": Gate("o", "read"),
    "candidate": Gate("g", "candidate"),
    "cell state": Gate("c", "memory"),
    STATE: Gate("h", STATE),
}


def run(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
    kept: Sequence[str] = tuple(_GATES),
) -> Gates:
    """Run an LSTM over texts of the same length; see `pipeline.cells.Run`."""
    given = vectors @ kernel + bias
    gates = empty_gates(given, kept, len(recurrent_kernel))
    h, c = (last(before, name, recurrent_kernel) for name in (STATE, "cell state"))
    for t in range(vectors.shape[1]):
        i, f, g, o = np.split(given[:, t] + h @ recurrent_kernel, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        for name, values in zip(_GATES, (i, f, o, g, c, h), strict=True):
            if name in gates:
                gates[name][:, t] = values
    return gates


def slopes(gates: Gates, weights: list[np.ndarray], by_outputs: np.ndarray) -> Slopes:
    """Go the way back through an LSTM; see `pipeline.cells.SlopesOf`."""
    kernel, recurrent_kernel, _ = weights
    by_given, by_states = np.empty((*by_outputs.shape[:2], kernel.shape[1])), np.empty(by_outputs.shape)
    by_h, by_c = np.zeros(by_outputs[:, 0].shape), np.zeros(by_outputs[:, 0].shape)
    cells_before = one_later(gates["cell state"])
    for t in reversed(range(by_outputs.shape[1])):
        i, f, o, g, c = (gates[name][:, t] for name in list(_GATES)[:5])
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


CELL = Cell(
    name="lstm",
    title="LSTM",
    colour="#0072B2",
    layer="LSTM",
    blocks=4,
    biases=1,
    gates=_GATES,
    carried=["cell state", STATE],
    run=run,
    slopes=slopes,
    kept=lambda gates, _: gates["forget gate"],  # c = f * c' + …
    kept_from=["forget gate"],
    half_life_at_start=float(np.log(0.5) / np.log(1 / (1 + np.exp(-1)))),  # Keras sets the bias of f to 1
)
