"""Make the best model the champion of its data set, if it is not worse than today's: what `make promote` does.

    python -m pipeline.tools.promote                          # the best on validation of what is on disk
    python -m pipeline.tools.promote --model gru-2            # this one
    python -m pipeline.tools.promote --better-than-baseline   # the best network, if it beats the n-grams
    python -m pipeline.tools.promote --rollback               # the champion before this one

The candidate becomes a version of the registered model `gatewise-<dataset>`. The gate is the accuracy on the test
texts, the same ones for both models:

1. Not worse: the upper end of the 95 % interval of (candidate - champion) is not below 0. The interval is the paired
   one of `evaluate`, over texts, whole groups at a time. It is about these two models, whatever other seeds give.
2. With --better-than-baseline: the lower end of the interval of (candidate - baseline) is above 0.
3. A champion that was tested on other data (another digest) cannot be compared, and stays. Once you trust the new
   data more than the comparison, --without-comparison skips rule 1.

A candidate that passes gets the alias `champion`; one that does not gets `challenger`, and the exit code is 1.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.parts.choice import DATA, MODELS, best_on_disk, named, ranked
from pipeline.parts.command import InputError, run
from pipeline.parts.datasets import read_groups
from pipeline.parts.lineage import md5
from pipeline.parts.modelcard import model_card
from pipeline.parts.params import read_params
from pipeline.parts.registry import Registry, Version
from pipeline.parts.statistics import Difference, paired_difference
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE, Trained


@dataclass(frozen=True)
class HeldOut:
    """The test texts, less the texts.

    Attributes:
        digest: of the data set.
        labels: int32 codes, (texts,).
        groups: as for `paired_difference`, (texts,).
    """

    digest: str
    labels: np.ndarray
    groups: np.ndarray

    def compare(self, first: np.ndarray, second: np.ndarray) -> Difference:
        """The accuracy of some probabilities, (texts, classes), minus that of others."""
        ours, theirs = ((probabilities.argmax(axis=1) == self.labels)[None] for probabilities in (first, second))
        return paired_difference(ours, theirs, self.groups)

    def accuracy(self, probabilities: np.ndarray) -> float:
        """Share of the texts that are right."""
        return float((probabilities.argmax(axis=1) == self.labels).mean())


def read_test_split(data: Path) -> HeldOut:
    """Read what `preprocess` wrote."""
    reviews = data / "reviews.parquet"
    return HeldOut(md5(reviews), np.load(data / "test_labels.npy"), read_groups(reviews))


def candidate(wanted: str | None, models: Path, dataset: str, networks_only: bool) -> Trained:
    """The model to promote: the one asked for, or the best on validation.

    Raises:
        InputError: there is none, it is of another data set, or the data changed since it was trained.
    """
    if wanted is not None:
        trained = named(wanted, models)
    elif networks_only:
        networks = [one for one in ranked(models, dataset) if one.model != BASELINE]
        if not networks:
            raise InputError(f"{models} holds no trained network of {dataset}")
        trained = networks[0]
    else:
        trained = best_on_disk(models, dataset)
    if trained.card["dataset"] != dataset:
        raise InputError(f"{trained.folder} is of {trained.card['dataset']}, and params.yaml says {dataset}")
    stale = [path for path, digest in trained.card["inputs"].items() if not _is(Path(path), digest)]
    if stale:
        raise InputError(f"{', '.join(stale)} changed since {trained.folder} was trained: run `dvc repro`")
    return trained


def objection(
    challenger: Trained, champion: Version | None, registry: Registry, split: HeldOut, compared: bool
) -> tuple[str | None, str]:
    """Hold a candidate against the champion by rules 1 and 3.

    Returns:
        Why it must not become champion, or None; and what there is to say about the two otherwise.
    """
    if champion is None:
        return None, "there was no champion before"
    if not compared:
        return None, f"not compared with {champion}"
    if champion.digest != split.digest:
        digests = f"digest {champion.digest[:8] or 'unknown'}, now {split.digest[:8]}"
        why = f"because the champion, {champion}, was tested on other data ({digests}) and cannot be compared; "
        why += "--without-comparison replaces it all the same"
        return why, ""
    difference = split.compare(challenger.predictions["test"], registry.test_predictions(champion))
    numbers = f"{_points(difference)} against {champion} on {len(split.labels):,} test texts"
    if difference.high < 0:
        return f"because it is worse than the champion: {numbers}", ""
    return None, f"{'better' if difference.low > 0 else 'not worse'}: {numbers}"


def baseline_objection(challenger: Trained, models: Path, split: HeldOut) -> str | None:
    """Why a candidate is not better than the baseline by rule 2, or None."""
    if challenger.model == BASELINE:
        return "because it is the baseline"
    difference = split.compare(challenger.predictions["test"], Trained.load(models / BASELINE).predictions["test"])
    return None if difference.low > 0 else f"because it is not better than the baseline: {_points(difference)}"


def promote(
    registry: Registry, tracker: Tracker, trained: Trained, split: HeldOut, beat_baseline: bool, compared: bool
) -> tuple[bool, str]:
    """Register a candidate, and make it champion if nothing speaks against it.

    Returns:
        Whether it is the champion now, and what there is to say.

    Raises:
        InputError: MLflow does not know the model, or somebody else promotes at the same time.
    """
    run_of_it = tracker.find(trained.fingerprint)
    if run_of_it is None:
        raise InputError(f"MLflow has no run of {trained.folder}; `dvc repro -f -s evaluate` writes it")
    with registry.locked():
        champion = registry.champion()
        if champion and champion.fingerprint == trained.fingerprint and champion.digest == split.digest:
            return True, f"{champion} is the champion already"
        refused = baseline_objection(trained, trained.folder.parent, split) if beat_baseline else None
        why, numbers = objection(trained, champion, registry, split, compared)
        refused = refused or why
        version = registry.register(trained, run_of_it, split.digest, _described(trained, split, refused or numbers))
        if refused:
            registry.challenge(version)
            return False, f"{version} is not promoted {refused}. It is the challenger"
        registry.crown(version, champion)
        return True, f"{version} is the champion; {numbers}"


def _described(trained: Trained, split: HeldOut, decision: str) -> str:
    accuracy = split.accuracy(trained.predictions["test"])
    test = f"Accuracy {accuracy:.1%} on {len(split.labels):,} texts of the data with digest {split.digest}."
    return f"{model_card(trained)}\n## Test\n\n{test} When registered: {decision}.\n"


def _points(difference: Difference) -> str:
    mean, low, high = (f"{100 * value:+.1f}" for value in (difference.mean, difference.low, difference.high))
    return f"{mean} points (95 % interval {low} to {high})"


def _is(path: Path, digest: str) -> bool:
    return path.is_file() and md5(path) == digest


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the best model the champion, if it is not worse than today's.")
    parser.add_argument("--model", help="a folder, or a name in data/models (default: the best on validation)")
    parser.add_argument("--better-than-baseline", action="store_true", help="only a network that beats the n-grams")
    parser.add_argument("--without-comparison", action="store_true", help="replace a champion of other data")
    parser.add_argument("--rollback", action="store_true", help="make the former champion the champion again")
    arguments = parser.parse_args()
    dataset = read_params().dataset
    registry = Registry(dataset)
    if arguments.rollback:
        with registry.locked():
            restored, deposed = registry.roll_back()
        print(f"{registry.model}: {restored} is the champion again; {deposed} was")
        return
    trained = candidate(arguments.model, MODELS, dataset, arguments.better_than_baseline)
    promoted, words = promote(
        registry,
        Tracker(dataset),
        trained,
        read_test_split(DATA),
        arguments.better_than_baseline,
        not arguments.without_comparison,
    )
    print(f"{registry.model}: {words}")
    sys.exit(0 if promoted else 1)


if __name__ == "__main__":
    run(main)
