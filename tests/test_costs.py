"""What models cost, from cards and from what MLflow knows."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.comparison.costs import costs, recurrent_sizes
from pipeline.comparison.latency import BATCH_SIZES, latency, latency_name
from pipeline.trained.trained import Trained


def run(model: str, seed: int | None, epochs: int) -> Trained:
    sizes = {"parameters": 900} | ({"recurrent_parameters": 400} if seed else {})
    history = pd.DataFrame({"validation_loss": [0.5] * epochs})
    return Trained(Path(f"{model}-{seed}" if seed else model), {"model": model, "seed": seed, **sizes}, {}, history)


RUNS = [run("lstm", 1, 4), run("lstm", 2, 6), run("baseline", None, 0)]


def test_times_are_means_over_the_runs_of_a_model() -> None:
    one = latency_name(1, 50)
    timings = {
        "lstm-1": {"time/training_seconds": 10.0, one: 2.0, "other": 1.0},
        "lstm-2": {"time/training_seconds": 20.0, one: 4.0},
    }
    table = costs(RUNS, timings)
    assert table.index.tolist() == ["lstm", "baseline"]
    assert table[["epochs", "training_seconds", one]].to_numpy()[0].tolist() == [5, 15, 3]
    assert np.isnan(table[["recurrent_parameters", "epochs", "training_seconds", one]].to_numpy()[1]).all()
    assert table["runs"].tolist() == [2, 1]
    assert table["runs_timed"].tolist() == [2, 0]


def test_a_run_that_is_not_timed_does_not_count_for_the_mean() -> None:
    table = costs(RUNS, {"lstm-2": {"time/training_seconds": 20.0}})
    assert table[["training_seconds", "runs", "runs_timed"]].to_numpy()[0].tolist() == [20, 2, 1]


def test_the_baseline_has_no_recurrent_parameters() -> None:
    assert recurrent_sizes(RUNS) == {"lstm": 400}


def test_latency_is_measured_on_batches_of_the_texts() -> None:
    seen = []

    def predict(batch: list[str]) -> None:
        seen.append(batch)

    numbers = latency(predict, ["one", "two"])
    assert {len(batch) for batch in seen} == set(BATCH_SIZES)
    assert {text for batch in seen for text in batch} == {"one", "two"}
    assert numbers.keys() == {latency_name(size, percentile) for size in BATCH_SIZES for percentile in (50, 95)}
    assert all(value >= 0 for value in numbers.values())


@pytest.mark.parametrize("size", BATCH_SIZES)
def test_the_higher_percentile_is_not_lower(size: int) -> None:
    numbers = latency(len, ["text"])
    assert numbers[latency_name(size, 50)] <= numbers[latency_name(size, 95)]
