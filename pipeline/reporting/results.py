"""The results of a comparison in a folder: numbers, curves and pictures. The same bytes for the same predictions.

metrics.json             the few numbers that people compare between commits, which `dvc metrics diff` shows
statistics.json          all numbers: what was compared, the scores of every run, over seeds, of every class and of the
                         constant answer, the difference of every two models with its interval in both metrics, the most
                         frequent confusions, and McNemar's tests
examples.json            the texts that tell the models apart
memory.json              how long the units of the networks remember, and what moves them (pipeline/inside/memory.py)
verdict.json             the sentences on which model is better, and the warnings: written here once, read everywhere
summary.md               the same with tables
curves/<name>.csv        learning_curves, roc, precision_recall, calibration, accuracy_by_length: for `dvc plots`
pictures/<name>.png      the same for people, and confusion, differences, memory
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.comparison.classes import most_frequent_confusions
from pipeline.comparison.comparison import Comparison, Findings
from pipeline.comparison.examples import find_examples
from pipeline.comparison.statistics import Difference, holm
from pipeline.comparison.verdict import Verdict
from pipeline.core.hashes import md5
from pipeline.inside import memory
from pipeline.inside.memory import Memory
from pipeline.reporting import figures
from pipeline.reporting.memoryfigures import memory_figure
from pipeline.reporting.report import summary
from pipeline.reporting.stamp import PICTURES, VERDICT
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.trained import scores
from pipeline.trained.names import ModelName
from pipeline.trained.scores import TITLES

METRICS, STATISTICS, EXAMPLES, SUMMARY = "metrics.json", "statistics.json", "examples.json", "summary.md"
MEMORY = "memory.json"
CURVES = "curves"
_HEADLINE = ("f1", "log_loss")  # of the networks, beside the accuracy of all models

Differences = dict[tuple[str, str], Difference]


def write_results(
    comparison: Comparison,
    fingerprints: Mapping[str, str],
    findings: Findings,
    verdict: Verdict,
    memories: dict[str, Memory],
    dataset: str,
    data: Path,
    output: Path,
    data_settings: Mapping[str, Any] | None = None,
) -> None:
    """Write everything into `output`.

    Args:
        comparison: all models on one test split.
        fingerprints: run name to the hash of its model.
        findings: the pairs of models that are told, the constant answer, and the classes.
        verdict: the sentences and warnings.
        memories: network to its memory; without any, there is no picture of it.
        dataset: its name.
        data: the folder that preprocess wrote, for the texts and their lengths.
        output: the folder to write.
        data_settings: how the texts were split and cut, where that is not for data.json alone to say.
    """
    reviews = data / "reviews.parquet"
    lengths = TokenizedSplits.load(data / "tokens.npz").tokens["test"].lengths
    examples = find_examples(
        comparison.probabilities(),
        comparison.correct(),
        comparison.labels,
        comparison.names,
        findings.differences,
        reviews,
    )
    output.mkdir(parents=True, exist_ok=True)
    _write_json(output / METRICS, headline(comparison.metrics()))
    origin = {"dataset": dataset, "digest": md5(reviews), "runs": dict(fingerprints)}
    if data_settings is None:
        data_settings = json.loads((data / "data.json").read_text(encoding="utf-8"))["settings"]
    origin["data"] = dict(data_settings)
    _write_json(output / STATISTICS, origin | statistics(comparison, findings))
    _write_json(output / EXAMPLES, asdict(examples))
    remembered = {model: memory.numbers(of) | {"facts": memory.summary(of)} for model, of in memories.items()}
    _write_json(output / MEMORY, {"metrics": memory.metrics(memories), "models": remembered})
    _write_json(output / VERDICT, asdict(verdict))
    (output / SUMMARY).write_text(f"{summary(output)}\n", encoding="utf-8")
    tables = {
        "learning_curves": comparison.learning_curves(),
        "roc": comparison.curves(scores.roc),
        "precision_recall": comparison.curves(scores.precision_recall),
        "calibration": comparison.curves(scores.calibration),
        "accuracy_by_length": comparison.accuracy_by_length(lengths),
    }
    _write_curves(tables, output / CURVES)
    (output / PICTURES).mkdir(exist_ok=True)
    _draw(comparison, dataset, findings, tables, output)
    if memories:
        title = f"{dataset}: the memory of the networks, over validation texts"
        figures.save(memory_figure(memories, title), output / PICTURES / "memory.png")


def _write_curves(tables: Mapping[str, pd.DataFrame], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name, table in tables.items():
        table.to_csv(folder / f"{name}.csv", index=False)


def headline(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, float | None]:
    """Choose the numbers of metrics.json: so few, with names so short, that DVC's tables of them fit a terminal.

    Args:
        metrics: `Comparison.metrics`.

    Returns:
        `<model>.accuracy` of every model; `<network>-<first>`, the accuracy of a network less that of the first one;
        and `<network>.f1` and `<network>.log_loss`. All are means over seeds.
    """
    accuracies = {model: values["accuracy"]["mean"] for model, values in metrics.items()}
    networks = [model for model in metrics if not ModelName.parse(model).is_baseline]
    numbers = {f"{model}.accuracy": accuracy for model, accuracy in accuracies.items()}
    numbers |= {f"{other}-{networks[0]}": accuracies[other] - accuracies[networks[0]] for other in networks[1:]}
    return numbers | {f"{model}.{name}": metrics[model][name]["mean"] for name in _HEADLINE for model in networks}


def statistics(comparison: Comparison, findings: Findings) -> dict[str, Any]:
    """Put together statistics.json. `holm_p_value` is adjusted for the number of differences."""
    majority = findings.majority
    return {
        "models": {
            model: {
                "seeds": [run.card["seed"] for run in runs if run.card["seed"] is not None],
                "settings": runs[0].card["settings"],
            }
            for model, runs in comparison.by_model().items()
        },
        "scores": comparison.scores,
        "over_seeds": comparison.metrics(),
        "texts": len(comparison.labels),
        "groups": None if comparison.groups is None else len(np.unique(comparison.groups)),
        "metric": findings.metric,
        "differences": _with_holm(findings.differences),
        "other_metric": {"metric": comparison.other_metric, "differences": _with_holm(findings.other_differences)},
        "majority": majority and asdict(majority) | {"nothing": majority.nothing, "undecided": majority.undecided},
        "classes": {model: [asdict(row) for row in rows] for model, rows in findings.classes.items()},
        "confusions": {
            model: [asdict(one) for one in most_frequent_confusions(counts, comparison.names)]
            for model, counts in comparison.confusion_matrices().items()
        },
        "mcnemar": [
            {"first": first.name, "second": second.name, **asdict(test)}
            for first, second, test in comparison.same_seed_tests()
        ],
    }


def _with_holm(differences: Differences) -> list[dict[str, Any]]:
    adjusted = holm([difference.p_value for difference in differences.values()])
    return [
        {"first": first, "second": second, **asdict(difference), "holm_p_value": p_value}
        for ((first, second), difference), p_value in zip(differences.items(), adjusted, strict=True)
    ]


def _draw(
    comparison: Comparison, dataset: str, findings: Findings, tables: dict[str, pd.DataFrame], output: Path
) -> None:
    matrices = {model: of_runs.sum(axis=0) for model, of_runs in comparison.confusion_matrices().items()}
    errors = {model: values["ece"]["mean"] for model, values in comparison.metrics().items()}
    where = "on the test split"
    pictures = {
        "learning_curves": figures.learning_curves(tables["learning_curves"], f"{dataset}: learning curves"),
        "roc": figures.roc_curves(tables["roc"], f"{dataset}: ROC {where}"),
        "precision_recall": figures.precision_recall_curves(
            tables["precision_recall"], f"{dataset}: precision and recall {where}"
        ),
        "calibration": figures.calibration(tables["calibration"], errors, f"{dataset}: calibration {where}"),
        "accuracy_by_length": figures.accuracy_by_length(
            tables["accuracy_by_length"], f"{dataset}: accuracy by length {where}"
        ),
        "confusion": figures.confusion_matrices(matrices, comparison.names, f"{dataset}: confusion {where}"),
        "differences": figures.differences(
            findings.differences, f"{dataset}: differences {where}", TITLES[findings.metric]
        ),
    }
    for name, picture in pictures.items():
        figures.save(picture, output / PICTURES / f"{name}.png")


def _write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
