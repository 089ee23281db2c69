"""Compare all trained models on the test split.

Reads   data/models; data/memory; test_labels.npy (no other stage reads it), data.json; reviews.parquet (the texts,
        their groups, and its hash as the digest of the data set); tokens.npz (lengths)
Writes  the files described in pipeline/reporting/results.py
        then has MLflow's record completed, and report.html written, which shows times and is no output that DVC keeps

    python -m pipeline.evaluate --models data/models --memory data/memory --data data/processed --output data/results
"""

import json
from pathlib import Path

import click
import numpy as np

from pipeline.comparison.comparison import Comparison, compare
from pipeline.comparison.costs import recurrent_sizes
from pipeline.comparison.verdict import tell
from pipeline.core.command import PATH, run
from pipeline.core.params import read_params
from pipeline.corpus.reviews import read_groups
from pipeline.inside.memory import Memory, pooled
from pipeline.reporting.results import write_results
from pipeline.tracking.publishing import publish
from pipeline.trained.names import ModelName, all_names
from pipeline.trained.trained import CARD, Trained


def read_comparison(models: Path, data: Path, names: list[str]) -> Comparison:
    """Read the test labels and what the models predicted.

    Raises:
        InputError: a model is missing, or predicts other texts.
    """
    label_names = json.loads((data / "data.json").read_text(encoding="utf-8"))["labels"]
    labels = np.load(data / "test_labels.npy")
    groups = read_groups(data / "reviews.parquet")
    return compare([Trained.load(models / name) for name in names], labels, label_names, groups)


def read_memories(comparison: Comparison, folder: Path) -> dict[str, Memory]:
    """Pool the memory of each network over its seeds.

    Raises:
        InputError: a file is missing.
    """
    return {
        model: pooled([Memory.load(folder / f"{run.name}.json") for run in runs])
        for model, runs in comparison.by_model().items()
        if not ModelName.parse(model).is_baseline
    }


@click.command(help="Compare all trained models on the test split.")
@click.option("--models", type=PATH, required=True, help="folder with a folder per trained model")
@click.option("--memory", type=PATH, required=True, help="folder with a file per network, which memory wrote")
@click.option("--data", type=PATH, required=True, help="folder that preprocess wrote")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(models: Path, memory: Path, data: Path, output: Path) -> None:
    params = read_params()
    names = [str(name) for name in all_names(params.models, params.seeds)]
    comparison = read_comparison(models, data, names)
    differences = comparison.differences()
    verdict = tell(params.dataset, differences, recurrent_sizes(comparison.runs))
    memories = read_memories(comparison, memory)
    hashes = {run.name: run.fingerprint for run in comparison.runs}
    write_results(comparison, hashes, differences, verdict, memories, params.dataset, data, output)
    publish(params.dataset, comparison.runs, data, output)
    others = sorted(card.parent.name for card in models.glob(f"*/{CARD}") if card.parent.name not in names)
    if others:
        print(f"not compared, because params.yaml does not name them: {', '.join(others)} (in {models})")


if __name__ == "__main__":
    run(main)
