"""Costs of models, as a table of all of them: sizes, and the time to train and to answer."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.comparison.latency import BATCH_SIZES, PERCENTILES, TRAINING_SECONDS, latency_name
from pipeline.trained.trained import Trained

RUNS, TIMED = "runs", "runs_timed"


def costs(runs: Sequence[Trained], timings: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Tabulate sizes and times of every model, means over its runs.

    Args:
        runs: the trained models.
        timings: run name to the metrics that MLflow has of it; runs may be missing, and so may times.

    Returns:
        One row per model, in the order of the runs: `parameters`, `recurrent_parameters` (NaN for the baseline),
        `epochs`, `training_seconds` and the latencies by `latency_name` (NaN: not known), the number of `runs`, and
        of those whose training time is known, `runs_timed`.
    """
    latencies = [latency_name(size, percentile) for size in BATCH_SIZES for percentile in PERCENTILES]
    rows = []
    for run in runs:
        known = timings.get(run.name, {})
        row = {name: run.card.get(name, np.nan) for name in ("parameters", "recurrent_parameters")}
        row |= {"epochs": len(run.history) or np.nan, "training_seconds": known.get(TRAINING_SECONDS, np.nan)}
        rows.append({"model": run.model, **row, **{name: known.get(name, np.nan) for name in latencies}})
    of_models = pd.DataFrame(rows).groupby("model", sort=False)
    return of_models.mean().assign(**{RUNS: of_models.size(), TIMED: of_models["training_seconds"].count()})


def recurrent_sizes(runs: Sequence[Trained]) -> dict[str, int]:
    """Map every network to the number of parameters of its recurrent layers."""
    return {run.model: run.card["recurrent_parameters"] for run in runs if "recurrent_parameters" in run.card}
