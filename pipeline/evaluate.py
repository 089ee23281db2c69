"""Compare all trained models on the test split.

Reads   data/models; data/memory; test_labels.npy (no other stage reads it), data.json; reviews.parquet (the texts,
        their groups, and its hash as the digest of the data set); tokens.npz (lengths)
Writes  the files described in pipeline/reporting/results.py
        moves what params.yaml does not name out of data/models and data/memory, into data/leftovers
        then has MLflow's record completed, and report.html written, which shows times and is no output that DVC keeps

    python -m pipeline.evaluate --models data/models --memory data/memory --leftovers data/leftovers \
        --data data/processed --output data/results
"""

import json
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

import click
import numpy as np

from pipeline.comparison.comparison import Comparison, Findings, compare
from pipeline.comparison.costs import recurrent_sizes
from pipeline.comparison.majority import majority_of
from pipeline.comparison.verdict import tell
from pipeline.core.command import PATH, run
from pipeline.core.hashes import folder_md5, md5
from pipeline.core.params import Metric, read_params
from pipeline.corpus.reviews import read_groups
from pipeline.inside.memory import Memory, pooled
from pipeline.reporting.results import write_results
from pipeline.tracking.publishing import publish
from pipeline.trained.names import ModelName, all_names
from pipeline.trained.trained import Trained


def read_comparison(models: Path, data: Path, names: list[str], metric: Metric) -> Comparison:
    """Read the test labels and what the models predicted.

    Raises:
        InputError: a model is missing, or predicts other texts.
    """
    described = json.loads((data / "data.json").read_text(encoding="utf-8"))
    labels = np.load(data / "test_labels.npy")
    groups = read_groups(data / "reviews.parquet")
    runs = [Trained.load(models / name) for name in names]
    return compare(runs, labels, described["labels"], groups, metric, majority_of(described))


def data_warnings(data: Path) -> list[str]:
    """Read what preprocess found doubtful in the data, as sentences for the verdict."""
    content = json.loads((data / "data.json").read_text(encoding="utf-8"))
    return [f"{warning[0].upper()}{warning[1:]}." for warning in content.get("warnings", [])]


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


def move_leftovers(folders: Sequence[Path], names: Collection[str], target: Path) -> list[str]:
    """Move out of some folders what is not of the models compared: other seeds, other cells, other data sets.

    DVC can depend on a whole folder or on paths that it knows beforehand. So whatever lies in the folder would count in
    dvc.lock, and the same commit would have another dvc.lock in a clone. The hash in the new name keeps all versions.

    Args:
        folders: whose entries are called `<name>` or `<name>.json`.
        names: those that stay.
        target: the folder to move the others to.

    Returns:
        Their names there.
    """
    there = [path for folder in folders for path in sorted(folder.glob("[!.]*"))]
    moved = []
    for path in there:
        if (path.name if path.is_dir() else path.stem) in names:
            continue
        digest = folder_md5(path) if path.is_dir() else md5(path)
        place = target / f"{path.stem}-{digest[:8]}{path.suffix}"
        target.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            shutil.rmtree(path)  # the very same files are there
        else:
            part = target / f".{place.name}.part"  # `target` may lie on another disk: then this copies
            shutil.move(path, part)
            part.replace(place)
        moved.append(place.name)
    return moved


@click.command(help="Compare all trained models on the test split.")
@click.option("--models", type=PATH, required=True, help="folder with a folder per trained model")
@click.option("--memory", type=PATH, required=True, help="folder with a file per network, which memory wrote")
@click.option("--leftovers", type=PATH, required=True, help="folder for what lies there of models not compared")
@click.option("--data", type=PATH, required=True, help="folder that preprocess wrote")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(models: Path, memory: Path, leftovers: Path, data: Path, output: Path) -> None:
    params = read_params()
    names = [str(name) for name in all_names(params.models, params.seeds)]
    if moved := move_leftovers((models, memory), names, leftovers):
        print(f"not compared, because params.yaml names other models; moved to {leftovers}: {', '.join(moved)}")
    comparison = read_comparison(models, data, names, params.metric)
    findings = Findings.of(comparison)
    verdict = tell(params.dataset, findings, recurrent_sizes(comparison.runs))
    verdict.warnings.extend(data_warnings(data))
    memories = read_memories(comparison, memory)
    hashes = {run.name: run.fingerprint for run in comparison.runs}
    write_results(comparison, hashes, findings, verdict, memories, params.dataset, data, output)
    publish(params.dataset, comparison.runs, data, output)


if __name__ == "__main__":
    run(main)
