"""Make MLflow's record of what lies on disk whole, and write the page that shows times.

All of it is made from files and from what MLflow knows: nothing is trained or compared here, and no output of DVC is
written. So `evaluate` may import this without DVC's knowledge, and `gatewise record` does the same once more.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.comparison.costs import costs
from pipeline.comparison.times import SIDE_BY_SIDE, tell_times, training_times
from pipeline.core.command import InputError, whole
from pipeline.core.hashes import md5
from pipeline.reporting.report import Provenance, write_page
from pipeline.reporting.results import STATISTICS, SUMMARY
from pipeline.reporting.stamp import VERDICT, fingerprint
from pipeline.tracking.git import state
from pipeline.tracking.machine import environment
from pipeline.tracking.metric_names import TEST
from pipeline.tracking.record import complete, record_comparison, record_machine
from pipeline.tracking.run_record import RunRecord, environment_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import Trained

_KINDS = {"dataset": "data set", "digest": "reviews.parquet with the MD5", "runs": "models"}


@dataclass(frozen=True)
class Compared:
    """A comparison on disk with MLflow's runs of its models.

    Attributes:
        statistics: the content of statistics.json.
        costs: `costs.costs`, with the times that MLflow knows.
        times: `times.tell_times` of these.
        runs: name of each model to MLflow's run of it, of those that there are.
    """

    statistics: dict[str, Any]
    costs: pd.DataFrame
    times: str
    runs: dict[str, Any]

    @classmethod
    def read(cls, results: Path, trained: Sequence[Trained], runs: Mapping[str, Any]) -> "Compared":
        """Read what `results.write_results` wrote, with the times that MLflow knows."""
        statistics = json.loads((results / STATISTICS).read_text(encoding="utf-8"))
        return cls(statistics, *known_costs(trained, runs), dict(runs))

    @property
    def is_complete(self) -> bool:
        """Tell whether MLflow has a run of every model compared."""
        return set(self.statistics["runs"]) <= set(self.runs)


def known_costs(trained: Sequence[Trained], runs: Mapping[str, Any]) -> tuple[pd.DataFrame, str]:
    """Gather the costs of models, and the sentence on their times.

    Args:
        trained: the models.
        runs: name to MLflow's run, of those that there are.
    """
    timings = {name: run.data.metrics for name, run in runs.items()}
    # Beside others, a network takes longer.
    environments = {
        name: environment_of(run) | {SIDE_BY_SIDE: run.data.tags.get("gatewise.side_by_side", "1")}
        for name, run in runs.items()
    }
    return costs(trained, timings), tell_times(training_times(trained, timings, environments))


def summary_with_times(results: Path, times: str) -> str:
    """Add the sentence on times, if there is one, to the summary that DVC keeps."""
    summary = (results / SUMMARY).read_text(encoding="utf-8")
    return f"{summary}\n{times}" if times else summary.rstrip()


def publish(dataset: str, trained: Sequence[Trained], data: Path, results: Path) -> None:
    """Complete MLflow's runs, write the report with the times that MLflow knows, log the comparison, and print it all.

    Args:
        dataset: its name.
        trained: the models compared.
        data: the folder that preprocess wrote.
        results: the folder with the results.
    """
    tracker = Tracker(dataset)
    compared = Compared.read(results, trained, complete(tracker, trained, data / "tokenizer.json"))
    _publish(tracker, compared, data, results)


def publish_again(
    tracker: Tracker, trained: Sequence[Trained], runs: Mapping[str, Any], data: Path, results: Path
) -> None:
    """Publish results once more, in the place of the comparison that MLflow has of them.

    Args:
        tracker: the experiment.
        trained: the models compared.
        runs: name of each to MLflow's run.
        data: the folder that preprocess wrote.
        results: the folder with the results, which `check_results` has found to be of these models.
    """
    compared = Compared.read(results, trained, runs)
    _publish(tracker, compared, data, results, tracker.find(fingerprint(results)))


def _publish(tracker: Tracker, compared: Compared, data: Path, results: Path, old: Any = None) -> None:
    reviews = data / "reviews.parquet"
    version = (tracker.dataset, md5(reviews))
    for name, run in compared.runs.items():
        scores = {f"{TEST}{key}": value for key, value in compared.statistics["scores"][name].items()}
        tracker.record_scores(run, scores, version)
    record = tracker.record_of(old) if old else None
    commit, machine = (record.commit_and_state, record.environment) if record else (state(), environment())
    write_report(tracker, compared, data, results, commit, machine)
    text = summary_with_times(results, compared.times)
    if compared.is_complete:
        ids = {name: run.info.run_id for name, run in compared.runs.items()}
        record_machine(compared.runs, results)
        record_comparison(tracker, compared.costs, ids, version, reviews, results, text, old)
    print(text)
    missing = sorted(set(compared.statistics["runs"]) - set(compared.runs))
    print(tracker.where_to_look())
    if missing and not tracker.problem:
        print(tracker.incomplete(f"it has no run of {', '.join(missing)}"))


def write_report(
    tracker: Tracker, compared: Compared, data: Path, results: Path, commit: str, machine: dict[str, str]
) -> Path:
    """Write report.html.

    Args:
        tracker: the experiment.
        compared: what the page is about.
        data: the folder that preprocess wrote.
        results: the folder with the results.
        commit: what git had checked out when the models were compared, in words.
        machine: versions and processor of that time.
    """
    digest = compared.statistics["digest"]
    description = json.loads((data / "data.json").read_text(encoding="utf-8"))
    origins = {name: origin_of(tracker.record_of(run)) for name, run in compared.runs.items()}
    provenance = Provenance(tracker.dataset, digest, commit, description, origins, machine)
    return write_page(results, compared.times, compared.costs, provenance)


def origin_of(record: RunRecord) -> str:
    """Name a model's run in MLflow, and where the model was trained, as far as that is known."""
    if record.restored:
        return f"{record.run_id}, written from the files of the model"
    return f"{record.run_id}, trained at {record.commit_and_state}"


def renew_report(
    tracker: Tracker, trained: Sequence[Trained], runs: Mapping[str, Any], data: Path, results: Path
) -> Path:
    """Write report.html anew for the results on disk, with the times that MLflow knows by now.

    Raises:
        InputError: there are no results, or they are of other data or models than those that lie here.
    """
    check_results(tracker.dataset, trained, data, results)
    compared = Compared.read(results, trained, runs)
    if compared.is_complete:
        record_machine(compared.runs, results)
    evaluated = tracker.find(fingerprint(results))
    record = tracker.record_of(evaluated) if evaluated else None
    commit = record.commit_and_state if record else "not known: MLflow has no run of this comparison"
    return write_report(tracker, compared, data, results, commit, record.environment if record else {})


def check_results(dataset: str, trained: Sequence[Trained], data: Path, results: Path) -> None:
    """Make sure that the results on disk are of these models and data.

    Raises:
        InputError: they are not, or there are none.
    """
    for name in (STATISTICS, VERDICT):
        if not (results / name).exists():
            raise InputError(f"{results / name} does not exist: there are no results yet; run `make repro`")
    with whole(results / STATISTICS):
        statistics = dict(json.loads((results / STATISTICS).read_text(encoding="utf-8")))
    if not {"over_seeds", "classes"} <= statistics.keys():
        raise InputError(f"{results / STATISTICS} was written by an older version: run `make repro`")
    here = {model.name: model.fingerprint for model in trained}
    check_origin(statistics, dataset, md5(data / "reviews.parquet"), here, results)


def check_origin(
    statistics: dict[str, Any], dataset: str, digest: str, fingerprints: dict[str, str], results: Path
) -> None:
    """Make sure that the results are those of the data and the models on disk.

    Args:
        statistics: the content of statistics.json.
        dataset: the one selected in params.yaml.
        digest: MD5 of reviews.parquet.
        fingerprints: run name to the hash of its model.
        results: the folder that they lie in.

    Raises:
        InputError: they are not.
    """
    expected = {"dataset": dataset, "digest": digest, "runs": fingerprints}
    other = [name for name, value in expected.items() if statistics.get(name) != value]
    if other:
        came, wanted = statistics.get(other[0]), expected[other[0]]
        if other[0] == "runs":
            came, wanted = (", ".join(runs or {}) for runs in (came, wanted))
            wanted += " as they are"
        raise InputError(
            f"{results / STATISTICS} is about the {_KINDS[other[0]]} {came}, expected {wanted}: run `make repro`"
        )
