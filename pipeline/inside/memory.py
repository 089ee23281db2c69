"""The memory of a network over many texts: how long units remember, and which words move them.

All of it is a function of the network and the texts; no labels are read. The constants below shape what is measured
and are explained in docs/how-lstm-and-gru-work.md.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from pipeline.cells import STATE
from pipeline.core.command import InputError
from pipeline.inside.importance import gradient_times_input, occlusion, slopes
from pipeline.inside.numpy_network import BACKWARD, Network, Passes
from pipeline.tokens.batches import in_length_order, pad
from pipeline.tokens.ragged import Tokens, from_lists

# English words whose effect on every unit is measured. A data set without them gets no such numbers.
WORDS = {
    "negation": ["not", "no", "never", "neither", "nor", "none", "nothing", "nobody", "without", "hardly"],
    "praise": ["good", "great", "best", "brilliant", "excellent", "superb", "wonderful", "beautiful", "funny"],
}
# isn't, don't, …; and the `t` that is left of isn’t, whose apostrophe parts words.
_NEGATED_VERB, _NEGATED_REST = "n't", "t"
_WORD_START = "▁"

TEXTS = 1000  # to read, evenly spread over the split, so that a large data set takes seconds too
# Reading a text once per token takes a while: so many texts, so many tokens of each bin of distances, and a bin
# counts where at least this share of the texts reaches it.
_OCCLUDED_TEXTS, _PLACES, _FEWEST = 200, 4, 0.1
_RESAMPLES = 1000  # of the texts, for the band of 95 % around the effects
_RANDOM_SETS = 200  # of words as frequent as those of a kind
_RANKS = 10  # a word's stand-in is within so many ranks of frequency
_MOST = 64  # texts at a time at the most

# A gate of exactly 0 or 1 in float64 has no logarithm or no half-life.
_NEARLY = 1e-12
# A unit whose state changes by less (its standard deviation) does not move.
_STILL = 1e-6


@dataclass(frozen=True)
class Memory:
    """The memory of one network, or of several.

    Attributes:
        units: a row per unit: `network` (its name), `layer` (the pass), `unit` (from 0), `half_life` (tokens), and,
            for each kind of `WORDS` that occurs in the texts, how it moves the unit (standard deviations).
        distances: a row per bin of distances: `nearest` and `farthest` token from the end (1 is the last one), how
            many `texts` reach it, and the mean absolute `occlusion` with its band, `low` to `high`, and `gradient`.
        agreement: correlation of occlusion with gradient × input over these tokens; None where nothing varies.
        bands: kind to where 95 % of the units lie when words of the same frequency take the place of its words.
    """

    units: pd.DataFrame = field(default_factory=pd.DataFrame)
    distances: pd.DataFrame = field(default_factory=pd.DataFrame)
    agreement: float | None = None
    bands: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def kinds(self) -> list[str]:
        """List the kinds of words that were measured."""
        return list(self.bands)

    @property
    def layers(self) -> list[str]:
        return list(self.units["layer"].unique()) if len(self.units) else []

    def to_json(self) -> str:
        """Write as JSON, to six digits: the last ones depend on how a processor sums."""
        content = {
            "units": _columns(self.units),
            "distances": _columns(self.distances),
            "agreement": None if self.agreement is None else round(self.agreement, 6),
            "bands": {kind: [round(end, 6) for end in band] for kind, band in self.bands.items()},
        }
        return json.dumps(content, allow_nan=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Memory":
        """Read what `to_json` wrote."""
        content = json.loads(text)
        bands = {kind: (low, high) for kind, (low, high) in content["bands"].items()}
        units, distances = (pd.DataFrame(content[name]) for name in ("units", "distances"))
        return cls(units, distances, content["agreement"], bands)

    @classmethod
    def load(cls, path: Path) -> "Memory":
        """Read the file of one network.

        Raises:
            InputError: the file is missing, or another version of this project wrote it.
        """
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise InputError(f"{path} is missing or not readable; make it anew with: dvc repro") from problem


def pooled(memories: Sequence[Memory]) -> Memory:
    """Join the memory of several networks, such as the seeds of a model, as if they were one."""
    measured = [memory for memory in memories if len(memory.units)]
    if not measured:
        return Memory()
    distances = pd.concat([memory.distances for memory in measured]).groupby(["nearest", "farthest"]).mean()
    agreements = [memory.agreement for memory in measured if memory.agreement is not None]
    bands = {
        kind: tuple(np.mean([memory.bands[kind] for memory in measured], axis=0).tolist()) for kind in measured[0].kinds
    }
    return Memory(
        pd.concat([memory.units for memory in measured], ignore_index=True),
        distances.reset_index(),
        float(np.mean(agreements)) if agreements else None,
        bands,
    )


def remember(network: Network, tokens: Tokens, vocabulary: dict[str, int], name: str) -> Memory:
    """Measure the memory of a network.

    Args:
        network: the network.
        tokens: the texts to read; some hundred are enough.
        vocabulary: token to its id.
        name: of the network.
    """
    # On products as small as these, threads cost more than they bring.
    with threadpool_limits(limits=1, user_api="blas"):
        steps = read_steps(network, tokens, vocabulary)
        distances, agreement = distance_effects(network, tokens)
    groups = {kind: word_ids(vocabulary, words) for kind, words in WORDS.items()}
    present = {kind: ids for kind, ids in groups.items() if steps.counts[ids].any()}
    parts, spread = [], {kind: [] for kind in present}  # type: list[pd.DataFrame], dict[str, list[np.ndarray]]
    for title, lives in steps.half_lives().items():
        columns = {kind: steps.responses(title, ids) for kind, ids in present.items()}
        numbers = {"network": name, "layer": title, "unit": np.arange(len(lives)), "half_life": lives}
        parts.append(pd.DataFrame(numbers | columns))
        for kind, ids in present.items():
            spread[kind].append(steps.random_responses(title, ids))
    bands = {kind: _middle(np.concatenate([sets.ravel() for sets in all_sets])) for kind, all_sets in spread.items()}
    return Memory(pd.concat(parts, ignore_index=True), distances, agreement, bands)


@dataclass(frozen=True)
class Steps:
    """Sums over all tokens of some texts.

    A step is how the state of a unit changes at a token, in the direction in which the pass reads. Words are whole:
    a sub-word that is only a part of a word is counted among all tokens, and not as a word.

    Attributes:
        tokens: how many there are.
        counts: how often each id stands for a whole word, int64, (vocabulary,).
        at_words: pass to the sum of the steps at each id, float64, (vocabulary, U).
        everywhere: pass to the sums of steps, of their squares, and of the logarithms of what is kept, (3, U).
    """

    tokens: int
    counts: np.ndarray
    at_words: dict[str, np.ndarray]
    everywhere: dict[str, np.ndarray]

    def half_lives(self) -> dict[str, np.ndarray]:
        """Compute the half-lives of each pass' units along the direct path, in tokens, float64, (U,): ln 0.5 / ln f.

        f is the share that the cell keeps of a unit's memory at a token (`Cell.kept`): the forget gate of an LSTM, the
        update gate of a GRU. What is left of a state after some tokens is the product of the shares, so the mean is the
        geometric one: a constant share of that size keeps as much over the same tokens. This follows the direct way
        through the cell alone: what states feed back through the recurrent kernel comes on top, and can hold longer.
        """
        return {title: np.log(0.5) * self.tokens / sums[2] for title, sums in self.everywhere.items()}

    def responses(self, title: str, ids: np.ndarray) -> np.ndarray:
        """Measure how much more the state of each unit rises at some words than elsewhere, float64, (U,).

        The difference of the mean steps, in standard deviations of the steps at all tokens; 0 of a unit that never
        moves.
        """
        total, squares, _ = self.everywhere[title]
        here, count = self.at_words[title][ids].sum(axis=0), self.counts[ids].sum()
        rise = here / count - (total - here) / max(self.tokens - count, 1)
        deviation = np.sqrt(np.maximum(squares / self.tokens - (total / self.tokens) ** 2, 0))
        moved: np.ndarray = np.divide(rise, deviation, out=np.zeros_like(rise), where=deviation > _STILL)
        return moved

    def random_responses(self, title: str, ids: np.ndarray) -> np.ndarray:
        """Measure the same for random sets of words that are as frequent as those, word by word, float64, (sets, U)."""
        rng = np.random.default_rng(0)
        others = np.setdiff1d(np.flatnonzero(self.counts), ids)
        if not len(others):
            return np.zeros((1, len(self.everywhere[title][0])))
        others = others[np.argsort(self.counts[others], kind="stable")]
        ranks = np.searchsorted(self.counts[others], self.counts[ids[self.counts[ids] > 0]])
        drawn = ranks + rng.integers(-_RANKS, _RANKS, (_RANDOM_SETS, len(ranks)))
        sets = others[np.clip(drawn, 0, len(others) - 1)]
        return np.array([self.responses(title, np.unique(chosen)) for chosen in sets])


def read_steps(network: Network, tokens: Tokens, vocabulary: dict[str, int]) -> Steps:
    """Read all texts once, and sum what is needed of every token."""
    begins = _word_starts(vocabulary, len(network.embedding))
    units = {title: weights[1].shape[0] for title, weights in network.passes.items()}
    at_words = {title: np.zeros((len(network.embedding), count)) for title, count in units.items()}
    everywhere = {title: np.zeros((3, count)) for title, count in units.items()}
    counts = np.zeros(len(network.embedding), np.int64)
    for passes, real, batch in _batches(network, tokens):
        # A word is whole where the next token begins another one; padding, 0, does too.
        whole = real & begins[batch] & np.pad(begins[batch][:, 1:], ((0, 0), (0, 1)), constant_values=True)
        ids, starts, order = _grouped(batch[whole])
        counts[ids] += np.diff(np.append(starts, len(order)))
        for title, gates in passes.items():
            steps = _steps(gates[STATE], real, title.endswith(BACKWARD))
            at_words[title][ids] += np.add.reduceat(steps[whole][order], starts) if len(ids) else 0
            shares = network.cell.kept(gates, network.passes[title])[real]
            keep = np.clip(shares, _NEARLY, 1 - _NEARLY)
            everywhere[title] += [steps[real].sum(axis=0), (steps[real] ** 2).sum(axis=0), np.log(keep).sum(axis=0)]
    return Steps(len(tokens.ids), counts, at_words, everywhere)


def distance_effects(network: Network, tokens: Tokens) -> tuple[pd.DataFrame, float | None]:
    """Measure how much the verdict depends on tokens, by their distance from the end of the text.

    Bins of distances grow by a factor of two, up to the whole length. Only texts with the median number of tokens or
    more count, so that up to there every distance is of the same texts.

    Returns:
        `Memory.distances` and `Memory.agreement`.
    """
    longer = _take(tokens, np.flatnonzero(tokens.lengths >= max(1, np.median(tokens.lengths))))
    texts = sample(longer, _OCCLUDED_TEXTS)
    bins = _distance_bins(int(texts.lengths.max()))
    effects = np.full((2, len(texts), len(bins)), np.nan)
    pairs = []
    for numbers in _of_one_length(network, texts):
        length = int(texts.lengths[numbers[0]])
        distances = [_spread(nearest, min(farthest, length)) for nearest, farthest in bins if nearest <= length]
        together = np.stack([texts[number] for number in numbers])
        both = _both_measures(network, together, length - np.concatenate(distances))
        pairs.append(both.reshape(2, -1))
        ends = np.cumsum([len(of_bin) for of_bin in distances])[:-1]
        for column, part in enumerate(np.split(np.abs(both), ends, axis=2)):
            effects[:, numbers, column] = part.mean(axis=2)
    reached = (~np.isnan(effects[0])).sum(axis=0)
    enough = reached >= _FEWEST * len(texts)
    table = pd.DataFrame(np.array(bins)[enough], columns=["nearest", "farthest"]).assign(texts=reached[enough])
    table["occlusion"], table["gradient"] = np.nanmean(effects[:, :, enough], axis=1)
    table["low"], table["high"] = _band(effects[0][:, enough])
    return table, _correlation(*np.concatenate(pairs, axis=1))


def numbers(memory: Memory) -> dict[str, Any]:
    """List what was measured, for JSON: half-lives per layer, agreement, what depends on distance, the units moved."""
    return {
        "half_life": {
            layer: dict(zip(("10 %", "median", "90 %"), _percentiles(of["half_life"]), strict=True))
            for layer, of in memory.units.groupby("layer", sort=False)
        }
        if len(memory.units)
        else {},
        "agreement": memory.agreement,
        "distances": memory.distances.to_dict("records"),
        "responses": {
            kind: {"random words": list(memory.bands[kind]), "most": top_units(memory, kind)} for kind in memory.kinds
        },
    }


def metrics(memories: Mapping[str, Memory]) -> dict[str, float]:
    """Name the numbers that MLflow's comparison run gets, from model to its memory."""
    found = {}
    for model, memory in memories.items():
        if len(memory.units):
            found[f"memory/{model} half_life median"] = float(memory.units["half_life"].median())
        if memory.agreement is not None:
            found[f"memory/{model} agreement"] = memory.agreement
    return found


def summary(memory: Memory) -> dict[str, str]:
    """Sum up what was measured in a few lines: a fact and its numbers."""
    facts: dict[str, str] = {}
    if not len(memory.units):
        return facts
    for layer, of in memory.units.groupby("layer", sort=False):
        where = f", {layer}" if len(memory.layers) > 1 else ""
        facts[f"half-life in tokens{where}: 10 %, median, 90 %"] = ", ".join(
            f"{value:.3g}" for value in _percentiles(of["half_life"])
        )
    nearest, farthest = memory.distances.iloc[0], memory.distances.iloc[-1]
    agreement = "nothing varies" if memory.agreement is None else f"{memory.agreement:.2f}"
    facts |= {
        "effect of the last token on the log-odds (nats)": f"{nearest['occlusion']:.2f}",
        "effect of a token far from the end (nats)": f"{farthest['occlusion']:.2f}"
        f" ({farthest['nearest']:.0f} to {farthest['farthest']:.0f} from it)",
        "correlation of occlusion with gradient × input": agreement,
    }
    for kind, (low, high) in memory.bands.items():
        outside = ((memory.units[kind] < low) | (memory.units[kind] > high)).mean()
        facts[f"units that {kind} moves more than random words do"] = f"{outside:.0%} (5 % by chance)"
        facts[f"units that {kind} moves most (standard deviations)"] = ", ".join(
            f"{unit['unit']} by {unit['moved']:+.1f}" for unit in top_units(memory, kind)
        )
    return facts


def top_units(memory: Memory, kind: str, count: int = 3) -> list[dict[str, Any]]:
    """Find the units that words of a kind move most: `unit`, as far as it must be named, and how far it is `moved`."""
    units = memory.units
    moved = units[kind]
    order = moved.abs().sort_values(ascending=False, kind="stable").index[:count]
    named = [column for column in ("network", "layer") if units[column].nunique() > 1]
    return [
        {"unit": " ".join(str(units.loc[row, column]) for column in [*named, "unit"]), "moved": float(moved[row])}
        for row in order
    ]


def word_ids(vocabulary: dict[str, int], words: list[str]) -> np.ndarray:
    """Find the ids of some words, of sub-words those that begin a word; with `not`, also what ends on n't."""
    start = _WORD_START if _has_sub_words(vocabulary) else ""
    found = []
    for piece, code in vocabulary.items():
        word = piece.removeprefix(start)
        negated = "not" in words and (word.endswith(_NEGATED_VERB) or word == _NEGATED_REST)
        if piece.startswith(start) and (word in words or negated):
            found.append(code)
    return np.array(sorted(found), np.int32)


def sample(tokens: Tokens, count: int) -> Tokens:
    """Take at most so many texts, evenly spread over all of them."""
    return _take(tokens, np.unique(np.linspace(0, len(tokens) - 1, min(count, len(tokens))).astype(int)))


def _take(tokens: Tokens, texts: np.ndarray) -> Tokens:
    return from_lists([tokens[text].tolist() for text in texts])


def _batches(network: Network, tokens: Tokens) -> Iterator[tuple[Passes, np.ndarray, np.ndarray]]:
    """Read some texts at a time: the gates needed; which places are no padding, bool, (B, T); the ids, (B, T)."""
    at_a_time = min(_MOST, network.texts_at_a_time(int(tokens.lengths.max())))
    for texts in in_length_order(tokens.lengths, at_a_time):
        batch, lengths = pad(tokens, texts), tokens.lengths[texts]
        passes = network.run(
            network.embedding[batch], lengths, kept=list(dict.fromkeys([*network.cell.kept_from, STATE]))
        )
        yield passes, np.arange(batch.shape[1]) < lengths[:, None], batch


def _steps(states: np.ndarray, real: np.ndarray, backward: bool) -> np.ndarray:
    """Compute how each state differs from the one before, zero at first, in the order of reading, (B, T, U)."""
    if not backward:
        return np.diff(states, axis=1, prepend=0.0)
    states = states * real[..., None]  # behind the end of a text, where reading begins, there is nothing
    return -np.diff(states, axis=1, append=0.0)


def _grouped(ids: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group equal ids: the different ids, where each starts in their order, and that order."""
    order = np.argsort(ids, kind="stable")
    different, starts = np.unique(ids[order], return_index=True)
    return different, starts, order


def _has_sub_words(vocabulary: dict[str, int]) -> bool:
    return any(piece.startswith(_WORD_START) for piece in vocabulary)


def _word_starts(vocabulary: dict[str, int], size: int) -> np.ndarray:
    """Mark the ids that begin a word, bool, (size,): all words; of sub-words those with the mark; and padding."""
    begins = np.full(size, not _has_sub_words(vocabulary))
    begins[[0, *(code for piece, code in vocabulary.items() if piece.startswith(_WORD_START))]] = True
    return begins


def _distance_bins(longest: int) -> list[tuple[int, int]]:
    """Cut distances into bins: 1, 2, 3 to 4, 5 to 8, and so on."""
    bins = [(1, 1)]
    while bins[-1][1] < longest:
        bins.append((bins[-1][1] + 1, 2 * bins[-1][1]))
    return bins


def _spread(nearest: int, farthest: int) -> np.ndarray:
    return np.unique(np.linspace(nearest, farthest, _PLACES).round().astype(int))


def _of_one_length(network: Network, texts: Tokens) -> Iterator[np.ndarray]:
    """Number texts that can be read at once without padding, as many as memory is to hold."""
    for length in np.unique(texts.lengths):
        numbers = np.flatnonzero(texts.lengths == length)
        yield from np.array_split(numbers, -(-len(numbers) // network.texts_at_a_time(int(length))))


def _both_measures(network: Network, texts: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Measure occlusion and gradient × input of the class that the network finds most likely, (2, B, places)."""
    vectors = network.embedding[texts]
    passes = network.run(vectors)
    codes = network.logits(network.top(passes)).argmax(axis=1)
    gradient = gradient_times_input(vectors, slopes(network, passes, codes))
    return np.array([occlusion(network, texts, codes, places), gradient[:, places]])


def _band(effects: np.ndarray) -> np.ndarray:
    """Find where 95 % of the means lie over resampled texts, (2, bins), from (texts, bins) with NaN for none."""
    known = ~np.isnan(effects)
    drawn = np.random.default_rng(0).integers(0, len(effects), (_RESAMPLES, len(effects)))
    sums, counts = np.nan_to_num(effects)[drawn].sum(axis=1), known[drawn].sum(axis=1)
    means = np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)
    return np.asarray(np.nanpercentile(means, [2.5, 97.5], axis=0))


def _correlation(first: np.ndarray, second: np.ndarray) -> float | None:
    if min(np.ptp(first), np.ptp(second)) < _NEARLY:
        return None
    return float(np.corrcoef(first, second)[0, 1])


def _middle(values: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def _percentiles(values: pd.Series) -> list[float]:
    return [float(value) for value in np.percentile(values, [10, 50, 90])]


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {str(name): column.round(6).tolist() for name, column in table.items()}
