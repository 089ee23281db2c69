"""Differences of two models in macro F1, with the interval of `statistics.paired_difference`.

Macro F1 is the mean of the F1 of all classes that the texts have, whatever the number of their texts. It is no mean
over texts, so every resample counts anew what is right, given and true of each class; a class whose texts a resample
lacks is left out of it. The noise of the seeds, and all corrections, are those of statistics.py. What they need of a
group of texts is its influence: by how much it moves the score, to first order (the infinitesimal jackknife: Efron &
Tibshirani 1993, An Introduction to the Bootstrap, chapter 21).

One more correction is needed. Of a class with five texts, each moves the score as much as hundreds of others do. Groups
that move it unevenly count as fewer even ones with the same sums of second and fourth powers of their influence, the
number by which a variance is known as well.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pipeline.comparison.statistics import (
    RESAMPLES,
    Difference,
    Evidence,
    checked_groups,
    difference_of,
    effective_groups,
    paired_difference,
)
from pipeline.core.params import Metric

_CELLS = 4_000_000  # numbers at a time: 32 MB
_Counts = tuple[np.ndarray, np.ndarray, np.ndarray]  # truth, hits and given


def difference_in(
    metric: Metric,
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    these_runs: bool = False,
) -> Difference:
    """Compare two models by accuracy or by macro F1.

    Args:
        metric: which.
        labels: int codes, (texts,).
        first: codes that the runs of the first model answer, (seeds, texts).
        second: those of the second.
        groups: as for `paired_difference`.
        resamples: number of resamples.
        these_runs: as for `paired_difference`.
    """
    if metric == "accuracy":
        return paired_difference(first == labels, second == labels, groups, resamples, these_runs=these_runs)
    return macro_difference(labels, first, second, groups, resamples=resamples, these_runs=these_runs)


def macro_difference(
    labels: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None = None,
    recall: bool = False,
    these_runs: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare the macro F1 of two models over the noise of seeds and of test texts; arguments as for `difference_in`.

    Args:
        labels: int codes, (texts,).
        first: int codes, (seeds, texts).
        second: int codes, (seeds, texts).
        groups: int, (texts,).
        recall: compare the mean recall of the classes instead.
        these_runs: as for `paired_difference`.
        resamples: number of resamples.
        seed: makes the result repeatable.

    Raises:
        ValueError: the shapes do not fit, or there are fewer than two groups of texts.
    """
    groups = checked_groups(first, second, groups)
    rng = np.random.default_rng(seed)
    units = _units(labels, np.concatenate([first, second]), groups)
    of_first = np.arange(len(first) + len(second)) < len(first)

    def subtracted(values: np.ndarray) -> np.ndarray:
        """Subtract the mean over the runs of the second model from that of the first, along the first axis."""
        difference: np.ndarray = values[of_first].mean(axis=0) - values[~of_first].mean(axis=0)
        return difference

    seen = units.totals(units.number[None])
    scores = _scores(*seen, recall)[0]  # (runs,)
    mean = float(subtracted(scores))
    texts = np.concatenate([subtracted(_scores(*drawn, recall).T) for drawn in units.resampled(resamples, rng)]) - mean
    moves = units.influence(*seen, recall)  # (runs, units)
    evidence = Evidence(
        [scores[of_first], scores[~of_first]],
        min(effective_groups(np.bincount(groups)), _even(subtracted(moves), units.number)),
        sum(_interaction(moves[runs], units.number) for runs in (of_first, ~of_first)),
        int(units.number[units.differ(of_first)].sum()),
        int(units.number.sum()),
    )
    return difference_of(mean, texts, evidence, rng, these_runs)


@dataclass(frozen=True)
class _Units:
    """Groups of texts; those with the same labels and answers are interchangeable, and one unit.

    Attributes:
        number: of groups of each kind, (units,).
        truth: texts of each class, (units, classes).
        hits: of these, those that a run gets right, (units, runs, classes).
        given: texts that a run takes for the class, (units, runs, classes).
    """

    number: np.ndarray
    truth: np.ndarray
    hits: np.ndarray
    given: np.ndarray

    def totals(self, drawn: np.ndarray) -> _Counts:
        """Add up truth, hits and given of units drawn so many times, (resamples, units)."""
        drawn = drawn.astype(np.float32)  # exact below 16 million texts, and twice as fast
        truth, hits, given = (
            (drawn @ of.reshape(len(of), -1)).reshape(-1, *of.shape[1:]) for of in (self.truth, self.hits, self.given)
        )
        return truth, hits, given

    def resampled(self, resamples: int, rng: np.random.Generator) -> Iterator[_Counts]:
        """Draw as many groups as there are, again and again; give `totals` in pieces."""
        groups = self.number.sum()
        at_a_time = max(_CELLS // max(len(self.number), self.hits[0].size), 1)
        for start in range(0, resamples, at_a_time):
            size = min(at_a_time, resamples - start)
            yield self.totals(rng.multinomial(groups, self.number / groups, size))

    def influence(self, truth: np.ndarray, hits: np.ndarray, given: np.ndarray, recall: bool) -> np.ndarray:
        """Tell by how much one group of each unit moves the score of each run, (runs, units), given all `totals`."""
        whole = (truth[0] + (truth[0] if recall else given[0])).astype(np.float64)  # (runs, classes)
        ratio = 2 * hits[0] / whole
        own = self.truth[:, None] + (self.truth[:, None] if recall else self.given)
        moved: np.ndarray = ((2 * self.hits - ratio * own) / whole).mean(axis=2).T
        return moved

    def differ(self, of_first: np.ndarray) -> np.ndarray:
        """Mark the units on which the two models do not answer alike, (units,)."""
        both = np.concatenate([self.hits, self.given], axis=2)
        means = both[:, of_first].sum(axis=1) * (~of_first).sum(), both[:, ~of_first].sum(axis=1) * of_first.sum()
        unlike: np.ndarray = (means[0] != means[1]).any(axis=1)
        return unlike


def _units(labels: np.ndarray, answers: np.ndarray, groups: np.ndarray) -> _Units:
    """Count each kind of groups, of texts with their answers, (runs, texts)."""
    kinds, kind = np.unique(np.vstack([labels, answers]), axis=1, return_inverse=True)
    # Groups of the same kinds of texts have the same sum of random keys, and others almost surely another one.
    keys: np.ndarray = np.random.default_rng(0).integers(0, 2**63, (kinds.shape[1],), np.uint64)
    sums = np.zeros(int(groups.max()) + 1, np.uint64)
    np.add.at(sums, groups, keys[kind.ravel()])
    _, first_group, number = np.unique(sums, return_index=True, return_counts=True)
    unit_of = np.full(len(sums), -1)
    unit_of[first_group] = np.arange(len(first_group))
    kept = unit_of[groups] >= 0
    unit: np.ndarray = unit_of[groups[kept]]
    labels, answers = labels[kept], answers[:, kept]
    classes = np.unique(labels)

    def counted(codes: np.ndarray, where: np.ndarray) -> np.ndarray:
        counts = np.zeros((len(number), len(classes)), np.float32)
        for column, code in enumerate(classes):
            counts[:, column] = np.bincount(unit[where & (codes == code)], minlength=len(number))
        return counts

    always = np.ones(len(labels), bool)
    hits = np.stack([counted(labels, of_run == labels) for of_run in answers], axis=1)
    given = np.stack([counted(of_run, always) for of_run in answers], axis=1)
    return _Units(number, counted(labels, always), hits, given)


def _scores(truth: np.ndarray, hits: np.ndarray, given: np.ndarray, recall: bool) -> np.ndarray:
    """Compute macro F1 (or the mean recall) over the classes that have texts, (resamples, runs)."""
    there = (truth > 0)[:, None]
    whole = (truth[:, None] + (truth[:, None] if recall else given)).astype(np.float64)
    of_classes = np.divide(2 * hits, whole, out=np.zeros(hits.shape), where=there)
    scores: np.ndarray = of_classes.sum(axis=2) / there.sum(axis=2)
    return scores


def _even(influence: np.ndarray, number: np.ndarray) -> float:
    """Count even groups whose influence has the same second and fourth powers; 2 at the least."""
    squares = influence**2
    fourth = (number * squares**2).sum()
    return float(max((number * squares).sum() ** 2 / fourth, 2)) if fourth > 0 else np.inf


def _interaction(influence: np.ndarray, number: np.ndarray) -> float:
    """Estimate the variance of a mean score that comes from which texts suit which seed; 0 for a single run."""
    seeds, groups = len(influence), number.sum()
    if seeds == 1:
        return 0.0
    squares = (number * (influence - influence.mean(axis=0)) ** 2).sum()
    return float(squares * groups / (groups - 1) / (seeds * (seeds - 1)))
