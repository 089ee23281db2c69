"""Make the report anew from data/results and from what MLflow knows by now.

`evaluate` makes it too, but DVC does not keep it: it has times and ids, which differ from run to run. After
`dvc checkout` or `dvc pull`, or where DVC restored `evaluate` from its cache, this brings it up to date.
"""

import click

from pipeline.core.command import run
from pipeline.core.params import read_params
from pipeline.tools.arguments import Tool
from pipeline.tracking.paths import MODELS, PROCESSED, RESULTS
from pipeline.tracking.publishing import renew_report
from pipeline.tracking.record import run_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import BASELINE, Trained


@click.command(cls=Tool)
def main() -> None:
    """Write data/results/report.html anew, with the times that MLflow knows by now.

    Run it after `dvc checkout` or `dvc pull`: DVC does not keep the report.
    """
    params = read_params()
    tracker = Tracker(params.dataset)
    trained = [Trained.load(MODELS / name) for name in (*params.networks, BASELINE)]
    runs = {model.name: found for model in trained if (found := run_of(tracker, model))}
    print(f"report: {renew_report(tracker, trained, runs, PROCESSED, RESULTS)}")


if __name__ == "__main__":
    run(main)
