"""The plain recurrent network (Elman 1990, https://doi.org/10.1207/s15516709cog1402_1), which has no gates.

As https://keras.io/api/layers/recurrent_layers/simple_rnn/ has it:

    h = tanh(x W + h' R + b)

x is the vector of a token, h' is what the token before left (zero at first). W is (E, U), R (U, U), b (U,). What a unit
remembers it has to write anew at every token, through R and the tanh: what gates are for, one sees where they are not.
"""

from collections.abc import Sequence

import numpy as np

from pipeline.cells import STATE, Cell, Gate, Gates, Slopes, empty_gates, last

_GATES = {STATE: Gate("h", STATE)}
_NO_GATE = "no gates: an RNN writes its whole state anew at every token"


def run(
    vectors: np.ndarray,
    kernel: np.ndarray,
    recurrent_kernel: np.ndarray,
    bias: np.ndarray,
    before: Gates | None = None,
    kept: Sequence[str] = (STATE,),
) -> Gates:
    """Run a plain RNN over texts of the same length; see `pipeline.cells.Run`."""
    given = vectors @ kernel + bias
    gates = empty_gates(given, kept, len(recurrent_kernel))
    h = last(before, STATE, recurrent_kernel)
    for t in range(vectors.shape[1]):
        h = np.tanh(given[:, t] + h @ recurrent_kernel)
        if STATE in gates:
            gates[STATE][:, t] = h
    return gates


def slopes(gates: Gates, weights: list[np.ndarray], by_outputs: np.ndarray) -> Slopes:
    """Go the way back through a plain RNN; see `pipeline.cells.SlopesOf`."""
    kernel, recurrent_kernel, _ = weights
    by_given, by_states = np.empty(by_outputs.shape), np.empty(by_outputs.shape)
    by_h = np.zeros(by_outputs[:, 0].shape)
    for t in reversed(range(by_outputs.shape[1])):
        by_states[:, t] = by_h = by_h + by_outputs[:, t]
        by_given[:, t] = by_h * (1 - gates[STATE][:, t] ** 2)
        by_h = by_given[:, t] @ recurrent_kernel.T
    return by_given @ kernel.T, by_states


def kept(gates: Gates, weights: list[np.ndarray]) -> np.ndarray:
    """Compute the size of the slope of each unit's state by its own state before: its weight to itself times tanh'."""
    shares: np.ndarray = np.abs(np.diag(weights[1])) * (1 - gates[STATE] ** 2)
    return shares


CELL = Cell(
    name="rnn",
    title="RNN",
    colour="#009E73",
    layer="SimpleRNN",
    blocks=1,
    biases=1,
    gates=_GATES,
    carried=[STATE],
    run=run,
    slopes=slopes,
    kept=kept,
    kept_from=[STATE],
    instead=dict.fromkeys(("write", "keep", "read", "candidate", "memory"), _NO_GATE),
)
