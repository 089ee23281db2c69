"""The summary table, literally."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.parts.comparison import Comparison
from pipeline.parts.report import summary, summary_table
from pipeline.parts.scores import METRICS
from pipeline.parts.trained import Trained


def metrics(mean: float, std: float | None, parameters: int, runs: int) -> dict[str, Any]:
    return {name: {"mean": mean, "std": std} for name in METRICS} | {"parameters": parameters, "runs": runs}


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_per_model_with_percentages_and_deviations() -> None:
    table = summary_table({"lstm": metrics(0.76543, 0.0123456, 673089, 3), "baseline": metrics(1.0, None, 999, 1)})
    header, rule, *rows = table.splitlines()
    assert cells(header) == [*["model", "runs", "accuracy (%)", "F1 (%)", "ROC AUC", "log loss", "Brier", "parameters"]]
    assert set(rule) == set("|-:")
    assert [cells(row) for row in rows] == [
        ["lstm", "3", *["76.54 ± 1.23"] * 2, *["0.7654 ± 0.0123"] * 3, "673,089"],
        ["baseline", "1", *["100.00"] * 2, *["1.0000"] * 3, "999"],
    ]


def test_the_summary_says_what_was_measured_on_how_many_texts() -> None:
    labels = np.array([0, 1] * 600, np.int32)
    run = Trained(Path("lstm-1"), {"model": "lstm", "parameters": 5}, {"test": np.eye(2, dtype=np.float32)[labels]})
    text = summary("films", Comparison([run], labels, ["bad", "good"], {"lstm-1": dict.fromkeys(METRICS, 0.5)}))
    about, blank, *table = text.splitlines()
    assert about == "films, 1,200 test texts; mean ± standard deviation over seeds."
    assert blank == ""
    assert cells(table[2])[:3] == ["lstm", "1", "50.00"]
