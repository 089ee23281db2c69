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
from pipeline.parts.costs import costs
from pipeline.parts.freshness import fingerprint
from pipeline.parts.lineage import md5
from pipeline.parts.params import read_params
from pipeline.parts.record import record_machine, run_of
from pipeline.parts.report import Provenance, settings_of, words, write_page
from pipeline.parts.results import STATISTICS
from pipeline.parts.statistics import Difference
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE, Trained

DATA, MODELS, RESULTS = Path("data/processed"), Path("data/models"), Path("data/results")


def write_report(tracker: Tracker, names: list[str]) -> Path:
    """Write data/results/report.html.

    Args:
        tracker: the experiment.
        names: of the runs compared.

    Raises:
        InputError: there are no results, or a model is missing.
    """
    if not (RESULTS / STATISTICS).exists():
        raise InputError(f"{RESULTS / STATISTICS} does not exist: there are no results yet; run `make repro`")
    trained = [Trained.load(MODELS / name) for name in names]
    found = {model.name: run_of(tracker, model) for model in trained}
    runs = {name: run for name, run in found.items() if run is not None}
    if len(runs) == len(trained):
        record_machine(runs, RESULTS)
    table = costs(trained, {name: run.data.metrics for name, run in runs.items()})
    differences = read_differences(json.loads((RESULTS / STATISTICS).read_text(encoding="utf-8")))
    evaluated = tracker.find(fingerprint(RESULTS))
    record = tracker.record_of(evaluated) if evaluated else None
    provenance = Provenance(
        tracker.dataset,
        md5(DATA / "reviews.parquet"),
        record.commit_and_state if record else "not known: MLflow has no comparison with these results",
        json.loads((DATA / "data.json").read_text(encoding="utf-8")),
        settings_of(trained),
        {name: run.info.run_id for name, run in runs.items()},
        record.environment if record else {},
    )
    return write_page(RESULTS, *words(tracker.dataset, differences, table), table, provenance)


def read_differences(statistics: dict[str, Any]) -> dict[tuple[str, str], Difference]:
    """The differences in statistics.json as they were computed."""
    return {
        (row["first"], row["second"]): Difference(
            row["mean"], row["low"], row["high"], row["p_value"], (row["seeds"][0], row["seeds"][1])
        )
        for row in statistics["differences"]
    }


def main() -> None:
    argparse.ArgumentParser(description="Make the report anew from data/results and MLflow.").parse_args()
    params = read_params()
    print(f"report: {write_report(Tracker(params.dataset), [*params.networks, BASELINE])}")


if __name__ == "__main__":
    run(main)
