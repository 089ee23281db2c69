"""The comparison in words and tables."""

from typing import Any

from tabulate import tabulate

from pipeline.parts.comparison import Comparison
from pipeline.parts.scores import METRICS

_AS_PERCENTAGE = ("accuracy", "precision", "recall", "f1")


def summary(dataset: str, comparison: Comparison) -> str:
    """What was compared on what, and the table."""
    about = f"{dataset}, {len(comparison.labels):,} test texts; mean ± standard deviation over seeds."
    return f"{about}\n\n{summary_table(comparison.metrics())}"


def summary_table(metrics: dict[str, dict[str, Any]]) -> str:
    """The content of metrics.json as a Markdown table: one row per model, mean ± standard deviation over seeds."""
    rows = []
    for model, values in metrics.items():
        row = {"model": model, "runs": values["runs"]}
        row |= {name.replace("_", " "): _mean_and_std(name, values[name]) for name in METRICS}
        rows.append(row | {"parameters": f"{values['parameters']:,}"})
    return tabulate(rows, headers="keys", tablefmt="github", stralign="right", disable_numparse=True)


def _mean_and_std(name: str, value: dict[str, float | None]) -> str:
    scale, digits = (100, 2) if name in _AS_PERCENTAGE else (1, 4)
    mean, std = value["mean"], value["std"]
    assert mean is not None
    shown = f"{mean * scale:.{digits}f}"
    return shown if std is None else f"{shown} ± {std * scale:.{digits}f}"
