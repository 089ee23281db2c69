"""All trained models on one test split: scores, and the tables behind the plots."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.parts.command import InputError
from pipeline.parts.scores import confusion, over_seeds, roc, score
from pipeline.parts.statistics import Difference, paired_differences
from pipeline.parts.trained import Trained


@dataclass(frozen=True)
class Comparison:
    """Models and what they predicted for the test texts.

    Attributes:
        runs: the trained models, in the order in which they were asked for.
        labels: int32 codes of the test texts, (texts,).
        names: the class of code i.
        scores: run name to the numbers of `scores.score`.
        groups: int, (texts,): texts with one number (reviews of one film) are no independent evidence; None where
            every text stands for itself.
    """

    runs: list[Trained]
    labels: np.ndarray
    names: list[str]
    scores: dict[str, dict[str, float]]
    groups: np.ndarray | None = None

    def by_model(self) -> dict[str, list[Trained]]:
        """Model to its runs, one per seed."""
        groups: dict[str, list[Trained]] = {}
        for run in self.runs:
            groups.setdefault(run.model, []).append(run)
        return groups

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Per model: mean and standard deviation over its runs of every score, its size and number of runs."""
        content: dict[str, dict[str, Any]] = {}
        for model, runs in self.by_model().items():
            content[model] = over_seeds([self.scores[run.name] for run in runs])
            content[model] |= {"parameters": runs[0].card["parameters"], "runs": len(runs)}
        return content

    def differences(self) -> dict[tuple[str, str], Difference]:
        """Every pair of models to the difference of their accuracies, with its interval."""
        correct = {
            model: np.stack([run.predictions["test"].argmax(axis=1) == self.labels for run in runs])
            for model, runs in self.by_model().items()
        }
        return paired_differences(correct, self.groups)

    def learning_curves(self) -> pd.DataFrame:
        """The history of every network below each other, with its `run`, `model` and `seed`."""
        return pd.concat([_labelled(run, run.history.reset_index()) for run in self.runs if len(run.history)])

    def roc_curves(self) -> pd.DataFrame:
        """`false_positive_rate` and `true_positive_rate` of every model, with its `run`, `model` and `seed`."""
        curves = [(run, roc(self.labels, run.predictions["test"])) for run in self.runs]
        columns = ("false_positive_rate", "true_positive_rate")
        return pd.concat(
            [_labelled(run, pd.DataFrame(dict(zip(columns, points, strict=True)))) for run, points in curves]
        )

    def confusion_matrices(self) -> dict[str, np.ndarray]:
        """Model to counts by true and predicted class, summed over its runs."""
        return {
            model: np.sum([confusion(self.labels, run.predictions["test"]) for run in runs], axis=0)
            for model, runs in self.by_model().items()
        }


def compare(
    folders: Sequence[Path], labels: np.ndarray, names: list[str], groups: np.ndarray | None = None
) -> Comparison:
    """Score every model on the test split.

    Args:
        folders: one per trained model.
        labels: int32 codes of the test texts, (texts,).
        names: the class of code i.
        groups: as in `Comparison`.

    Raises:
        InputError: a folder is missing, or holds predictions for other texts.
    """
    runs = [Trained.load(folder) for folder in folders]
    for run in runs:
        came, expected = run.predictions["test"].shape, (len(labels), len(names))
        if came != expected:
            raise InputError(f"{run.folder} predicts {came} (texts, classes), expected {expected}: run `dvc repro`")
    scores = {run.name: score(labels, run.predictions["test"]) for run in runs}
    return Comparison(runs, labels, names, scores, groups)


def _labelled(run: Trained, table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(run=run.name, model=run.model, seed=run.card["seed"] or 0)
