"""The comparison in words and tables."""

from typing import Any

from tabulate import tabulate

from pipeline.parts.comparison import Comparison
from pipeline.parts.trained import BASELINE
from pipeline.parts.verdict import seed_warning, verdict

# The scores that fit a terminal, with their headings; metrics.json has all.
_COLUMNS = {
    "accuracy": "accuracy (%)",
    "f1": "F1 (%)",
    "roc_auc": "ROC AUC",
    "log_loss": "log loss",
    "brier": "Brier",
}


def summary(dataset: str, comparison: Comparison) -> str:
    """The verdict, what was compared on what, and the table."""
    differences = comparison.differences()
    paragraphs = [verdict(dataset, differences, BASELINE), seed_warning(differences, BASELINE)]
    paragraphs.append(f"{dataset}, {len(comparison.labels):,} test texts; mean ± standard deviation over seeds.")
    return "\n\n".join([*filter(None, paragraphs), summary_table(comparison.metrics())])


def summary_table(metrics: dict[str, dict[str, Any]]) -> str:
    """The content of metrics.json as a Markdown table: one row per model, mean ± standard deviation over seeds."""
    rows = []
    for model, values in metrics.items():
        row = {"model": model, "runs": values["runs"]}
        row |= {heading: _mean_and_std(values[name], "%" in heading) for name, heading in _COLUMNS.items()}
        rows.append(row | {"parameters": f"{values['parameters']:,}"})
    return tabulate(rows, headers="keys", tablefmt="pipe", stralign="right", disable_numparse=True)


def _mean_and_std(value: dict[str, float | None], as_percentage: bool) -> str:
    scale, digits = (100, 2) if as_percentage else (1, 4)
    mean, std = value["mean"], value["std"]
    assert mean is not None
    shown = f"{mean * scale:.{digits}f}"
    return shown if std is None else f"{shown} ± {std * scale:.{digits}f}"
