"""Compare all trained models on the test split, and complete MLflow's record of them.

Reads   data/models, test_labels.npy (no other stage reads it), data.json; reviews.parquet (the texts, their groups, and
        its hash as the digest of the data set); tokens.npz (lengths); tokenizer.json for MLflow
Writes  the files described in pipeline/parts/results.py
        report.html, costs.png   with times from MLflow: no outputs that DVC keeps (pipeline/parts/report.py)

    python -m pipeline.evaluate --models data/models --data data/processed --output data/results
"""

import argparse
import json
from pathlib import Path

import numpy as np

from pipeline.parts.command import run
from pipeline.parts.comparison import Comparison, compare
from pipeline.parts.costs import costs, for_verdict
from pipeline.parts.datasets import read_groups
from pipeline.parts.lineage import environment, md5, state
from pipeline.parts.memory import Memory, pooled
from pipeline.parts.params import read_params
from pipeline.parts.record import complete, record_comparison, record_machine
from pipeline.parts.report import Provenance, origin_of, summary, write_page
from pipeline.parts.results import Differences, write_results
from pipeline.parts.tracking import Tracker, environment_of
from pipeline.parts.trained import BASELINE, CARD, MEMORY, Trained
from pipeline.parts.verdict import tell


def read_comparison(models: Path, data: Path, names: list[str]) -> Comparison:
    """Read the test labels and what the models predicted.

    Raises:
        InputError: a model is missing, or predicts other texts.
    """
    label_names = json.loads((data / "data.json").read_text(encoding="utf-8"))["labels"]
    labels = np.load(data / "test_labels.npy")
    groups = read_groups(data / "reviews.parquet")
    return compare([Trained.load(models / name) for name in names], labels, label_names, groups)


def read_memories(comparison: Comparison) -> dict[str, Memory]:
    """Every network to what is known of its memory, over all of its seeds."""
    return {
        model: pooled([Memory.load(run.folder / MEMORY) for run in runs])
        for model, runs in comparison.by_model().items()
        if model != BASELINE
    }


def publish(tracker: Tracker, comparison: Comparison, differences: Differences, data: Path, output: Path) -> str:
    """Complete MLflow's runs, write the report with the times that MLflow knows, and log the comparison.

    Returns:
        The summary, with costs.
    """
    reviews = data / "reviews.parquet"
    dataset = (tracker.dataset, md5(reviews))
    runs = complete(tracker, comparison.runs, data / "tokenizer.json")
    for name, found in runs.items():
        tracker.record_scores(found, {f"test_{key}": value for key, value in comparison.scores[name].items()}, dataset)
    times = {name: found.data.metrics for name, found in runs.items()}
    table = costs(comparison.runs, times, {name: environment_of(found) for name, found in runs.items()})
    told = tell(tracker.dataset, differences, BASELINE, for_verdict(table))
    description = json.loads((data / "data.json").read_text(encoding="utf-8"))
    origins = {name: origin_of(tracker.record_of(found)) for name, found in runs.items()}
    write_page(output, told, table, Provenance(*dataset, state(), description, origins, environment()))
    text = summary(output, told)
    if len(runs) == len(comparison.runs):
        ids = {name: found.info.run_id for name, found in runs.items()}
        record_machine(runs, output)
        record_comparison(tracker, table, ids, dataset, reviews, output, text)
    return text


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare all trained models on the test split.")
    parser.add_argument("--models", type=Path, required=True, help="folder with a folder per trained model")
    parser.add_argument("--data", type=Path, required=True, help="folder that preprocess wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    params = read_params()
    names = [*params.networks, BASELINE]
    comparison = read_comparison(arguments.models, arguments.data, names)
    differences = comparison.differences()
    told = tell(params.dataset, differences, BASELINE, for_verdict(costs(comparison.runs, {}, {})))
    memories = read_memories(comparison)
    fingerprints = {run.name: run.fingerprint for run in comparison.runs}
    write_results(
        comparison, fingerprints, differences, told, memories, params.dataset, arguments.data, arguments.output
    )
    tracker = Tracker(params.dataset)
    print(publish(tracker, comparison, differences, arguments.data, arguments.output))
    others = sorted(card.parent.name for card in arguments.models.glob(f"*/{CARD}") if card.parent.name not in names)
    if others:
        print(f"not compared, because params.yaml does not name them: {', '.join(others)} (in {arguments.models})")
    print(tracker.where_to_look())


if __name__ == "__main__":
    run(main)
