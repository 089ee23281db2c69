"""Which review goes into which split."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.core.command import InputError
from pipeline.corpus.splits import (
    assign_splits,
    count_repeats,
    find_leaks,
    groups_in_two_splits,
    link_equal_texts,
    text_digest,
)


def reviews(
    labels: Sequence[str | None], texts: Sequence[int] | None = None, **columns: Sequence[str | None]
) -> pd.DataFrame:
    """A table as sources give it; `split` and `group` are missing unless given, and all texts differ."""
    nothing: Sequence[str | None] = [None] * len(labels)
    table = pd.DataFrame({"label": labels, "split": nothing, "group": nothing} | columns, dtype="str")
    return table.assign(digest=np.array(range(len(labels)) if texts is None else texts, np.uint64))


def linked(table: pd.DataFrame) -> list[str | None]:
    """The groups after equal texts are linked, None where there is none."""
    groups, apart = link_equal_texts(table)
    assert apart == 0
    return [None if pd.isna(group) else group for group in groups]


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
    assert groups_in_two_splits(table["group"], splits) == []
    shares = splits.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.05)
    assert shares["validation"] == pytest.approx(0.08, abs=0.04)


@pytest.mark.parametrize("seed", range(3))
def test_grouped_splits_have_about_the_same_share_of_each_label(seed: int) -> None:
    table = grouped(seed)
    good = (table["label"] == "good").groupby(assign_splits(table, 0.25, 0.25, seed)).mean()
    assert good.max() - good.min() < 0.1


def test_equal_texts_are_one_group() -> None:
    table = reviews(["x"] * 6, texts=[7, 8, 7, 9, 8, 255])
    assert linked(table) == ["text 0000000000000007", "text 0000000000000008", "text 0000000000000007",
                             None, "text 0000000000000008", None]  # fmt: skip


def test_groups_with_an_equal_text_are_one_and_so_on() -> None:
    # 1 links b with a, 2 links a with c, and a text without a group to both; d stays alone.
    table = reviews(
        [*"xyxyxyx", *["x"] * 18],
        texts=[1, 1, 2, 2, 2, 3, 4, *range(10, 28)],
        group=["b", "a", "a", "c", None, "c", "d", *[f"other {i}" for i in range(18)]],
    )
    assert linked(table)[:7] == ["b", "b", "b", "b", "b", "b", "d"]


def test_texts_without_a_label_and_of_another_given_split_link_nothing() -> None:
    table = reviews(
        ["x", "x", None, "x", "x"], texts=[1, 1, 1, 2, 2], group=["a", "b", "c", "d", "e"],
        split=["train", "test", "train", "train", "test"],
    )  # fmt: skip
    assert linked(table) == ["a", "b", "c", "d", "e"]


def test_groups_that_a_common_text_would_all_link_stay_apart() -> None:
    every = [*range(4), 99] * 8  # one text of each group's five is the same
    group = [f"product {i // 5}" for i in range(40)]
    distinct = [text + 10 * i if text != 99 else 99 for i, text in enumerate(every)]
    groups, apart = link_equal_texts(reviews(["good", "bad"] * 20, texts=distinct, group=group))
    assert (groups.tolist(), apart) == (group, 1)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("films", [None, 40])
def test_an_equal_text_is_never_in_two_splits(seed: int, films: int | None) -> None:
    rng = np.random.default_rng(seed)
    texts = np.minimum(rng.integers(0, 700, 600), rng.integers(0, 700, 600))
    table = reviews(["good" if rng.random() < 0.6 else "bad" for _ in texts], texts=texts.tolist())
    if films:
        table["group"] = [f"film {text % films}" if rng.random() < 0.9 else None for text in texts]
    table["group"], _ = link_equal_texts(table)
    splits = assign_splits(table, 0.2, 0.1, seed)
    assert splits.groupby(table["digest"]).nunique().max() == 1
    assert splits.groupby(table["group"]).nunique().max() == 1
    assert not find_leaks(table["digest"], splits).any()
    shares = splits.value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.05)
    assert shares["validation"] == pytest.approx(0.08, abs=0.04)


def test_repeats_are_counted_and_those_with_several_labels_too() -> None:
    table = reviews(["x", "y", "x", "x", "y", "y", None], texts=[1, 1, 2, 2, 1, 3, 3])
    assert count_repeats(table) == {
        "texts": 2, "reviews": 5, "texts with several labels": 1, "reviews with several labels": 3,
    }  # fmt: skip


def test_a_label_with_few_different_texts_is_an_error_that_says_so() -> None:
    table = reviews(["good"] * 50 + ["bad"] * 9, texts=[*range(50), *[77] * 7, 78, 79])
    table["group"], _ = link_equal_texts(table)
    with pytest.raises(InputError, match="3 texts labelled 'bad', of which equal ones count once"):
        assign_splits(table, 0.2, 0.2, 1)


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
    assert groups_in_two_splits(table["group"], splits) == ["a", "b"]
    assert groups_in_two_splits(table["group"], splits.replace("train", "unlabelled")) == ["a"]


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
