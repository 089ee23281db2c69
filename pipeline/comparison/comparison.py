"""All trained models on one test split: scores, and the tables behind the plots."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from pipeline.comparison.classes import ClassScores, class_scores
from pipeline.comparison.macro import difference_in
from pipeline.comparison.majority import Majority
from pipeline.comparison.statistics import RESAMPLES, Difference, McNemar, mcnemar
from pipeline.core.command import InputError
from pipeline.core.params import Metric
from pipeline.trained.scores import confusion, over_seeds, score
from pipeline.trained.trained import Trained

LENGTH_BINS = 8
_ROUGH = 2000  # resamples of differences that decide nothing


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
        metric: what decides which model is better.
        majority: code of the most frequent class of the train split; None where that is not known.
    """

    runs: list[Trained]
    labels: np.ndarray
    names: list[str]
    scores: dict[str, dict[str, float]]
    groups: np.ndarray | None = None
    metric: Metric = "accuracy"
    majority: int | None = None

    def by_model(self) -> dict[str, list[Trained]]:
        """Map every model to its runs, one per seed."""
        groups: dict[str, list[Trained]] = {}
        for run in self.runs:
            groups.setdefault(run.model, []).append(run)
        return groups

    def metrics(self) -> dict[str, dict[str, Any]]:
        """Sum up every model: mean and standard deviation of every score over its runs, its size and number of runs."""
        content: dict[str, dict[str, Any]] = {}
        for model, runs in self.by_model().items():
            content[model] = over_seeds([self.scores[run.name] for run in runs])
            content[model] |= {"parameters": runs[0].card["parameters"], "runs": len(runs)}
        return content

    def differences(self, pairs: Iterable[tuple[str, str]] | None = None) -> dict[tuple[str, str], Difference]:
        """Map pairs of models (without an argument, every pair) to their difference in the metric."""
        return self._differences(self.metric, pairs, RESAMPLES)

    def other_differences(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Difference]:
        """Map pairs of models to their difference in the metric that does not decide, less finely resampled."""
        return self._differences(self.other_metric, pairs, _ROUGH)

    def _differences(
        self, metric: Metric, pairs: Iterable[tuple[str, str]] | None, resamples: int
    ) -> dict[tuple[str, str], Difference]:
        answers = self.answers()
        return {
            (first, second): difference_in(metric, self.labels, answers[first], answers[second], self.groups, resamples)
            for first, second in (combinations(answers, 2) if pairs is None else pairs)
        }

    @property
    def other_metric(self) -> Metric:
        """Get the metric that does not decide."""
        return "macro_f1" if self.metric == "accuracy" else "accuracy"

    def against_majority(self) -> Majority | None:
        """Hold every model against the constant answer with the most frequent class of the train split."""
        if self.majority is None:
            return None
        return Majority.of(self.metric, self.names, self.majority, self.labels, self.answers(), self.groups)

    def answers(self) -> dict[str, np.ndarray]:
        """Map every model to the codes that its runs answer, int, (seeds, texts)."""
        return {
            model: np.stack([run.predictions["test"].argmax(axis=1) for run in runs])
            for model, runs in self.by_model().items()
        }

    def correct(self) -> dict[str, np.ndarray]:
        """Mark for every model the texts that its runs get right, bool, (seeds, texts)."""
        return {model: np.stack([self.is_correct(run) for run in runs]) for model, runs in self.by_model().items()}

    def is_correct(self, run: Trained) -> np.ndarray:
        """Mark the texts that a run gets right, bool, (texts,)."""
        correct: np.ndarray = run.predictions["test"].argmax(axis=1) == self.labels
        return correct

    def learning_curves(self) -> pd.DataFrame:
        """Put the histories of all networks into one table, with `run`, `model` and `seed`."""
        return pd.concat([_labelled(run, run.history.reset_index()) for run in self.runs if len(run.history)])

    def curves(self, curve: Callable[[np.ndarray, np.ndarray], pd.DataFrame]) -> pd.DataFrame:
        """Compute `scores.roc`, or another curve of that kind, for every run, with its `run`, `model` and `seed`."""
        return pd.concat([_labelled(run, curve(self.labels, run.predictions["test"])) for run in self.runs])

    def accuracy_by_length(self, lengths: np.ndarray) -> pd.DataFrame:
        """Compute the accuracy of every run on texts of similar length, in bins of about as many texts each.

        Args:
            lengths: tokens of every test text, (texts,).

        Returns:
            One row per run and bin: `tokens` (the median of the bin), `from`, `to`, `texts`, `accuracy`, and `run`,
            `model`, `seed`.
        """
        edges = np.unique(np.quantile(lengths, np.linspace(0, 1, LENGTH_BINS + 1)[1:], method="inverted_cdf"))
        bins = np.searchsorted(edges, lengths)
        tables = []
        for run in self.runs:
            table = pd.DataFrame({"tokens": lengths, "accuracy": self.is_correct(run)}).groupby(bins).agg(
                **{"tokens": ("tokens", "median"), "from": ("tokens", "min"), "to": ("tokens", "max"),
                   "texts": ("tokens", "size"), "accuracy": ("accuracy", "mean")}
            )  # fmt: skip
            tables.append(_labelled(run, table))
        return pd.concat(tables)

    def same_seed_tests(self) -> list[tuple[Trained, Trained, McNemar]]:
        """Do McNemar's test for every two runs of different models with one seed; a run without a seed goes with all.

        One run may be on both sides of two revisions. Its probabilities are equal, and it is left out.
        """
        pairs = (
            (first, second)
            for first, second in combinations(self.runs, 2)
            if first.model != second.model
            and len({first.card["seed"], second.card["seed"]} - {None}) < 2
            and not np.array_equal(first.predictions["test"], second.predictions["test"])
        )
        return [(first, second, mcnemar(self.is_correct(first), self.is_correct(second))) for first, second in pairs]

    def probabilities(self) -> dict[str, np.ndarray]:
        """Average the probabilities of every model over its runs, float64, (texts, classes)."""
        return {
            model: np.stack([run.predictions["test"] for run in runs]).mean(axis=0, dtype=np.float64)
            for model, runs in self.by_model().items()
        }

    def confusion_matrices(self) -> dict[str, np.ndarray]:
        """Count the texts by true and predicted class for every run of every model, int, (seeds, classes, classes)."""
        return {
            model: np.stack([confusion(self.labels, run.predictions["test"]) for run in runs])
            for model, runs in self.by_model().items()
        }

    def classes(self) -> dict[str, list[ClassScores]]:
        """Score every class for every model, over its seeds."""
        return {model: class_scores(of, self.names) for model, of in self.confusion_matrices().items()}

    def unfinished(self) -> list["Unfinished"]:
        """Find the networks whose validation loss may still have been falling when their epochs were over."""
        found = []
        for model, runs in self.by_model().items():
            if epochs := runs[0].card["settings"].get("epochs"):
                falling = [len(run.history) == epochs == run.history["validation_loss"].idxmin() for run in runs]
                found.append(Unfinished(model, sum(falling), len(runs), epochs))
        return [one for one in found if one.runs]

    def at_edge(self) -> list["AtEdge"]:
        """Find the linear models whose regularisation is the first or the last of several that were tried."""
        cards = {model: runs[0].card for model, runs in self.by_model().items() if "candidates" in runs[0].card}
        found = []
        for model, card in cards.items():
            tried = {candidate["inverse_regularisation"] for candidate in card["candidates"]}
            strength = card["settings"]["inverse_regularisation"]
            if len(tried) > 1 and strength in (min(tried), max(tried)):
                found.append(AtEdge(model, strength, strength == max(tried)))
        return found


class Unfinished(NamedTuple):
    """Count the runs of a network whose validation loss was lowest in the last epoch that they were allowed.

    Attributes:
        model: the network.
        runs: how many such runs it has.
        of: all its runs.
        epochs: that they were allowed.
    """

    model: str
    runs: int
    of: int
    epochs: int


class AtEdge(NamedTuple):
    """Hold a linear model whose strength of regularisation is at an end of what was tried.

    Attributes:
        model: its name.
        strength: the inverse of its regularisation.
        is_largest: of those that were tried; else, it is the smallest.
    """

    model: str
    strength: float
    is_largest: bool


@dataclass(frozen=True)
class Findings:
    """Hold what is told of a comparison.

    Attributes:
        metric: what decides.
        differences: pairs of models to their difference in the metric.
        other_differences: the same in the other metric.
        majority: how the models stand against the constant answer; None where that is not known.
        classes: model to its scores by class.
        unfinished: the networks that more epochs could have made better.
        at_edge: the linear models that another regularisation could have made better.
    """

    metric: Metric
    differences: dict[tuple[str, str], Difference]
    other_differences: dict[tuple[str, str], Difference]
    majority: Majority | None
    classes: dict[str, list[ClassScores]]
    unfinished: list[Unfinished] = field(default_factory=list)
    at_edge: list[AtEdge] = field(default_factory=list)

    @property
    def nothing(self) -> list[str]:
        """List the models that are known to have learnt nothing."""
        return self.majority.nothing if self.majority else []

    @classmethod
    def of(cls, comparison: Comparison, pairs: Sequence[tuple[str, str]] | None = None) -> "Findings":
        """Compute them for some pairs of models; without that argument, for every pair."""
        differences = comparison.differences(pairs)
        others = comparison.other_differences(differences)
        return cls(
            comparison.metric,
            differences,
            others,
            comparison.against_majority(),
            comparison.classes(),
            comparison.unfinished(),
            comparison.at_edge(),
        )


def compare(
    runs: Sequence[Trained],
    labels: np.ndarray,
    names: list[str],
    groups: np.ndarray | None = None,
    metric: Metric = "accuracy",
    majority: int | None = None,
) -> Comparison:
    """Score every model on the test split.

    Args:
        runs: the trained models.
        labels: int32 codes of the test texts, (texts,).
        names: the class of code i.
        groups: as in `Comparison`.
        metric: the same.
        majority: the same.

    Raises:
        InputError: a model predicts other texts, or there are too few to compare anything.
    """
    independent = len(labels) if groups is None else len(np.unique(groups))
    if independent < 2:
        raise InputError(
            f"the test split has {len(labels)} text{'s' * (len(labels) != 1)} in {independent} group"
            f"{'s' * (independent != 1)}; a comparison needs texts of two groups or more: raise `test` in"
            " data/sources/<name>.yaml"
        )
    for run in runs:
        came, expected = run.predictions["test"].shape, (len(labels), len(names))
        if came != expected:
            raise InputError(f"{run.folder} predicts {came} (texts, classes), expected {expected}: run `dvc repro`")
    scores = {run.name: score(labels, run.predictions["test"]) for run in runs}
    comparison = Comparison(list(runs), labels, names, scores, groups, metric, majority)
    for first, *others in comparison.by_model().values():
        for other in others:
            _must_be_of_the_same_settings(first, other)
    return comparison


def _must_be_of_the_same_settings(first: Trained, second: Trained) -> None:
    """Refuse two seeds of one model that differ in more than their seed."""
    ours, theirs = (run.card["settings"] for run in (first, second))
    other = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
    if other:
        raise InputError(
            f"{first.name} and {second.name} were trained with different settings"
            f" ({', '.join(f'{name} {ours.get(name)} and {theirs.get(name)}' for name in sorted(other))}):"
            f" train both anew with dvc repro -f"
        )


def _labelled(run: Trained, table: pd.DataFrame) -> pd.DataFrame:
    seeds = pd.array([run.card["seed"]] * len(table), "Int64")  # missing for the baseline
    return table.assign(run=run.name, model=run.model, seed=seeds)
