"""What `evaluate` reads of the reviews besides the labels."""

import tempfile
from pathlib import Path

import pandas as pd
import pytest

from pipeline.corpus.reviews import Staging, read_groups, write_reviews
from pipeline.evaluate import move_leftovers


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


def test_what_is_left_over_may_go_to_another_disk(tmp_path: Path) -> None:
    models, other = tmp_path / "models", Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one disk alone")
    (models / "lstm-9").mkdir(parents=True)
    (models / "lstm-9" / "card.json").write_text("{}", encoding="utf-8")
    (models / "lstm-1").mkdir()
    with tempfile.TemporaryDirectory(dir=other) as leftovers:
        (moved,) = move_leftovers([models], ["lstm-1"], Path(leftovers))
        assert (Path(leftovers) / moved / "card.json").read_text(encoding="utf-8") == "{}"
        assert [path.name for path in Path(leftovers).iterdir()] == [moved]
    assert [path.name for path in models.iterdir()] == ["lstm-1"]
