"""The preprocess stage: what the table, the tokens and the report must be like before anything learns from them."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from archives import backwards, imdb_archive, imdb_files
from conftest import ROOT, TINY_PARAMS, TINY_SOURCE, clean_environment, tiny_reviews
from tokenizers import Tokenizer

from pipeline.core.command import InputError
from pipeline.corpus.reviews import read_groups
from pipeline.evaluate import data_warnings
from pipeline.preprocess import preprocess, summary
from pipeline.tokens.tokenized import TokenizedSplits

FILES = ["data.json", "rejected.parquet", "reviews.parquet", "test_labels.npy", "tokenizer.json", "tokens.npz"]


def raw_csv(folder: Path, table: pd.DataFrame, description: str) -> Path:
    folder.mkdir()
    (folder / "source.yaml").write_text(description)
    table.to_csv(folder / "reviews.csv", index=False)
    return folder


def given_splits(*rows: tuple[str, str, str]) -> pd.DataFrame:
    """Twelve plain reviews in train, four in validation, four in test, and these: (text, label, split)."""
    plain = [
        (f"{word} film of {split} {row}", label, split)
        for split, count in (("train", 6), ("validation", 2), ("test", 2))
        for row in range(count)
        for word, label in (("fine", "good"), ("dull", "bad"))
    ]
    return pd.DataFrame([*plain, *rows], columns=["text", "label", "split"])


def run_given(folder: Path, table: pd.DataFrame, description: str = "") -> tuple[dict[str, Any], pd.DataFrame]:
    """The report and the table for a CSV with given splits."""
    raw = raw_csv(folder / "raw", table, f"format: files\nsplit: split\n{description}")
    report = preprocess(raw, "given", 0.25, 1, "word", 100, folder / "out")
    return report, pd.read_parquet(folder / "out" / "reviews.parquet")


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return raw_csv(tmp_path_factory.mktemp("tiny") / "raw", tiny_reviews(), TINY_SOURCE)


@pytest.fixture(scope="module")
def output(raw: Path) -> Path:
    """The tiny reviews, preprocessed once."""
    folder = raw.with_name("processed")
    preprocess(raw, 0.25, 0.25, 1, "word", 200, folder)
    return folder


@pytest.fixture(scope="module")
def table(output: Path) -> pd.DataFrame:
    return pd.read_parquet(output / "reviews.parquet")


def test_exactly_the_six_files_are_written(output: Path) -> None:
    assert sorted(path.name for path in output.iterdir()) == FILES


def test_the_table_has_every_text_once_and_is_in_the_order_of_the_splits(table: pd.DataFrame) -> None:
    assert sorted(table["text"]) == sorted(tiny_reviews()["text"])
    assert set(table["split"]) == {"train", "validation", "test"}
    labelled = table[table["split"] != "test"]
    assert labelled["label"].value_counts().to_dict() == {0: 108, 1: 108}
    assert table["split"].tolist() == sorted(table["split"], key=["train", "validation", "test"].index)


def test_test_labels_are_not_in_the_table_and_lie_beside_it_in_its_order(output: Path, table: pd.DataFrame) -> None:
    test = table[table["split"] == "test"]
    assert len(test) == 72
    assert test["label"].isna().all()
    truth = tiny_reviews().set_index("text")["label"].map({"negative": 0, "positive": 1})
    codes = np.load(output / "test_labels.npy")
    assert str(codes.dtype) == "int32"
    assert codes.tolist() == truth[test["text"]].tolist()
    labelled = table[table["split"] != "test"]
    assert labelled["label"].tolist() == truth[labelled["text"]].tolist()


def test_tokens_fit_the_table_and_hold_no_test_labels(output: Path, table: pd.DataFrame) -> None:
    with np.load(output / "tokens.npz") as arrays:
        assert sorted(name for name in arrays if "labels" in name) == ["train_labels", "validation_labels"]
    splits = TokenizedSplits.load(output / "tokens.npz")
    tokenizer = Tokenizer.from_file(str(output / "tokenizer.json"))
    assert splits.label_names == ["negative", "positive"]
    assert splits.vocabulary_size == tokenizer.get_vocab_size() <= 200
    for split, tokens in splits.tokens.items():
        rows = table[table["split"] == split]
        assert [tokens[row].tolist() for row in range(len(tokens))] == [
            tokenizer.encode(text).ids for text in rows["text"]
        ]
        if split in splits.labels:
            assert splits.labels[split].tolist() == rows["label"].tolist()


def test_the_report_adds_up(output: Path, table: pd.DataFrame) -> None:
    report = json.loads((output / "data.json").read_text())
    assert report["labels"] == ["negative", "positive"]
    splits = report["splits"]
    assert {split: content["reviews"] for split, content in splits.items() if content["reviews"]} == (
        table["split"].value_counts().to_dict()
    )
    assert sum(content["reviews"] for content in splits.values()) + sum(report["dropped"].values()) == 288
    assert (report["rows"], report["set aside"], report["without a label"], report["notes"]) == (288, {}, 0, [])
    assert all(sum(content["labels"].values()) == content["reviews"] for content in splits.values())
    assert sum(content["groups"] for content in splits.values()) == 24
    assert splits["test"]["labels"] == {"negative": 36, "positive": 36}
    assert splits["train"]["tokens"] == {"median": 11.0, "90%": 12.0, "99%": 12.0, "max": 12.0}
    assert splits["train"]["unknown"] == 0
    assert report["groups in two splits"] == 0


def test_running_twice_gives_the_same_bytes(raw: Path, output: Path, tmp_path: Path) -> None:
    preprocess(raw, 0.25, 0.25, 1, "word", 200, tmp_path)
    assert [(tmp_path / name).read_bytes() == (output / name).read_bytes() for name in FILES] == [True] * 6


def test_the_command_takes_its_numbers_from_params_and_prints_the_counts(
    raw: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "params.yaml").write_text(TINY_PARAMS)
    result = subprocess.run(
        [sys.executable, "-m", "pipeline.preprocess", "--raw", str(raw), "--output", "out"],
        cwd=tmp_path, env=clean_environment() | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.strip() == summary(json.loads((output / "data.json").read_text()))
    assert [(tmp_path / "out" / name).read_bytes() == (output / name).read_bytes() for name in FILES] == [True] * 6


def command_on(folder: Path) -> dict[str, Any]:
    """How to start the command on `folder/raw`, into `folder/data/processed`."""
    (folder / "params.yaml").write_text(TINY_PARAMS)
    command = [sys.executable, "-m", "pipeline.preprocess", "--raw", "raw", "--output", "data/processed"]
    return {"args": command, "cwd": folder, "env": clean_environment() | {"PYTHONPATH": str(ROOT)}}


def test_a_run_that_is_killed_while_it_reads_leaves_nothing_where_outputs_are(tmp_path: Path) -> None:
    raw_csv(tmp_path / "raw", pd.concat([tiny_reviews()] * 1000), TINY_SOURCE)
    with subprocess.Popen(**command_on(tmp_path)) as process:
        while not (tmp_path / "data").exists() and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.3)
        assert process.poll() is None
        process.kill()
    assert [path.name for path in (tmp_path / "data").iterdir()] == [".processed.part"]  # which the next run removes


def test_labels_may_be_called_as_our_columns_and_be_many() -> None:
    labels = {"texts": 3, "groups": 2, "split": 1, **{f"label {i}": i for i in range(5)}}
    splits = {name: {"reviews": 6, "labels": labels, "groups": 4} for name in ("train", "test")}
    report = {
        "labels": [*labels],
        "splits": splits,
        "repeats": {"texts": 0},
        "dropped": {},
        "set aside": {},
        "notes": [],
    }
    lines = summary(report | {"without a label": 0, "warnings": [], "rows": 12}).splitlines()
    cells = [line.split() for line in lines]
    assert cells[0] == ["split", "train", "test"]
    assert [row for row in cells if row[0] in ("texts", "groups")] == [
        ["texts", "6", "6"],
        ["texts", "3", "3"],
        ["groups", "2", "2"],
        ["groups", "4", "4"],
    ]


def test_a_full_disk_is_one_line_and_costs_nothing_of_the_last_run(tmp_path: Path) -> None:
    raw_csv(tmp_path / "raw", tiny_reviews(), TINY_SOURCE)
    (tmp_path / "data" / "processed").mkdir(parents=True)
    (tmp_path / "data" / "processed" / "data.json").write_text("of the last run")
    how = command_on(tmp_path)
    limited = ["sh", "-c", 'ulimit -f 16 && exec "$@"', "sh", *how.pop("args")]  # 8 or 16 KiB a file
    result = subprocess.run(limited, **how, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: data/processed could not be written: ")
    assert result.stderr.count("\n") == 1
    files = [path.relative_to(tmp_path / "data").as_posix() for path in (tmp_path / "data").rglob("*")]
    assert sorted(files) == ["processed", "processed/data.json"]


def test_half_a_character_is_told_with_file_and_line_and_nothing_is_written(tmp_path: Path) -> None:
    raw_csv(tmp_path / "raw", tiny_reviews(), TINY_SOURCE)
    line = json.dumps({"text": "fine \ud83d film", "label": "positive", "film": "a"})
    (tmp_path / "raw" / "more.jsonl").write_text(line)
    with pytest.raises(InputError, match=r"half a character.*\n.*more\.jsonl, line 1: .*fine .*ud83d film"):
        preprocess(tmp_path / "raw", 0.25, 0.25, 1, "word", 200, tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["raw"]


def test_every_row_is_learnt_or_listed(tmp_path: Path) -> None:
    table = given_splits(("who knows", "", "train"), (" ", "good", "train"), ("", "bad", "test"))
    raw = raw_csv(tmp_path / "raw", table, "format: files\nsplit: split\nbad_rows: set_aside\n")
    with (raw / "reviews.csv").open("a") as file:
        file.write("one, two, three,good,train\nsome,bad,later\n")
    report = preprocess(raw, "given", 0.25, 1, "word", 100, tmp_path / "out")
    assert report["set aside"] == {"empty text": 2, "too many fields": 1, "unknown split": 1}
    assert (report["rows"], report["without a label"]) == (25, 1)
    learnt = sum(content["reviews"] for content in report["splits"].values())
    assert learnt + sum(report["dropped"].values()) + sum(report["set aside"].values()) == report["rows"]
    listed = pd.read_parquet(tmp_path / "out" / "rejected.parquet")
    assert listed.to_numpy().tolist() == [
        ["reviews.csv", 23, "empty text", " ,good,train\n"],
        ["reviews.csv", 24, "empty text", ",bad,test\n"],
        ["reviews.csv", 25, "too many fields", "one, two, three,good,train\n"],
        ["reviews.csv", 26, "unknown split", "some,bad,later\n"],
    ]
    told = summary(report)
    assert "set aside, in rejected.parquet: 2 (empty text), 1 (too many fields), 1 (unknown split), of 25 rows" in told
    assert "without a label: 1 row, kept as unlabelled" in told


def test_repeats_stay_together_count_as_one_and_conflicts_are_told(tmp_path: Path) -> None:
    rows = tiny_reviews().assign(label=lambda table: table["label"].str[:3])
    same = pd.DataFrame([("Same  again!", "pos"), ("same again!", "neg"), ("SAME again!", "pos")] * 2)
    copies = rows[rows["film"].isin(["film 3", "film 7"])].assign(film="film 99")
    table = pd.concat([rows, copies, same.set_axis(["text", "label"], axis=1)])
    raw = raw_csv(tmp_path / "raw", table, "format: files\ngroup: film\n")
    report = preprocess(raw, 0.25, 0.25, 1, "word", 100, tmp_path / "out")
    assert report["repeats"] == {
        "texts": 25, "reviews": 54, "texts with several labels": 1, "reviews with several labels": 6,
    }  # fmt: skip
    assert sum(content["reviews"] for content in report["splits"].values()) == len(table)
    reviews = pd.read_parquet(tmp_path / "out" / "reviews.parquet")
    assert reviews.groupby(reviews["text"].str.lower().str.split().str.join(" "))["split"].nunique().max() == 1
    test = read_groups(tmp_path / "out" / "reviews.parquet")
    assert len(set(test)) == report["splits"]["test"]["groups"]
    films = reviews["group"][reviews["name"] == "reviews.csv"].value_counts()
    assert (films["film 3"], "film 7" in films, "film 99" in films) == (48, False, False)
    told = summary(report)
    assert "25 texts in 54 rows" in told
    assert "1 of them with several labels (6 rows)" in told
    assert "dropped" not in told


def test_a_given_split_that_is_mixed_is_a_warning_that_stays(tmp_path: Path) -> None:
    table = given_splits()
    raw = raw_csv(tmp_path / "raw", table, "format: files\nsplit: split\nignore_splits: true\n")
    report = preprocess(raw, 0.25, 0.25, 1, "word", 100, tmp_path / "out")
    (warning,) = report["warnings"]
    assert "column 'split' is mixed" in warning
    assert f"warning: {warning}" in summary(report)
    assert data_warnings(tmp_path / "out") == [f"T{warning[1:]}."]


@pytest.mark.parametrize("prefix", ["aclImdb/", "./aclImdb/"])
def test_the_order_of_the_archive_changes_no_byte(tmp_path: Path, prefix: str) -> None:
    files = imdb_files(films=12)
    for name, order in (("a", files), ("b", backwards(files))):
        (tmp_path / name).mkdir()
        (tmp_path / name / "source.yaml").write_text(
            "format: imdb\nurl: http://127.0.0.1:9/reviews.tar.gz\nsize: 0\nmd5: x\ncontent_sha256: x\n"
        )
        imdb_archive(tmp_path / name / "reviews.tar.gz", order, prefix)
        report = preprocess(tmp_path / name, "given", 0.25, 1, "word", 100, tmp_path / f"{name} out")
        assert {split: content["reviews"] for split, content in report["splits"].items()} == {
            "train": 18, "validation": 6, "test": 24, "unlabelled": 12,
        }  # fmt: skip
    for name in FILES:
        assert (tmp_path / "a out" / name).read_bytes() == (tmp_path / "b out" / name).read_bytes(), name


def test_texts_that_are_also_held_out_are_removed_and_counted(tmp_path: Path) -> None:
    report, table = run_given(
        tmp_path,
        given_splits(
            ("Seen  TWICE", "good", "train"), ("seen twice", "good", "train"), ("seen twice", "good", "test"),
            ("seen in both", "bad", "validation"), ("seen in both", "bad", "test"),
            ("only in train", "bad", "train"), ("only in train", "bad", "train"), (" ", "bad", "train"),
        ),
    )  # fmt: skip
    assert report["set aside"] == {"empty text": 1}
    assert report["dropped"] == {"train, text also held out": 2, "validation, text also in test": 1}
    assert table["split"].value_counts().to_dict() == {"train": 14, "test": 6, "validation": 4}
    assert table["text"].str.lower().str.count("seen twice").sum() == 1
    assert table["text"].str.count("only in train").sum() == 2


def test_the_tokenizer_learns_from_the_train_split_alone(tmp_path: Path) -> None:
    extra = [(word, "good", split) for split, word in (("train", "alpha"), ("validation", "beta"), ("test", "gamma"))]
    report, _ = run_given(tmp_path, given_splits(*extra, ("delta", "", "unlabelled")))
    words = set(Tokenizer.from_file(str(tmp_path / "out" / "tokenizer.json")).get_vocab())
    assert {"alpha", "beta", "gamma", "delta"} & words == {"alpha"}
    # "validation" in four texts of five words, and "beta".
    assert report["splits"]["validation"]["unknown"] == round(5 / 21, 5)


def test_labels_of_unlabelled_reviews_are_not_classes(tmp_path: Path) -> None:
    report, table = run_given(tmp_path, given_splits(("who knows", "unsup", "unlabelled"), ("what", "", "train")))
    assert report["labels"] == ["bad", "good"]
    assert report["splits"]["unlabelled"]["reviews"] == 2
    assert table[table["split"] == "unlabelled"]["label"].isna().all()


def test_the_description_orders_the_classes(tmp_path: Path) -> None:
    report, table = run_given(tmp_path, given_splits(), "labels: [good, bad]\n")
    assert report["labels"] == ["good", "bad"]
    assert table[table["text"] == "fine film of train 0"]["label"].tolist() == [0]


def test_groups_that_the_data_split_are_warned_of(tmp_path: Path) -> None:
    table = given_splits().assign(film=lambda rows: rows["text"].str[-1])  # the same films in every split
    report, _ = run_given(tmp_path, table, "group: film\n")
    assert report["groups in two splits"] == 2
    assert "warning: 2 groups have texts in several splits" in summary(report)
    assert "warning" not in summary({**report, "warnings": []})


@pytest.mark.parametrize(
    ("rows", "description", "message"),
    [
        (slice(0, 0), "", "hold no reviews"),
        (slice(0, None, 2), "", "at least two labels are needed to learn from. Received: good"),
        (slice(12, None), "", "the train split has no review labelled bad, good"),
        (
            slice(None),
            "labels: [bad, fair]\n",
            "one of bad, fair, .* Received: good; the first in reviews.csv",
        ),
        (slice(None), "labels: [bad, fair, good]\n", "the train split has no review labelled fair"),
        (slice(0, 16), "", "brings no test split"),
    ],
)
def test_data_that_nothing_can_learn_from_are_bad_input(
    tmp_path: Path, rows: slice, description: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        run_given(tmp_path, given_splits()[rows], description)
