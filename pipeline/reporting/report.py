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
from pipeline.core.params import as_written
from pipeline.reporting import figures
from pipeline.reporting.pages import png_address, render
from pipeline.reporting.stamp import COSTS_PICTURE, PICTURES, REPORT, STAMP, TEMPLATE, VERDICT, stamp
from pipeline.trained.names import ModelName
from pipeline.trained.scores import TITLES

# The scores that fit a terminal, with their headings; statistics.json has all.
_COLUMNS = {"accuracy": "accuracy (%)", "f1": "macro F1 (%)", "roc_auc": "ROC AUC", "log_loss": "log loss"}
_ALL_COLUMNS = {
    "accuracy": "accuracy (%)",
    "precision": "precision (%)",
    "recall": "recall (%)",
    **_COLUMNS,
    "brier": "Brier",
    "ece": "ECE (%)",
}
_CLASSES_SHOWN = 8  # in a terminal
_CONFUSIONS_SHOWN = 3  # there
_IN_ORDER = 6  # classes up to which they stand in the order of the data
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
    tables = [summary_table(statistics["over_seeds"]), differences_table(statistics), *_classes_summary(statistics)]
    trained = [f"- {', '.join(models)}: {text}" for text, models in _by_settings(statistics).items()]
    if settings := statistics.get("data"):
        trained.append(f"- texts: {', '.join(f'{name} {as_written(value)}' for name, value in settings.items())}")
    about = _about(statistics)
    return "\n\n".join([*verdict["sentences"], *verdict["warnings"], about, *tables, "\n".join(trained)])


def _about(statistics: dict[str, Any]) -> str:
    """Say what was tested, and what the constant answer would get there."""
    constant = ""
    if majority := statistics["majority"]:
        scores = (f"{100 * majority['scores'][name]:.2f}" for name in ("accuracy", "f1"))
        constant = "always “{}” would have {} % accuracy, {} % macro F1;".format(majority["label"], *scores)
    tested = f"{statistics['dataset']}, {statistics['texts']:,} test texts; {constant}".rstrip()
    return (
        f"{tested}\nmean ± standard deviation over seeds."
        if constant
        else f"{tested} mean ± standard deviation over seeds."
    )


def summary_table(metrics: dict[str, dict[str, Any]]) -> str:
    """Turn `over_seeds` of statistics.json into a Markdown table: one row per model, mean ± standard deviation."""
    return _markdown(
        [
            {"model": title_of(model), **_scores(values, _COLUMNS, digits=3), "parameters": f"{values['parameters']:,}"}
            for model, values in metrics.items()
        ]
    )


def differences_table(statistics: dict[str, Any]) -> str:
    """Turn the differences in statistics.json into a Markdown table: one row per pair, the better model first."""
    return _markdown(
        [row | {"models": " − ".join(map(title_of, row["models"]))} for row in _difference_rows(statistics)]
    )


def _classes_summary(statistics: dict[str, Any]) -> list[str]:
    """Tabulate the classes that are found worst, and name what is confused most; nothing of two classes."""
    rows = _class_rows(statistics)
    if len(rows) <= 2:
        return []
    rows = sorted(rows, key=lambda row: row["order"])[:_CLASSES_SHOWN]
    names = figures.distinct_names([row["class"] for row in rows])
    table = [
        {"class": name, "texts": row["texts"], **{title_of(model): f1 for model, f1 in row["f1"].items()}}
        for name, row in zip(names, rows, strict=True)
    ]
    count = len(_class_rows(statistics))
    heading = f"F1 (%) of the {len(rows)} of {count} classes that are found worst:" if len(rows) < count else "F1 (%):"
    confusions = sorted(
        ((model, one) for model, of_model in statistics["confusions"].items() for one in of_model),
        key=lambda found: -found[1]["texts"],
    )
    most = [
        f"{title_of(model)} takes “{one['label']}” for “{one['answer']}” ({100 * one['share']:.0f} % of its texts)"
        for model, one in confusions[:_CONFUSIONS_SHOWN]
    ]
    return [heading, _markdown(table), *([f"Most frequent confusions: {'; '.join(most)}."] if most else [])]


def _class_rows(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    """Make a row per class: its name, test texts, F1 in per cent for each model, and the mean of it, to sort by."""
    rows = []
    for of_models in zip(*statistics["classes"].values(), strict=True):
        f1 = dict(zip(statistics["classes"], (row["f1"] for row in of_models), strict=True))
        known = [value for value in f1.values() if value is not None]
        shown = {model: _percent(value) for model, value in f1.items()}
        order = float(np.mean(known)) if known else 2.0
        rows.append(
            {"class": of_models[0]["label"], "texts": f"{of_models[0]['texts']:,}", "f1": shown, "order": order}
        )
    return rows


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _markdown(rows: list[dict[str, Any]]) -> str:
    """Make a table as narrow as its words: tabulate makes columns with headings two letters wider than need be."""
    lines = [[*rows[0]], *([*row.values()] for row in rows)]
    rule, headings, *rest = tabulate(lines, tablefmt="pipe", stralign="right", disable_numparse=True).splitlines()
    return "\n".join([headings, rule, *rest])


def _by_settings(statistics: dict[str, Any]) -> dict[str, list[str]]:
    """Map seeds and settings to the models that were trained with them."""
    models: dict[str, list[str]] = {}
    for model, trained in statistics["models"].items():
        settings = ", ".join(f"{name} {as_written(value)}" for name, value in trained["settings"].items())
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
        scores=[*_constant_row(statistics["majority"]), *_score_rows(metrics)],
        statistics=statistics,
        metric=TITLES[statistics["metric"]],
        other_metric=TITLES[statistics["other_metric"]["metric"]],
        differences=_difference_rows(statistics),
        other_differences=_difference_rows(statistics["other_metric"]),
        against_constant=_learning_rows(statistics["majority"]),
        classes=_f1_rows(statistics),
        classes_of={model: _rows_of_classes(rows) for model, rows in statistics["classes"].items()},
        confusions=_confusion_rows(statistics),
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


def _score_rows(metrics: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {"model": model, "runs": values["runs"], **_scores(values, _ALL_COLUMNS, digits=4)}
        for model, values in metrics.items()
    ]


def _scores(values: dict[str, Any], columns: Mapping[str, str], digits: int) -> dict[str, str]:
    return {heading: _mean_and_std(values[name], "%" in heading, digits) for name, heading in columns.items()}


def _constant_row(majority: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Make the row of the constant answer, which has no probabilities; none where it is not known."""
    if majority is None:
        return []
    known = {name: f"{100 * score:.2f}" for name, score in majority["scores"].items()}
    shown = {heading: known.get(name, "–") for name, heading in _ALL_COLUMNS.items()}
    return [{"model": {"constant": majority["label"]}, "runs": "–", **shown}]


def _learning_rows(majority: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Write a row per model: by how much it is better than the constant answer."""
    if majority is None:
        return []
    return [
        {
            "model": model,
            "better by (points)": _signed(row["mean"]),
            "95 % interval": _shown_interval(row["low"], row["high"]),
            "": _learnt(model, majority),
        }
        for model, row in majority["differences"].items()
    ]


def _learnt(model: str, majority: dict[str, Any]) -> str:
    if model not in majority["nothing"] or model in majority["elsewhere"]:
        return ""
    return "not shown to have learnt" if model in majority["undecided"] else "has learnt nothing"


def _f1_rows(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    """Write a row per class with its F1 for each model; of more than six, the one that is found worst first."""
    rows = _class_rows(statistics)
    if len(rows) > _IN_ORDER:
        rows.sort(key=lambda row: row["order"])
    return [
        {"class": row["class"], "test texts": row["texts"]}
        | {f"{title_of(model)}, F1 (%)": f1 for model, f1 in row["f1"].items()}
        for row in rows
    ]


def _rows_of_classes(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "class": row["label"],
            "test texts": f"{row['texts']:,}",
            "given to": f"{row['given']:,.1f}" if row["given"] % 1 else f"{row['given']:,.0f}",
            "precision (%)": _percent(row["precision"]),
            "recall (%)": _percent(row["recall"]),
            "F1 (%)": _percent(row["f1"]),
        }
        for row in rows
    ]


def _confusion_rows(statistics: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "model": model,
            "true class": one["label"],
            "taken for": one["answer"],
            "texts": f"{one['texts']:,.1f}" if one["texts"] % 1 else f"{one['texts']:,.0f}",
            "of the class (%)": _percent(one["share"]),
        }
        for model, of_model in statistics["confusions"].items()
        for one in of_model
    ]


def _mean_and_std(value: dict[str, float | None], as_percentage: bool, digits: int) -> str:
    scale, digits = (100, 2) if as_percentage else (1, digits)
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
        rows.append(
            {
                "models": models,
                "points": _signed(difference.mean),
                "95 % interval": _shown_interval(difference.low, difference.high),
                "p": f"{difference.p_value:.4f}",
                "p (Holm)": f"{p_value:.4f}",
                "seeds": " and ".join(map(str, difference.seeds)),
            }
        )
    return rows


def _shown_interval(low: float, high: float) -> str:
    """Write the ends of an interval in points; a dash where two models answer alike."""
    return f"{_signed(low)} to {_signed(high)}" if (low, high) != (0, 0) else "–"


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
