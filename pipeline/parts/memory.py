"""What the memory of a network does over many texts: how long units remember, and what switches them.

All of it is a function of the network and the texts; no labels are read.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.parts.batches import in_length_order, pad
from pipeline.parts.gates import KEEPING_GATE, Gates, Network
from pipeline.parts.importance import gradient_times_input, occlusion
from pipeline.parts.tokens import Tokens, from_lists

# English words whose effect on every unit is measured. A data set without them gets no such numbers.
WORDS = {
    "negation": ["not", "no", "never", "neither", "nor", "none", "nothing", "nobody", "without", "hardly"],
    "praise": ["good", "great", "best", "brilliant", "excellent", "superb", "wonderful", "beautiful", "funny"],
}
_NEGATED_VERB = "n't"  # isn't, don't, ...

TEXTS = 1000  # to read, evenly spread over the split, so that a large data set takes seconds too

_BATCH = 64
# Reading a text once per token takes a while: so many texts, and so many tokens from their end.
_OCCLUDED_TEXTS = 100
_LONGEST_DISTANCE = 50
# A gate of exactly 0 or 1 in float64 has no logarithm or no half-life.
_NEARLY = 1e-12


@dataclass(frozen=True)
class Memory:
    """The memory of one network.

    Attributes:
        half_lives: tokens after which half of what a unit remembers is gone, float64, (units,).
        distances: `distance` of a token from the end, and the mean absolute `occlusion` and `gradient` (nats).
        agreement: correlation of occlusion with gradient × input over these tokens.
        responses: key of `WORDS` that occur in the texts, to what they do to each unit, float64, (units,).
    """

    half_lives: np.ndarray
    distances: pd.DataFrame
    agreement: float
    responses: dict[str, np.ndarray]

    def to_json(self) -> str:
        """As text, to six digits: the last ones depend on how a processor sums."""
        content = {
            "half_lives": _rounded(self.half_lives),
            "distances": {str(name): _rounded(column) for name, column in self.distances.items()},
            "agreement": round(self.agreement, 6),
            "responses": {name: _rounded(effects) for name, effects in self.responses.items()},
        }
        return json.dumps(content) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Memory":
        """What `to_json` wrote."""
        content = json.loads(text)
        responses = {name: np.array(effects) for name, effects in content["responses"].items()}
        distances = pd.DataFrame(content["distances"])
        return cls(np.array(content["half_lives"]), distances, content["agreement"], responses)


def pooled(memories: Sequence[Memory]) -> Memory:
    """The memory of several networks as if they were one with all of their units: of the seeds of a model."""
    distances = pd.concat([memory.distances for memory in memories]).groupby("distance").mean().reset_index()
    kinds = memories[0].responses
    return Memory(
        np.concatenate([memory.half_lives for memory in memories]),
        distances,
        float(np.mean([memory.agreement for memory in memories])),
        {kind: np.concatenate([memory.responses[kind] for memory in memories]) for kind in kinds},
    )


def remember(network: Network, tokens: Tokens, vocabulary: dict[str, int]) -> Memory:
    """Measure the memory of a network.

    Args:
        network: the network.
        tokens: the texts to read; some hundred are enough.
        vocabulary: token to its id.
    """
    distances, agreement = distance_effects(network, tokens)
    groups = {name: word_ids(vocabulary, words) for name, words in WORDS.items()}
    present = {name: ids for name, ids in groups.items() if np.isin(tokens.ids, ids).any()}
    effects = {name: responses(network, tokens, ids) for name, ids in present.items()}
    return Memory(half_lives(network, tokens), distances, agreement, effects)


def summary(memory: Memory) -> dict[str, str]:
    """What was measured in a few lines: a fact and its numbers."""
    low, median, high = np.percentile(memory.half_lives, [10, 50, 90])
    effects = memory.distances["occlusion"]
    facts = {
        "half-life of units (tokens): 10 %, median, 90 %": f"{low:.2f}, {median:.2f}, {high:.2f}",
        "effect of the last token on the log-odds (nats)": f"{effects.iloc[0]:.2f}",
        f"effect of the token {len(effects) - 1} before it (nats)": f"{effects.iloc[-1]:.2f}",
        "correlation of occlusion with gradient × input": f"{memory.agreement:.2f}",
    }
    for kind, moved in memory.responses.items():
        most = np.argsort(-np.abs(moved), kind="stable")[:3]
        facts[f"units that {kind} moves most (standard deviations)"] = ", ".join(
            f"{unit} by {moved[unit]:+.1f}" for unit in most
        )
    return facts


def half_lives(network: Network, tokens: Tokens) -> np.ndarray:
    """Tokens after which half of a unit's memory is gone, float64, (units,): ln 0.5 / ln f.

    f is the unit's mean forget gate (LSTM), or update gate (GRU: in Keras' equations the share of the old state
    that is kept). What is left of a state after some tokens is the product of the gates, so the mean is the
    geometric one: a constant gate of that size keeps as much over the same tokens. This follows the direct way
    through the cell alone; what states feed back through the recurrent kernel comes on top.
    """
    logarithms = []
    for gates, real, _ in _batches(network, tokens):
        keep = np.clip(gates[KEEPING_GATE[network.cell]][real], _NEARLY, 1 - _NEARLY)
        logarithms.append(np.log(keep).sum(axis=0))
    lives: np.ndarray = np.log(0.5) * len(tokens.ids) / np.sum(logarithms, axis=0)
    return lives


def distance_effects(network: Network, tokens: Tokens) -> tuple[pd.DataFrame, float]:
    """How much the verdict depends on tokens by their distance from the end.

    Only texts with the median number of tokens or more count, so that every distance is of the same texts.

    Returns:
        `distance` (0 is the last token), and the means over texts of the absolute `occlusion` and `gradient`
        (nats); and the correlation of the two over all tokens, which says how far they can be trusted.
    """
    length = min(int(np.median(tokens.lengths)), _LONGEST_DISTANCE)
    long_enough = sample(_take(tokens, np.flatnonzero(tokens.lengths >= length)), _OCCLUDED_TEXTS)
    texts = [long_enough[i] for i in range(len(long_enough))]
    last = [np.arange(len(text) - 1, len(text) - 1 - length, -1) for text in texts]
    code = network.classes - 1
    blanked = np.array([occlusion(network, text, code, places) for text, places in zip(texts, last, strict=True)])
    slopes = np.array(
        [gradient_times_input(network, text, code, places) for text, places in zip(texts, last, strict=True)]
    )
    means = {"occlusion": np.abs(blanked).mean(axis=0), "gradient": np.abs(slopes).mean(axis=0)}
    agreement = float(np.corrcoef(blanked.ravel(), slopes.ravel())[0, 1])
    return pd.DataFrame({"distance": np.arange(length), **means}), agreement


def responses(network: Network, tokens: Tokens, ids: np.ndarray) -> np.ndarray:
    """How much more the state of each unit rises at some words than elsewhere, float64, (units,).

    The difference of the mean changes of the state, in standard deviations of its changes over all tokens.
    """
    here, elsewhere, squares = [], [], []
    for gates, real, batch in _batches(network, tokens):
        steps = np.diff(gates["state"], axis=1, prepend=0.0)
        marked = real & np.isin(batch, ids)
        here.append(steps[marked].sum(axis=0))
        elsewhere.append(steps[real & ~marked].sum(axis=0))
        squares.append((steps[real] ** 2).sum(axis=0))
    marked_count = int(np.isin(tokens.ids, ids).sum())
    count = len(tokens.ids)
    mean = (np.sum(here, axis=0) + np.sum(elsewhere, axis=0)) / count
    deviation = np.sqrt(np.sum(squares, axis=0) / count - mean**2)
    rise = np.sum(here, axis=0) / marked_count - np.sum(elsewhere, axis=0) / max(count - marked_count, 1)
    effect: np.ndarray = rise / np.maximum(deviation, _NEARLY)
    return effect


def word_ids(vocabulary: dict[str, int], words: list[str]) -> np.ndarray:
    """The ids of some words, whole words of a sub-word vocabulary included; with `not`, also those on -n't."""
    wanted = set(words)
    found = [
        code
        for piece, code in vocabulary.items()
        if (word := piece.removeprefix("▁")) in wanted or ("not" in wanted and word.endswith(_NEGATED_VERB))
    ]
    return np.array(sorted(found), np.int32)


def sample(tokens: Tokens, count: int) -> Tokens:
    """At most so many texts, evenly spread over all of them."""
    return _take(tokens, np.unique(np.linspace(0, len(tokens) - 1, min(count, len(tokens))).astype(int)))


def _take(tokens: Tokens, texts: np.ndarray) -> Tokens:
    return from_lists([tokens[text].tolist() for text in texts])


def _batches(network: Network, tokens: Tokens) -> Iterator[tuple[Gates, np.ndarray, np.ndarray]]:
    """All gates of some texts at a time, (B, T, U); which places are no padding, bool, (B, T); the ids, (B, T)."""
    for texts in in_length_order(tokens.lengths, _BATCH):
        batch = pad(tokens, texts)
        yield network.run(network.embedding[batch]), np.arange(batch.shape[1]) < tokens.lengths[texts][:, None], batch


def _rounded(values: np.ndarray | pd.Series) -> list[float]:
    return [round(float(value), 6) for value in values]
