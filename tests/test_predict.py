"""Texts from anywhere, answers to anywhere: the same numbers from every door, and one line for what is wrong."""

import gzip
import json
import re
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Project, clean_environment, output_of
from tqdm import tqdm

from pipeline.core.command import InputError
from pipeline.corpus.lines import Dialect
from pipeline.corpus.tables import BATCH_ROWS
from pipeline.serving.selection import choose
from pipeline.tools.predict import check, joined, main, open_output, read_texts, without_formulas

TEXTS = ["the acting is superb", "i hated every minute", ""]
COMMAND = ("python", "-m", "pipeline", "predict")


@pytest.fixture(scope="module")
def project(own_project: Project) -> Project:
    """With a champion: gru-2."""
    own_project.call("python", "-m", "pipeline", "promote", "--model", "gru-2")
    return own_project


def test_every_door_gives_the_probabilities_that_evaluate_measured(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reviews = pd.read_parquet(project.root / "data/processed/reviews.parquet")
    test = reviews[reviews["split"] == "test"].reset_index(drop=True)
    test[["text"]].sample(frac=1, random_state=1).to_json(tmp_path / "test.jsonl", orient="records", lines=True)
    for model, name in ((None, "gru-2"), ("lstm-1", "lstm-1"), ("data/models/baseline", "baseline")):
        output = tmp_path / f"{name}.parquet"
        arguments = ["--file", str(tmp_path / "test.jsonl"), "--output", str(output)]
        if model is None:
            said = project.call(*COMMAND, *arguments).stderr
        else:  # in this process, which has Keras loaded
            monkeypatch.chdir(project.root)
            main.main([*arguments, "--model", model], standalone_mode=False)
            said = capsys.readouterr().err
        assert name in said.splitlines()[0]
        answers = pd.read_parquet(output)
        with np.load(project.root / f"data/models/{name}/predictions.npz") as arrays:
            measured = pd.DataFrame(arrays["test"], columns=["p_negative", "p_positive"]).assign(text=test["text"])
        both = answers.merge(measured.drop_duplicates("text"), on="text", suffixes=("", "_measured"))
        assert len(both) == len(test)
        for column in ("p_negative", "p_positive"):
            np.testing.assert_allclose(both[column], both[f"{column}_measured"], atol=1e-6)


def test_texts_on_the_command_line_are_answered_line_by_line(project: Project) -> None:
    result = project.call(*COMMAND, *TEXTS, "two\nlines\tand a tab")
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[2] for row in rows] == [*TEXTS, "two lines and a tab"]
    assert [row[0] for row in rows[:2]] == ["positive", "negative"]
    assert all(0.5 <= float(row[1]) <= 1 for row in rows)
    model, warning = result.stderr.splitlines()
    assert model == "model: gatewise-tiny version 1 (gru-2), the champion"
    assert "in 1 of 4 texts the model knows no word" in warning


def test_true_labels_say_how_many_answers_are_right_and_texts_without_a_known_word_are_told(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    texts = ["the acting is superb", "i hated every minute", "这部电影很好看", "the plot is superb", "a superb film"]
    truth = ["positive", "positive", None, "negative", "neutral"]
    table = pd.DataFrame({"review": texts, "stars": truth})
    table.to_json(tmp_path / "labelled.jsonl", orient="records", lines=True)
    words = ["--file", str(tmp_path / "labelled.jsonl"), "--column", "review", "--truth", "stars"]
    for model in ([], ["--model", "gru-1"], ["--model", "baseline"]):  # through MLflow, from disk, without TensorFlow
        main.main([*words, *model], standalone_mode=False)
        out, said = capsys.readouterr()
        assert [line.partition("\t")[0] for line in out.splitlines()].count("positive") == 3
        assert "1 of 4 answers are right: 25.0%" in said
        assert re.search(r"positive +0\.333 +0\.500 +0\.400 +2\n", said), said  # by hand
        assert "not counted: 1 text without a true label" in said
        assert "does not know the true labels 'neutral'" in said
        assert "in 1 of 5 texts the model knows no word" in said
        assert "'这部电影很好看'" in said


def test_true_labels_are_read_as_training_reads_them(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project.root)
    labels = pa.array([1, 1, 0, -1])
    names = {"info": {"features": {"stars": {"names": ["negative", "positive"], "_type": "ClassLabel"}}}}
    table = pa.table({"text": ["superb", "superb", "superb", "superb"], "stars": labels})
    pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(names)}), tmp_path / "a.parquet")
    main.main(["--file", str(tmp_path / "a.parquet"), "--truth", "stars", "--model", "gru-1"], standalone_mode=False)
    said = capsys.readouterr().err
    assert "2 of 3 answers are right" in said
    assert "not counted: 1 text without" in said
    pd.DataFrame({"text": ["superb"] * 2, "stars": [None, None]}).to_csv(tmp_path / "a.csv", index=False)
    main.main(["--file", str(tmp_path / "a.csv"), "--truth", "stars", "--model", "gru-1"], standalone_mode=False)
    assert "not counted: 2 texts without" in capsys.readouterr().err
    with pytest.raises(InputError, match="no column ''"):
        main.main(["--file", str(tmp_path / "a.csv"), "--truth", ""], standalone_mode=False)


@pytest.mark.parametrize("words", [["a text", "--truth", "label"], ["--file", "a.txt", "--truth", "label"]])
def test_true_labels_need_a_table(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("a text\n", encoding="utf-8")
    with pytest.raises(InputError, match="--truth"):
        main.main(words, standalone_mode=False)


@pytest.mark.slow
def test_a_model_of_the_registry_or_of_a_run_answers_too(project: Project) -> None:
    run_id = mlflow.MlflowClient(project.store).get_model_version("gatewise-tiny", "1").run_id
    expected = project.run(*COMMAND, TEXTS[0]).stdout
    for uri in ("models:/gatewise-tiny/1", f"runs:/{run_id}"):
        result = project.run(*COMMAND, TEXTS[0], "--model", uri)
        assert (result.stdout, result.stderr) == (expected, f"model: {uri}\n")


@pytest.mark.slow
def test_a_model_answers_with_the_code_that_it_was_logged_with(project: Project) -> None:
    """Not with that of the checkout, which may have moved on."""
    part = project.root / "pipeline" / "tokens" / "tokenizer.py"
    before = part.read_text()
    expected = project.run(*COMMAND, TEXTS[0]).stdout
    part.write_text(before.replace("[valid_unicode(text) for", '["something else" for'))
    assert part.read_text() != before
    assert project.run(*COMMAND, TEXTS[0]).stdout == expected
    assert project.run(*COMMAND, TEXTS[0], "--model", "gru-2").stdout != expected
    part.write_text(before)


def test_without_a_champion_the_best_on_validation_answers(trained_project: Project) -> None:
    result = trained_project.call(*COMMAND, TEXTS[0])
    cards = [json.loads(path.read_text()) for path in (trained_project.root / "data/models").glob("*/card.json")]
    best = max(card["validation"]["accuracy"] for card in cards)
    assert f"the best on validation ({best:.1%}); no champion: make promote" in result.stderr


@pytest.mark.slow
def test_standard_input_is_one_text_per_line(project: Project) -> None:
    result = subprocess.run(
        [*COMMAND, "--file", "-", "--model", "baseline"],
        cwd=project.root, env=clean_environment(), capture_output=True, check=True,
        input="\ufeffthe acting is superb\r\n\n这部电影 😀\n".encode() + b"\xff\xfe not utf-8",
    )  # fmt: skip
    texts = [line.split("\t")[2] for line in result.stdout.decode().splitlines()]
    assert texts == ["the acting is superb", "", "这部电影 😀", "\ufffd\ufffd not utf-8"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "parquet"])
def test_a_file_of_any_kind_goes_in_and_out(
    project: Project,
    tmp_path: Path,
    ending: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    review = [*TEXTS, 'a "quoted",\nline\rand another']
    table = pd.DataFrame({"id": [7, 8, 9, 10], "label": ["x", None, "y", "z"], "review": review})
    source, output = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    write(table, source)
    options = ["--column", "review", "--keep", "id", "label", "review", "--output", str(output), "--model", "baseline"]
    monkeypatch.chdir(project.root)
    main.main(["--file", str(source), *options], standalone_mode=False)
    assert f"4 texts: {output}" in capsys.readouterr().err
    answers = read(output)
    columns = ["review", "id", "label", "predicted_label", "p_negative", "p_positive"]
    assert answers.columns.tolist() == columns
    assert answers["review"].fillna("").tolist() == table["review"].tolist()
    assert answers["id"].astype(str).tolist() == ["7", "8", "9", "10"]
    assert answers["label"].isna().tolist() == [False, True, False, False]
    np.testing.assert_allclose(answers["p_negative"] + answers["p_positive"], 1, atol=1e-9)
    assert [path.name for path in tmp_path.iterdir() if ".part" in path.name] == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "expected either texts or --file"),
        (["a text", "--file", "x.csv"], "expected either texts or --file"),
        (["--file", "none.csv"], "none.csv does not exist"),
        (["--file", "params.yaml"], "--file must end in .csv, .tsv, .json, .jsonl, .ndjson, .csv.gz"),
        (
            ["--file", "data/sources/tiny/reviews.csv", "--column", "texts"],
            "no column 'texts' (see --column, --keep and --truth); did you mean text?",
        ),
        (["--file", "params.yaml", "--encoding", "latin-99"], "--encoding must be an encoding that Python knows"),
        (["--file", "params.yaml", "--delimiter", "::"], "--delimiter must be one character. Received: '::'"),
        (["a text", "--output", "x.xlsx"], "--output must end in .csv, .tsv, .jsonl, .parquet. Received: x.xlsx"),
        (["a text", "--keep", "id"], "--keep needs --output"),
        (["a text", "--no-formulas", "--output", "x.parquet"], "--no-formulas needs --output with .csv or .tsv"),
        (["--file", "x.csv", "--output", "data/../x.csv"], "--output must be another file than --file"),
        (["a text", "--model", "gru-7"], "there is no model 'gru-7'"),
        (["a text", "--model", "models:/nothing@champion"], "Registered Model with name=nothing not found"),
        (["a text", "--model", "baseline", "--output", "none/x.csv"], "none/x.csv cannot be written: No such file"),
    ],
)
def test_what_is_wrong_is_named(
    project: Project, arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(project.root)
    with pytest.raises(InputError, match=re.escape(problem)):
        main.main(arguments, standalone_mode=False)


def test_what_is_wrong_is_one_line_and_exit_code_1(project: Project) -> None:
    result = project.call(*COMMAND, "--file", "none.csv", check=False)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", "error: none.csv does not exist\n")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("x.jsonl", '{"text": "fine"}\n{"text": 3}', r"no string\n  .*x\.jsonl, line 2: {\"text\": 3}"),
        ("x.jsonl", '{"text": "fine"}\n{"text": null}', r"no string\n  .*x\.jsonl, line 2: "),
        ("x.jsonl", '{"text": "fine"}\n{"other": 1}', r"no string\n  .*x\.jsonl, line 2: "),
        ("x.jsonl", '{"text": "fine"}\n{"text"', r"no JSON object .*\n  .*x\.jsonl, line 2: "),
        ("x.csv", 'text,id\nfine,1\n" an inch,2\n', r"broken quote .*\n  .*x\.csv, line 3: "),
        ("x.csv", "text,id\nfine,1\nfine, I said,2\n", r"too many fields .*\n  .*x\.csv, line 3: fine, I said,2"),
        ("x.txt", b"fine\nna\xefve\n", r"another encoding .*\n  .*x\.txt, line 2: na\\xefve"),
    ],
)
def test_a_file_with_bad_rows_is_refused_with_their_lines(
    tmp_path: Path, name: str, content: str | bytes, problem: str
) -> None:
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=problem):
        check(str(tmp_path / name), "text", [], Dialect())


@pytest.mark.parametrize("ending", [".csv", ".txt"])
def test_a_text_file_is_read_as_it_is_written(tmp_path: Path, ending: str) -> None:
    lines = ["fine", "naïve"] if ending == ".txt" else ["1;fine", "2;naïve"]
    (tmp_path / f"x{ending}.gz").write_bytes(gzip.compress("\n".join(lines).encode("cp1252")))
    dialect = Dialect("cp1252", ";", None, header=False)
    (table,) = read_texts(str(tmp_path / f"x{ending}.gz"), "2", [], dialect)
    assert table["2"].tolist() == ["fine", "naïve"]


def test_an_empty_field_of_a_csv_file_is_an_empty_text_and_na_is_a_word(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('text,id\n,1\nNA,2\n"",3\n')
    (table,) = read_texts(str(tmp_path / "x.csv"), "text", [])
    assert table["text"].tolist() == ["", "NA", ""]


def test_every_line_of_a_csv_file_with_one_column_is_answered(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text\na\n\n   \nb\n")
    (table,) = read_texts(str(tmp_path / "x.csv"), "text", [])
    assert table["text"].tolist() == ["a", "", "   ", "b"]


def test_a_byte_order_mark_is_no_part_of_the_first_text(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("\ufefffine\n\ufeffword joiner\n")
    (table,) = read_texts(str(tmp_path / "x.txt"), "text", [])
    assert table["text"].tolist() == ["fine", "\ufeffword joiner"]


def test_a_bad_row_far_down_is_found_before_the_first_answer(tmp_path: Path) -> None:
    lines = ['{"text": "fine"}'] * BATCH_ROWS + ['{"text": 3}']
    (tmp_path / "x.jsonl").write_text("\n".join(lines))
    assert len(next(read_texts(str(tmp_path / "x.jsonl"), "text", []))) == BATCH_ROWS
    with pytest.raises(InputError, match=rf"line {BATCH_ROWS + 1}: "):
        check(str(tmp_path / "x.jsonl"), "text", [], Dialect())


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_half_an_emoji_and_columns_of_changing_type_can_be_written(tmp_path: Path, ending: str) -> None:
    answers = pd.DataFrame({"label": ["a"], "p_a": [1.0]})
    with open_output(tmp_path / f"x.{ending}") as write_table:
        for kept in (None, 3, "text", 2.5):
            table = pd.DataFrame({"text": ["half \ud83d"], "kept": [kept]}, dtype=object)
            write_table(joined(table, answers))
    came = read(tmp_path / f"x.{ending}")
    assert came["text"].tolist() == ["half ?"] * 4
    assert [None if pd.isna(kept) else str(kept) for kept in came["kept"]] == [None, "3", "text", "2.5"]


def test_what_a_spreadsheet_would_run_gets_a_mark_before_it_where_that_is_asked_for() -> None:
    table = pd.DataFrame({"text": ["=1+1", "a=1", "-2", "\tx", "", "'=1"], "-id": [1, 2, 3, 4, 5, -6]})
    safe = without_formulas(table)
    assert safe["text"].tolist() == ["'=1+1", "a=1", "'-2", "'\tx", "", "'=1"]
    assert safe["'-id"].tolist() == [1, 2, 3, 4, 5, -6]


def test_an_error_leaves_the_old_output_and_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("old")

    def break_half_way() -> None:
        with open_output(tmp_path / "x.csv") as write_table:
            write_table(pd.DataFrame({"label": ["a"]}))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_half_way()
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"x.csv": "old"}


def test_a_bad_row_at_the_end_says_that_nothing_was_written(tmp_path: Path) -> None:
    def find_a_bad_row() -> None:
        with open_output(tmp_path / "x.csv") as write_table:
            write_table(pd.DataFrame({"label": ["a"]}))
            raise InputError("row 9 is no text")

    with pytest.raises(InputError, match=r"^row 9 is no text; .*x\.csv was not written$"):
        find_a_bad_row()
    assert list(tmp_path.iterdir()) == []


def test_no_column_of_the_input_is_lost_to_one_of_ours() -> None:
    given = pd.DataFrame({"text": ["a"], "p_a": ["1"], "predicted_p_a": ["2"], "label": ["3"]})
    table = joined(given, pd.DataFrame({"label": ["a"], "p_a": [1.0], "p_b": [0.0]}))
    assert table.columns.tolist() == [*given, "predicted_label", "predicted_predicted_p_a", "p_b"]


def test_a_progress_bar_knows_how_many_rows_parquet_has(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pd.DataFrame({"text": TEXTS}).to_parquet(tmp_path / "x.parquet")
    monkeypatch.setattr("pipeline.tools.predict.progress", partial(tqdm, disable=False))
    monkeypatch.chdir(project.root)
    main.main(["--file", str(tmp_path / "x.parquet"), "--model", "baseline"], standalone_mode=False)
    assert re.search(r"classify: 100%.* 3/3 ", capsys.readouterr().err)


def test_a_raw_web_page_s_line_break_is_read_as_one_by_every_model(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project.root)
    for name in ("lstm-1", "gru-1", "baseline"):
        model, _ = choose(name, "tiny")
        raw, plain = model.predict(
            [f"Not dull at all.{line_break}The acting is superb" for line_break in ("<br /><br />", "\n\n")]
        ).to_dict("records")
        assert raw == pytest.approx(plain, abs=1e-6)


@pytest.mark.slow
def test_a_file_need_not_fit_into_memory(tmp_path: Path) -> None:
    """The model costs nothing."""
    path = tmp_path / "large.csv"
    with path.open("w") as file:
        file.write("text\n")
        file.writelines(
            f"Film number {i}: a warm and clever story and the music fits. {'x' * 500}\n" for i in range(300_000)
        )
    code = (
        "import resource, sys\nimport pandas as pd\nfrom pathlib import Path\n"
        "from pipeline.tools import predict\n"
        "class Model:\n"
        "    def predict(self, texts):\n"
        "        return pd.DataFrame({'label': ['a'] * len(texts), 'p_a': [1.0] * len(texts)})\n"
        "    def knows(self, texts):\n"
        "        return None\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "tables = predict.read_texts(sys.argv[1], 'text', [])\n"
        "output = Path(sys.argv[1]).with_suffix('.parquet')\n"
        "tally = predict.Tally()\n"
        "predict._answer(Model(), tables, ('text', None), output, True, None, tally)\n"
        "print(tally.texts)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    number, grown = map(int, output_of(code, str(path)).split())
    assert number == 300_000
    assert grown * 1024 < path.stat().st_size / 2


def write(table: pd.DataFrame, path: Path) -> None:
    if path.suffix == ".parquet":
        table.to_parquet(path)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",", index=False)


def read(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    if path.suffix == ".jsonl":
        rows: Sequence[dict[str, Any]] = [json.loads(line) for line in path.read_text().splitlines()]
        return pd.DataFrame(rows)
    return pd.read_csv(path, sep="\t" if path.suffix == ".tsv" else ",")
