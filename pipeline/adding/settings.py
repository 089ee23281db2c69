"""Choose the settings of a data set from its texts.

They are a first proposal. No model is trained for it, and no text of a test split that the data bring is read.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipeline.adding.portraits import Portrait
from pipeline.core.command import InputError
from pipeline.core.params import DEFAULT_PRESET, PARAMS_FILE, TrainParams, read_params, settings_files
from pipeline.corpus.names import split_named
from pipeline.corpus.splits import codes_of, divide
from pipeline.tokens.ragged import UNKNOWN, Tokens
from pipeline.tokens.tokenizer import TokenizerKind, encode, train_tokenizer

FITTED_TO_TEXTS = ("tokenizer", "vocabulary", "min_occurrences", "max_tokens", "batch_size")
FITTED_TO_CLASSES = ("test", "validation")
_SHARES = {"test": (0.2, 0.25, 1 / 3, 0.5), "validation": (0.1, 0.2, 0.25, 1 / 3, 0.5)}
_LARGEST_VOCABULARY = {"word": 20_000, "bpe": 8_000, "char": 8_000}
_OFTEN = 2  # a word that occurs once teaches nothing but what an unknown word is
_LONGEST = 500  # tokens, as in the tutorial on IMDB
_READ_WHOLE = 0.98  # of the texts
_MANY_UNKNOWN = 0.2  # of the tokens of other texts: with more, words are too many to learn
_PERCENT_OF_TRAIN = 72  # what shares of 0.2 and 0.1 leave
_CHARACTERS_OF_SUBWORDS = 4 << 20  # are enough to learn them, which takes long
_BATCH_SIZES = ((5_000, 128), (500, 32), (0, 16))  # from so many texts on
# Of one of two cores of an Intel Xeon that both train, from runs on data sets of 540 to 9,200 texts to train on.
_TOKENS_PER_SECOND = 140_000  # in large batches
_TEXTS_OF_A_STEP = 35  # would take as long as what a step costs besides its texts
_SECONDS_OF_NETWORK = 22
_SECONDS_OF_REST = 30
_DIVIDED, _DIVIDED_BY_GROUPS = 500_000, 50_000  # texts, at the most: what takes a few seconds


class Lengths(NamedTuple):
    """Hold how long texts are, in tokens."""

    median: int
    most: int
    longest: int


class Fitted(NamedTuple):
    """Hold settings, by their names in DatasetParams, and what they were chosen by.

    Attributes:
        values: the settings.
        lengths: of the texts, in tokens; `most` is `_READ_WHOLE` of them at most.
        unknown: share of unknown tokens in texts that the tokenizer was not made from; 0 to 1.
        tokens: mean number that is read of a text.
        cut: share of the texts that are longer than `max_tokens`; 0 to 1.
        why: of the tokenizer, in words.
    """

    values: dict[str, Any]
    lengths: Lengths
    unknown: float
    tokens: float
    cut: float
    why: str


def fit(portrait: Portrait) -> Fitted:
    """Choose the settings.

    Raises:
        InputError: all texts stand in the test split.
    """
    train, others = _divided(portrait)
    if not train:
        raise InputError("there must be texts to learn from. Received: every one of them stands in the test split")
    # 35,000 Chinese reviews, validation: LSTM 80.6 % and GRU 80.1 % with bpe, 78.4 and 78.3 % with char.
    kind: TokenizerKind = "word" if portrait.has_blanks else "bpe"
    why = "blanks separate the words" if portrait.has_blanks else "no blanks between the words"
    size, tokens, unknown = _encoded(train, others, kind)
    if kind == "word" and unknown > _MANY_UNKNOWN:
        why = f"as words, {unknown:.0%} of the tokens of other texts would be unknown"
        kind = "bpe"
        size, tokens, unknown = _encoded(train, others, kind)
    lengths = Lengths(*(int(np.quantile(tokens.lengths, share)) for share in (0.5, _READ_WHOLE, 1.0)))
    max_tokens = min(_LONGEST, -(-max(lengths.most, 8) // 8) * 8)
    test, validation = _shares(portrait)
    values = {
        "test": test,
        "validation": validation,
        "tokenizer": kind,
        "vocabulary": size,
        "min_occurrences": _OFTEN,
        "max_tokens": max_tokens,
        "batch_size": next(size for rows, size in _BATCH_SIZES if portrait.rows >= rows),
        "preset": DEFAULT_PRESET,
    }
    read = float(np.minimum(tokens.lengths, max_tokens).mean())
    return Fitted(values, lengths, unknown, read, float((tokens.lengths > max_tokens).mean()), why)


def what_stops(portrait: Portrait, values: Mapping[str, Any], labels: Iterable[str] | None, seed: int) -> str | None:
    """Divide the texts as a run will, and say what stops it, if anything does. Of very many texts, nothing is said.

    Args:
        portrait: of the texts.
        values: the settings.
        labels: the classes that source.yaml states.
        seed: of the division.
    """
    if portrait.rows > (_DIVIDED_BY_GROUPS if portrait.has_groups else _DIVIDED):
        return None
    names = list(labels or portrait.classes)
    if unknown := sorted(set(portrait.classes) - set(names)):
        return f"the label {unknown[0]!r} is none of those that source.yaml states: {', '.join(names)}"
    try:
        divided, _, _ = divide(portrait.labelled(), values["test"], values["validation"], seed)
        codes_of(divided, names)
    except InputError as error:
        like_splits = sorted(filter(split_named, portrait.classes)) if sum(portrait.splits.values()) else []
        hint = f". If {like_splits[0]!r} is a label and no split, say --ignore-splits" if like_splits else ""
        return f"{error}{hint}"
    return None


def minutes(portrait: Portrait, fitted: Fitted, train: TrainParams, networks: int, jobs: int) -> float:
    """Estimate how many minutes a run takes that trains so many networks, `jobs` at once, to the order."""
    directions = 1 + train.bidirectional
    speed = _TOKENS_PER_SECOND / (train.layers * directions * max(train.units / 64, 0.7))
    texts = portrait.splits["train"] or portrait.rows * _PERCENT_OF_TRAIN / 100
    batch_size: int = fitted.values["batch_size"]
    tokens = texts * fitted.tokens * (1 + _TEXTS_OF_A_STEP / batch_size)
    epochs = min(train.epochs, 4 + train.patience)
    network = _SECONDS_OF_NETWORK + epochs * tokens / speed
    return (_SECONDS_OF_REST + math.ceil(networks / jobs) * network) / 60


def known_settings(name: str, path: Path = PARAMS_FILE) -> dict[str, Any]:
    """Read the settings that a data set has; none, if it has no file of them."""
    try:
        settings = read_params(path).datasets.get(name)
    except InputError:
        if name in settings_files(path):
            raise
        return {}  # that they are missing may be what is wrong
    return settings.model_dump(exclude_unset=True) if settings else {}


def _divided(portrait: Portrait) -> tuple[list[str], list[str]]:
    """Divide the texts into about as many as a run trains on, and others. Texts of a given test split are neither."""
    given = "test" in portrait.splits
    train: list[str] = []
    others: list[str] = []
    for digest, (text, split) in sorted(portrait.texts.items()):  # in no order that a file may have
        if given and split != "test":
            (others if split == "validation" or digest % 10 == 0 else train).append(text)
        elif not given:
            (train if digest % 100 < _PERCENT_OF_TRAIN else others).append(text)
    return train or others, others or train


def _encoded(train: list[str], others: list[str], kind: TokenizerKind) -> tuple[int, Tokens, float]:
    """Give the size of a vocabulary of tokens that occur twice, the tokens of all texts, and how many are unknown."""
    some = _beginning(train, _CHARACTERS_OF_SUBWORDS) if kind == "bpe" else train
    tokenizer = train_tokenizer(iter(some), kind, _LARGEST_VOCABULARY[kind], _OFTEN)
    size = max(tokenizer.get_vocab_size(), 10)
    size -= size % 100 if size > 1000 else 0
    held_out = encode(tokenizer, others)
    unknown = Counter((held_out.ids == UNKNOWN).tolist())[True] / max(len(held_out.ids), 1)
    return size, encode(tokenizer, [*train, *others]), unknown


def _beginning(texts: list[str], characters: int) -> list[str]:
    ends = np.cumsum([len(text) for text in texts])
    return texts[: int(np.searchsorted(ends, characters)) + 1]


def _shares(portrait: Portrait) -> tuple[Any, float]:
    """Choose the smallest usual shares for which every class has texts enough to stand in all splits."""
    rest = min(len(portrait.groups), *(portrait.to_divide[label] for label in portrait.classes))
    test: Any = "given"
    if not portrait.splits["test"]:
        test = _share("test", rest)
        rest -= math.ceil(rest * test)
    validation = 0.1 if portrait.splits["validation"] else _share("validation", rest)
    return test, validation


def _share(name: str, texts: int) -> float:
    fitting = [share for share in _SHARES[name] if round(1 / share) <= texts]
    return round(fitting[0] if fitting else _SHARES[name][0], 2)  # where none is enough, none is better
