"""What models cost: time to train and to answer, and size, as a table of all of them."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from pipeline.parts.latency import BATCH_SIZES, PERCENTILES, TRAINING_SECONDS, latency_name
from pipeline.parts.trained import Trained
from pipeline.parts.verdict import Cost


def costs(runs: Sequence[Trained], timings: Mapping[str, Mapping[str, float]]) -> pd.DataFrame:
    """Sizes and times of every model, means over its runs.

    Args:
        runs: the trained models.
        timings: run name to the metrics that MLflow has of it; runs may be missing, and so may times.

    Returns:
        One row per model, in the order of the runs: `parameters`, `recurrent_parameters` (NaN for the baseline),
        `epochs`, `training_seconds` and the latencies by `latency_name` (NaN: not known); and `times`, the training
        seconds of its runs as a tuple.
    """
    latencies = [latency_name(size, percentile) for size in BATCH_SIZES for percentile in PERCENTILES]
    rows = []
    for run in runs:
        known = timings.get(run.name, {})
        row = {name: run.card.get(name, np.nan) for name in ("parameters", "recurrent_parameters")}
        row |= {"epochs": len(run.history) or np.nan, "training_seconds": known.get(TRAINING_SECONDS, np.nan)}
        rows.append({"model": run.model, **row, **{name: known.get(name, np.nan) for name in latencies}})
    of_models = pd.DataFrame(rows).groupby("model", sort=False)
    times = {model: tuple(seconds.dropna()) for model, seconds in of_models["training_seconds"]}
    return of_models.mean().assign(times=pd.Series(times))


def for_verdict(table: pd.DataFrame) -> dict[str, Cost]:
    """The costs of the networks as the verdict wants them."""
    networks = table.dropna(subset="recurrent_parameters")
    return {str(model): Cost(row["times"], int(row["recurrent_parameters"])) for model, row in networks.iterrows()}
