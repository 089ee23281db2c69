"""Compare all trained models on the test split, and complete MLflow's record of them.

Reads   data/models, test_labels.npy (no other stage reads it), data.json; reviews.parquet (the groups of the
        texts, and its hash as the digest of the data set); tokenizer.json for MLflow
Writes  metrics.json                                 <model>.<metric>.{mean,std} over seeds
        summary.md                                   the verdict, and the same as a table
        learning_curves.csv, roc.csv                 for `dvc plots`
        learning_curves.png, roc.png, confusion.png  for people

    python -m pipeline.evaluate --models data/models --data data/processed --output data/results
"""

import argparse
import json
from pathlib import Path

import numpy as np

from pipeline.parts import figures, report
from pipeline.parts.command import run
from pipeline.parts.comparison import Comparison, compare
from pipeline.parts.datasets import read_groups
from pipeline.parts.lineage import md5
from pipeline.parts.params import read_params
from pipeline.parts.record import record_comparison, restore
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE


def write_results(comparison: Comparison, dataset: str, output: Path) -> None:
    """Write metrics, tables and pictures into `output`."""
    output.mkdir(parents=True, exist_ok=True)
    metrics = comparison.metrics()
    (output / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    (output / "summary.md").write_text(report.summary(dataset, comparison) + "\n", encoding="utf-8")
    learning_curves, roc_curves = comparison.learning_curves(), comparison.roc_curves()
    learning_curves.to_csv(output / "learning_curves.csv", index=False)
    roc_curves.to_csv(output / "roc.csv", index=False)
    pictures = {
        "learning_curves": figures.learning_curves(learning_curves, f"{dataset}: learning curves"),
        "roc": figures.roc_curves(roc_curves, f"{dataset}: ROC on the test split"),
        "confusion": figures.confusion_matrices(
            comparison.confusion_matrices(), comparison.names, f"{dataset}: confusion on the test split"
        ),
    }
    for name, picture in pictures.items():
        figures.save(picture, output / f"{name}.png")


def record(tracker: Tracker, comparison: Comparison, reviews: Path, tokenizer: Path, output: Path) -> None:
    """Add the test scores to the run of every model, writing runs that are missing, and log the comparison."""
    run_ids = {}
    dataset = (tracker.dataset, md5(reviews))
    for trained in comparison.runs:
        found = tracker.find(trained.fingerprint)
        if found is None:
            restore(tracker, trained, tokenizer)
            found = tracker.find(trained.fingerprint)
        if found is None:
            return  # MLflow is away, and the tracker has said so
        scores = {f"test_{name}": value for name, value in comparison.scores[trained.name].items()}
        tracker.record_scores(found, scores, dataset)
        run_ids[trained.name] = found.info.run_id
    record_comparison(tracker, comparison.metrics(), run_ids, dataset, reviews, output)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare all trained models on the test split.")
    parser.add_argument("--models", type=Path, required=True, help="folder with a folder per trained model")
    parser.add_argument("--data", type=Path, required=True, help="folder that preprocess wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    params = read_params()
    names = [f"{model}-{seed}" for model in params.models for seed in params.seeds] + [BASELINE]
    test_labels = arguments.data / "test_labels.npy"
    label_names = json.loads((arguments.data / "data.json").read_text(encoding="utf-8"))["labels"]
    files = {name: arguments.data / name for name in ("reviews.parquet", "tokenizer.json")}
    folders = [arguments.models / name for name in names]
    comparison = compare(folders, np.load(test_labels), label_names, read_groups(files["reviews.parquet"]))
    write_results(comparison, params.dataset, arguments.output)
    tracker = Tracker(params.dataset)
    record(tracker, comparison, files["reviews.parquet"], files["tokenizer.json"], arguments.output)
    print((arguments.output / "summary.md").read_text(encoding="utf-8"))
    print(tracker.where_to_look())


if __name__ == "__main__":
    run(main)
