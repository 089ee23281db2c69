"""Divide the reviews into splits: whole groups at a time, of which equal texts are one, and classes balanced."""

import hashlib
from typing import Any, Literal

import numpy as np
import pandas as pd

from pipeline.core.command import InputError
from pipeline.corpus.names import SPLITS


def text_digest(text: str) -> int:
    """Hash a text to a number below 2^64. Texts that differ in case and white space alone get the same number.

    Among 10 million other texts, the chance that any two have the same is 1 in 370,000.
    """
    return int.from_bytes(hashlib.blake2b(" ".join(text.lower().split()).encode(), digest_size=8).digest(), "big")


# Where equal texts link groups, the largest share of all texts that one linked group may have: `good` in reviews of
# every product would make one group of all of them, and no split could be made.
_LARGEST_LINKED = 0.25


def link_equal_texts(reviews: pd.DataFrame) -> tuple[pd.Series, int]:
    """Make one group of labelled reviews with equal texts, and of the groups that have such reviews.

    In a split of the source, only its own reviews count. Groups are left apart where linking them would make one of
    more than a quarter of all texts.

    Args:
        reviews: one row per review with `label` (missing: unlabelled), `split` and `group` (both may be missing), and
            `digest`, as `text_digest` gave it.

    Returns:
        The group of every review: the name of the first of the linked groups; `text <digest>` for equal texts without
        a group; missing where nothing belongs together. And the number of different texts that stand in groups which
        were left apart.
    """
    rows = reviews[reviews["label"].notna()]
    split = rows["split"].astype("object").where(rows["split"].notna(), "train")
    texts = rows["digest"].groupby([split, rows["digest"]]).ngroup().to_numpy()
    repeated = pd.Series(texts).duplicated(keep=False).to_numpy()
    if not repeated.any():
        return reviews["group"], 0
    group = rows["group"].astype("object")
    codes = pd.factorize((split + "\0" + group).where(group.notna()))[0]
    part, too_large = _connect(texts, codes, repeated)
    grouped = codes >= 0
    first = group[grouped].groupby(part[grouped]).first()  # of each part that has a group
    linked = np.isin(part, first.index) & ~too_large
    group[linked] = first[part[linked]].to_numpy()
    alone = repeated & ~grouped & ~linked
    group[alone] = [f"text {digest:016x}" for digest in rows["digest"][alone]]
    groups = reviews["group"].astype("object")
    groups[rows.index] = group
    return groups.astype("str"), len(np.unique(texts[repeated & too_large]))


def _connect(texts: np.ndarray, groups: np.ndarray, repeated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find what repeated texts connect: the connected components of a graph with a node per text and one per group.

    Args:
        texts: number of the text of each row.
        groups: number of the group of each row; -1: none.
        repeated: whether other rows have the text, too.

    Returns:
        The component of each row, and whether this has several groups and is too large.
    """
    from scipy.sparse import coo_array  # here, not above, as scikit-learn below
    from scipy.sparse.csgraph import connected_components

    size = texts.max() + 1
    nodes, grouped = size + groups.max() + 1, groups >= 0
    ends = texts[repeated & grouped], size + groups[repeated & grouped]
    parts = connected_components(coo_array((np.ones(len(ends[0])), ends), shape=(nodes, nodes)), directed=False)[1]
    part = np.where(grouped, parts[np.where(grouped, size + groups, 0)], parts[texts])
    largest = max(len(texts) * _LARGEST_LINKED, np.bincount(groups[grouped], minlength=1).max())
    of_groups, rows = np.bincount(parts[size:], minlength=nodes), np.bincount(part, minlength=nodes)
    return part, ((of_groups > 1) & (rows > largest))[part]


def divide(
    reviews: pd.DataFrame, test: Literal["given"] | float, validation: float, seed: int
) -> tuple[pd.DataFrame, dict[str, Any], list[str]]:
    """Put every review into a split, in whole groups, and drop the texts that would be in two.

    Args:
        reviews: as `link_equal_texts` has them; its column `split` is changed.
        test, validation, seed: as `assign_splits` has them.

    Returns:
        The reviews in the order of their splits, what data.json says of repeated and dropped texts, and warnings.
    """
    given_groups = reviews["group"]
    reviews["group"], apart = link_equal_texts(reviews)
    reviews["split"] = assign_splits(reviews, test, validation, seed)
    straddling = len(groups_in_two_splits(given_groups, reviews["split"]))
    leaks = find_leaks(reviews["digest"], reviews["split"])
    leaked = reviews["split"][leaks].value_counts()
    found = {
        "repeats": count_repeats(reviews),
        "dropped": {
            "train, text also held out": int(leaked.get("train", 0)),
            "validation, text also in test": int(leaked.get("validation", 0)),
        },
        "groups in two splits": straddling,
    }
    kept = reviews[~leaks] if leaks.any() else reviews
    return _in_order(kept), found, _split_warnings(apart, straddling)


def _in_order(reviews: pd.DataFrame) -> pd.DataFrame:
    """Order the reviews by split; inside a split they stay in the order of their names."""
    rank = reviews["split"].map({split: rank for rank, split in enumerate(SPLITS)}).to_numpy(np.int8)
    return reviews.iloc[np.argsort(rank, kind="stable")]  # by place: an index of all rows would cost memory


def codes_of(reviews: pd.DataFrame, label_names: list[str]) -> pd.Series:
    """Number the labels of divided reviews: Int32, missing where there is none.

    Raises:
        InputError: a label is in no review of the train split.
    """
    codes = reviews["label"].map({name: code for code, name in enumerate(label_names)}).astype("Int32")
    train = codes[reviews["split"] == "train"]
    missing = [name for code, name in enumerate(label_names) if not (train == code).any()]
    if missing:
        raise InputError(f"the train split has no review labelled {', '.join(missing)}")
    return codes


def _split_warnings(apart: int, straddling: int) -> list[str]:
    """Say where the splits are not as clean as they could be."""
    warnings = []
    if apart:
        warnings.append(
            f"{apart:,} texts that occur in several groups would link most of the groups: the groups stay apart, and of"
            " such texts those are dropped that are also held out"
        )
    if straddling:  # only splits that the data bring can do that; ours are made of whole groups
        groups = "1 group has" if straddling == 1 else f"{straddling:,} groups have"
        warnings.append(f"{groups} texts in several splits, because the data came so split")
    return warnings


def count_repeats(reviews: pd.DataFrame) -> dict[str, int]:
    """Count the different texts that several labelled reviews have, these reviews, and the same with several labels."""
    rows = reviews[reviews["label"].notna()]
    texts = rows.loc[rows["digest"].duplicated(keep=False)].groupby("digest")["label"].agg(["size", "nunique"])
    conflicting = texts[texts["nunique"] > 1]
    return {
        "texts": len(texts),
        "reviews": int(texts["size"].sum()),
        "texts with several labels": len(conflicting),
        "reviews with several labels": int(conflicting["size"].sum()),
    }


def assign_splits(reviews: pd.DataFrame, test: Literal["given"] | float, validation: float, seed: int) -> pd.Series:
    """Decide the split of every review.

    Args:
        reviews: one row per review with `label` (missing: unlabelled), `split` (as the source gave it, or missing)
            and `group` (missing: the review is a group of its own), as `link_equal_texts` gave it, and `digest`.
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


def groups_in_two_splits(groups: pd.Series, splits: pd.Series) -> list[str]:
    """List the groups with labelled reviews in more than one split. Only splits of the source can have such groups."""
    labelled = splits != "unlabelled"
    counts = splits[labelled].groupby(groups[labelled]).nunique()
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
    digests = reviews.loc[train, "digest"].to_numpy()
    first = ~pd.Series(groups).duplicated().to_numpy()
    folds = round(1 / min(share, 1 - share))
    # Where all groups are equal texts, one of each is dealt: what knows of groups takes minutes on a million reviews.
    if len(pd.DataFrame({"group": groups, "digest": digests}).drop_duplicates()) == first.sum():
        _check_sizes(labels[first], groups, name, share, folds)
        parts = StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels[first], labels[first])
    else:
        first[:] = True
        _check_sizes(labels, groups, name, share, folds)
        parts = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups)
    rest, fold = next(parts)
    held_out = np.isin(groups, groups[first][fold if share <= 0.5 else rest])
    return splits.mask(splits.index.isin(splits[train].index[held_out]), name)


def _check_sizes(labels: np.ndarray, groups: np.ndarray, name: str, share: float, folds: int) -> None:
    """Refuse a share for which there are too few texts of a label (equal ones count once), or too few groups."""
    group_count, (names, class_sizes) = len(np.unique(groups)), np.unique(labels, return_counts=True)
    size = int(min(class_sizes))
    needed, came = [], []
    if size < folds:
        needed.append(f"{folds} texts or more of each label")
        once = ", of which equal ones count once" if len(labels) < len(groups) else ""
        small = [place for place in class_sizes.argsort(kind="stable") if class_sizes[place] < folds]
        told = ", ".join(f"{_counted(class_sizes[place], 'text')} labelled {names[place]!r}" for place in small[:5])
        came.append(f"{told}{', …' if len(small) > 5 else ''}{once}")
    if group_count < min(folds, len(labels)):
        needed.append(f"{folds} groups or more")
        came.append(_counted(group_count, "group"))
    if needed:
        left = " (once the test texts are taken away)" if name == "validation" else ""
        raise InputError(
            f"a {name} share of {share} needs {' and '.join(needed)}. Received{left}: {' and '.join(came)}."
            f" Add texts, take labels away or join them in source.yaml, or set a larger `{name}` in the settings of the"
            " data set, data/sources/<name>.yaml"
        )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
