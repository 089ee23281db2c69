"""The summary table, literally; and the page, as a browser gets it."""

import json
import re
import shutil
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Project

from pipeline.comparison.comparison import Findings, compare
from pipeline.comparison.costs import costs
from pipeline.comparison.statistics import better_first, read_differences
from pipeline.comparison.titles import colour_of, title_of
from pipeline.comparison.verdict import Verdict
from pipeline.core.command import InputError
from pipeline.core.hashes import md5
from pipeline.corpus.reviews import Staging, write_reviews
from pipeline.reporting.report import Provenance, summary, summary_table, write_page
from pipeline.reporting.results import write_results
from pipeline.reporting.stamp import is_current
from pipeline.tokens.ragged import Tokens
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tracking.publishing import check_origin, summary_with_times
from pipeline.trained.scores import METRICS
from pipeline.trained.trained import Trained


def metrics(mean: float, std: float | None, parameters: int, runs: int) -> dict[str, Any]:
    return {name: {"mean": mean, "std": std} for name in METRICS} | {"parameters": parameters, "runs": runs}


def made_up(folder: Path, labels: list[str], verdict: Verdict | None = None) -> tuple[Path, list[Trained]]:
    """Results of random predictions for 60 texts, all wrong on the last two, mostly right on others; and the models."""
    data, results = folder / "processed", folder / "results"
    data.mkdir()
    texts = pd.DataFrame({"name": "x", "text": [f"text {place}" for place in range(60)], "label": None, "split": None})
    texts["group"] = None
    with Staging(data) as staging:
        staging.write([texts.astype("str").where(texts.notna())])
        table = texts.assign(split="test", label=pd.array([None] * 60, "Int32"))
        write_reviews(data / "reviews.parquet", table, staging, labels, "5" * 64)
    (data / "data.json").write_text(json.dumps({"settings": {"test": 0.2, "tokenizer": "word"}}))
    tokens = Tokens(np.zeros(60 * 61 // 2, np.int32), np.arange(61).cumsum())  # text 0 has 0 of them, and so on
    nothing = np.zeros(60, np.int32)
    splits = dict.fromkeys(("train", "validation", "test"), tokens)
    TokenizedSplits(splits, dict.fromkeys(("train", "validation"), nothing), labels, 1).save(data / "tokens.npz")
    truth = (np.arange(60) % len(labels)).astype(np.int32)
    history = pd.DataFrame(
        {f"{split}_{name}": [0.7, 0.6] for split in ("train", "validation") for name in ("loss", "accuracy")},
        index=pd.RangeIndex(1, 3, name="epoch"),
    )
    rng = np.random.default_rng(0)
    models = []
    for model, seed in [("lstm", 1), ("lstm", 2), ("gru", 1), ("gru", 2), ("baseline", None)]:
        logits = rng.normal(0, 1, (60, len(labels)))
        logits[np.arange(60), truth] += np.where((rng.random(60) < 0.8) & (np.arange(60) < 58), 4, -4)
        probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        settings = {"units": 8, "epochs": 2} if seed else {"ngrams": 2}
        card = {"model": model, "seed": seed, "parameters": 9, "settings": settings}
        name = f"{model}-{seed}" if seed else model
        models.append(
            Trained(
                folder / name, card, {"test": probabilities.astype(np.float32)}, history if seed else pd.DataFrame()
            )
        )
    comparison = compare(models, truth, labels, majority=1)
    fingerprints = {one.name: "0" * 64 for one in models}
    told = verdict or Verdict(["It is a tie."], [])
    write_results(comparison, fingerprints, Findings.of(comparison), told, {}, "news", data, results)
    return results, models


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_per_model_with_percentages_and_deviations() -> None:
    table = summary_table({"lstm": metrics(0.76543, 0.0123456, 673089, 3), "baseline": metrics(1.0, None, 999, 1)})
    header, rule, *rows = table.splitlines()
    assert cells(header) == ["model", "accuracy (%)", "macro F1 (%)", "ROC AUC", "log loss", "parameters"]
    assert max(map(len, table.splitlines())) <= 100
    assert set(rule) == set("|-:")
    assert [cells(row) for row in rows] == [
        ["LSTM", *["76.54 ± 1.23"] * 2, *["0.765 ± 0.012"] * 2, "673,089"],
        ["n-gram baseline", *["100.00"] * 2, *["1.000"] * 2, "999"],
    ]


def test_the_summary_says_the_verdict_and_what_was_measured_on_how_many_texts(tmp_path: Path) -> None:
    told = Verdict(["LSTM beats GRU."], ["Only 2 seeds.", "Only 9 texts."])
    results, _ = made_up(tmp_path, ["bad", "good"], told)
    sentence, first, second, about, scores, pairs, trained = summary(results).split("\n\n")
    assert (sentence, first, second) == (*told.sentences, *told.warnings)
    assert about.splitlines() == [
        "news, 60 test texts; always “good” would have 50.00 % accuracy, 33.33 % macro F1;",
        "mean ± standard deviation over seeds.",
    ]
    assert [cells(row)[0] for row in scores.splitlines()[2:]] == ["LSTM", "GRU", "n-gram baseline"]
    statistics = json.loads((results / "statistics.json").read_text())
    seen = [better_first(*pair) for pair in read_differences(statistics).items()]
    assert [cells(row) for row in pairs.splitlines()[2:]] == [
        [
            f"{title_of(better)} − {title_of(worse)}",
            f"{100 * difference.mean:+.2f}",
            f"{100 * difference.low:+.2f} to {100 * difference.high:+.2f}",
            f"{difference.p_value:.4f}",
            f"{row['holm_p_value']:.4f}",
            f"{difference.seeds[0]} and {difference.seeds[1]}",
        ]
        for row, ((better, worse), difference) in zip(statistics["differences"], seen, strict=True)
    ]
    assert any(row["mean"] < 0 for row in statistics["differences"])  # such a row is turned
    assert trained.splitlines() == [
        "- LSTM, GRU: seeds 1, 2; units 8, epochs 2",
        "- n-gram baseline: ngrams 2",
        "- texts: test 0.2, tokenizer word",
    ]
    assert (results / "summary.md").read_text() == summary(results) + "\n"


def test_times_stand_apart_from_the_summary_that_dvc_keeps(tmp_path: Path) -> None:
    results, models = made_up(tmp_path, ["bad", "good"])
    kept = (results / "summary.md").read_text()
    assert summary_with_times(results, "") == kept.rstrip()
    assert summary_with_times(results, "The GRU is fast.") == f"{kept}\nThe GRU is fast."
    origin = Provenance("news", "5" * 32, "none", described(["bad", "good"]), {}, {})
    page = write_page(results, "The GRU is fast.", costs(models, {}), origin).read_text()
    assert page.index("<h2>Costs</h2>") < page.index("The GRU is fast.") < page.index("runs timed")


def test_a_score_that_is_not_known_is_a_dash() -> None:
    numbers = {"lstm": metrics(0.5, 0.0, 5, 2) | {"roc_auc": {"mean": None, "std": None}}}
    assert cells(summary_table(numbers).splitlines()[2])[3] == "–"


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
    assert page.count(f", trained at {head[:12]}</td>") == 5
    assert "<td>seeds</td><td>1, 2</td>" in page
    assert "times as fast as" not in page  # of two runs each, nothing is said
    assert "Training took" not in page
    for title in ("LSTM", "GRU", "n-gram baseline"):
        assert f"{title}</td>" in page
    examples = json.loads((data / "results/examples.json").read_text())
    shown = [escape(example["text"]) for pair in examples["disagreements"] for example in pair["texts"]]
    shown += [escape(example["text"]) for example in examples["errors"]]
    assert all(text in page for text in shown)


def described(labels: list[str], absent: str = "") -> dict[str, Any]:
    """What the page reads of data.json, where no text has the label `absent`."""
    split = {"reviews": 60, "labels": {label: 5 for label in labels if label != absent}, "groups": 60}
    return {"labels": labels, "settings": {"seed": 1}, "splits": {"test": split}}


LONG = [f"a class with a name as long as this, number {number}" for number in range(12)]


@pytest.mark.filterwarnings("error")
def test_twelve_classes_with_long_names_of_any_letters(tmp_path: Path) -> None:
    labels = ["$_$", "<i>", "良い", *LONG[:9]]
    results, models = made_up(tmp_path, labels)
    origin = Provenance("news", "5" * 32, "none", described(labels, absent="<i>"), {}, {})
    page = write_page(results, "", costs(models, {}), origin).read_text()
    assert re.findall("No test text is labelled <b>(.*)</b>", page) == ["&lt;i&gt;"]
    examples = json.loads((results / "examples.json").read_text())
    assert [pair["models"] for pair in examples["disagreements"]] == [
        *(["lstm", "gru"], ["lstm", "baseline"], ["gru", "baseline"])
    ]
    assert "<i>" not in page
    # Of many classes, what a wrong model thinks of the right one is no matter of course.
    wrong = examples["errors"][0]
    answer = wrong["answers"]["gru"]
    expected = f"{escape(answer['predicted'])} ({100 * answer['probability']:.1f} %)</span>"
    assert f"{expected}, {escape(wrong['label'])} ({100 * answer['of_label']:.1f} %), 0 of 2 seeds right" in page


def test_what_two_models_disagree_on_stands_under_their_names(tmp_path: Path) -> None:
    results, models = made_up(tmp_path, ["bad", "good"])
    origin = Provenance("news", "5" * 32, "none", described(["bad", "good"]), {"lstm-1": "a1, trained at b2"}, {})
    page = write_page(results, "", costs(models, {}), origin).read_text()
    text = re.sub(r"<[^>]*>", "", page)
    for pair in ("LSTM and GRU", "LSTM and n-gram baseline", "GRU and n-gram baseline"):
        assert f"{pair} disagree, and both are sure" in text
    assert "1 of 2 seeds right" in text
    # Every model has its dot, in the colour of the figures.
    assert all(f"border-color: {colour}" in page for colour in (colour_of("lstm"), colour_of("gru")))
    assert "<td>seeds</td><td>1, 2</td>" in page
    assert "<td>a1, trained at b2</td>" in page


def test_text_from_the_data_is_escaped_and_what_is_not_known_is_a_dash(tmp_path: Path) -> None:
    results, models = made_up(tmp_path, ["bad", "<i>"], Verdict(["LSTM > GRU."], ["Only < 3."]))
    hostile = "<script>alert('x')</script> & <b>bold</b>"
    examples = json.loads((results / "examples.json").read_text())
    examples["errors"] = []
    examples["disagreements"][0]["texts"][0] |= {"text": hostile, "label": "<i>"}
    (results / "examples.json").write_text(json.dumps(examples))
    origin = Provenance("<tiny>", "5" * 32, "none", described(["bad", "<i>"]), {}, {})
    page = write_page(results, "", costs(models, {}), origin).read_text()
    assert "<script>" not in page
    assert "<b>bold" not in page
    assert "<i>" not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt; &amp; &lt;b&gt;bold&lt;/b&gt;" in page
    assert "LSTM &gt; GRU." in page
    assert "Only &lt; 3." in page
    assert "There is no such text." in page
    assert "LSTM</td><td>0 of 2</td><td>–</td>" in page
    assert is_current(results)


def test_a_page_is_current_until_the_numbers_change(trained_project: Project, tmp_path: Path) -> None:
    results = tmp_path / "results"
    shutil.copytree(trained_project.root / "data/results", results)
    assert is_current(results)
    (results / "costs.png").unlink()  # the page has it, and it is made anew with the page
    assert is_current(results)
    (results / "pictures/roc.png").write_bytes(b"another picture")
    assert not is_current(results)
    shutil.copyfile(trained_project.root / "data/results/pictures/roc.png", results / "pictures/roc.png")
    assert is_current(results)
    (results / "statistics.json").write_text("{}")
    assert not is_current(results)
    (results / "report.html").unlink()
    assert not is_current(results)


@pytest.mark.slow
def test_a_lost_report_is_made_again_from_files_and_mlflow(
    fresh_copy: Callable[[], Project], trained_project: Project
) -> None:
    project = fresh_copy()
    results = project.root / "data/results"
    (results / "report.html").unlink()
    output = project.run("python", "-m", "pipeline", "run").stdout
    assert "report: data/results/report.html" in output
    # The same page, timings and all: MLflow has them.
    before = (trained_project.root / "data/results/report.html").read_text()
    assert (results / "report.html").read_text() == before
    # Under another name, the numbers would be told of other data.
    params = (project.root / "params.yaml").read_text()
    (project.root / "params.yaml").write_text(params.replace("tiny", "huge"))
    sources = project.root / "data/sources"
    shutil.copytree(sources / "tiny", sources / "huge")
    shutil.copyfile(sources / "tiny.yaml", sources / "huge.yaml")
    result = project.call("python", "-m", "pipeline", "report", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "statistics.json is about the data set tiny, expected huge: run `make repro`" in result.stderr
    (project.root / "params.yaml").write_text(params)
    shutil.rmtree(results)
    result = project.call("python", "-m", "pipeline", "report", check=False)
    assert result.returncode == 1
    assert "there are no results yet; run `make repro`" in result.stderr


RESULTS = Path("data/results")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"dataset": "imdb"}, "the data set tiny, expected imdb"),
        ({"digest": "b2"}, "the reviews.parquet with the MD5 a1, expected b2"),
        ({"fingerprints": {"lstm-1": "1", "gru-1": "1"}}, "the models lstm-1, expected lstm-1, gru-1 as they are"),
        ({"fingerprints": {"lstm-1": "2"}}, "the models lstm-1, expected lstm-1 as they are"),
    ],
)
def test_results_of_other_data_or_models_are_refused(changed: dict[str, Any], said: str) -> None:
    statistics = {"dataset": "tiny", "digest": "a1", "runs": {"lstm-1": "1"}}
    here: dict[str, Any] = {"dataset": "tiny", "digest": "a1", "fingerprints": {"lstm-1": "1"}, "results": RESULTS}
    check_origin(statistics, **here)
    with pytest.raises(InputError, match=f"statistics.json is about {said}: run `make repro`"):
        check_origin(statistics, **here | changed)
    with pytest.raises(InputError, match="run `make repro`"):
        check_origin({}, **here)  # of an older version


def test_differences_are_read_as_they_were_written(tmp_path: Path) -> None:
    results, models = made_up(tmp_path, ["bad", "good"])
    statistics = json.loads((results / "statistics.json").read_text())
    labels = (np.arange(60) % 2).astype(np.int32)
    assert read_differences(statistics) == compare(models, labels, ["bad", "good"]).differences()
