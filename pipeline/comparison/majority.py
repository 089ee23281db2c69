"""Tell whether a model has learnt anything: it has to be better than the constant answer with the most frequent class.

What decides is the metric of the comparison. Of macro F1 alone, that would be too little: a model that guesses says
every class now and then, and each hit raises its macro F1 above that of a constant. Its mean recall stays that of a
constant, 1 / classes. So macro F1 and mean recall both have to be higher.

The intervals are about the runs that there are, over texts alone: two seeds that vary leave open how much others would
learn, but not that these two have learnt something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipeline.comparison.macro import difference_in, macro_difference
from pipeline.comparison.statistics import Difference
from pipeline.core.params import Metric
from pipeline.trained.scores import SCORE_OF, score

_WORTH = 0.02  # ahead, in the metric: what a few texts do not show, but may well be


@dataclass(frozen=True)
class Majority:
    """The constant answer, and how models stand against it.

    Attributes:
        label: what it says, the most frequent class of the train split.
        metric: what decides.
        scores: its accuracy and `f1` (macro) on the test texts.
        differences: model to its score in the metric less that of the constant answer.
        learnt: the models that are better.
        elsewhere: the models that are not better in accuracy, where that decides, to the macro F1 in which they are.
    """

    label: str
    metric: Metric
    scores: dict[str, float]
    differences: dict[str, Difference]
    learnt: list[str]
    elsewhere: dict[str, Difference]

    @classmethod
    def of(
        cls,
        metric: Metric,
        names: Sequence[str],
        majority: int,
        labels: np.ndarray,
        answers: Mapping[str, np.ndarray],
        groups: np.ndarray | None,
    ) -> "Majority":
        """Hold models against the constant answer.

        Args:
            metric: what decides.
            names: the class of code i.
            majority: code of the most frequent class of the train split.
            labels: int codes of the test texts, (texts,).
            answers: model to int codes, (seeds, texts).
            groups: as for `paired_difference`.
        """
        constant = np.full((1, len(labels)), majority)
        seen = {
            model: difference_in(metric, labels, of, constant, groups, these_runs=True) for model, of in answers.items()
        }
        better = [model for model, difference in seen.items() if difference.low > 0]
        # Macro F1 is asked where accuracy shows nothing, or where it decides and shows something.
        asked = [model for model in answers if (model in better) == (metric == "macro_f1")]
        found = {model: balanced_advantage(labels, answers[model], constant, groups) for model in asked}
        balanced = {model: advantage for model, advantage in found.items() if advantage is not None}
        learnt, elsewhere = (better, balanced) if metric == "accuracy" else ([*balanced], {})
        scores = score(labels, np.eye(len(names))[constant[0]])
        return cls(names[majority], metric, {name: scores[name] for name in SCORE_OF.values()}, seen, learnt, elsewhere)

    @property
    def nothing(self) -> list[str]:
        """List the models that have learnt nothing."""
        return [model for model in self.differences if model not in self.learnt]

    @property
    def undecided(self) -> list[str]:
        """List those of them that are ahead all the same, by as much as the test texts are too few to show."""
        seen = {model: self.differences[model] for model in self.nothing}
        # With an end above 0, it is the mean recall that shows nothing: then these are guesses.
        return [model for model, of in seen.items() if of.low <= 0 < of.mean and of.high >= _WORTH]

    @property
    def score(self) -> float:
        """Get the score of the constant answer in the metric."""
        return self.scores[SCORE_OF[self.metric]]


def balanced_advantage(
    labels: np.ndarray, answers: np.ndarray, constant: np.ndarray, groups: np.ndarray | None
) -> Difference | None:
    """Compute the macro F1 of a model, (seeds, texts), less that of a constant one; None if it is not clearly better.

    That is: if the interval of the macro F1 or that of the mean recall is not above 0.
    """
    f1, recall = (
        macro_difference(labels, answers, constant, groups, recall=kind, these_runs=True) for kind in (False, True)
    )
    return f1 if min(f1.low, recall.low) > 0 else None


def majority_of(described: Mapping[str, Any]) -> int | None:
    """Find the code of the most frequent class of the train split in the content of data.json; the first of equal ones.

    None if an older version wrote the file and did not count them.
    """
    counts = described.get("splits", {}).get("train", {}).get("labels")
    return (
        max(range(len(names := described["labels"])), key=lambda code: counts.get(names[code], 0)) if counts else None
    )
