"""Numbers that say how good predictions are, and how they vary over seeds."""

from collections.abc import Sequence

import numpy as np
from sklearn import metrics

# In the order in which tables show them. Of these, log loss and the Brier score are better when lower.
METRICS = ["accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier"]


def score(labels: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Score the predictions of one model.

    Args:
        labels: int codes, (texts,).
        probabilities: (texts, classes); rows sum to 1.

    Returns:
        The `METRICS`: accuracy; precision, recall and F1 averaged over classes (macro); area under the ROC curve
        (macro, one class against the rest, where there are more than two); log loss in nats; Brier score, the mean
        squared distance between the probabilities and the truth as a one-hot vector, halved so that two classes
        give the usual score of one probability (Brier 1950). ROC AUC is NaN when `labels` lack a class.
    """
    classes = probabilities.shape[1]
    probabilities = probabilities.astype(np.float64)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    predicted = probabilities.argmax(axis=1)
    codes = list(range(classes))
    precision, recall, f1, _ = metrics.precision_recall_fscore_support(
        labels, predicted, labels=codes, average="macro", zero_division=0
    )
    truth = np.eye(classes)[labels]
    complete = len(np.unique(labels)) == classes
    return {
        "accuracy": float((predicted == labels).mean()),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "roc_auc": float(metrics.roc_auc_score(truth, probabilities, average="macro")) if complete else float("nan"),
        "log_loss": float(metrics.log_loss(labels, probabilities, labels=codes)),
        "brier": float(((probabilities - truth) ** 2).sum(axis=1).mean() / 2),
    }


def confusion(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Count texts by true class (row) and predicted class (column), int64, (classes, classes)."""
    codes = list(range(probabilities.shape[1]))
    counts: np.ndarray = metrics.confusion_matrix(labels, probabilities.argmax(axis=1), labels=codes)
    return counts


def roc(labels: np.ndarray, probabilities: np.ndarray, points: int = 101) -> tuple[np.ndarray, np.ndarray]:
    """The ROC curve at evenly spaced false-positive rates.

    With two classes, of the second one; with more, the mean over the classes, one against the rest (macro).

    Returns:
        False- and true-positive rates, float64, (points,) each.
    """
    classes = probabilities.shape[1]
    false_positives = np.linspace(0, 1, points)
    curves = []
    for code in [1] if classes == 2 else range(classes):
        x, y, _ = metrics.roc_curve(labels == code, probabilities[:, code])
        curves.append(np.interp(false_positives, x, y))
    true_positives = np.mean(curves, axis=0)
    true_positives[0] = 0.0
    return false_positives, true_positives


def over_seeds(runs: Sequence[dict[str, float]]) -> dict[str, dict[str, float | None]]:
    """Mean and sample standard deviation (None for a single run) of each number over runs."""
    summary: dict[str, dict[str, float | None]] = {}
    for name in runs[0]:
        values = np.array([run[name] for run in runs])
        std = float(values.std(ddof=1)) if len(values) > 1 else None
        summary[name] = {"mean": float(values.mean()), "std": std}
    return summary
