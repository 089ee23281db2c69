"""What models cost: time to train and to answer, and size.

Times differ from run to run, so they are in MLflow and never in a file that DVC keeps.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from pipeline.parts.trained import Trained
from pipeline.parts.verdict import Cost

BATCH_SIZES = (1, 256)
PERCENTILES = (50, 95)
TRAINING_SECONDS = "time/training_seconds"

_WARM_UP = 3  # calls that are not timed: the first ones set things up
_CALLS = {1: 100, 256: 12}


def latency(predict: Callable[[list[str]], Any], texts: Sequence[str]) -> dict[str, float]:
    """Time a model's answers to batches of raw texts.

    Args:
        predict: texts to anything.
        texts: to draw the batches from.

    Returns:
        `latency_name` of every batch size and percentile to milliseconds for the whole batch.
    """
    rng = np.random.default_rng(0)
    numbers = {}
    for batch_size in BATCH_SIZES:
        milliseconds = []
        for call in range(_WARM_UP + _CALLS[batch_size]):
            batch = [texts[place] for place in rng.integers(0, len(texts), batch_size)]
            started = time.perf_counter()
            predict(batch)
            if call >= _WARM_UP:
                milliseconds.append(1000 * (time.perf_counter() - started))
        for percentile in PERCENTILES:
            numbers[latency_name(batch_size, percentile)] = float(np.percentile(milliseconds, percentile))
    return numbers


def latency_name(batch_size: int, percentile: int) -> str:
    """The name of a latency in MLflow."""
    return f"time/latency_batch_{batch_size}_p{percentile}_ms"


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
