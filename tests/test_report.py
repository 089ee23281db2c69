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


def test_the_summary_gives_the_verdict_and_says_what_was_measured_on_how_many_texts() -> None:
    labels = np.array([0, 1] * 600, np.int32)
    right = np.eye(2, dtype=np.float32)[labels]
    wrong = right[:, ::-1].copy()
    runs = [
        Trained(Path(f"{model}-{seed}"), {"model": model, "parameters": 5}, {"test": predictions})
        for model, predictions in (("lstm", right), ("gru", wrong))
        for seed in (1, 2)
    ]
    scores = dict.fromkeys(METRICS, 0.5)
    comparison = Comparison(runs, labels, ["bad", "good"], {run.name: scores for run in runs})
    sentence, warning, about, table = summary("films", comparison).split("\n\n")
    assert sentence.startswith("LSTM beats GRU on films by 100.0 points (95 % interval")
    assert warning.startswith("Only 2 seeds for LSTM and GRU")
    assert about == "films, 1,200 test texts; mean ± standard deviation over seeds."
    assert cells(table.splitlines()[2])[:3] == ["lstm", "2", "50.00 ± 0.00"]
