"""Know the splits by name, as people write them in columns, files and folders."""

import re

SPLITS = ("train", "validation", "test", "unlabelled")

_SPLIT_OF_WORD = {
    **dict.fromkeys(("train", "training", "trainset", "traindata"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "valset", "devset"), "validation"),
    **dict.fromkeys(("test", "testing", "testset", "testdata"), "test"),
    **dict.fromkeys(("unlabelled", "unlabeled", "unsup", "unsupervised"), "unlabelled"),
}
_UNSURE = {"eval", "evaluation", "heldout", "holdout"}  # words for a test split or for validation
_WORD = re.compile(r"[^\W\d_]+")
_INNER_CAPITAL = re.compile(r"(?<=[a-z])(?=[A-Z])")  # as in TrainData


def split_named(name: str) -> str | None:
    """Find the one split that a name or a value speaks of, as a whole word in any case.

    >>> split_named("mydata-Train/"), split_named("DevData"), split_named("latest.csv"), split_named("train_test_split")
    ('train', 'validation', None, None)
    """
    found = {_SPLIT_OF_WORD[word] for word in _words(name) if word in _SPLIT_OF_WORD}
    return found.pop() if len(found) == 1 else None


def is_unsure_split(name: str) -> bool:
    """Tell if a name speaks of texts that were held out, and leaves open for what: `eval.csv`."""
    return not _UNSURE.isdisjoint(_words(name))


def _words(name: str) -> list[str]:
    return _WORD.findall(_INNER_CAPITAL.sub(" ", name).casefold())


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
