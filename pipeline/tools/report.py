"""Make the report anew from data/results and from what MLflow knows by now: what `make report` does.

    python -m pipeline.tools.report

`evaluate` makes it too, but DVC does not keep it: it has times and ids, which differ from run to run. After
`dvc checkout` or `dvc pull`, or where DVC restored `evaluate` from its cache, this brings it up to date.
"""

import click

from pipeline.core.command import run
from pipeline.core.params import read_params
from pipeline.tracking.paths import MODELS, PROCESSED, RESULTS
from pipeline.tracking.publishing import renew_report
from pipeline.tracking.record import run_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import BASELINE, Trained


@click.command(help="Make the report anew from data/results and MLflow.")
def main() -> None:
    params = read_params()
    tracker = Tracker(params.dataset)
    trained = [Trained.load(MODELS / name) for name in (*params.networks, BASELINE)]
    runs = {model.name: found for model in trained if (found := run_of(tracker, model))}
    print(f"report: {renew_report(tracker, trained, runs, PROCESSED, RESULTS)}")


if __name__ == "__main__":
    run(main)
