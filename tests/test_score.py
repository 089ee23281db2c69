"""Batches at scale, with real Spark where Java is: a killed run goes on, and answers are those of `evaluate`."""

import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Project, clean_environment

from pipeline.core.command import InputError
from pipeline.corpus.reviews import read_split
from pipeline.tools.score import begin, check_columns, check_spark, deal, find_files

COMMAND = ("python", "-m", "pipeline", "score", "--model", "gru-1", "--keep", "id", "label", "--input", "reviews")
OUTPUT = ("--output", "answers")
FILES = 8

needs_spark = pytest.mark.skipif(
    find_spec("pyspark") is None or shutil.which("java") is None, reason="Spark needs Java and pyspark"
)


@pytest.fixture(scope="module")
def project(own_project: Project) -> Project:
    """With the test texts in Parquet files, with a column that has the name of an answer, and one text missing."""
    table = pd.concat(read_split(own_project.root / "data/processed/reviews.parquet", "test", ["text"]))
    table = table.reset_index(drop=True).assign(label="?")
    table.loc[len(table)] = [None, "none"]
    table = table.assign(id=range(len(table)), unused=1.5)
    (own_project.root / "reviews").mkdir()
    for number, rows in enumerate(np.array_split(np.arange(len(table)), FILES)):
        table.iloc[rows].to_parquet(own_project.root / f"reviews/{number}.parquet", index=False)
    return own_project


def partitions(answers: Path) -> dict[str, int]:
    """Those that are complete, with the time of their files."""
    return {folder.name: folder.stat().st_mtime_ns for folder in answers.glob("gatewise_partition=*")}


def kill_after_the_first_partition(project: Project) -> None:
    answers = project.root / "answers"
    process = subprocess.Popen(
        [*COMMAND, *OUTPUT],
        cwd=project.root,
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    while not partitions(answers) and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@needs_spark
@pytest.mark.slow
def test_a_killed_run_goes_on_and_the_answers_are_those_of_evaluate(project: Project) -> None:
    answers = project.root / "answers"
    kill_after_the_first_partition(project)
    before = partitions(answers)
    assert 0 < len(before) < FILES

    result = project.run(*COMMAND, *OUTPUT)
    assert result.stdout.endswith(f"{FILES} partitions, {len(before)} of them done before: answers\n")
    after = partitions(answers)
    assert len(after) == FILES
    assert before.items() <= after.items()
    assert list(answers.glob("_temporary*")) == []

    table = pd.read_parquet(answers).sort_values("id")
    columns = ["text", "id", "label", "predicted_label", "p_negative", "p_positive"]
    assert list(table)[:-1] == columns
    with np.load(project.root / "data/models/gru-1/predictions.npz") as arrays:
        measured = arrays["test"]
    np.testing.assert_allclose(table[["p_negative", "p_positive"]][:-1], measured, rtol=0, atol=1e-6)
    labels = np.array(["negative", "positive"])[measured.argmax(axis=1)]
    assert table["predicted_label"][:-1].tolist() == labels.tolist()
    assert (table["id"].tolist(), table["label"].iloc[-1]) == (list(range(len(table))), "none")
    assert table[["text", "predicted_label", "p_negative", "p_positive"]].iloc[-1].isna().all()

    again = project.run(*COMMAND, *OUTPUT)
    assert again.stdout.endswith(f"{FILES} partitions, {FILES} of them done before: answers\n")
    assert partitions(answers) == after

    refused = project.run(*COMMAND, *OUTPUT, "--model", "lstm-1", check=False)
    assert refused.returncode == 1
    assert (
        refused.stderr
        == "error: answers was begun with other settings (model). Choose another --output, or remove it\n"
    )
    assert partitions(answers) == after


def test_an_output_inside_the_input_is_refused(project: Project) -> None:
    refused = project.call(*COMMAND, "--output", "reviews/answers", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "error: --output must not lie in --input (reviews). Received: reviews/answers\n"
    assert not (project.root / "reviews/answers").exists()


def test_without_java_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(InputError, match=r"Spark needs Java 17 or newer|Spark is not installed"):
        check_spark()


def test_files_are_found_in_order_without_what_is_hidden(tmp_path: Path) -> None:
    for name in ("b/2.parquet", "a/1.parquet", "_temporary/3.parquet", "b/.4.parquet", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert find_files(tmp_path) == [tmp_path / "a/1.parquet", tmp_path / "b/2.parquet"]
    assert find_files(tmp_path / "a/1.parquet") == [tmp_path / "a/1.parquet"]
    with pytest.raises(InputError, match=r"--input must be a folder of .parquet files, or one. Received: .*nowhere"):
        find_files(tmp_path / "nowhere")


@pytest.mark.parametrize(("number", "sizes"), [(None, [1] * 7), (1, [7]), (3, [2, 2, 3]), (7, [1] * 7), (99, [1] * 7)])
def test_every_file_is_dealt_once_and_every_partition_has_one(number: int | None, sizes: list[int]) -> None:
    files = [Path(str(i)) for i in range(7)]
    dealt = deal(files, number)
    assert [len(group) for group in dealt] == sizes
    assert [path for group in dealt for path in group] == files


def test_no_partitions_are_refused() -> None:
    with pytest.raises(InputError, match=r"--partitions must be at least 1. Received: 0"):
        deal([Path("a")], 0)


def test_columns_are_looked_at_before_anything_is_read(tmp_path: Path) -> None:
    good, numbers, other, broken = (tmp_path / f"{name}.parquet" for name in ("good", "numbers", "other", "broken"))
    pd.DataFrame({"text": ["x"], "id": [1]}).to_parquet(good)
    pd.DataFrame({"text": [1], "id": [1]}).to_parquet(numbers)
    pd.DataFrame({"text": ["x"], "id": ["1"]}).to_parquet(other)
    broken.write_text("text")
    check_columns([good], "text", ["id"])
    for files, column, problem in (
        ([good], "texts", r"good.parquet must have one column 'texts'; did you mean text\?"),
        ([numbers], "text", "numbers.parquet: column 'text' must be of strings. Received: int64"),
        ([good, other], "text", "other.parquet: column 'id' must be int64, as in .*good.parquet. Received: "),
        ([good, broken], "text", "broken.parquet cannot be read as Parquet"),
    ):
        with pytest.raises(InputError, match=problem):
            check_columns(files, column, ["id"])


def test_an_output_is_about_one_thing(tmp_path: Path) -> None:
    manifest = {"model": {"weights": "1"}, "partitions": [{"a.parquet": "2"}]}
    begin(tmp_path, manifest)
    begin(tmp_path, manifest)
    with pytest.raises(InputError, match=r"was begun with other settings \(partitions\)\. Choose another --output"):
        begin(tmp_path, manifest | {"partitions": [{"a.parquet": "3"}]})
    (tmp_path / "full").mkdir()
    (tmp_path / "full/answers.csv").touch()
    with pytest.raises(InputError, match="--output must be a new or empty folder, or the output of a stopped run"):
        begin(tmp_path / "full", manifest)
