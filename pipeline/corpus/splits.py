"""Divide the reviews into splits: whole groups at a time, classes balanced, no copies of held-out texts in training."""

import hashlib
from typing import Literal

import numpy as np
import pandas as pd

from pipeline.core.command import InputError


def text_digest(text: str) -> int:
    """Hash a text to a number below 2^64. Texts that differ in case and white space alone get the same number.

    Among 10 million other texts, the chance that any two have the same is 1 in 370,000.
    """
    return int.from_bytes(hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=8).digest(), "big")


def assign_splits(reviews: pd.DataFrame, test: Literal["given"] | float, validation: float, seed: int) -> pd.Series:
    """Decide the split of every review.

    Args:
        reviews: one row per review with `label` (missing: unlabelled), `split` (as the source gave it, or missing)
            and `group` (missing: the review is a group of its own).
        test: share of the labelled reviews to hold out, or `given` when the source brings its test split.
        validation: share of the remaining labelled reviews to hold out, unless the source brings that split too.
        seed: decides which groups are held out.

    Returns:
        One of `train`, `validation`, `test`, `unlabelled` per row of `reviews`.

    Raises:
        InputError: the source's splits and `test` contradict each other, or there are too few groups.
    """
    splits = reviews["split"].astype("object").where(reviews["split"].notna(), "train")
    splits = splits.mask(reviews["label"].isna(), "unlabelled")
    has_test = (splits == "test").any()
    if test == "given" and not has_test:
        raise InputError(
            "the data set brings no test split: no file, folder or column that source.yaml names as `split` speaks of"
            " one. Set its `test` to a share such as 0.2 to hold texts out. Received: given"
        )
    if test != "given":
        if has_test:
            raise InputError(
                f"the data set brings its own test split. Set its `test` to `given`, or say `ignore_splits: true` in"
                f" source.yaml to mix it. Received: {test}"
            )
        splits = _hold_out(reviews, splits, "test", test, seed)
    if not (splits == "validation").any():
        splits = _hold_out(reviews, splits, "validation", validation, seed)
    return splits


def groups_in_two_splits(reviews: pd.DataFrame, splits: pd.Series) -> list[str]:
    """List the groups with labelled reviews in more than one split. Only splits of the source can have such groups."""
    labelled = splits != "unlabelled"
    counts = splits[labelled].groupby(reviews.loc[labelled, "group"]).nunique()
    return sorted(counts.index[counts > 1])


def find_leaks(digests: pd.Series, splits: pd.Series) -> pd.Series:
    """Mark the reviews to drop because the same text stands in a split that is held out.

    A training text that is also in validation or test is dropped, and so is a validation text that is also in test.
    Test texts all stay. Repeats inside one split stay.

    Args:
        digests: `text_digest` per review.
        splits: as `assign_splits` gave them.

    Returns:
        A boolean per review.
    """
    in_test = digests.isin(digests[splits == "test"])
    in_validation = digests.isin(digests[splits == "validation"])
    return (splits == "train") & (in_test | in_validation) | (splits == "validation") & in_test


def _hold_out(reviews: pd.DataFrame, splits: pd.Series, name: str, share: float, seed: int) -> pd.Series:
    """Move about `share` of the train reviews to split `name`: one of round(1/share) stratified folds by group.

    Folds make shares of 1/2, 1/3, 1/4 …, so a share above 0.5 holds out the complement of a fold.
    """
    # Here, not above: it takes a second, which `preprocess --help` and every test of a bad file would pay.
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    train = splits == "train"
    labels = reviews.loc[train, "label"].to_numpy()
    own = pd.Series([f"\0{row}" for row in range(len(reviews))], index=reviews.index)
    groups = pd.factorize(reviews["group"].astype("object").where(reviews["group"].notna(), own)[train])[0]
    folds = round(1 / min(share, 1 - share))
    group_count, (names, class_sizes) = len(np.unique(groups)), np.unique(labels, return_counts=True)
    if min(group_count, *class_sizes) < folds:
        size = int(min(class_sizes))
        needed, came = [], []
        if size < folds:
            needed.append(f"{folds} texts or more of each label")
            came.append(f"{_counted(size, 'text')} labelled {names[class_sizes.argmin()]!r}")
        if group_count < min(folds, len(labels)):
            needed.append(f"{folds} groups or more")
            came.append(_counted(group_count, "group"))
        left = " (once the test texts are taken away)" if name == "validation" else ""
        raise InputError(
            f"a {name} share of {share} needs {' and '.join(needed)}. Received{left}: {' and '.join(came)}."
            f" Add texts, or set a larger `{name}` in params.yaml"
        )
    # Without groups the two are the same, and the one that knows of groups takes minutes on a million reviews.
    if group_count == len(labels):
        parts = StratifiedKFold(n_splits=folds, shuffle=True, random_state=seed).split(labels, labels)
    else:
        parts = StratifiedGroupKFold(n_splits=folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    rest, fold = next(parts)
    held_out = splits[train].index[fold if share <= 0.5 else rest]
    return splits.mask(splits.index.isin(held_out), name)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
