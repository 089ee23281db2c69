"""The tool on really trained networks: what it shows, what it writes, and how it refuses."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Project
from samples import readings

from pipeline.core.command import InputError
from pipeline.tools import explain

TEXT = "Film number 3: not GOOD at all, & zzyx <b>though</b> it is long"


@pytest.fixture
def project(trained_project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.chdir(trained_project.root)
    return trained_project


def test_one_command_shows_and_writes_everything(trained_project: Project, tmp_path: Path) -> None:
    shown = trained_project.call("python", "-m", "pipeline", "explain", "--output", str(tmp_path / "out"), TEXT)
    assert shown.stderr == ""
    assert "LSTM (lstm-1)" in shown.stdout
    assert "GRU (gru-1)" in shown.stdout
    assert "Not in the vocabulary: zzyx" in shown.stdout
    assert "\033" not in shown.stdout  # no terminal, no colour
    assert (tmp_path / "out" / "explanation.png").read_bytes().startswith(b"\x89PNG")
    page = (tmp_path / "out" / "explanation.html").read_text()
    assert "zzyx" in page
    assert "&lt;" in page
    assert trained_project.run("git", "status", "--short").stdout == ""


def test_the_verdict_is_that_of_the_stored_predictions(project: Project, tmp_path: Path) -> None:
    reviews = pd.read_parquet("data/processed/reviews.parquet")
    text = str(reviews[reviews["split"] == "test"]["text"].iloc[0])
    shown = explain.explain(text, ["lstm-2", "gru-1"], tmp_path)
    for name in ("lstm-2", "gru-1"):
        with np.load(f"data/models/{name}/predictions.npz") as predictions:
            assert f"({name}) {predictions['test'][0, 1]:.3f}" in shown


def test_a_line_per_token_of_a_short_text_and_those_that_matter_of_a_long_one(project: Project, tmp_path: Path) -> None:
    short = explain.explain("not good at all", ["gru-1"], tmp_path)
    assert re.findall(r"^(\S+) +\d\.\d\d", short, re.MULTILINE) == ["not", "good", "at", "all"]
    words, (reading,) = readings(" ".join(["a warm film but not good at all"] * 10), ("gru",))
    rows = explain._rows_to_show([reading])
    assert len(rows) == explain._MOST
    assert rows == sorted(rows)
    left_out = np.delete(np.abs(reading.occlusion), rows)
    assert left_out.max() <= np.abs(reading.occlusion)[rows].min()
    hidden = [
        int(number)
        for number in re.findall(r"^  … (\d+)$", "\n".join(explain._table(words, [reading], "fresh", 1)), re.MULTILINE)
    ]
    assert sum(hidden) + len(rows) == len(words.ids)


def test_of_more_than_two_labels_the_likeliest_of_each_network_are_named() -> None:
    _, (of_two,) = readings("not good", ("gru",))
    assert explain._likeliest([of_two], ["bad", "good"]) == []
    of_four = replace(of_two, probabilities=np.array([[0.25, 0.25, 0.25, 0.25], [0.3, 0.1, 0.2, 0.4]]))
    heading, line = explain._likeliest([of_four], ["bad", "good", "fair", "fresh"])
    assert "4 labels" in heading
    assert line.endswith("fresh 0.400, bad 0.300, fair 0.200")


def test_a_text_that_is_cut_and_words_that_are_unknown_are_said(project: Project, tmp_path: Path) -> None:
    assert "read the last 16 of 20 tokens" in explain.explain("dull " * 20, ["lstm-1"], tmp_path)
    assert "No word of this text is in the vocabulary" in explain.explain("zzyx qqq", ["lstm-1"], tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["  "], "the text is empty"),
        (["?!"], "there is no word in the text"),
        (["--models", "lstm1", "good"], "did you mean lstm-1?"),
        (["--models", "baseline", "good"], "baseline is no network: it has no gates"),
        (["--models", ",", "good"], "--models names no model"),
    ],
)
def test_bad_input_is_one_line(
    project: Project, arguments: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["explain", *arguments])
    with pytest.raises(InputError, match=re.escape(message)):
        explain.main()
    assert not Path("data/explain").exists()


def test_bars_are_coloured_in_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert explain._bar(1.0, 2) == f"{'':8}│\033[32m{'█' * 8}\033[0m"
    assert explain._bar(0.25, 2) == f"    \033[35m{'█' * 4}\033[0m│{'':8}"
    monkeypatch.setenv("NO_COLOR", "1")
    assert explain._bar(0.25, 2) == f"    ████│{'':8}"
    assert explain._bar(1 / 3, 3) == f"{'':8}│{'':8}"


def test_help_does_not_wait_for_a_framework(trained_project: Project) -> None:
    code = "import sys, pipeline.tools.explain; sys.exit(bool({'keras', 'matplotlib', 'pandas'} & set(sys.modules)))"
    trained_project.run("python", "-c", code)
