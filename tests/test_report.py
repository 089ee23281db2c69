"""The summary table, literally; and the page, as a browser gets it."""

import json
import re
import shutil
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import Project

from pipeline.parts.costs import costs, for_verdict
from pipeline.parts.freshness import is_current
from pipeline.parts.lineage import md5
from pipeline.parts.report import Provenance, summary, summary_table, write_page
from pipeline.parts.scores import METRICS
from pipeline.parts.statistics import Difference
from pipeline.parts.trained import Trained
from pipeline.parts.verdict import Told, tell


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


def test_the_summary_says_the_verdict_and_what_was_measured_on_how_many_texts() -> None:
    numbers = {"lstm": metrics(0.5, 0.0, 5, 2)}
    told = Told(["LSTM beats GRU."], ["Only 2 seeds.", "Only 9 texts."])
    sentence, *warnings, about, table = summary("films", told, 1200, numbers).split("\n\n")
    assert (sentence, warnings) == (*told.sentences, told.warnings)
    assert about == "films, 1,200 test texts; mean ± standard deviation over seeds."
    assert cells(table.splitlines()[2])[:3] == ["lstm", "2", "50.00 ± 0.00"]


def test_the_words_are_those_of_the_verdict_with_what_is_known_of_the_costs() -> None:
    pairs = {("lstm", "gru"): Difference(0.1, 0.05, 0.15, 0.001, (2, 2), 500)}
    times = [(20.0, 20.5), (10.0, 10.5)]
    columns = {"recurrent_parameters": [400, 300], "times": times, "environments": [frozenset({"here"})] * 2}
    table = pd.DataFrame(columns, index=["lstm", "gru"])
    told = tell("films", pairs, costs=for_verdict(table))
    (sentence,), (warning,) = told.sentences, told.warnings
    assert sentence.startswith("LSTM beats GRU on films by 10.0 points")
    assert sentence.endswith("the GRU is 2.0x faster to train (means of 2 runs) with 25 % fewer recurrent parameters.")
    assert warning.startswith("Only 2 seeds for LSTM and GRU")
    single = table.assign(times=pd.Series({"lstm": (20.0,), "gru": (10.0,)}))
    (sentence,) = tell("films", pairs, costs=for_verdict(single)).sentences
    assert sentence.endswith("the GRU has 25 % fewer recurrent parameters than the LSTM.")


def test_a_score_that_is_not_known_is_a_dash() -> None:
    numbers = {"lstm": metrics(0.5, 0.0, 5, 2) | {"roc_auc": {"mean": None, "std": None}}}
    assert cells(summary_table(numbers).splitlines()[2])[4] == "–"


@pytest.fixture
def page(trained_project: Project) -> str:
    return (trained_project.root / "data/results/report.html").read_text()


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    assert set(re.findall(r"(?:src|href|url)\s*[=(]\s*[\"']?([^>\"';,]*)", page)) == {"data:image/png"}
    assert "://" not in page
    assert page.count("<img ") == 9
    assert "<script" not in page


def test_the_page_has_verdict_scores_texts_and_origin(page: str, trained_project: Project) -> None:
    data = trained_project.root / "data"
    assert f"<td>{md5(data / 'processed/reviews.parquet')}</td>" in page
    head = trained_project.run("git", "rev-parse", "HEAD~1").stdout.strip()
    assert f"<td>{head[:12]}</td>" in page  # what was checked out when it ran
    assert "faster to train" in page or "do not clearly differ" in page
    for title in ("LSTM", "GRU", "n-gram baseline"):
        assert f"<td>{title}</td>" in page
    examples = json.loads((data / "results/examples.json").read_text())
    shown = [escape(example["text"]) for kind in examples.values() for example in kind]
    assert all(text in page for text in shown)


def test_text_from_the_data_is_escaped_and_what_is_not_known_is_a_dash(
    trained_project: Project, tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(trained_project.root / "data/results", results)
    hostile = "<script>alert('x')</script> & <b>bold</b>"
    probabilities = {"lstm": {"negative": 0.9, "positive": 0.1}, "gru": {"negative": 0.2, "positive": 0.8}}
    example = {"text": hostile, "label": "<i>", "place": 7, "probabilities": probabilities}
    (results / "examples.json").write_text(json.dumps({"disagreements": [example], "errors": []}))
    runs = [Trained.load(trained_project.root / "data/models" / name) for name in ("lstm-1", "gru-1", "baseline")]
    data = json.loads((trained_project.root / "data/processed/data.json").read_text())
    origin = Provenance("<tiny>", "5" * 32, "none", data, {"lstm": "units 8"}, {}, {})
    page = write_page(results, Told(["LSTM > GRU."], ["Only < 3."]), costs(runs, {}, {}), origin).read_text()
    assert "<script>" not in page
    assert "<b>bold" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in page
    assert "LSTM &gt; GRU." in page
    assert "Only &lt; 3." in page
    assert "There is no text that all of them get wrong." in page
    assert "<td>LSTM</td><td>–</td>" in page
    assert is_current(results)


def test_a_page_is_current_until_the_numbers_change(trained_project: Project, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(trained_project.root / "data/results", results)
    assert is_current(results)
    (results / "statistics.json").write_text("{}")
    assert not is_current(results)
    (results / "report.html").unlink()
    assert not is_current(results)


def test_a_lost_report_is_made_again_from_files_and_mlflow(
    fresh_copy: Callable[[], Project], trained_project: Project
) -> None:
    project = fresh_copy()
    results = project.root / "data/results"
    (results / "report.html").unlink()
    output = project.run("python", "-m", "pipeline.tools.reproduce").stdout
    assert "report: data/results/report.html" in output
    # The same page, timings and all: MLflow has them.
    before = (trained_project.root / "data/results/report.html").read_text()
    assert (results / "report.html").read_text() == before
    shutil.rmtree(results)
    result = project.run("python", "-m", "pipeline.tools.report", check=False)
    assert result.returncode == 1
    assert "there are no results yet; run `make repro`" in result.stderr
