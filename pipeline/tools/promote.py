"""Make the best model the champion of its data set, if it is not worse than today's.

The candidate becomes a version of the registered model `gatewise-<dataset>`. The gate is the accuracy (or macro F1, as
`metric` in params.yaml says) of what MLflow would serve, opened and asked here, on the test texts, the same ones for
all models:

1. Not worse than the champion, nor than the best of the former champions (or many small steps down would lead to the
   bottom): the upper end of the 95 % interval of (candidate - other) is not below 0. The interval is the paired one of
   `evaluate`, over texts, whole groups at a time. It is about these two models, whatever other seeds give.
2. With --better-than-baseline: the lower end of the interval of (candidate - baseline) is above 0.
3. A champion that was tested on other texts (another digest) cannot be compared, and stays. Once you trust the new
   data more than the comparison, --without-comparison skips rule 1.
4. Better than the constant answer with the most frequent class of the train split (pipeline/comparison/majority.py), or
   nothing was learnt. --without-learning skips this rule.

A candidate that passes gets the alias `champion`; one that does not gets `challenger`, and the exit code is 3 (1 is an
error, 2 a command line that is not understood). A rollback skips versions that were deleted or do not open any more.
Who takes a champion back has a reason, so it counts no longer: a candidate may be worse than it, and is told so.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import click
import numpy as np
import pandas as pd

from pipeline.comparison.macro import difference_in
from pipeline.comparison.majority import Majority, majority_of
from pipeline.comparison.statistics import Difference, paired_difference
from pipeline.core.command import InputError, run, waiting
from pipeline.core.params import Metric, read_params
from pipeline.core.text import valid_unicode
from pipeline.corpus.reviews import read_groups, read_label_names, read_split
from pipeline.packaging.modelcard import Accuracy, model_card
from pipeline.packaging.training_data import changed_inputs
from pipeline.serving.registry import Registry, Version, model_of
from pipeline.serving.selection import TextModel, best_on_disk, named, open_trained, ranked
from pipeline.tools.arguments import Tool
from pipeline.tracking.paths import DESCRIPTION, MODELS, PROCESSED
from pipeline.tracking.record import known_run_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.scores import SCORE_OF, TITLES, score
from pipeline.trained.trained import BASELINE, Trained

REFUSED = 3  # exit code


@dataclass(frozen=True)
class HeldOut:
    """The test split.

    Attributes:
        texts: as they are.
        labels: int32 codes, (texts,).
        groups: as for `paired_difference`, (texts,).
        label_names: the class of code i.
        majority: code of the most frequent class of the train split; None where that is not known.
        metric: what decides which model is better.
    """

    texts: list[str]
    labels: np.ndarray
    groups: np.ndarray
    label_names: list[str]
    majority: int | None
    metric: Metric

    @cached_property
    def digest(self) -> str:
        """Compute the SHA-256 of the test split; the rest of the data set, such as training texts, does not count."""
        content = hashlib.sha256(json.dumps(self.label_names).encode())
        for text, label, group in zip(self.texts, self.labels.tolist(), self.groups.tolist(), strict=True):
            content.update(hashlib.sha256(valid_unicode(text).encode()).digest())
            content.update(f"{label} {group} ".encode())
        return content.hexdigest()

    def answers(self, model: TextModel) -> np.ndarray:
        """Ask a model for the probabilities of the texts, (texts, classes).

        Raises:
            InputError: it knows other labels.
        """
        table = model.predict(self.texts)
        columns = [f"p_{name}" for name in self.label_names]
        if table.columns.tolist() != ["label", *columns]:
            known = ", ".join(name.removeprefix("p_") for name in table.columns[1:])
            raise InputError(f"the model must know the labels {', '.join(self.label_names)}. Received: {known}")
        return table[columns].to_numpy()

    def compare(self, first: np.ndarray, second: np.ndarray) -> Difference:
        """Subtract the metric of the second probabilities, (texts, classes), from that of the first."""
        codes = [probabilities.argmax(axis=1)[None] for probabilities in (first, second)]
        return difference_in(self.metric, self.labels, codes[0], codes[1], self.groups)

    def against_majority(self, probabilities: np.ndarray) -> Majority | None:
        """Hold probabilities, (texts, classes), against the constant answer."""
        if self.majority is None:
            return None
        answers = {"candidate": probabilities.argmax(axis=1)[None]}
        return Majority.of(self.metric, self.label_names, self.majority, self.labels, answers, self.groups)

    def accuracy(self, probabilities: np.ndarray) -> Accuracy:
        """Compute the share of the texts that are right; the interval is over texts, whole groups at a time."""
        correct: np.ndarray = (probabilities.argmax(axis=1) == self.labels)[None]
        against_nothing = paired_difference(correct, np.zeros_like(correct), self.groups)
        return Accuracy(against_nothing.mean, against_nothing.low, against_nothing.high, len(self.labels))


def read_test_split(data: Path, metric: Metric) -> HeldOut:
    """Read the test split that `preprocess` wrote."""
    reviews = data / "reviews.parquet"
    texts = pd.concat(read_split(reviews, "test", ["text"]))["text"].tolist()
    labels, names = np.load(data / "test_labels.npy"), read_label_names(reviews)
    majority = majority_of(json.loads((data / DESCRIPTION.name).read_text(encoding="utf-8")))
    return HeldOut(texts, labels, read_groups(reviews), names, majority, metric)


def candidate(wanted: str | None, models: Path, dataset: str, networks_only: bool, metric: Metric) -> Trained:
    """Choose the model to promote: the one asked for, or the best on validation.

    Raises:
        InputError: there is none, it is of another data set, or the data changed since it was trained.
    """
    if wanted is not None:
        return _fitting(named(wanted, models), dataset)
    if not networks_only:
        return best_on_disk(models, dataset, metric)
    networks = [one for one in ranked(models, dataset, metric) if one.model != BASELINE]
    if not networks:
        raise InputError(f"{models} holds no trained network of {dataset}")
    return networks[0]


def baseline_objection(answers: np.ndarray, trained: Trained, split: HeldOut) -> str | None:
    """Say why a candidate is not better than the baseline beside it by rule 2; None if it is better.

    Raises:
        InputError: there is no baseline, or it learnt from other data.
    """
    if trained.name == BASELINE:
        return "it is the baseline"
    baseline = _fitting(Trained.load(trained.folder.parent / BASELINE), trained.card["dataset"])
    difference = split.compare(answers, split.answers(open_trained(baseline)))
    return None if difference.low > 0 else f"it is not better than the baseline: {_points(difference)}"


def beside_baseline(trained: Trained, split: HeldOut) -> str | None:
    """Tell of the baseline beside a network, by what both answered in `evaluate`; None if the network is better."""
    folder = trained.folder.parent / BASELINE
    if trained.name == BASELINE or not folder.is_dir():
        return None
    baseline = Trained.load(folder)
    if baseline.card["dataset"] != trained.card["dataset"] or changed_inputs(baseline):
        return None
    difference = split.compare(trained.predictions["test"], baseline.predictions["test"])
    if difference.low > 0:
        return None
    name = TITLES[split.metric]
    return f"not better than the n-gram baseline in {name}: {_points(difference)}; --better-than-baseline asks for that"


def majority_objection(answers: np.ndarray, split: HeldOut) -> str | None:
    """Say why a candidate is not better than the constant answer by rule 4; None if it is better."""
    majority = split.against_majority(answers)
    if majority is None or not majority.nothing:
        return None
    constant = f"the constant answer “{majority.label}” ({TITLES[majority.metric]} {majority.score:.1%})"
    numbers = _points(majority.differences["candidate"])
    if majority.undecided:
        why = f"it is not shown that it learnt anything: it may be ahead of {constant} by chance"
    else:
        why = f"it has learnt nothing: it is not better than {constant}"
    return f"{why}: {numbers}; --without-learning skips this rule"


def objection(
    answers: np.ndarray, champion: Version | None, registry: Registry, split: HeldOut, compared: bool
) -> tuple[str | None, str]:
    """Hold a candidate against the champion, and the best one before it, by rules 1 and 3.

    Returns:
        Why it must not become champion, or None; and what there is to say about the two otherwise.
    """
    if champion is None:
        return None, "there was no champion before"
    if not compared:
        return None, f"not compared with {champion}"
    if champion.digest != split.digest:
        digests = f"digest {champion.digest[:8] or 'unknown'}, now {split.digest[:8]}"
        why = f"the champion, {champion}, was tested on other texts ({digests}) and cannot be compared; "
        why += "--without-comparison replaces it without a comparison"
        return why, ""
    difference = split.compare(answers, registry.test_predictions(champion))
    numbers = f"{_points(difference)} against {champion} on {len(split.labels):,} test texts"
    if difference.high < 0:
        return f"it is worse than the champion: {numbers}", ""
    of_these_texts = [version for version in registry.former_champions() if version.digest == split.digest]
    best = _best([champion, *of_these_texts], registry, split)
    if best.number != champion.number:
        to_best = split.compare(answers, registry.test_predictions(best))
        if to_best.high < 0:
            return f"it is worse than the best champion so far: {_points(to_best)} against {best}", ""
    passed = f"{'better' if difference.low > 0 else 'not worse'}: {numbers}"
    return None, passed + _taken_back(answers, registry, split)


def _taken_back(answers: np.ndarray, registry: Registry, split: HeldOut) -> str:
    """Say by how much a candidate is worse than the best champion that was rolled back, if it is."""
    versions = [version for version in registry.rolled_back() if version.digest == split.digest]
    if not versions:
        return ""
    best = _best(versions, registry, split)
    difference = split.compare(answers, registry.test_predictions(best))
    return f". It is worse than {best}, which was rolled back: {_points(difference)}" if difference.high < 0 else ""


def _best(versions: Sequence[Version], registry: Registry, split: HeldOut) -> Version:
    """Find the version that is best on the test texts."""
    if split.metric == "accuracy":
        return max(versions, key=lambda version: version.accuracy)
    name = SCORE_OF[split.metric]
    return max(versions, key=lambda version: score(split.labels, registry.test_predictions(version))[name])


def promote(
    registry: Registry,
    tracker: Tracker,
    trained: Trained,
    split: HeldOut,
    beat_baseline: bool,
    compared: bool,
    learnt: bool = True,
) -> tuple[bool, str]:
    """Register a candidate, and make it champion if nothing speaks against it by rules 1 to 4.

    Args:
        registry: of the data set.
        tracker: of the data set.
        trained: the candidate.
        split: the test texts.
        beat_baseline: rule 2 holds.
        compared: rules 1 and 3 hold.
        learnt: rule 4 holds.

    Returns:
        Whether it is the champion now, and what there is to say.

    Raises:
        InputError: MLflow does not know the model, or cannot open it, or somebody else promotes at the same time.
    """
    run_of_it = known_run_of(tracker, trained)
    # What would be served, and not what the files say that it said.
    answers = split.answers(registry.load(f"models:/{model_of(run_of_it)}"))
    refused = baseline_objection(answers, trained, split) if beat_baseline else None
    nothing = majority_objection(answers, split) if learnt else None
    accuracy = split.accuracy(answers)
    with registry.locked():
        champion = registry.champion()
        version = registry.register(trained, run_of_it, split.digest, accuracy.value, answers)
        if champion == version:
            refused = refused or nothing
            return not refused, f"{version} is the champion already{f', although {refused}' if refused else ''}"
        why, numbers = objection(answers, champion, registry, split, compared)
        refused = refused or why or nothing
        decision = f"Refused: {refused}." if refused else f"Promoted; {numbers}."
        registry.describe(version, run_of_it, f"{model_card(trained, accuracy)}\n## Promotion\n\n{decision}\n")
        if refused:
            registry.challenge(version)
            return False, f"{version} is not promoted because {refused}. It is the challenger"
        registry.crown(version, champion)
        return True, f"{version} is the champion; {numbers}"


def _fitting(trained: Trained, dataset: str) -> Trained:
    if trained.card["dataset"] != dataset:
        raise InputError(
            f"{trained.folder} must be a model of {dataset}, as in params.yaml. Received: {trained.card['dataset']}"
        )
    if changed := changed_inputs(trained):
        raise InputError(f"{', '.join(changed)} changed since {trained.folder} was trained: run `dvc repro`")
    return trained


def _points(difference: Difference) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in (difference.mean, difference.low, difference.high))
    return f"{mean} points (95 % interval {low} to {high})"


@click.command(cls=Tool)
@click.option("--model", help="A folder, or a name in data/models. Default: the best on validation.")
@click.option("--better-than-baseline", is_flag=True, help="Promote only a network that beats the n-grams.")
@click.option("--without-comparison", is_flag=True, help="Replace a champion that was tested on other texts.")
@click.option("--without-learning", is_flag=True, help="Promote a model that is no better than a constant answer, too.")
@click.option("--rollback", "back", is_flag=True, hidden=True, help="The command `gatewise rollback`.")
def main(
    model: str | None, better_than_baseline: bool, without_comparison: bool, without_learning: bool, back: bool
) -> None:
    """Make the best model the champion, if it is not worse than today's champion.

    Both models answer the test texts. A model that is worse, or no better than the most frequent class as a constant
    answer, becomes the challenger, and the exit code is 3.

    \b
    Examples:
      gatewise promote
      gatewise promote --model gru-2
      gatewise promote --better-than-baseline
    """
    if back:
        return roll_back()
    params = read_params()
    dataset, metric = params.dataset, params.metric
    registry = Registry(dataset)
    trained = candidate(model, MODELS, dataset, better_than_baseline, metric)
    split, compared, learnt = read_test_split(PROCESSED, metric), not without_comparison, not without_learning
    with waiting(f"ask {trained.name}, and the champion where there is one"):
        promoted, words = promote(registry, Tracker(dataset), trained, split, better_than_baseline, compared, learnt)
    print(f"{registry.model}: {words}")
    if promoted and (note := beside_baseline(trained, split)):
        print(f"note: {trained.name} is {note}")
    sys.exit(0 if promoted else REFUSED)


@click.command(cls=Tool)
def rollback() -> None:
    """Make the former champion the champion again.

    Versions that were deleted or cannot be opened are skipped.
    """
    roll_back()


def roll_back() -> None:
    """Give the alias of the champion back to the one before it, and say so."""
    registry = Registry(read_params().dataset)
    with registry.locked(), waiting("open the former champion"):
        restored, deposed = registry.roll_back()
    print(f"{registry.model}: {restored} is the champion again, in place of {deposed}")


if __name__ == "__main__":
    run(main)
