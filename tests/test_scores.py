"""Every score against values worked out by hand."""

import math

import numpy as np
import pytest

from pipeline.parts.scores import METRICS, confusion, over_seeds, roc, score

# Second class: true 0 0 0 1; predicted 0 1 0 1.
BINARY = np.array([0, 0, 0, 1]), np.array([[0.8, 0.2], [0.3, 0.7], [0.6, 0.4], [0.4, 0.6]], np.float32)
# True 0 1 2 2; predicted 0 1 1 2.
THREE = (
    np.array([0, 1, 2, 2]),
    np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]], np.float32),
)


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            BINARY,
            {
                "accuracy": 3 / 4,
                "precision": (2 / 2 + 1 / 2) / 2,
                "recall": (2 / 3 + 1 / 1) / 2,
                "f1": (4 / 5 + 2 / 3) / 2,
                "roc_auc": 2 / 3,  # 0.6 beats 0.2 and 0.4, not 0.7
                "log_loss": -(math.log(0.8) + math.log(0.3) + math.log(0.6) + math.log(0.6)) / 4,
                "brier": (0.04 + 0.49 + 0.16 + 0.16) / 4,
            },
        ),
        (
            THREE,
            {
                "accuracy": 3 / 4,
                "precision": (1 / 1 + 1 / 2 + 1 / 1) / 3,
                "recall": (1 / 1 + 1 / 1 + 1 / 2) / 3,
                "f1": (1 + 2 / 3 + 2 / 3) / 3,
                "roc_auc": (1 + 2 / 3 + 1) / 3,  # class 1: 0.5 beats 0.2 twice, not 0.6
                "log_loss": -(math.log(0.7) + math.log(0.5) + math.log(0.3) + math.log(0.6)) / 4,
                "brier": (0.14 + 0.38 + 0.86 + 0.24) / 4 / 2,
            },
        ),
    ],
    ids=["two classes", "three classes"],
)
def test_scores_are_those_worked_out_by_hand(case: tuple[np.ndarray, np.ndarray], expected: dict[str, float]) -> None:
    scores = score(*case)
    assert list(scores) == METRICS
    assert scores == pytest.approx(expected, abs=1e-6)


def test_a_certain_mistake_costs_much_but_not_infinitely_much() -> None:
    scores = score(np.array([0, 1]), np.array([[1, 0], [1, 0]], np.float32))
    assert 10 < scores["log_loss"] < 50
    assert scores["brier"] == 0.5
    assert scores["recall"] == 0.5
    assert scores["precision"] == 0.25  # a class that is never predicted counts as 0


def test_the_roc_area_is_unknown_when_a_class_is_missing() -> None:
    scores = score(np.array([0, 1]), THREE[1][:2])
    assert math.isnan(scores.pop("roc_auc"))
    assert not any(math.isnan(value) for value in scores.values())
    assert scores["accuracy"] == 1


def test_confusion_counts_the_true_class_by_row() -> None:
    assert confusion(*BINARY).tolist() == [[2, 1], [0, 1]]
    assert confusion(*THREE).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert confusion(np.array([0, 0]), THREE[1][:2]).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_the_roc_curve_runs_from_corner_to_corner() -> None:
    false_positives, true_positives = roc(
        np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]]), 5
    )
    assert false_positives.tolist() == [0, 0.25, 0.5, 0.75, 1]
    # At a rate of 1/2 the curve jumps from one true positive in two to both.
    assert true_positives.tolist() == [0, 0.5, 1, 1, 1]


def test_the_roc_curve_of_three_classes_is_the_mean_over_them() -> None:
    _, true_positives = roc(*THREE, points=4)
    # Classes 0 and 2 are found without a mistake; class 1 after one of three others.
    np.testing.assert_allclose(true_positives[1:], [1, 1, 1])
    _, finer = roc(*THREE, points=7)
    np.testing.assert_allclose(finer[:2], [0, 2 / 3])


def test_seeds_are_summed_up_by_mean_and_sample_standard_deviation() -> None:
    summary = over_seeds([{"accuracy": 0.5, "brier": 0.2}, {"accuracy": 0.7, "brier": 0.2}])
    assert summary["accuracy"] == pytest.approx({"mean": 0.6, "std": math.sqrt(0.02)})
    assert summary["brier"] == pytest.approx({"mean": 0.2, "std": 0})


def test_one_seed_has_no_standard_deviation() -> None:
    assert over_seeds([{"accuracy": 0.5}]) == {"accuracy": {"mean": 0.5, "std": None}}
