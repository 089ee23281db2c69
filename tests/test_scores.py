"""Every score against values worked out by hand."""

import math

import numpy as np
import pytest

from pipeline.trained.scores import METRICS, calibration, confusion, over_seeds, precision_recall, roc, score

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
                # Confidences 0.8 and 0.7 stand alone in their bins, one right and one wrong; both 0.6 are right.
                "ece": (0.2 + 0.7 + 2 * 0.4) / 4,
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
                # 0.7 and 0.5 are right; in the bin of the two 0.6, one is.
                "ece": (0.3 + 0.5 + 2 * 0.1) / 4,
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


def test_averages_are_over_the_classes_that_the_texts_have() -> None:
    """A class without a text has no recall, and whatever precision it were given would be invented."""
    labels = np.array([0, 1, 1])
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.5, 0.2], [0.2, 0.1, 0.7]])  # the last is taken for class 2
    scores = score(labels, probabilities)
    assert (scores["precision"], scores["recall"]) == (1, (1 + 1 / 2) / 2)
    assert scores["roc_auc"] == (1 + 1 / 2) / 2  # class 1: of 0.5 and 0.1, one is above the 0.2 of another
    assert not any(math.isnan(value) for value in scores.values())
    for curve, name in ((roc, "true_positive_rate"), (precision_recall, "precision")):
        of_both = [curve(labels == code, np.stack([-p, p], axis=1))[name] for code, p in enumerate(probabilities.T[:2])]
        np.testing.assert_allclose(curve(labels, probabilities)[name], np.mean(of_both, axis=0))


def test_texts_of_a_single_class_have_no_curves() -> None:
    labels, probabilities = np.array([1, 1]), BINARY[1][:2]
    scores = score(labels, probabilities)
    assert math.isnan(scores.pop("roc_auc"))
    assert not any(math.isnan(value) for value in scores.values())
    assert roc(labels, probabilities)["true_positive_rate"].isna().all()
    assert precision_recall(labels, probabilities)["precision"].isna().all()


def test_confusion_counts_the_true_class_by_row() -> None:
    assert confusion(*BINARY).tolist() == [[2, 1], [0, 1]]
    assert confusion(*THREE).tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]
    assert confusion(np.array([0, 0]), THREE[1][:2]).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 0]]


FOUR = np.array([0, 0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.7, 0.3], [0.2, 0.8]])


def test_the_roc_curve_runs_from_corner_to_corner() -> None:
    table = roc(*FOUR).set_index("false_positive_rate")["true_positive_rate"]
    # At a rate of 1/2 the curve jumps from one true positive in two to both.
    assert [table[rate] for rate in (0, 0.25, 0.5, 0.75, 1)] == [0, 0.5, 1, 1, 1]


def test_the_roc_curve_of_three_classes_is_the_mean_over_them() -> None:
    curve = roc(*THREE)["true_positive_rate"]
    # Classes 0 and 2 are found without a mistake; class 1 after one of three others.
    assert curve[100] == 1
    assert curve[33] == pytest.approx(2 / 3)
    assert curve[34] == 1


def test_precision_is_the_best_at_a_recall_or_a_higher_one() -> None:
    table = precision_recall(*FOUR).set_index("recall")["precision"]
    # From the highest probability down, the labels are 1, 0, 1, 0: precisions 1, 1/2, 2/3 at recalls 1/2, 1/2, 1.
    assert [table[recall] for recall in (0, 0.5)] == [1, 1]
    assert [table[recall] for recall in (0.51, 1)] == pytest.approx([2 / 3, 2 / 3])
    # Of three classes, the mean: classes 0 and 2 are found without a mistake, class 1 after one.
    assert precision_recall(*THREE)["precision"].iloc[100] == pytest.approx((1 + 1 / 2 + 1) / 3)


def test_a_precision_that_no_threshold_gives_is_not_drawn() -> None:
    # The surest text is a mistake, so no threshold finds only right ones.
    table = precision_recall(np.array([0, 1, 1]), np.array([[0.1, 0.9], [0.4, 0.6], [0.5, 0.5]]))
    assert table["precision"].tolist() == [2 / 3] * 101


def test_calibration_compares_confidence_and_accuracy_in_bins() -> None:
    confidence = np.array([0.61, 0.65, 0.99, 0.99])
    table = calibration(np.array([0, 1, 0, 0]), np.stack([confidence, 1 - confidence], axis=1))
    assert table["bin"].tolist() == [10, 15]  # of 15: above 0.6 up to 0.667, and the last
    assert table["confidence"].tolist() == pytest.approx([0.63, 0.99])
    assert table["accuracy"].tolist() == [0.5, 1]
    assert table["texts"].tolist() == [2, 2]
    scores = score(np.array([0, 1, 0, 0]), np.stack([confidence, 1 - confidence], axis=1))
    assert scores["ece"] == pytest.approx((0.13 + 0.01) / 2)


def test_seeds_are_summed_up_by_mean_and_sample_standard_deviation() -> None:
    summary = over_seeds([{"accuracy": 0.5, "brier": 0.2}, {"accuracy": 0.7, "brier": 0.2}])
    assert summary["accuracy"] == pytest.approx({"mean": 0.6, "std": math.sqrt(0.02)})
    assert summary["brier"] == pytest.approx({"mean": 0.2, "std": 0})


def test_one_seed_has_no_standard_deviation() -> None:
    assert over_seeds([{"accuracy": 0.5}]) == {"accuracy": {"mean": 0.5, "std": None}}


def test_what_is_not_known_of_one_run_is_not_known_of_the_model() -> None:
    assert over_seeds([{"roc_auc": 0.5}, {"roc_auc": math.nan}]) == {"roc_auc": {"mean": None, "std": None}}
