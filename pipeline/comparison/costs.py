"""What models cost: time to train and to answer, and size, as a table of all of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from pipeline.comparison.latency import BATCH_SIZES, PERCENTILES, TRAINING_SECONDS, latency_name
from pipeline.trained.trained import Trained


@dataclass(frozen=True)
class Cost:
    """What a network costs.

    Attributes:
        training_seconds: of its runs, as far as they are known; above 0.
        recurrent_parameters: of the recurrent layer alone; above 0.
        environments: the versions and processors with which the times were measured; more than one are no measure.
    """

    training_seconds: tuple[float, ...]
    recurrent_parameters: int
    environments: frozenset[str] = frozenset()


def costs(
    runs: Sequence[Trained],
    timings: Mapping[str, Mapping[str, float]],
    environments: Mapping[str, Mapping[str, str]],
) -> pd.DataFrame:
    """Sizes and times of every model, means over its runs.

    Args:
        runs: the trained models.
        timings: run name to the metrics that MLflow has of it; runs may be missing, and so may times.
        environments: run name to the versions and the processor that MLflow has of it.

    Returns:
        One row per model, in the order of the runs: `parameters`, `recurrent_parameters` (NaN for the baseline),
        `epochs`, `training_seconds` and the latencies by `latency_name` (NaN: not known). Besides, `runs` is their
        number, `times` has the training seconds that are known as a tuple, and `environments` what each of these was
        measured with, as a frozenset.
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
    measured: dict[str, set[str]] = {run.model: set() for run in runs}
    for run in runs:
        if TRAINING_SECONDS in timings.get(run.name, {}):
            measured[run.model].add(", ".join(f"{k} {v}" for k, v in sorted(environments.get(run.name, {}).items())))
    return of_models.mean().assign(
        runs=of_models.size(),
        times=pd.Series(times),
        environments=pd.Series({model: frozenset(seen) for model, seen in measured.items()}),
    )


def for_verdict(table: pd.DataFrame) -> dict[str, Cost]:
    """The costs of the networks as the verdict wants them."""
    networks = table.dropna(subset="recurrent_parameters")
    return {
        str(model): Cost(row["times"], int(row["recurrent_parameters"]), row["environments"])
        for model, row in networks.iterrows()
    }
