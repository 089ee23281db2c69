"""Know the splits by name, as people write them in columns, files and folders."""

import re

SPLITS = ("train", "validation", "test", "unlabelled")

_SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("unlabelled", "unlabeled", "unsup", "unsupervised"), "unlabelled"),
}
_WORD = re.compile(r"[^\W\d_]+")


def split_named(name: str) -> str | None:
    """Find the one split that a name or a value speaks of, as a whole word in any case.

    >>> split_named("mydata-Train/"), split_named("dev"), split_named("latest.csv"), split_named("train_test_split")
    ('train', 'validation', None, None)
    """
    found = {_SPLIT_OF_WORD[word] for word in _WORD.findall(name.casefold()) if word in _SPLIT_OF_WORD}
    return found.pop() if len(found) == 1 else None


def without_split(name: str) -> str:
    """Take the words for splits out of a name.

    >>> without_split("pos_train"), without_split("train")
    ('pos', 'train')
    """
    parts = [part for part in re.split(r"[\W_]+", name) if part.casefold() not in _SPLIT_OF_WORD]
    return "_".join(parts) or name


def is_unlabelled(folder: str) -> bool:
    """Tell if the texts in a folder of this name have no label."""
    return _SPLIT_OF_WORD.get(folder.casefold()) == "unlabelled"
