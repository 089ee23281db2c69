"""Check the data themselves: the table that leaves preprocess, of reviews with all faults that sources have."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY_SOURCE, tiny_reviews

from pipeline.corpus.reviews import read_label_names
from pipeline.preprocess import preprocess

OURS = ROOT / "data" / "processed"


def faulty_reviews() -> pd.DataFrame:
    """Add to the tiny reviews: empty texts, texts without a label, and copies of a text under other films."""
    reviews = tiny_reviews()
    copies = reviews[:24].assign(text=lambda rows: "  " + rows["text"].str.upper())
    copies["film"] = [f"film {number}" for number in range(24)]
    empty = reviews[:3].assign(text=["", " ", "\n"])
    unlabelled = reviews[:40].assign(label=None)
    return pd.concat([reviews, copies, empty, unlabelled], ignore_index=True)


@pytest.fixture(scope="module", params=["made of faulty reviews", "of this checkout"])
def processed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of preprocess; that of this checkout, too, if `dvc repro` has run here."""
    if request.param == "of this checkout":
        if not (OURS / "data.json").exists():
            pytest.skip("dvc repro has not run here")
        return OURS
    folder = tmp_path_factory.mktemp("data")
    (folder / "raw").mkdir()
    (folder / "raw" / "source.yaml").write_text(TINY_SOURCE)
    faulty_reviews().to_csv(folder / "raw" / "reviews.csv", index=False)
    preprocess(folder / "raw", 0.25, 0.25, 1, "word", 200, folder / "processed")
    return folder / "processed"


@pytest.fixture(scope="module")
def table(processed: Path) -> pd.DataFrame:
    return pd.read_parquet(processed / "reviews.parquet")


def test_the_columns_are_those_that_the_stages_read(table: pd.DataFrame) -> None:
    assert list(table.columns) == ["name", "text", "label", "split", "group"]
    assert set(table["split"]) <= {"train", "validation", "test", "unlabelled"}


def test_no_text_is_empty(table: pd.DataFrame) -> None:
    assert table["text"].notna().all()
    assert table["text"].str.strip().ne("").all()


def test_every_class_is_in_train_and_no_other_label_occurs(processed: Path, table: pd.DataFrame) -> None:
    names = read_label_names(processed / "reviews.parquet")
    codes = set(range(len(names)))
    assert json.loads((processed / "data.json").read_text())["labels"] == names
    assert set(table["label"][table["split"] == "train"]) == codes
    assert set(table["label"][table["split"] == "validation"]) <= codes
    assert set(np.load(processed / "test_labels.npy").tolist()) <= codes


def test_no_test_label_is_in_the_table_and_each_lies_beside_it(processed: Path, table: pd.DataFrame) -> None:
    in_test = table["split"] == "test"
    assert table["label"][in_test].isna().all()
    assert len(np.load(processed / "test_labels.npy")) == in_test.sum() > 0
    assert table["label"][table["split"] == "unlabelled"].isna().all()
    with np.load(processed / "tokens.npz") as arrays:
        assert "test_labels" not in arrays


def test_no_group_is_in_two_splits(processed: Path, table: pd.DataFrame) -> None:
    if json.loads((processed / "data.json").read_text())["settings"]["test"] == "given":
        pytest.skip("the data brought their splits")
    labelled = table[table["split"] != "unlabelled"]
    assert labelled.groupby("group")["split"].nunique().max() == 1


def test_no_text_that_is_learnt_is_held_out_too(table: pd.DataFrame) -> None:
    texts = table["text"].str.lower().str.split().str.join(" ")
    train, validation, test = (set(texts[table["split"] == split]) for split in ("train", "validation", "test"))
    assert (train & validation, train & test, validation & test) == (set(), set(), set())
