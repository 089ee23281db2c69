"""A trained network in NumPy, with every gate and state of every token, from its tokens to its verdict and back.

    vectors (B, T, E) -> layer 1 [and layer 1 backward] -> … -> states (B, T, D) -> pooling (B, P) -> logits (B, C)

The cells are in `cells`. Nothing is approximated: the probabilities that come out are those of the network, and the
slopes are exact. No framework is imported, and everything is float64.

A *pass* is one cell reading the text once: `layer 1`, or `layer 1 backward`, which reads from the end. Whatever is
recorded of a pass stands in the order of the text. B is the number of texts, T of tokens, E of components of a
token's vector, U of units, D = U or 2 U of states of a layer, P of pooled numbers, C of classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline import cells
from pipeline.cells import Cell, Gates
from pipeline.core.command import InputError
from pipeline.core.params import CELLS

Passes = dict[str, Gates]

POOLINGS = ("last", "max", "mean", "max+mean", "attention")
BACKWARD = " backward"
_HEADS = ("probability", "probabilities")


@dataclass(frozen=True)
class Slopes:
    """The slopes of a number by what a network computed on the way to it.

    Attributes:
        vectors: by the vectors of the tokens, float64, (B, T, E).
        states: pass to the slopes by its states, float64, (B, T, U).
    """

    vectors: np.ndarray
    states: dict[str, np.ndarray]


@dataclass(frozen=True)
class Network:
    """A trained network: embedding -> layers of one or two directions -> pooling -> dense. Everything in float64.

    Attributes:
        cell: the kind of the recurrent layers.
        pooling: one of `POOLINGS`.
        embedding: vectors of the tokens, (vocabulary, E).
        passes: `layer 1`, `layer 1 backward`, `layer 2`, … to kernel, recurrent kernel and bias of the cell.
        head: kernel, (P, C), and bias, (C,), of the logits; a sigmoid is held as a softmax whose first logit is 0.
        attention: the vector by which attention scores states, (D,); None where nothing attends.
    """

    cell: Cell
    pooling: str
    embedding: np.ndarray
    passes: dict[str, list[np.ndarray]]
    head: tuple[np.ndarray, np.ndarray]
    attention: np.ndarray | None = None

    @classmethod
    def from_weights(cls, layers: dict[str, list[np.ndarray]], pooling: str) -> "Network":
        """Take over the weights of a network.

        Args:
            layers: what `networks.weights` gives: layer name to its arrays.
            pooling: as on the card of the model.

        Raises:
            InputError: the network is of another build than this module computes.
        """
        arrays = {name: [np.asarray(array, np.float64) for array in layer] for name, layer in layers.items()}
        found = [cell for cell in CELLS if f"{cell}_1" in arrays]
        names = _pass_names(found[0], arrays) if found else {}
        others = {"embedding", *names, *(["attention"] if pooling == "attention" else [])}
        heads = [head for head in _HEADS if head in arrays]
        if len(found) != 1 or len(heads) != 1 or set(arrays) != others | set(heads) or pooling not in POOLINGS:
            raise InputError(
                f"gates can be shown of an embedding, layers of one cell ({', '.join(CELLS)}) in one or two"
                " directions,"
                f" {', '.join(POOLINGS[:-1])} or {POOLINGS[-1]} pooling, and a dense layer."
                f" Received: {', '.join(layers)}; pooling {pooling}"
            )
        passes = {title: arrays[name] for name, title in names.items()}
        cell = cells.find(found[0])
        if any(len(weights) != 3 or weights[2].ndim != cell.biases for weights in passes.values()):
            raise InputError(f"the {cell.title} is not one of Keras' default build (biases; GRU: reset_after)")
        kernel, bias = arrays[heads[0]]
        if kernel.shape[1] == 1:
            kernel, bias = np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))
        *_, top = passes.values()
        directions = 1 + any(title.endswith(BACKWARD) for title in passes)
        pooled = len(top[1]) * directions * (1 + ("+" in pooling))
        if len(kernel) != pooled:
            raise InputError(
                f"the network is not built as its card says: {pooling} pooling gives {pooled} numbers,"
                f" and the dense layer takes {len(kernel)}"
            )
        attention = arrays["attention"][0][:, 0] if pooling == "attention" else None
        return cls(cell, pooling, arrays["embedding"][0], passes, (kernel, bias), attention)

    @property
    def classes(self) -> int:
        return len(self.head[1])

    @property
    def bidirectional(self) -> bool:
        return any(title.endswith(BACKWARD) for title in self.passes)

    def run(
        self,
        vectors: np.ndarray,
        lengths: np.ndarray | None = None,
        before: Passes | None = None,
        kept: Sequence[str] | None = None,
    ) -> Passes:
        """Read some texts.

        Args:
            vectors: of the tokens, float64, (B, T, E), padded on the right.
            lengths: tokens of each text, (B,), where they differ. Only who reads from the end has to know.
            before: the passes over what was read before, if all go on from there; not where a pass reads backward.
            kept: which gates and states to record; all where None.

        Returns:
            Pass to its gates and states, each (B, T, U). What is recorded of padding means nothing.
        """
        kept = kept or list(self.cell.gates)
        passes: Passes = {}
        for titles in self._layers():
            for title in titles:
                back = title.endswith(BACKWARD)
                read = turned(vectors, lengths) if back else vectors
                gates = self.cell.run(read, *self.passes[title], before and before[title], kept)
                passes[title] = {name: turned(values, lengths) for name, values in gates.items()} if back else gates
            vectors = np.concatenate([passes[title]["state"] for title in titles], axis=2)
        return passes

    def logits(self, states: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
        """Compute the logits of every class, (B, C), from the states of the last layer over whole texts, (B, T, D)."""
        ends = np.full(len(states), states.shape[1]) if lengths is None else lengths
        return self._logits(self.pooled(states)[np.arange(len(states)), ends - 1])

    def logits_so_far(self, vectors: np.ndarray) -> np.ndarray:
        """Compute the logits of every class if the text ended at each of its tokens, (T, C), from its vectors, (T, E).

        Who reads from left to right has read every beginning on the way. Who also reads from the end has not: every
        beginning is read again, as the text that it would be.
        """
        if not self.bidirectional:
            (logits,) = self._logits(self.pooled(self.top(self.run(vectors[None], kept=["state"]))))
            return np.asarray(logits)
        ends = np.arange(1, len(vectors) + 1)
        parts = np.array_split(ends, -(-len(vectors) // self.texts_at_a_time(len(vectors))))
        found = []
        for part in parts:
            texts = np.repeat(vectors[None, : part[-1]], len(part), axis=0)
            found.append(self.logits(self.top(self.run(texts, part, kept=["state"])), part))
        return np.concatenate(found)

    def texts_at_a_time(self, tokens: int) -> int:
        """Say how many texts of so many tokens to read at once, so that their states take a bounded memory."""
        numbers = 2 * self.embedding.shape[1] + sum(2 * weights[0].shape[1] for weights in self.passes.values())
        return int(max(1, _BYTES // (8 * numbers * tokens)))

    def top(self, passes: Passes) -> np.ndarray:
        """Join the states of the last layer, (B, T, D): forward first, then backward."""
        *_, titles = self._layers()
        return np.concatenate([passes[title]["state"] for title in titles], axis=2)

    def pooled(self, states: np.ndarray) -> np.ndarray:
        """Pool the states up to each token, (B, T, P), from the states, (B, T, D).

        Padding stands on the right, so what is pooled up to the last token of a text is what the network pools.
        """
        if self.pooling == "last":
            return self._last(states)
        highest = np.maximum.accumulate(states, axis=1)
        if self.pooling == "max":
            return np.asarray(highest)
        if self.pooling == "attention":
            weights = self._attended(states)
            return np.asarray(np.cumsum(weights * states, axis=1) / np.cumsum(weights, axis=1))
        mean = np.cumsum(states, axis=1) / np.arange(1, states.shape[1] + 1)[:, None]
        return mean if self.pooling == "mean" else np.concatenate([highest, mean], axis=2)

    def slopes(self, passes: Passes, by_logits: np.ndarray) -> Slopes:
        """Go the way back: from the slope of a number by the logits, (B, C), to all that led to them.

        Args:
            passes: all of `run`, over whole texts of the same length.
            by_logits: (B, C).
        """
        by_outputs = self._pooling_slopes(self.top(passes), by_logits @ self.head[0].T)
        by_states: dict[str, np.ndarray] = {}
        for titles in reversed(self._layers()):
            shares = dict(zip(titles, np.split(by_outputs, len(titles), axis=2), strict=True))
            ways = {title: self._pass_slopes(title, passes[title], share) for title, share in shares.items()}
            by_outputs = np.sum([by_vectors for by_vectors, _ in ways.values()], axis=0)
            by_states |= {title: states for title, (_, states) in ways.items()}
        return Slopes(by_outputs, by_states)

    def _pass_slopes(self, title: str, gates: Gates, by_outputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute the slopes by what a pass reads and by its states; everything in the order of the text."""
        if not title.endswith(BACKWARD):
            return self.cell.slopes(gates, self.passes[title], by_outputs)
        as_read = {name: turned(values) for name, values in gates.items()}
        by_vectors, by_states = self.cell.slopes(as_read, self.passes[title], turned(by_outputs))
        return turned(by_vectors), turned(by_states)

    def _pooling_slopes(self, states: np.ndarray, by_pooled: np.ndarray) -> np.ndarray:
        """Compute the slope by the states, (B, T, D), from the one by what was pooled of whole texts, (B, P)."""
        if self.pooling == "last":
            by_states = np.zeros(states.shape)
            *_, titles = self._layers()
            forward, *backward = np.split(by_pooled, len(titles), axis=1)
            by_states[:, -1, : forward.shape[1]] = forward
            if backward:
                by_states[:, 0, forward.shape[1] :] = backward[0]
            return by_states
        if self.pooling == "max":
            # Of equal states, each gets the same part.
            highest = states == states.max(axis=1, keepdims=True)
            return np.asarray(highest / highest.sum(axis=1, keepdims=True) * by_pooled[:, None])
        if self.pooling == "mean":
            return np.broadcast_to(by_pooled[:, None] / states.shape[1], states.shape)
        if self.pooling == "max+mean":
            parts = zip(("max", "mean"), np.split(by_pooled, 2, axis=1), strict=True)
            return np.asarray(sum(self._with(pooling)._pooling_slopes(states, by) for pooling, by in parts))
        weights = self._attended(states)
        weights = weights / weights.sum(axis=1, keepdims=True)
        by_pooled = by_pooled[:, None]
        pooled = (weights * states).sum(axis=1, keepdims=True)
        by_scores = weights * ((states - pooled) * by_pooled).sum(axis=2, keepdims=True)
        return np.asarray(weights * by_pooled + by_scores * (1 - np.tanh(states) ** 2) * self.attention)

    def _with(self, pooling: str) -> "Network":
        return Network(self.cell, pooling, self.embedding, self.passes, self.head)

    def _layers(self) -> list[list[str]]:
        """List the passes of each layer, lowest first."""
        forward = [title for title in self.passes if not title.endswith(BACKWARD)]
        return [[title, *([title + BACKWARD] if title + BACKWARD in self.passes else [])] for title in forward]

    def _last(self, states: np.ndarray) -> np.ndarray:
        """Take the state at each token; of a backward pass, always the state at the first token, where it ends."""
        if not self.bidirectional:
            return states
        forward, backward = np.split(states, 2, axis=2)
        return np.concatenate([forward, np.broadcast_to(backward[:, :1], backward.shape)], axis=2)

    def _attended(self, states: np.ndarray) -> np.ndarray:
        """Compute the factors of attention, (B, T, 1), before they are divided by their sum over the text."""
        scores = np.tanh(states) @ self.attention
        return np.asarray(np.exp(scores - scores.max(axis=1, keepdims=True))[..., None])

    def _logits(self, pooled: np.ndarray) -> np.ndarray:
        kernel, bias = self.head
        return np.asarray(pooled @ kernel + bias)


def turned(values: np.ndarray, lengths: np.ndarray | None = None) -> np.ndarray:
    """Reverse each text, (B, T, any); padding stays behind it."""
    if lengths is None:
        return values[:, ::-1]
    places = np.arange(values.shape[1])
    lengths = np.clip(lengths, 0, len(places))
    order = np.where(places < lengths[:, None], lengths[:, None] - 1 - places, places)
    return np.take_along_axis(values, order[..., None], axis=1)


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Compute the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def log_odds(logits: np.ndarray, codes: np.ndarray | int) -> np.ndarray:
    """Compute ln(p / (1 - p)) of a class in nats, (...,), from logits, (..., C); it never saturates.

    Args:
        logits: of all classes, (..., C).
        codes: the class, int, one for all or (...,).
    """
    chosen = np.arange(logits.shape[-1]) == np.asarray(codes)[..., None]
    others = np.where(chosen, -np.inf, logits)
    highest = others.max(axis=-1, keepdims=True)
    own = np.where(chosen, logits, 0).sum(axis=-1)
    odds: np.ndarray = own - highest[..., 0] - np.log(np.exp(others - highest).sum(axis=-1))
    return odds


def log_odds_slopes(logits: np.ndarray, codes: np.ndarray | int) -> np.ndarray:
    """Compute the slope of `log_odds` by the logits, (..., C): 1 for the class, minus the others' shares."""
    chosen = np.arange(logits.shape[-1]) == np.asarray(codes)[..., None]
    slopes: np.ndarray = np.where(chosen, 1, -probabilities(np.where(chosen, -np.inf, logits)))
    return slopes


# What the states of the texts that are read at once may take.
_BYTES = 64_000_000


def _pass_names(cell: str, layers: dict[str, list[np.ndarray]]) -> dict[str, str]:
    """Map the names of the recurrent layers, from the first one up, to what their passes are called."""
    names: dict[str, str] = {}
    number = 1
    while f"{cell}_{number}" in layers:
        for suffix, said in (("", ""), ("_backward", BACKWARD)):
            if f"{cell}_{number}{suffix}" in layers:
                names[f"{cell}_{number}{suffix}"] = f"layer {number}{said}"
        number += 1
    return names
