"""The table of reviews on disk: any row back at once, test labels blank."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.command import InputError
from pipeline.corpus.reviews import Staging, read_label_names, read_split, write_reviews
from pipeline.corpus.sources import COLUMNS
from pipeline.corpus.tables import BATCH_ROWS


def table(*texts: str | None) -> pd.DataFrame:
    """As sources give it; the index of every table starts at 0, as theirs may."""
    return pd.DataFrame([("a.csv", text, "good", None, "film") for text in texts], columns=COLUMNS, dtype="str")


def test_staged_texts_come_back_in_any_order_across_tables(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging:
        staging.write([table("zero", "one"), table(), table("two"), table("three", "four", "five")])
        for rows in ([5, 0, 3], [0, 1, 2, 3, 4, 5], [2], [4, 4, 0, 5, 0], [3, 2, 1, 0]):
            texts = staging.texts(np.array(rows)).to_pylist()
            assert texts == [["zero", "one", "two", "three", "four", "five"][row] for row in rows]


def test_staged_texts_come_back_from_tables_of_many_rows(tmp_path: Path) -> None:
    texts = [f"text {row}" for row in range(2500)]
    with Staging(tmp_path) as staging:
        staging.write(table(*texts[start : start + 1000]) for start in range(0, 2500, 1000))
        order = np.random.default_rng(0).permutation(2500)
        assert staging.texts(order).to_pylist() == [texts[row] for row in order]


def test_what_is_known_of_a_review_besides_its_text_is_kept_in_order(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging:
        known = staging.write([table("Fine.", None), table(" \n", " fine. ")])
    assert list(known.columns) == ["name", "label", "split", "group", "digest"]
    assert list(known.index) == [0, 1, 2, 3]
    assert (known["digest"] == 0).tolist() == [False, True, True, False]
    assert known["digest"][0] == known["digest"][3]
    assert known["group"].tolist() == ["film"] * 4


def test_the_staged_file_has_no_name_that_a_killed_run_could_leave(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging:
        staging.write([table("one")])
        assert staging.texts(np.array([0])).to_pylist() == ["one"]
        assert list(tmp_path.iterdir()) == []


def test_what_is_no_table_of_reviews_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no parquet")
    pq.write_table(pa.table({"split": ["train"]}), tmp_path / "other.parquet")
    for name in ("missing.parquet", "text.parquet", "other.parquet"):
        with pytest.raises(InputError, match=f"{name} .*dvc repro"):
            read_label_names(tmp_path / name)
        with pytest.raises(InputError, match=f"{name} .*dvc repro"):
            list(read_split(tmp_path / name, "train", ["split"]))


def test_no_reviews_at_all_is_bad_input(tmp_path: Path) -> None:
    with Staging(tmp_path) as staging, pytest.raises(InputError, match="hold no reviews"):
        staging.write([])


def written(folder: Path, splits: list[str], labels: list[int | None]) -> Path:
    """reviews.parquet of reviews `text <row of the source>`, whose rows were put into the opposite order."""
    count = len(splits)
    with Staging(folder) as staging:
        known = staging.write([table(*(f"text {row}" for row in range(count)))])
        reviews = known.iloc[::-1].assign(split=splits, label=pd.array(labels, "Int32"))
        reviews.loc[0, "group"] = None
        write_reviews(folder / "reviews.parquet", reviews, staging, ["bad", "gut ü"], "5" * 64)
    return folder / "reviews.parquet"


def test_the_table_has_the_documented_columns_and_the_names_of_the_labels(tmp_path: Path) -> None:
    path = written(tmp_path, ["train", "train", "test"], [1, 0, None])
    assert {field.name: str(field.type) for field in pq.read_schema(path)} == {
        "name": "string", "text": "string", "label": "int32", "split": "string", "group": "string",
    }  # fmt: skip
    assert read_label_names(path) == ["bad", "gut ü"]
    assert pq.read_table(path).to_pylist() == [
        {"name": "a.csv", "text": "text 2", "label": 1, "split": "train", "group": "film"},
        {"name": "a.csv", "text": "text 1", "label": 0, "split": "train", "group": "film"},
        {"name": "a.csv", "text": "text 0", "label": None, "split": "test", "group": None},
    ]


def test_one_split_is_read_in_order_from_parts_of_the_file(tmp_path: Path) -> None:
    count = BATCH_ROWS + 10
    splits = ["train"] * (count - 15) + ["validation"] * 3 + ["test"] * 12
    path = written(tmp_path, splits, [0] * count)
    parts = {split: list(read_split(path, split, ["text"])) for split in ("train", "validation", "test", "unlabelled")}
    assert {split: [len(rows) for rows in tables] for split, tables in parts.items()} == {
        "train": [count - 15], "validation": [3], "test": [2, 10], "unlabelled": [],
    }  # fmt: skip
    assert [list(rows.columns) for rows in parts["validation"]] == [["text"]]
    assert pd.concat(parts["test"])["text"].tolist() == [f"text {row}" for row in range(11, -1, -1)]
