"""The classes one by one: how well each is found, which ones a model never gives, and what is taken for what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CONFUSIONS_SHOWN = 5  # of each model


@dataclass(frozen=True)
class ClassScores:
    """Hold how well one class is found, over all seeds of a model.

    Attributes:
        label: the class.
        texts: test texts that have it.
        given: how many a seed takes for it, on average.
        precision: share of these that have it, over all seeds; None if no seed gives it.
        recall: share of the texts that have it that are found; None if there is none.
        f1: mean over the seeds; None as for the recall.
    """

    label: str
    texts: int
    given: float
    precision: float | None
    recall: float | None
    f1: float | None


@dataclass(frozen=True)
class Confusion:
    """Texts of one class that are taken for another one.

    Attributes:
        label: what they are.
        answer: what a model says.
        texts: how many, the mean over the seeds.
        share: of the texts that have the label.
    """

    label: str
    answer: str
    texts: float
    share: float


def class_scores(matrices: np.ndarray, names: Sequence[str]) -> list[ClassScores]:
    """Score every class from the confusion matrices of all seeds, int, (seeds, classes, classes), true class by row."""
    hits, texts, given = matrices.diagonal(axis1=1, axis2=2), matrices.sum(axis=2), matrices.sum(axis=1)
    with np.errstate(invalid="ignore"):
        f1 = (2 * hits / (texts + given)).mean(axis=0)
    rows = []
    for code, name in enumerate(names):
        found, of_class, answered = (int(numbers[:, code].sum()) for numbers in (hits, texts, given))
        precision = found / answered if answered else None
        recall, score = (found / of_class, float(f1[code])) if of_class else (None, None)
        rows.append(ClassScores(name, int(texts[0, code]), answered / len(matrices), precision, recall, score))
    return rows


def most_frequent_confusions(
    matrices: np.ndarray, names: Sequence[str], shown: int = CONFUSIONS_SHOWN
) -> list[Confusion]:
    """Find the pairs of classes that are confused most often; the argument is that of `class_scores`."""
    counts = matrices.sum(axis=0)
    wrong = counts * ~np.eye(len(names), dtype=bool)
    rows, columns = np.unravel_index(np.argsort(-wrong, axis=None, kind="stable")[:shown], wrong.shape)
    return [
        Confusion(
            names[row], names[column], counts[row, column] / len(matrices), counts[row, column] / counts[row].sum()
        )
        for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        if wrong[row, column]
    ]


def never_given(classes: Mapping[str, Sequence[ClassScores]]) -> dict[tuple[str, int], list[str]]:
    """Map each class that has test texts, with their number, to the models of which no seed gives it."""
    found: dict[tuple[str, int], list[str]] = {}
    for model, rows in classes.items():
        for row in rows:
            if row.texts and not row.given:
                found.setdefault((row.label, row.texts), []).append(model)
    return found
