"""Score predictions, and say how the scores vary over seeds."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from sklearn import metrics

from pipeline.core.params import Metric

# In the order in which tables show them. The last three are better when lower.
METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier", "ece"]
SCORE_OF: dict[Metric, str] = {"accuracy": "accuracy", "macro_f1": "f1"}
TITLES: dict[Metric, str] = {"accuracy": "accuracy", "macro_f1": "macro F1"}
POINTS = 101  # of a curve
CALIBRATION_BINS = 15


def score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score the predictions of one model.

    Args:
        labels: int codes, (texts,).
        probabilities: (texts, classes); rows sum to 1.

    Returns:
        The `METRICS`: accuracy; precision, recall and F1 averaged over classes (macro); area under the ROC curve
        (macro, one class against the rest, where there are more than two); log loss in nats; Brier score, the mean
        squared distance between the probabilities and the truth as a one-hot vector, halved so that two classes
        give the usual score of one probability (Brier 1950); expected calibration error (see `calibration`). Averages
        are over the classes that occur in `labels`. If only one occurs, ROC AUC is NaN.
    """
    classes = probabilities.shape[1]
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    codes = list(range(classes))
    present = np.unique(labels)
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=present, average="macro", zero_division=0
    )
    truth = np.eye(classes)[labels]
    areas = [metrics.roc_auc_score(truth[:, code], probabilities[:, code]) for code in present if len(present) > 1]
    return {
        "accuracy": float((predicted == labels).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": float(np.mean(areas)) if areas else float("nan"),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=codes)),
        "brier": float(((probabilities - truth) ** 2).sum(axis=1).mean() / 2),
        "ece": _calibration_error(calibration(labels, probabilities)),
    }


def rank(scores: Mapping[str, float], metric: Metric) -> tuple[float, float]:
    """Give what is higher for the better one of two models: the metric, and where that is equal, the lower log loss."""
    return scores[SCORE_OF[metric]], -scores["log_loss"]


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count texts by true class (row) and predicted class (column), int64, (classes, classes)."""
    codes = list(range(probabilities.shape[1]))
    counts: np.ndarray = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=codes)
    return counts


def roc(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Compute the ROC curve at evenly spaced false-positive rates.

    With two classes, of the second one; with more, the mean over the classes that `labels` have, one against the rest
    (macro).

    Returns:
        `POINTS` rows: `false_positive_rate`, `true_positive_rate` (NaN when `labels` have one class only).
    """
    false_positives = np.linspace(0, 1, POINTS)
    curves = []
    for code in _curve_classes(labels, probabilities):
        x, y, _ = metrics.roc_curve(labels == code, probabilities[:, code])
        curves.append(np.interp(false_positives, x, y))
    true_positives = _mean_curve(curves)
    true_positives[0] *= 0.0  # the curve starts in the corner, even where it rises at once
    return pd.DataFrame({"false_positive_rate": false_positives, "true_positive_rate": true_positives})


def precision_recall(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Compute the precision-recall curve at evenly spaced recalls; the classes as for `roc`.

    The precision at a recall is the highest that any threshold gives at this recall or a higher one (Manning,
    Raghavan & Schütze 2008, Introduction to Information Retrieval, section 8.4).

    Returns:
        `POINTS` rows: `recall`, `precision` (NaN when `labels` have one class only).
    """
    recalls = np.linspace(0, 1, POINTS)
    curves = []
    for code in _curve_classes(labels, probabilities):
        precision, recall, _ = metrics.precision_recall_curve(labels == code, probabilities[:, code])
        # The last point, a precision of 1 at a recall of 0, belongs to no threshold: scikit-learn adds it.
        precision, recall = precision[:-1], recall[:-1]
        # Recalls fall from 1: the best precision so far is the best at this recall or higher.
        best = np.maximum.accumulate(precision)[::-1]
        curves.append(best[np.searchsorted(recall[::-1], recalls, side="left").clip(max=len(best) - 1)])
    return pd.DataFrame({"recall": recalls, "precision": _mean_curve(curves)})


def calibration(labels: np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Compare confidence with accuracy, in bins of equal width (Guo et al. 2017, arXiv:1706.04599).

    The confidence of a prediction is the probability of the predicted class.

    Returns:
        One row per bin that is not empty: `bin` (1 to `CALIBRATION_BINS`), `confidence` and `accuracy` (means over
        the bin), `texts`.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    bins = np.ceil(confidence * CALIBRATION_BINS).clip(1, CALIBRATION_BINS).astype(int)
    correct = probabilities.argmax(axis=1) == labels
    table = pd.DataFrame({"bin": bins, "confidence": confidence, "accuracy": correct, "texts": 1})
    return table.groupby("bin").agg({"confidence": "mean", "accuracy": "mean", "texts": "sum"}).reset_index()


def _calibration_error(bins: pd.DataFrame) -> float:
    """Average over all texts the distance between accuracy and confidence in their bin."""
    return float(np.average((bins["accuracy"] - bins["confidence"]).abs(), weights=bins["texts"]))


def _curve_classes(labels: np.ndarray, probabilities: np.ndarray) -> Sequence[int]:
    """Choose the classes that get a curve; none if all texts have one label."""
    present = np.unique(labels)
    if len(present) == 1:
        return []
    return [1] if probabilities.shape[1] == 2 else present.tolist()


def _mean_curve(curves: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean(curves, axis=0) if curves else np.full(POINTS, np.nan)


def over_seeds(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Compute mean and sample standard deviation of each number over runs; None for NaN and for a single run."""
    summary: dict[str, dict[str, float | None]] = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        known = not np.isnan(values).any()
        std = float(values.std(ddof=1)) if known and len(values) > 1 else None
        summary[name] = {"mean": float(values.mean()) if known else None, "std": std}
    return summary
