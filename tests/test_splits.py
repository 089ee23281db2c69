"""Which review goes into which split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.command import InputError
from pipeline.corpus.splits import assign_splits, find_leaks, groups_in_two_splits, text_digest


def reviews(labels: Sequence[str | None], **columns: Sequence[str | None]) -> pd.DataFrame:
    """A table as sources give it; `split` and `group` are missing unless given."""
    nothing: Sequence[str | None] = [None] * len(labels)
    return pd.DataFrame({"label": labels, "split": nothing, "group": nothing} | columns, dtype="str")


def grouped(seed: int) -> pd.DataFrame:
    """600 reviews in 60 groups of different sizes and moods."""
    rng = np.random.default_rng(seed)
    film = np.minimum(rng.integers(0, 60, 600), rng.integers(0, 60, 600))
    mood = rng.random(60)
    labels = ["good" if rng.random() < mood[one] else "bad" for one in film]
    return reviews(labels, group=[f"film {one}" for one in film])


HALF = ["good", "bad"] * 50
SIXTY_FORTY = ["good"] * 60 + ["bad"] * 40


@pytest.mark.parametrize("seed", range(8))
def test_a_group_is_never_in_two_splits(seed: int) -> None:
    table = grouped(seed)
    splits = assign_splits(table, 0.2, 0.1, seed)
    assert table["group"].groupby(splits).nunique().sum() == table["group"].nunique()
    assert groups_in_two_splits(table, splits) == []
    shares = splits.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.05)
    assert shares["validation"] == pytest.approx(0.08, abs=0.04)


@pytest.mark.parametrize("seed", range(3))
def test_grouped_splits_have_about_the_same_share_of_each_label(seed: int) -> None:
    table = grouped(seed)
    good = (table["label"] == "good").groupby(assign_splits(table, 0.25, 0.25, seed)).mean()
    assert good.max() - good.min() < 0.1


def test_without_groups_the_splits_are_stratified_exactly() -> None:
    table = reviews(SIXTY_FORTY)
    counts = pd.crosstab(assign_splits(table, 0.2, 0.25, 1), table["label"])
    assert counts.loc["test"].to_dict() == {"bad": 8, "good": 12}
    assert counts.loc["validation"].to_dict() == {"bad": 8, "good": 12}
    assert counts.loc["train"].to_dict() == {"bad": 24, "good": 36}


def test_a_share_above_a_half_holds_out_the_larger_part() -> None:
    assert (assign_splits(reviews(HALF), 0.75, 0.2, 1) == "test").sum() == 75


def test_reviews_without_a_group_are_groups_of_their_own() -> None:
    table = reviews(HALF, group=["a"] * 10 + [None] * 90)
    splits = assign_splits(table, 0.2, 0.2, 1)
    assert splits[:10].nunique() == 1
    assert splits[10:].nunique() == 3


def test_the_seed_alone_decides() -> None:
    table = grouped(1)
    first = assign_splits(table, 0.2, 0.1, 7)
    assert first.equals(assign_splits(table, 0.2, 0.1, 7))
    assert not first.equals(assign_splits(table, 0.2, 0.1, 8))


def test_given_splits_stay_and_validation_comes_out_of_train() -> None:
    given: list[str | None] = ["train"] * 60 + [None] * 20 + ["test"] * 20
    splits = assign_splits(reviews(HALF, split=given), "given", 0.25, 1)
    assert (splits[80:] == "test").all()
    assert splits[:80].value_counts().to_dict() == {"train": 60, "validation": 20}


def test_a_given_validation_split_stays() -> None:
    given = ["train"] * 70 + ["validation"] * 10 + ["test"] * 20
    assert assign_splits(reviews(HALF, split=given), "given", 0.25, 1).tolist() == given


def test_a_test_split_is_not_taken_out_of_a_given_validation_split() -> None:
    given: list[str | None] = [None] * 80 + ["validation"] * 20
    splits = assign_splits(reviews(HALF, split=given), 0.25, 0.1, 1)
    assert (splits[80:] == "validation").all()
    assert splits[:80].value_counts().to_dict() == {"train": 60, "test": 20}


def test_reviews_without_a_label_are_unlabelled() -> None:
    splits = assign_splits(reviews([*HALF, None, None]), 0.5, 0.5, 1)
    assert splits.tolist().index("unlabelled") == 100
    assert (splits == "unlabelled").sum() == 2


@pytest.mark.parametrize(
    ("columns", "test", "message"),
    [
        ({}, "given", r"brings no test split: .*`test`.*Received: given"),
        (
            {"split": ["test"] * 100},
            0.2,
            r"brings its own test split\..*`given`, or .*`ignore_splits: true`.*Received: 0.2",
        ),
        (
            {"group": ["a", "b", "c", "d"] * 25},
            0.2,
            "test share of 0.2 needs 5 groups or more. Received: 4 groups",
        ),
        ({"group": ["a"] * 50 + ["b"] * 50}, 0.5, "validation share of 0.2 needs 5 groups or more.*: 1 group"),
    ],
)
def test_settings_that_do_not_fit_the_data_are_errors(columns: dict[str, Any], test: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assign_splits(reviews(HALF, **columns), test, 0.2, 1)


def test_a_label_with_too_few_reviews_is_an_error() -> None:
    with pytest.raises(InputError, match=r"5 texts or more of each label.* 3 texts labelled 'bad'"):
        assign_splits(reviews(["good"] * 50 + ["bad"] * 3), 0.2, 0.2, 1)


def test_groups_in_two_given_splits_are_listed_in_order() -> None:
    table = reviews(["x"] * 6, group=["b", "b", "a", "a", "c", None])
    splits = pd.Series(["train", "test", "test", "validation", "train", "test"])
    assert groups_in_two_splits(table, splits) == ["a", "b"]
    assert groups_in_two_splits(table, splits.replace("train", "unlabelled")) == ["a"]


def test_what_is_also_held_out_leaves_train_and_validation() -> None:
    texts = pd.Series(["a", "a", "b", "b", "c", "c", "d", "d", "e", "e", "f", "f"])
    splits = pd.Series(
        ["train", "test", "train", "validation", "validation", "test",
         "train", "train", "test", "test", "unlabelled", "test"]
    )  # fmt: skip
    assert find_leaks(texts, splits).tolist() == [
        True, False, True, False, True, False,
        False, False, False, False, False, False,
    ]  # fmt: skip


def test_texts_that_differ_in_case_and_white_space_alone_are_the_same() -> None:
    assert text_digest(" A  good\nfilm. ") == text_digest("a good Film.")
    assert len({text_digest(text) for text in ("a good film", "a good film.", "agood film", "")}) == 4
    assert 0 < text_digest("x") < 2**64
