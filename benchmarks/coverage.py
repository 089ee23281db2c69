"""How often the interval of `paired_difference` covers the truth, on synthetic answers whose difference is known.

For each number of seeds, texts and films and each noise of seeds, made-up models answer many times over: with one point
between them, to count how often the 95 % interval covers that point, and with nothing between them, to count how often
p < 0.05 all the same. The width is that of the interval, in points.

    python -m benchmarks.coverage                    # 1,000 repetitions: 3 minutes of processor time, on all cores
    python -m benchmarks.coverage --repetitions 100
    python -m benchmarks.coverage --plain            # also the coverage of the usual hierarchical bootstrap: seeds and
                                                     # texts drawn with replacement, and percentiles
    python -m benchmarks.coverage --macro --repetitions 200    # of macro F1, for several shares of the classes: 20
                                                     # minutes of processor time
"""

import argparse
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy.stats import norm
from tabulate import tabulate

from pipeline.comparison.macro import macro_difference
from pipeline.comparison.statistics import SIGNIFICANCE, paired_difference

TRUTH = (0.86, 0.85)
# Whether a text is answered right is the sign of a sum of normal effects with these variances, which add up to 1:
# of the text for both models, of the text for the one model, and of the text for the one seed.
SHARED, OWN, SINGLE = 0.5, 0.2, 0.3


@dataclass(frozen=True)
class Case:
    """Experiment that is simulated.

    Attributes:
        seeds: runs of each model.
        texts: number of texts.
        deviations: standard deviation of each model's accuracy over seeds, in points.
        films: number of films that the texts are about; 0: each is on its own.
        uneven: standard deviation of the logarithm of the number of texts per film; 0: all films have as many.
    """

    seeds: tuple[int, int]
    texts: int
    deviations: tuple[float, float]
    films: int = 0
    uneven: float = 0

    @property
    def film_of_text(self) -> np.ndarray:
        """Give each text the number of its film, (texts,); the sizes of the films are lognormal quantiles."""
        if not self.films:
            return np.arange(self.texts)
        sizes = np.exp(self.uneven * norm.ppf((np.arange(self.films) + 0.5) / self.films))
        return np.searchsorted(sizes.cumsum() / sizes.sum() * self.texts, np.arange(self.texts) + 0.5)


CASES = [
    *(Case((n, n), texts, (sd, sd)) for n in (2, 3, 5) for texts in (500, 2500) for sd in (0.5, 1.5)),
    Case((3, 3), 2500, (0.3, 2.0)),
    Case((2, 5), 2500, (3.0, 0.3)),
    Case((2, 5), 2500, (0.3, 3.0)),
    Case((2, 5), 2500, (1.0, 1.0)),
    Case((3, 1), 2500, (1.0, 0.0)),
    Case((3, 3), 2500, (0.5, 0.5), films=250),
    Case((3, 3), 2500, (0.1, 0.1), films=88, uneven=1.0),
    Case((3, 3), 2500, (0.1, 0.1), films=10),
    Case((3, 3), 2500, (0.1, 0.1), films=10, uneven=1.0),
    Case((3, 3), 2500, (0.1, 0.1), films=5),
    Case((3, 3), 30, (1.0, 1.0)),
]


# Shares of the classes: two even ones, a rare one, one of five texts in 1,000 among eight, and twenty.
CLASSES = {
    "2 even": (0.5, 0.5),
    "2, one of 4 %": (0.96, 0.04),
    "8, one of 0.5 %": (0.005, *[0.995 / 7] * 7),
    "20 even": (0.05,) * 20,
}
MACRO_CASES = [
    *(Case((n, n), 1000, (sd, sd)) for n, sd in ((2, 1.5), (3, 0.5), (3, 1.5), (5, 0.5))),
    Case((3, 1), 1000, (1.0, 0.0)),
    Case((3, 3), 1000, (0.5, 0.5), films=250),
]


def simulate(case: Case, accuracies: Sequence[float], rng: np.random.Generator) -> list[np.ndarray]:
    """Make up the answers of models.

    Args:
        case: the sizes and the noise.
        accuracies: of each model, over all seeds and texts that there could be.
        rng: draws.

    Returns:
        Per model, bool, (seeds, texts). What a model makes of a text is the same for all texts of a film.
    """
    shared = rng.normal(0, SHARED**0.5, case.texts)
    models = []
    for accuracy, seeds, deviation in zip(accuracies, case.seeds, case.deviations, strict=True):
        # A point of accuracy in units of the sum, and the mean that gives the accuracy with this noise.
        spread = deviation / 100 / norm.pdf(norm.ppf(accuracy))
        mean = norm.ppf(accuracy) * np.sqrt(1 + spread**2)
        own = rng.normal(0, OWN**0.5, case.texts)[case.film_of_text]
        single = rng.normal(0, SINGLE**0.5, (seeds, case.texts))
        models.append(mean + rng.normal(0, spread, (seeds, 1)) + shared + own + single > 0)
    return models


def measure(case: Case, repetitions: int, resamples: int = 2000) -> dict[str, float]:
    """Count the shares of repetitions in which the interval covers the truth and equal models differ, and its width."""
    rng = np.random.default_rng(1)
    groups = case.film_of_text if case.films else None
    covered, positives, width = 0, 0, 0.0
    for seed in range(repetitions):
        first, second = simulate(case, TRUTH, rng)
        difference = paired_difference(first, second, groups, resamples, seed)
        covered += difference.low <= TRUTH[0] - TRUTH[1] <= difference.high
        width += difference.high - difference.low
        first, second = simulate(case, (TRUTH[1], TRUTH[1]), rng)
        positives += paired_difference(first, second, groups, resamples, seed).p_value < SIGNIFICANCE
    return {"covered": covered / repetitions, "false_positives": positives / repetitions, "width": width / repetitions}


def measure_plain(case: Case, repetitions: int, resamples: int = 500) -> float:
    """Count the share of repetitions in which the usual hierarchical bootstrap covers the truth."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(repetitions):
        low, high = plain_interval(simulate(case, TRUTH, rng), resamples, rng)
        covered += low <= TRUTH[0] - TRUTH[1] <= high
    return covered / repetitions


def plain_interval(models: Sequence[np.ndarray], resamples: int, rng: np.random.Generator) -> tuple[float, float]:
    """Draw seeds and texts as they are, and take percentiles: no films, and no corrections for few seeds."""
    answers = np.concatenate(models)  # (runs, texts)
    # Texts with the same answers are interchangeable.
    codes = (1 << np.arange(len(answers))) @ answers
    _, first, counts = np.unique(codes, return_index=True, return_counts=True)
    texts = rng.multinomial(answers.shape[1], counts / counts.sum(), resamples) / counts.sum()  # (resamples, kinds)
    accuracies = texts @ answers[:, first].T  # (resamples, runs)
    means, start = [], 0
    for model in models:
        n = len(model)
        seeds = rng.multinomial(n, np.full(n, 1 / n), resamples) / n  # (resamples, seeds)
        means.append((accuracies[:, start : start + n] * seeds).sum(axis=1))
        start += n
    low, high = np.quantile(means[0] - means[1], [0.025, 0.975])
    return float(low), float(high)


def simulate_classes(
    case: Case, shares: Sequence[float], accuracies: Sequence[float], rng: np.random.Generator
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Make up labels, (texts,), and answers of models, (seeds, texts), that are as good on every class."""
    labels = rng.choice(len(shares), case.texts, p=shares)
    # The same wrong answer suggests itself to all: as a rule, they take it.
    tempting = (labels + rng.integers(1, len(shares), case.texts)) % len(shares)
    return labels, [np.where(right, labels, tempting) for right in simulate(case, accuracies, rng)]


def true_macro_f1(shares: Sequence[float], accuracy: float, deviation: float) -> float:
    """Compute the macro F1 over all texts and seeds that there could be, of what `simulate_classes` makes up."""
    share = np.array(shares)
    spread = deviation / 100 / norm.pdf(norm.ppf(accuracy))
    seeds = spread * norm.ppf((np.arange(1000) + 0.5) / 1000)
    right = norm.cdf(norm.ppf(accuracy) * np.sqrt(1 + spread**2) + seeds)[:, None]
    given = share * right + (1 - share) * (1 - right) / (len(share) - 1)
    return float((2 * share * right / (share + given)).mean())


def measure_macro(case: Case, shares: Sequence[float], repetitions: int, resamples: int = 1000) -> dict[str, float]:
    """Count the same shares as `measure` does, for macro F1."""
    rng = np.random.default_rng(1)
    groups = case.film_of_text if case.films else None
    truths = [true_macro_f1(shares, *one) for one in zip(TRUTH, case.deviations, strict=True)]
    equal = [true_macro_f1(shares, TRUTH[1], deviation) for deviation in case.deviations]
    truth, bias = truths[0] - truths[1], equal[0] - equal[1]
    covered, positives, width = 0, 0, 0.0
    for seed in range(repetitions):
        labels, (first, second) = simulate_classes(case, shares, TRUTH, rng)
        difference = macro_difference(labels, first, second, groups, resamples=resamples, seed=seed)
        covered += difference.low <= truth <= difference.high
        width += difference.high - difference.low
        labels, (first, second) = simulate_classes(case, shares, (TRUTH[1], TRUTH[1]), rng)
        seen = macro_difference(labels, first, second, groups, resamples=resamples, seed=seed)
        positives += not seen.low <= bias <= seen.high if bias else seen.p_value < SIGNIFICANCE
    return {"covered": covered / repetitions, "false_positives": positives / repetitions, "width": width / repetitions}


def measured_macro(one: tuple[str, Case], repetitions: int) -> dict[str, str | int]:
    """Make a row of the table of macro F1."""
    name, case = one
    return {"classes": name} | _row(case, measure_macro(case, CLASSES[name], repetitions))


def measured(case: Case, repetitions: int, plain: bool) -> dict[str, str | int]:
    """Make a row of the table."""
    row = _row(case, measure(case, repetitions))
    if plain:
        row["plain coverage %"] = f"{100 * measure_plain(case, repetitions):.1f}"
    return row


def _row(case: Case, shares: dict[str, float]) -> dict[str, str | int]:
    return {
        "seeds": "{}, {}".format(*case.seeds),
        "seed sd (points)": "{}, {}".format(*case.deviations),
        "texts": case.texts,
        "films": f"{case.films}{', uneven' if case.uneven else ''}" if case.films else "–",
        "coverage %": f"{100 * shares['covered']:.1f}",
        "false positives %": f"{100 * shares['false_positives']:.1f}",
        "width": f"{100 * shares['width']:.1f}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure coverage and false positives of the interval.")
    parser.add_argument("--repetitions", type=int, default=1000, help="simulated experiments per row")
    parser.add_argument("--plain", action="store_true", help="measure the usual hierarchical bootstrap too")
    parser.add_argument("--macro", action="store_true", help="measure macro F1 instead")
    arguments = parser.parse_args()
    repetitions = arguments.repetitions
    with ProcessPoolExecutor() as pool:
        if arguments.macro:
            cases = list(product(CLASSES, MACRO_CASES))
            rows = list(pool.map(partial(measured_macro, repetitions=repetitions), cases))
        else:
            rows = list(pool.map(partial(measured, repetitions=repetitions, plain=arguments.plain), CASES))
    print(tabulate(rows, headers="keys", tablefmt="github", stralign="right", disable_numparse=True))
    print(f"\nThe standard error of a 95 % share is {100 * np.sqrt(0.95 * 0.05 / repetitions):.1f} points.")


if __name__ == "__main__":
    main()
