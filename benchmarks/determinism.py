"""What repeatable training costs: the time of seeded against unseeded training, as a ratio.

    python -m benchmarks.determinism        # after `make repro`, on the tokens in data/processed; 2 minutes

Each way runs in a process of its own, the two in turn; the first epoch, which compiles, is left out.
"""

import statistics
import subprocess
import sys
import time
from pathlib import Path

ROUNDS = 3
EPOCHS = 6
TOKENS = Path("data/processed/tokens.npz")


def measure(cell: str, seeded: bool) -> float:
    """Seconds for all epochs but the first."""
    from pipeline.parts import networks
    from pipeline.parts.fitting import fit
    from pipeline.parts.params import read_params
    from pipeline.parts.tokens import TokenizedSplits, clip

    params = read_params()
    settings = params.train.model_copy(update={"epochs": EPOCHS, "patience": 0})
    splits = TokenizedSplits.load(TOKENS)
    train, validation = (
        (clip(splits.tokens[split], params.data.max_tokens, settings.keep), splits.labels[split])
        for split in ("train", "validation")
    )
    if seeded:
        networks.seed_everything(1)
    model = networks.build(
        "lstm" if cell == "lstm" else "gru", splits.vocabulary_size, len(splits.label_names), settings
    )
    ends: list[float] = []
    fit(model, train, validation, settings, params.data.batch_size, 1, lambda *_: ends.append(time.perf_counter()))
    return ends[-1] - ends[0]


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
