"""Differences in macro F1: against a slow computation that draws texts one by one, and against the truth."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score

from benchmarks.coverage import CLASSES, Case, measure_macro, true_macro_f1
from pipeline.comparison.macro import difference_in, macro_difference
from pipeline.comparison.statistics import paired_difference

TEXTS = 400


def made_up(seeds: tuple[int, int], accuracies: tuple[float, float]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels of four classes, one of them rare, and what the runs of two models answer, (seeds, texts)."""
    rng = np.random.default_rng(2)
    labels = rng.choice(4, TEXTS, p=[0.4, 0.3, 0.25, 0.05])
    answers = [
        np.where(rng.random((number, TEXTS)) < accuracy, labels, rng.integers(0, 4, (number, TEXTS)))
        for number, accuracy in zip(seeds, accuracies, strict=True)
    ]
    return labels, answers[0], answers[1]


def score(labels: np.ndarray, answers: np.ndarray) -> float:
    """Macro F1 over the classes that the labels have, class by class as it is defined."""
    return float(
        np.mean(
            [
                2 * ((labels == code) & (answers == code)).sum() / ((labels == code).sum() + (answers == code).sum())
                for code in np.unique(labels)
            ]
        )
    )


@pytest.mark.parametrize("per_group", [1, 4])
def test_the_interval_of_single_runs_is_that_of_texts_drawn_one_by_one(per_group: int) -> None:
    labels, first, second = made_up((1, 1), (0.8, 0.7))
    groups = np.random.default_rng(3).permutation(TEXTS) // per_group
    difference = macro_difference(labels, first, second, groups)
    assert difference.mean == pytest.approx(score(labels, first[0]) - score(labels, second[0]))
    assert difference.groups == TEXTS / per_group
    rng, members = np.random.default_rng(4), [np.flatnonzero(groups == group) for group in np.unique(groups)]
    drawn = []
    for _ in range(1000):
        texts = np.concatenate([members[group] for group in rng.integers(0, len(members), len(members))])
        drawn.append(score(labels[texts], first[0][texts]) - score(labels[texts], second[0][texts]))
    expected = np.quantile(drawn, [0.025, 0.975])
    width = expected[1] - expected[0]
    # 1,000 draws leave the ends uncertain by some 3 % of the width; the stretching to few groups adds some per cent.
    assert [difference.low, difference.high] == pytest.approx(expected, abs=0.12 * width)


def test_the_mean_is_over_all_runs_of_a_model() -> None:
    labels, first, second = made_up((3, 2), (0.8, 0.75))
    difference = macro_difference(labels, first, second)
    means = [np.mean([score(labels, run) for run in runs]) for runs in (first, second)]
    assert difference.mean == pytest.approx(means[0] - means[1])
    assert score(labels, first[0]) == pytest.approx(f1_score(labels, first[0], average="macro"))
    assert difference.seeds == (3, 2)
    recall = macro_difference(labels, first, second, recall=True)
    means = [np.mean([recall_score(labels, run, average="macro") for run in runs]) for runs in (first, second)]
    assert recall.mean == pytest.approx(means[0] - means[1])


def test_equal_answers_do_not_differ_and_turned_models_give_the_negative() -> None:
    labels, first, second = made_up((2, 2), (0.8, 0.7))
    same = macro_difference(labels, first, first[::-1])
    assert (same.mean, same.p_value) == (0, 1)
    there, back = macro_difference(labels, first, second), macro_difference(labels, second, first)
    assert back.mean == pytest.approx(-there.mean)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low), abs=0.1 * (there.high - there.low))


def test_accuracy_is_compared_as_ever() -> None:
    labels, first, second = made_up((2, 3), (0.8, 0.7))
    assert difference_in("accuracy", labels, first, second) == paired_difference(first == labels, second == labels)
    assert difference_in("macro_f1", labels, first, second) == macro_difference(labels, first, second)


def test_a_class_that_a_resample_lacks_is_left_out_of_it() -> None:
    """One of 200 texts is of a class that one model alone finds: more than a third of the resamples lack it."""
    labels = np.array([2, *[0, 1] * 100])
    first, second = labels[None], np.where(labels == 2, 0, labels)[None]
    difference = macro_difference(labels, first, second)
    assert difference.mean > 0.33
    assert difference.low <= 0
    assert difference.p_value > 0.5


# The noise of seeds and that of the texts of a rare class are the larger one in turn.
@pytest.mark.parametrize(
    ("classes", "case"),
    [("2, one of 4 %", Case((3, 3), 600, (1.5, 1.5))), ("8, one of 0.5 %", Case((3, 3), 1000, (0.2, 0.2)))],
)
@pytest.mark.slow
def test_the_interval_covers_the_truth_and_equal_models_differ_rarely(classes: str, case: Case) -> None:
    repetitions = 300
    shares = measure_macro(case, CLASSES[classes], repetitions)
    margin = 3 * math.sqrt(0.95 * 0.05 / repetitions)
    assert shares["covered"] > 0.95 - margin
    assert shares["false_positives"] < 0.05 + margin


def test_the_truth_of_the_simulation_is_the_macro_f1_of_many_texts() -> None:
    # Two even classes: F1 is the accuracy. One of four hundredths: of 100 texts, 96 and 4, 85 % right.
    assert true_macro_f1((0.5, 0.5), 0.85, 0) == pytest.approx(0.85)
    rare, often = 2 * 0.04 * 0.85 / (0.04 + 0.034 + 0.144), 2 * 0.96 * 0.85 / (0.96 + 0.816 + 0.006)
    assert true_macro_f1((0.96, 0.04), 0.85, 0) == pytest.approx((rare + often) / 2)
