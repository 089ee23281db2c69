"""Make the report anew from data/results and from what MLflow knows by now: what `make report` does.

    python -m pipeline.tools.report

`evaluate` makes it too, but DVC does not keep it: it has times and ids, which differ from run to run. After
`dvc checkout` or `dvc pull`, or where DVC restored `evaluate` from its cache, this brings it up to date.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pipeline.parts.command import InputError, run
from pipeline.parts.costs import costs, for_verdict
from pipeline.parts.freshness import fingerprint
from pipeline.parts.lineage import md5
from pipeline.parts.params import read_params
from pipeline.parts.record import record_machine, run_of
from pipeline.parts.report import Provenance, origin_of, write_page
from pipeline.parts.results import STATISTICS, read_differences
from pipeline.parts.tracking import Tracker, environment_of
from pipeline.parts.trained import BASELINE, Trained
from pipeline.parts.verdict import tell

_KINDS = {"dataset": "data set", "digest": "reviews.parquet with the MD5", "runs": "models"}
DATA, MODELS, RESULTS = Path("data/processed"), Path("data/models"), Path("data/results")


def write_report(tracker: Tracker, names: list[str]) -> Path:
    """Write data/results/report.html.

    Args:
        tracker: the experiment.
        names: of the runs compared.

    Raises:
        InputError: there are no results, a model is missing, or the results are of other data or models.
    """
    if not (RESULTS / STATISTICS).exists():
        raise InputError(f"{RESULTS / STATISTICS} does not exist: there are no results yet; run `make repro`")
    trained = [Trained.load(MODELS / name) for name in names]
    statistics = json.loads((RESULTS / STATISTICS).read_text(encoding="utf-8"))
    digest = md5(DATA / "reviews.parquet")
    check_origin(statistics, tracker.dataset, digest, {model.name: model.fingerprint for model in trained})
    found = {model.name: run_of(tracker, model) for model in trained}
    runs = {name: run for name, run in found.items() if run is not None}
    if len(runs) == len(trained):
        record_machine(runs, RESULTS)
    times = {name: run.data.metrics for name, run in runs.items()}
    table = costs(trained, times, {name: environment_of(run) for name, run in runs.items()})
    evaluated = tracker.find(fingerprint(RESULTS))
    record = tracker.record_of(evaluated) if evaluated else None
    provenance = Provenance(
        tracker.dataset,
        digest,
        record.commit_and_state if record else "not known: MLflow has no comparison with these results",
        json.loads((DATA / "data.json").read_text(encoding="utf-8")),
        {name: origin_of(tracker.record_of(run)) for name, run in runs.items()},
        record.environment if record else {},
    )
    told = tell(tracker.dataset, read_differences(statistics), BASELINE, for_verdict(table))
    return write_page(RESULTS, told, table, provenance)


def check_origin(statistics: dict[str, Any], dataset: str, digest: str, fingerprints: dict[str, str]) -> None:
    """Make sure that the results are those of the data and the models on disk.

    Args:
        statistics: the content of statistics.json.
        dataset: the one selected in params.yaml.
        digest: MD5 of reviews.parquet.
        fingerprints: run name to the hash of its model.

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
            f"{RESULTS / STATISTICS} is about the {_KINDS[other[0]]} {came}, expected {wanted}: run `make repro`"
        )


def main() -> None:
    argparse.ArgumentParser(description="Make the report anew from data/results and MLflow.").parse_args()
    params = read_params()
    print(f"report: {write_report(Tracker(params.dataset), [*params.networks, BASELINE])}")


if __name__ == "__main__":
    run(main)
