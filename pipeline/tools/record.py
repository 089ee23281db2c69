"""Write MLflow's runs of what lies on disk again, after what is logged has changed: no training is needed for it."""

import click

from pipeline.core.command import run
from pipeline.core.params import read_params
from pipeline.tools.arguments import Tool
from pipeline.tracking.paths import MODELS, PROCESSED, RESULTS, TOKENIZER
from pipeline.tracking.publishing import check_results, publish_again
from pipeline.tracking.record import rewrite
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import BASELINE, Trained


@click.command(cls=Tool)
def main() -> None:
    """Write the MLflow runs of the models and results on disk again.

    Use it after a change of what is logged: nothing is trained. The new runs keep the times, the commit and the
    versions of the old ones. The old runs stay, with the tag gatewise.superseded, and no command finds them by name.

    \b
    Example:
      gatewise record
    """
    params = read_params()
    trained = [Trained.load(MODELS / name) for name in (*params.networks, BASELINE)]
    check_results(params.dataset, trained, PROCESSED, RESULTS)
    tracker = Tracker(params.dataset)
    tracker.must_answer()
    tracker.end_stale()
    runs = rewrite(tracker, trained, TOKENIZER)
    tracker.must_answer()
    publish_again(tracker, trained, runs, PROCESSED, RESULTS)
    tracker.must_answer()
    print(f"{len(runs)} runs of models and the run of their comparison were written again")


if __name__ == "__main__":
    run(main)
