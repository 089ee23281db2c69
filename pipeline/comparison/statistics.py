"""Differences of two models with intervals, and tests: all that the seeds and the test texts allow one to say.

A model's answers are a boolean array `correct`, (seeds, texts): did the run with this seed get this text right?
The texts of two models are the same ones in the same order. Their seeds have nothing to do with each other: the LSTM
of seed 1 and the GRU of seed 1 share neither weights nor batches that would make them alike.

`paired_difference` is a hierarchical bootstrap. Every resample draws as many texts as there are, with replacement, the
same for all runs of both models; of correlated texts, whole groups (cluster bootstrap: Davison & Hinkley 1997,
Bootstrap Methods and their Application, section 3.8). On top comes the noise of the seeds. The interval holds the
middle 95 % of the resampled differences (percentiles: Efron & Tibshirani 1993, An Introduction to the Bootstrap,
chapter 13), and the p-value is the smallest level at which it does not contain 0.

Plain resampling takes the spread that it sees for the true one. Of few seeds or few groups that is too sure of itself,
so four things are not as in the plain hierarchical bootstrap:

- The noise of the seeds is drawn from Student's t distribution, not from the seeds: half of the draws from two are
  twice the same one. Its scale is the standard error over seeds, each model with its own standard deviation, and its
  degrees of freedom say how little is known about it (Welch 1947, Biometrika 34:28).
- The noise of the texts is stretched from the normal to the t distribution with (groups - 1) degrees of freedom, and by
  the square root of groups / (groups - 1), by which resampled means vary too little. Of uneven groups, the number that
  counts is that of even ones with the same sum of squares: (texts)² / sum of (texts per group)² (the effective sample
  size of Kish 1965, Survey Sampling).
- That a seed gets these texts right and those wrong shows up both in the noise of the seeds and in that of the texts
  (resampling both counts it three times: Owen 2007, The pigeonhole bootstrap, Annals of Applied Statistics 1:386). The
  noise of the texts is scaled down to what is left without it, but by no more than the noise of the seeds puts on: two
  seeds may happen to score alike.
- Of n groups on which the models differ, all speak for the same model in one case of 2^(n - 1), if the models are
  equally good (sign test: Dixon & Mood 1946, JASA 41:557). The p-value is not below that, and where that alone is too
  much, with n < 6, the interval reaches to 0.

In simulations (`python -m benchmarks.coverage`, with the table in docs/statistics.md) the interval covers the truth in
95 to 100 of 100 cases with 2 to 5 seeds, and p < 0.05 for equal models in 5 at most; where one model has two
seeds that vary ten times as much as the other's five, these are 90 and 7.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from scipy.stats import binomtest

CONFIDENCE = 0.95
SIGNIFICANCE = 0.05
FEW_SEEDS = 3  # with fewer, a warning
FEW_GROUPS = 30  # of test texts

RESAMPLES = 10_000  # the ends of an interval move by some 2 % of its width with the seed of the resampling

_CELLS = 5_000_000  # counts drawn at a time: 40 MB


@dataclass(frozen=True)
class Difference:
    """Hold the difference of the scores (accuracies, or macro F1: macro.py) of two models, first minus second.

    Attributes:
        mean: score of the first model minus that of the second, both over all seeds and texts; -1 to 1.
        low: lower end of the 95 % interval.
        high: upper end.
        p_value: two-sided, of no difference; 2 / (resamples + 1) at the least.
        seeds: number of runs of the first and of the second model.
        groups: number of groups of texts that it rests on; of texts, where each is a group of its own.
        texts_p_value: the p-value of these very runs, over the noise of texts alone; None: an older version wrote it.
    """

    mean: float
    low: float
    high: float
    p_value: float
    seeds: tuple[int, int]
    groups: int
    texts_p_value: float | None = field(default=None, compare=False)

    @property
    def seed_noise_known(self) -> tuple[bool, bool]:
        """Tell of the first and of the second model whether the interval covers its seeds: a single run does not."""
        return self.seeds[0] > 1, self.seeds[1] > 1

    def __neg__(self) -> "Difference":
        """Turn the difference round: the second model against the first."""
        return replace(self, mean=-self.mean, low=-self.high, high=-self.low, seeds=self.seeds[::-1])


@dataclass(frozen=True)
class McNemar:
    """McNemar's test of two runs on the same texts.

    Attributes:
        first_only: texts that only the first run got right.
        second_only: texts that only the second run got right.
        p_value: exact, two-sided, of both runs being right equally often.
    """

    first_only: int
    second_only: int
    p_value: float


def better_first(pair: tuple[str, str], difference: Difference) -> tuple[tuple[str, str], Difference]:
    """Put the more accurate model of a pair first, so that the difference is better minus worse; a tie stays."""
    return (pair, difference) if difference.mean >= 0 else (pair[::-1], -difference)


def paired_difference(
    first: np.ndarray,
    second: np.ndarray,
    groups: np.ndarray | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    these_runs: bool = False,
) -> Difference:
    """Compare the accuracies of two models over the noise of seeds and of test texts, by a hierarchical bootstrap.

    The module's docstring has the method.

    A model with a single run, such as the baseline, adds no noise of seeds. This is right where seeds play no part,
    and otherwise the interval is about this one run: see `Difference.seed_noise_known`.

    Args:
        first: bool, (seeds, texts).
        second: bool, (seeds, texts): as many texts, not necessarily as many seeds.
        groups: int, (texts,): texts with the same number belong together, such as reviews of one film. Without,
            each text is a group of its own.
        resamples: number of resamples.
        seed: makes the result repeatable.
        these_runs: the interval is about these very runs, over texts alone, whatever other seeds give.

    Raises:
        ValueError: the shapes do not fit, or there are fewer than two groups of texts.
    """
    groups = checked_groups(first, second, groups)
    rng = np.random.default_rng(seed)
    mean = float(first.mean() - second.mean())
    sizes, totals = _group_differences(first, second, groups)
    texts = _resample_groups(sizes, totals, resamples, rng) / (len(first) * len(second)) - mean
    evidence = Evidence(
        [first.mean(axis=1), second.mean(axis=1)],
        effective_groups(sizes),
        _interaction_variance(first, groups) + _interaction_variance(second, groups),
        int(np.count_nonzero(totals)),
        len(sizes),
    )
    return difference_of(mean, texts, evidence, rng, these_runs)


@dataclass(frozen=True)
class Evidence:
    """Hold what a difference rests on, besides its resampled texts.

    Attributes:
        scores: of the first and of the second model, (seeds,) each.
        even: groups that count, see the module's docstring; 2 or more.
        interaction: variance of the difference from which texts suit which seed.
        speaking: groups on which the models differ.
        groups: all groups.
    """

    scores: Sequence[np.ndarray]
    even: float
    interaction: float
    speaking: int
    groups: int


def difference_of(
    mean: float, texts: np.ndarray, evidence: Evidence, rng: np.random.Generator, these_runs: bool
) -> Difference:
    """Put the noise of the seeds on that of the texts, by the rules in the module's docstring.

    Args:
        mean: the difference that is seen.
        texts: resampled differences less `mean`, (resamples,).
        evidence: what else it rests on.
        rng: draws.
        these_runs: leave the noise of the seeds out.
    """
    resamples, even = len(texts), evidence.even
    variance, share, stretch = texts.var() * even / (even - 1), 1.0, np.array(even)
    if variance > 0:
        of_seeds = 0.0 if these_runs else _seed_variances(evidence.scores).sum()
        share = max(1 - min(evidence.interaction, of_seeds) / variance, 0)
        stretch = rng.chisquare(even - 1, resamples)
    draws = mean + texts * np.sqrt(share * even / stretch)
    if not these_runs:
        draws += _draw_seed_noise(evidence.scores, resamples, rng)
    low, high = np.quantile(draws, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]).clip(-1, 1)
    at_least = 2.0 ** (1 - evidence.speaking)
    if at_least >= 1 - CONFIDENCE:
        low, high = min(low, 0), max(high, 0)
    alone = mean + texts * np.sqrt(even / stretch)
    p_value, of_texts = (min(max(_two_sided(drawn), at_least), 1) for drawn in (draws, alone))
    seeds = (len(evidence.scores[0]), len(evidence.scores[1]))
    return Difference(mean, float(low), float(high), float(p_value), seeds, evidence.groups, float(of_texts))


def effective_groups(sizes: np.ndarray) -> float:
    """Count even groups with the same sum of squares (Kish 1965); 2 at the least."""
    return float(max(sizes.sum() ** 2 / (sizes**2).sum(), 2))


def _two_sided(draws: np.ndarray) -> float:
    """Give the smallest level at which the interval of some draws does not contain 0."""
    tail = min((draws <= 0).sum(), (draws >= 0).sum())
    return float(2 * (tail + 1) / (len(draws) + 1))


def read_differences(content: Mapping[str, Any]) -> dict[tuple[str, str], Difference]:
    """Read the differences in the content of statistics.json as they were computed."""
    names = [field.name for field in fields(Difference)]
    return {
        (row["first"], row["second"]): Difference(
            **{name: row[name] for name in names if name in row} | {"seeds": tuple(row["seeds"])}
        )
        for row in content["differences"]
    }


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """Compare two single runs by the texts that only one of them gets right (McNemar 1947, Psychometrika 12:153).

    Under no difference such a text is as likely the one's as the other's; the p-value is the exact binomial one. It
    is about these two runs alone, and says nothing about other seeds of the same models.

    Args:
        first: bool, (texts,).
        second: bool, (texts,).

    Raises:
        ValueError: the shapes differ.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"both runs must be (texts,) over the same texts. Received: {first.shape}, {second.shape}")
    first_only, second_only = int((first & ~second).sum()), int((second & ~first).sum())
    discordant = first_only + second_only
    p_value = float(binomtest(first_only, discordant).pvalue) if discordant else 1.0
    return McNemar(first_only, second_only, p_value)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values so that the chance of one false alarm or more among them stays below the level.

    The smallest is multiplied by their number, the next one by one less, and so on; a larger p-value never becomes
    smaller than a smaller one, and none exceeds 1 (Holm 1979, Scandinavian Journal of Statistics 6:65). Nothing is
    assumed about how the comparisons depend on each other.

    Returns:
        The adjusted p-values in the order given.
    """
    order = np.argsort(p_values, kind="stable")
    adjusted = np.empty(len(order))
    adjusted[order] = np.maximum.accumulate(np.asarray(p_values)[order] * np.arange(len(order), 0, -1))
    return [float(value) for value in adjusted.clip(max=1)]


def checked_groups(first: np.ndarray, second: np.ndarray, groups: np.ndarray | None) -> np.ndarray:
    """Number the groups from 0 without gaps, (texts,), or refuse the arguments."""
    shapes = f"Received: {first.shape}, {second.shape}"
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] or not (len(first) and len(second)):
        raise ValueError(f"both models must be (seeds, texts) over the same texts, with a seed or more. {shapes}")
    texts = first.shape[1]
    if groups is None:
        groups = np.arange(texts)
    elif groups.shape != (texts,):
        raise ValueError(f"groups must be ({texts},), one per text. Received: {groups.shape}")
    else:
        groups = np.unique(groups, return_inverse=True)[1]
    if not texts or groups.max() == 0:
        raise ValueError(f"a difference needs two groups of texts or more. {shapes}")
    return groups


def _group_differences(first: np.ndarray, second: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sum up each group of texts, int64, (groups,): number of texts, and their differences times seeds times seeds.

    Integers, so that equal differences compare equal.
    """
    differences = first.sum(axis=0) * len(second) - second.sum(axis=0) * len(first)
    totals = np.bincount(groups, weights=differences).astype(np.int64)  # sums of integers: exact
    return np.bincount(groups), totals


def _resample_groups(sizes: np.ndarray, totals: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Compute the mean difference per text over resampled groups, float64, (resamples,).

    Groups with as many texts and the same difference are interchangeable, so only the number drawn of each kind is
    drawn: for 25,000 texts and five seeds, 11 numbers and not 25,000.
    """
    kinds, counts = np.unique(np.stack([sizes, totals]), axis=1, return_counts=True)
    at_a_time = max(_CELLS // len(counts), 1)
    means = []
    for start in range(0, resamples, at_a_time):
        drawn = rng.multinomial(len(sizes), counts / len(sizes), min(at_a_time, resamples - start))
        means.append(drawn @ kinds[1] / (drawn @ kinds[0]))
    return np.concatenate(means)


def _draw_seed_noise(scores: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Draw by how much the difference may be off for the choice of seeds, float64, (resamples,); 0 for single runs."""
    variances = _seed_variances(scores)
    variance = variances.sum()
    if variance == 0:
        return np.zeros(resamples)
    freedom = variance**2 / sum(variances**2 / [len(of_model) - 1 for of_model in scores if len(of_model) > 1])
    noise: np.ndarray = np.sqrt(variance) * rng.standard_t(freedom, resamples)
    return noise


def _seed_variances(scores: Sequence[np.ndarray]) -> np.ndarray:
    """Estimate the variance of the mean score over seeds of each model with several, float64, (models,)."""
    return np.array([of_model.var(ddof=1) / len(of_model) for of_model in scores if len(of_model) > 1])


def _interaction_variance(correct: np.ndarray, groups: np.ndarray) -> float:
    """Estimate the variance of a mean accuracy that comes from which texts suit which seed; 0 for a single run.

    It is the residual mean square of the two-way layout of seeds and texts, summed within groups, for the mean over
    seeds and texts.
    """
    seeds, texts = correct.shape
    if seeds == 1:
        return 0.0
    residuals = correct - correct.mean(axis=0) - correct.mean(axis=1, keepdims=True) + correct.mean()
    squares = sum((np.bincount(groups, weights=row) ** 2).sum() for row in residuals)
    number = groups.max() + 1
    return float(squares / texts**2 * number / (number - 1) / (seeds * (seeds - 1)))
