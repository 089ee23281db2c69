"""The recurrent cells, a file each: everything in which one cell differs from another stands in its file.

A file `pipeline/cells/<name>.py` makes `<name>` a model of params.yaml. It defines `CELL`, a `Cell`. All else in the
project asks here: what trains it, what opens its gates, what draws it. This package imports nothing of the project.

Keras gives out the states of a recurrent layer and keeps its gates to itself. So each file also computes its cell in
NumPy from the trained weights, in the order in which Keras stores them. Nothing is approximated, the slopes included.

B is the number of texts, T of tokens, E of components of a token's vector, U of units.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np

Gates = dict[str, np.ndarray]
Slopes = tuple[np.ndarray, np.ndarray]

STATE = "state"  # the gate, in the wide sense used here, that every cell has: what the layer gives out


@dataclass(frozen=True)
class Gate:
    """One of the numbers that a cell computes for every token and unit: a gate, a candidate or a state.

    Attributes:
        symbol: its letter in the equations.
        role: what it is for. Gates of one role stand beside each other in pictures of several cells; `ROLES` has all.
        hint: what its values mean, for the label of a picture; may be empty.
    """

    symbol: str
    role: str
    hint: str = ""

    @property
    def opens(self) -> bool:
        """Tell whether it is a gate in the narrow sense, between 0 and 1. Everything else has a sign."""
        return self.role in ("write", "keep", "read")


# In the order in which pictures show them, from top to bottom.
ROLES = ("write", "keep", "read", "candidate", "memory", STATE)


@dataclass(frozen=True)
class Cell:
    """A kind of recurrent layer.

    Attributes:
        name: as params.yaml has it, and the name of the file.
        title: as people call it.
        colour: `#rrggbb`, of Okabe & Ito's palette (https://jfly.uni-koeln.de/color/), the same in all pictures.
        layer: the name of Keras' class in `keras.layers`.
        blocks: blocks of U columns in the kernels.
        biases: 1, or 2 where the product with the states has a bias of its own.
        gates: name to gate, in the order in which they are shown. `state` is the last.
        carried: what the cell needs to go on from where it stopped.
        run: the cell in NumPy, see `Run`.
        slopes: the way back through it, see `SlopesOf`.
        kept: the share of what a unit remembers that is left at each token, along the direct path, see `Kept`.
        kept_from: the gates that `kept` has to be given.
        half_life_at_start: of a unit before training, in tokens; None where it depends on random weights.
        instead: role to what stands in a picture where this cell has no such gate.
        step: what Keras' cell shall compute in place of its own `call`, see `Step`; None where its own is fast.
    """

    name: str
    title: str
    colour: str
    layer: str
    blocks: int
    biases: int
    gates: Mapping[str, Gate]
    carried: Sequence[str]
    run: "Run"
    slopes: "SlopesOf"
    kept: "Kept"
    kept_from: Sequence[str]
    half_life_at_start: float | None = None
    instead: Mapping[str, str] = field(default_factory=dict)
    step: "Step | None" = None

    def parameters(self, inputs: int, units: int) -> int:
        """Count the weights of one layer of E inputs and U units."""
        return self.blocks * units * (inputs + units + self.biases)

    def make_layer(self, units: int, name: str) -> Any:
        """Make a Keras layer that gives out the state of every token, (B, T, U)."""
        from keras import layers  # whoever only looks at a cell needs no Keras

        layer = getattr(layers, self.layer)(units, return_sequences=True, name=name)
        if self.step:
            # Of this object alone: it is saved, and opened again, as the layer of Keras that it is.
            layer.cell.call = partial(self.step, layer.cell)
        return layer

    def gate_of(self, role: str) -> str | None:
        """Name the gate with a role; None where the cell has none."""
        return next((name for name, gate in self.gates.items() if gate.role == role), None)


# run(vectors, kernel, recurrent_kernel, bias, before, kept) -> gates
#   vectors: of the tokens, float, (B, T, E); the weights as Keras stores them
#   before: what was read before, each (B or 1, any number, U), if the cell goes on from there; else None
#   kept: the gates to give out: all of an LSTM take six times the memory of one
#   returns what is `kept`, each (B, T, U), of the dtype of `vectors`
Run = Callable[..., Gates]

# slopes(gates, weights, by_outputs) -> (by_vectors, by_states)
#   Backpropagation through time (Werbos 1990, https://doi.org/10.1109/5.58337).
#   gates: all that `run` gave; weights: kernel, recurrent kernel and bias
#   by_outputs: slope of some number by each state as the layer gives it out, (B, T, U)
#   returns the slope by the vectors, (B, T, E), and by the states with all that follows from them, (B, T, U)
SlopesOf = Callable[[Gates, list[np.ndarray], np.ndarray], Slopes]

# kept(gates, weights) -> shares from 0 up, (B, T, U)
#   gates: those of `kept_from`, each (B, T, U)
Kept = Callable[[Gates, list[np.ndarray]], np.ndarray]

# step(cell, inputs, states, training) -> (output, states)
#   cell: a cell of Keras with its weights; inputs: (B, E); states: each (B, U); as `call` of `keras.layers.GRUCell`
Step = Callable[..., tuple[Any, list[Any]]]


def find(name: str) -> Cell:
    """Give the cell with a name that `core.params.CELLS` has."""
    cell: Cell = import_module(f"{__name__}.{name}").CELL
    return cell


# What the files share.


def empty_gates(given: np.ndarray, kept: Sequence[str], units: int) -> Gates:
    """Make room for the gates to give out, each (B, T, U)."""
    return {name: np.empty((*given.shape[:2], units), given.dtype) for name in kept}


def last(before: Gates | None, name: str, recurrent_kernel: np.ndarray) -> np.ndarray:
    """Give what the last token left, (B or 1, U); zero before the first one."""
    if before is None or not before[name].shape[1]:
        return np.zeros((1, len(recurrent_kernel)), recurrent_kernel.dtype)
    return before[name][:, -1]


def one_later(states: np.ndarray) -> np.ndarray:
    """Give what each token found, (B, T, U): the state that the one before left, zero at first."""
    return np.concatenate([np.zeros_like(states[:, :1]), states[:, :-1]], axis=1)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Compute 1 / (1 + exp(-x)) in a form that cannot overflow."""
    values: np.ndarray = 0.5 * (1 + np.tanh(0.5 * x))
    return values
