"""The GRU (Cho et al. 2014, https://aclanthology.org/D14-1179/).

As https://keras.io/api/layers/recurrent_layers/gru/ has it with `reset_after=True`, the default, which has a second
bias and applies the reset gate after the matrix product:

    z, r = sigmoid(x W + b + h' R + b'), one block of columns each
    g = tanh(x W + b + r * (h' R + b'))
    h = z * h' + (1 - z) * g

x is the vector of a token, h' is what the token before left (zero at first), * is by element. The blocks of columns of
W (E, 3 U), R (U, 3 U) and of b and b', (2, 3 U), are z, r, g.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.cells import STATE, Cell, Gate, Gates, Slopes, empty_gates, last, one_later, sigmoid

_GATES = {
    "update gate": Gate("z", "keep", "1 keeps"),
    "reset gate": Gate("r", "read"),
    "candidate": Gate("g", "candidate"),
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
    """Run a GRU over texts of the same length; see `pipeline.cells.Run`."""
    given = vectors @ kernel + bias[0]
    gates = empty_gates(given, kept, len(recurrent_kernel))
    h = last(before, STATE, recurrent_kernel)
    for t in range(vectors.shape[1]):
        z, r, g = np.split(given[:, t], 3, axis=1)
        of_z, of_r, of_g = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
        z, r = sigmoid(z + of_z), sigmoid(r + of_r)
        g = np.tanh(g + r * of_g)
        h = z * h + (1 - z) * g
        for name, values in zip(_GATES, (z, r, g, h), strict=True):
            if name in gates:
                gates[name][:, t] = values
    return gates


def slopes(gates: Gates, weights: list[np.ndarray], by_outputs: np.ndarray) -> Slopes:
    """Go the way back through a GRU; see `pipeline.cells.SlopesOf`."""
    kernel, recurrent_kernel, bias = weights
    by_given, by_states = np.empty((*by_outputs.shape[:2], kernel.shape[1])), np.empty(by_outputs.shape)
    by_h = np.zeros(by_outputs[:, 0].shape)
    states_before = one_later(gates[STATE])
    units = len(recurrent_kernel)
    of_g = states_before @ recurrent_kernel[:, 2 * units :] + bias[1, 2 * units :]
    for t in reversed(range(by_outputs.shape[1])):
        z, r, g = (gates[name][:, t] for name in list(_GATES)[:3])
        by_states[:, t] = by_h = by_h + by_outputs[:, t]
        by_g = by_h * (1 - z) * (1 - g**2)
        by_z, by_r = by_h * (states_before[:, t] - g) * z * (1 - z), by_g * of_g[:, t] * r * (1 - r)
        by_given[:, t] = np.concatenate([by_z, by_r, by_g], axis=1)
        by_h = by_h * z + np.concatenate([by_z, by_r, by_g * r], axis=1) @ recurrent_kernel.T
    return by_given @ kernel.T, by_states


def step(cell: Any, inputs: Any, states: Any, training: bool = False) -> tuple[Any, list[Any]]:
    """Compute one token as Keras does, to the bit, and train faster (docs/ladders.md); see `pipeline.cells.Step`.

    Keras cuts the product with the states into gates by three slices. On the way back, each of them fills a block of
    zeros as large as all gates, and the three are added. What `split` cuts is put together at once.
    """
    from keras import ops

    (h,) = states
    bias, recurrent_bias = ops.unstack(ops.convert_to_tensor(cell.bias))
    z, r, g = ops.split(ops.add(ops.matmul(inputs, cell.kernel), bias), 3, axis=-1)  # `add` is no `+`: it fuses
    of_z, of_r, of_g = ops.split(ops.matmul(h, cell.recurrent_kernel) + recurrent_bias, 3, axis=-1)
    z, r = ops.sigmoid(z + of_z), ops.sigmoid(r + of_r)
    g = ops.tanh(g + r * of_g)
    h = z * h + (1 - z) * g
    return h, [h]


CELL = Cell(
    name="gru",
    title="GRU",
    colour="#D55E00",
    layer="GRU",
    blocks=3,
    biases=2,
    gates=_GATES,
    carried=[STATE],
    run=run,
    slopes=slopes,
    kept=lambda gates, _: gates["update gate"],  # h = z * h' + …
    kept_from=["update gate"],
    half_life_at_start=1.0,  # a gate of one half
    instead={
        "write": "no input gate: a GRU takes in 1 − update gate of the candidate",
        "memory": "no cell state: the state of a GRU is its memory",
    },
    step=step,
)
