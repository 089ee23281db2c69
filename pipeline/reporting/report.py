"""The comparison in words and tables: Markdown for a terminal or a pull request, and one HTML page with everything.

The page needs no network and no other file. It shows times, ids and a commit, so it is no output that DVC keeps: it is
made from the files that DVC does keep and from what MLflow knows, and `make report` makes it anew.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate

from pipeline.comparison.costs import RUNS, TIMED
from pipeline.comparison.latency import BATCH_SIZES, PERCENTILES, latency_name
from pipeline.comparison.statistics import better_first, read_differences
from pipeline.comparison.titles import colour_of, title_of
from pipeline.reporting import figures
from pipeline.reporting.pages import png_address, render
from pipeline.reporting.stamp import COSTS_PICTURE, PICTURES, REPORT, STAMP, TEMPLATE, VERDICT, stamp
from pipeline.trained.names import ModelName

# The scores that fit a terminal, with their headings; statistics.json has all.
_COLUMNS = {
    "accuracy": "accuracy (%)",
    "f1": "F1 (%)",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier",
}
_ALL_COLUMNS = {
    "accuracy": "accuracy (%)",
    "precision": "precision (%)",
    "recall": "recall (%)",
    **_COLUMNS,
    "ece": "ECE (%)",
}
# Name of the file, and its caption.
_PICTURES = {
    "differences": "If the interval does not contain 0, one model is probably better. It covers the choice of seeds"
    " and texts. The verdict also corrects for the number of pairs.",
    "learning_curves": "If validation loss rises while train loss falls, the network learns its texts by heart.",
    "roc": "The nearer to the upper left corner, the better.",
    "precision_recall": "Precision: share of the found texts that are right."
    " Recall: share of the right texts that are found.",
    "calibration": "Below the diagonal, a model is too sure of its answers.",
    "accuracy_by_length": "Each bin has about the same number of texts.",
    "confusion": "Each row shows how the texts of one true label were labelled, over all seeds.",
    "memory": "Left: how long units remember. Middle: how far back a prediction looks. Right: how words move units."
    " docs/how-lstm-and-gru-work.md explains the three.",
    "costs": "Better models are higher up, cheaper ones further left. Bars: standard deviation over seeds.",
}


@dataclass(frozen=True)
class Provenance:
    """The origin of the numbers, as the page shows it.

    Attributes:
        dataset: name of the data set.
        digest: MD5 of reviews.parquet, as in dvc.lock.
        commit: what git had checked out, and whether that was all.
        data: the content of data.json.
        runs: run name to where its model was trained, in words; empty where MLflow was away.
        environment: versions and processor.
    """

    dataset: str
    digest: str
    commit: str
    data: dict[str, Any]
    runs: dict[str, str]
    environment: dict[str, str]


def summary(results: Path) -> str:
    """Write the verdict, the data, and the tables of scores and differences, in Markdown.

    Args:
        results: the folder with verdict.json and statistics.json.
    """
    verdict = _read_json(results / VERDICT)
    statistics = _read_json(results / "statistics.json")
    about = f"{statistics['dataset']}, {statistics['texts']:,} test texts; mean ± standard deviation over seeds."
    tables = [summary_table(statistics["over_seeds"]), differences_table(statistics)]
    trained = [f"- {', '.join(models)}: {text}" for text, models in _by_settings(statistics).items()]
    if settings := statistics.get("data"):
        trained.append(f"- texts: {', '.join(f'{name} {value}' for name, value in settings.items())}")
    return "\n\n".join([*verdict["sentences"], *verdict["warnings"], about, *tables, "\n".join(trained)])


def summary_table(metrics: dict[str, dict[str, Any]]) -> str:
    """Turn `over_seeds` of statistics.json into a Markdown table: one row per model, mean ± standard deviation."""
    sizes = [f"{values['parameters']:,}" for values in metrics.values()]
    rows = zip(_score_rows(metrics, _COLUMNS), sizes, strict=True)
    return _markdown([row | {"model": title_of(row["model"]), "parameters": size} for row, size in rows])


def differences_table(statistics: dict[str, Any]) -> str:
    """Turn the differences in statistics.json into a Markdown table: one row per pair, the better model first."""
    return _markdown(
        [row | {"models": " − ".join(map(title_of, row["models"]))} for row in _difference_rows(statistics)]
    )


def _markdown(rows: list[dict[str, Any]]) -> str:
    return tabulate(rows, headers="keys", tablefmt="pipe", stralign="right", disable_numparse=True)


def _by_settings(statistics: dict[str, Any]) -> dict[str, list[str]]:
    """Map seeds and settings to the models that were trained with them."""
    models: dict[str, list[str]] = {}
    for model, trained in statistics["models"].items():
        settings = ", ".join(f"{name} {value}" for name, value in trained["settings"].items())
        seeds = f"seeds {_listed(trained['seeds'])}; " if trained["seeds"] else ""
        models.setdefault(f"{seeds}{settings}", []).append(title_of(model))
    return models


def _seeds(statistics: dict[str, Any]) -> dict[str, str]:
    """List the seeds of the models that have some: one row where they agree, else one per model."""
    seeds = {model: _listed(trained["seeds"]) for model, trained in statistics["models"].items() if trained["seeds"]}
    if len(set(seeds.values())) == 1:
        return {"seeds": next(iter(seeds.values()))}
    return {f"seeds of {title_of(model)}": listed for model, listed in seeds.items()}


def _listed(seeds: list[int]) -> str:
    return ", ".join(map(str, seeds))


def write_page(results: Path, times: str, costs: pd.DataFrame, provenance: Provenance) -> Path:
    """Write the HTML page and the picture of the costs into the folder of the results.

    Args:
        results: the folder that `results.write_results` wrote.
        times: `times.tell_times`; may be empty.
        costs: `costs.costs`.
        provenance: where the numbers come from.

    Returns:
        The page.
    """
    statistics = _read_json(results / "statistics.json")
    metrics = statistics["over_seeds"]
    accuracy = {
        part: {model: values["accuracy"][part] for model, values in metrics.items()} for part in ("mean", "std")
    }
    table = costs.assign(accuracy=pd.Series(accuracy["mean"]), accuracy_std=pd.Series(accuracy["std"], dtype="float64"))
    figures.save(figures.costs(table, f"{provenance.dataset}: accuracy and costs"), results / COSTS_PICTURE)
    page = render(
        TEMPLATE,
        stamp_name=STAMP,
        stamp=stamp(results),
        verdict=_read_json(results / VERDICT),
        times=times,
        scores=_score_rows(metrics, _ALL_COLUMNS),
        statistics=statistics,
        differences=_difference_rows(statistics),
        mcnemar=_mcnemar_rows(statistics),
        costs=_cost_rows(costs),
        examples=_read_json(results / "examples.json"),
        memory=_memory_rows(_read_json(results / "memory.json")["models"]),
        pictures=_pictures(results),
        provenance=provenance,
        seeds=_seeds(statistics),
        settings={", ".join(models): text for text, models in _by_settings(statistics).items()},
        title_of=title_of,
        colour_of=colour_of,
        parse=ModelName.parse,
    )
    path = results / REPORT
    path.write_text(page, encoding="utf-8")
    return path


def _score_rows(metrics: dict[str, dict[str, Any]], columns: Mapping[str, str]) -> list[dict[str, Any]]:
    rows = []
    for model, values in metrics.items():
        row = {"model": model, "runs": values["runs"]}
        row |= {heading: _mean_and_std(values[name], "%" in heading) for name, heading in columns.items()}
        rows.append(row)
    return rows


def _mean_and_std(value: dict[str, float | None], as_percentage: bool) -> str:
    scale, digits = (100, 2) if as_percentage else (1, 4)
    mean, std = value["mean"], value["std"]
    if mean is None:
        return "–"
    shown = f"{mean * scale:.{digits}f}"
    return shown if std is None else f"{shown} ± {std * scale:.{digits}f}"


def _difference_rows(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    """Write a row per pair of models, the better one first, as the verdict and the picture have them."""
    rows = []
    corrected = [row["holm_p_value"] for row in statistics["differences"]]
    for (pair, seen), p_value in zip(read_differences(statistics).items(), corrected, strict=True):
        models, difference = better_first(pair, seen)
        moves = (difference.low, difference.high) != (0, 0)
        rows.append(
            {
                "models": models,
                "difference (points)": _signed(difference.mean),
                "95 % interval": f"{_signed(difference.low)} to {_signed(difference.high)}" if moves else "–",
                "p": f"{difference.p_value:.4f}",
                "p (Holm)": f"{p_value:.4f}",
                "seeds": " and ".join(map(str, difference.seeds)),
            }
        )
    return rows


def _signed(difference: float) -> str:
    """Write a difference in points with its sign; none has no sign."""
    shown = f"{100 * difference:+.2f}"
    return shown if float(shown) else "0.00"


def _mcnemar_rows(statistics: dict[str, Any]) -> list[dict[str, str]]:
    return [
        {
            "runs": f"{row['first']} and {row['second']}",
            "only the first right": f"{row['first_only']:,}",
            "only the second right": f"{row['second_only']:,}",
            "exact p": f"{row['p_value']:.2g}",
        }
        for row in statistics["mcnemar"]
    ]


def _cost_rows(costs: pd.DataFrame) -> list[dict[str, str]]:
    headings = {"training_seconds": "training (s)", "epochs": "epochs"}
    headings |= {
        latency_name(size, percentile): f"{size} text{'' if size == 1 else 's'}, p{percentile} (ms)"
        for size in BATCH_SIZES
        for percentile in PERCENTILES
    }
    headings |= {"parameters": "parameters", "recurrent_parameters": "recurrent parameters"}
    return [
        {"model": str(model), "runs timed": f"{row[TIMED]:.0f} of {row[RUNS]:.0f}"}
        | {heading: _number(row[name], whole="parameters" in name) for name, heading in headings.items()}
        for model, row in costs.iterrows()
    ]


def _memory_rows(models: dict[str, Any]) -> list[dict[str, str]]:
    """Write a row per fact, and a column per network."""
    facts = dict.fromkeys(fact for content in models.values() for fact in content["facts"])
    return [
        {"": fact} | {title_of(model): content["facts"].get(fact, "–") for model, content in models.items()}
        for fact in facts
    ]


def _number(value: float, whole: bool) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:,.0f}" if whole else f"{value:,.1f}"


def _pictures(results: Path) -> dict[str, tuple[str, str]]:
    """Map names to pictures and their captions, of those that there are."""
    there = {name: results / (COSTS_PICTURE if name == "costs" else f"{PICTURES}/{name}.png") for name in _PICTURES}
    return {name: (png_address(path.read_bytes()), _PICTURES[name]) for name, path in there.items() if path.exists()}


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
