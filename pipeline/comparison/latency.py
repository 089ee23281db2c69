"""The time that a model takes to answer, and the names that times have in MLflow.

Times differ from run to run, so they are in MLflow and never in a file that DVC keeps.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.core.command import progress

BATCH_SIZES = (1, 256)
PERCENTILES = (50, 95)
TRAINING_SECONDS = "time/training_seconds"

_WARM_UP = 3  # calls that are not timed: the first ones set things up
_CALLS = {1: 100, 256: 40}  # the 95th percentile of 40 is between the second and the third slowest


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
        calls = range(_WARM_UP + _CALLS[batch_size])
        for call in progress(calls, desc=f"time answers to {batch_size}", unit=" calls"):
            batch = [texts[place] for place in rng.integers(0, len(texts), batch_size)]
            started = time.perf_counter()
            predict(batch)
            if call >= _WARM_UP:
                milliseconds.append(1000 * (time.perf_counter() - started))
        for percentile in PERCENTILES:
            numbers[latency_name(batch_size, percentile)] = float(np.percentile(milliseconds, percentile))
    return numbers


def latency_name(batch_size: int, percentile: int) -> str:
    """Name a latency as MLflow has it."""
    return f"time/latency_batch_{batch_size}_p{percentile}_ms"
