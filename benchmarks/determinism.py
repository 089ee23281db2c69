"""What repeatable training costs: the time of seeded against unseeded training, as a ratio.

    python -m benchmarks.determinism        # after `make repro`, on the tokens in data/processed; 2 minutes

Each way runs in a process of its own, the two in turn; the first epoch, which compiles, is left out.
"""

import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from pipeline.trained.watching import Watcher

ROUNDS = 3
EPOCHS = 6
TOKENS = Path("data/processed/tokens.npz")


class Clock(Watcher):
    """Watcher that takes the time of every epoch."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self.ends.append(time.perf_counter())


def measure(cell: str, seeded: bool) -> float:
    """Measure the seconds of all epochs but the first."""
    from pipeline.core.params import read_params
    from pipeline.networks import building, networks
    from pipeline.networks.fitting import fit
    from pipeline.tokens.clipping import clip
    from pipeline.tokens.tokenized import TokenizedSplits

    params = read_params()
    settings = params.train.model_copy(update={"epochs": EPOCHS, "patience": 0})
    splits = TokenizedSplits.load(TOKENS)
    train, validation = (
        (clip(splits.tokens[split], params.data.max_tokens, settings.keep), splits.labels[split])
        for split in ("train", "validation")
    )
    if seeded:
        networks.seed_everything(1)
    model = building.build(cell, splits.vocabulary_size, len(splits.label_names), settings)
    clock = Clock()
    fit(model, train, validation, settings, params.data.batch_size, 1, clock)
    return clock.ends[-1] - clock.ends[0]


def main() -> None:
    if len(sys.argv) == 3:
        print(measure(sys.argv[1], sys.argv[2] == "seeded"))
        return
    for cell in ("lstm", "gru"):
        seconds: dict[str, list[float]] = {"seeded": [], "unseeded": []}
        for _ in range(ROUNDS):
            for way, times in seconds.items():
                command = [sys.executable, "-m", "benchmarks.determinism", cell, way]
                times.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
        ratio = statistics.median(seconds["seeded"]) / statistics.median(seconds["unseeded"])
        shown = "; ".join(f"{way} {', '.join(f'{t:.1f}' for t in times)} s" for way, times in seconds.items())
        print(f"{cell}: {ratio:.2f} ({shown})")


if __name__ == "__main__":
    main()
