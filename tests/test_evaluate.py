"""What `evaluate` reads of the reviews besides the labels."""

from pathlib import Path

import pandas as pd
import pytest

from pipeline.corpus.reviews import Staging, read_groups, write_reviews


@pytest.mark.parametrize(
    ("groups", "numbers"),
    [
        (["a", "b", "a"], [0, 1, 0]),
        ([None, "b", None], [1, 0, 3]),
        ([None, None, None], [0, 1, 2]),
        (["a", "a", "a"], [1, 2, 3]),
    ],
)
def test_texts_are_numbered_by_group_in_the_order_of_the_test_labels(
    tmp_path: Path, groups: list[str | None], numbers: list[int]
) -> None:
    rows = pd.DataFrame({"name": "x", "text": [f"text {i}" for i in range(4)], "label": None, "split": None})
    rows["group"] = pd.Series([*groups, "z"], dtype="object")
    table = rows.assign(split=[*["test"] * 3, "train"], label=pd.array([None, None, None, 0], "Int32"))
    with Staging(tmp_path) as staging:
        staging.write([rows.astype("str").where(rows.notna())])
        write_reviews(tmp_path / "reviews.parquet", table, staging, ["bad", "good"], "5" * 64)
    assert read_groups(tmp_path / "reviews.parquet").tolist() == numbers
