"""Choose the columns of a table: which has the text, which the label, which the split."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import pandas as pd

from pipeline.core.command import InputError, did_you_mean
from pipeline.corpus.names import split_named

# As people call them, the more telling first, in small letters.
_TEXTS = (
    "text", "texts", "review", "reviews", "sentence", "message", "content", "comment", "body", "tweet", "document",
    "utterance", "question", "phrase", "sms", "post", "headline",
)  # fmt: skip
_LABELS = (
    "label", "labels", "sentiment", "class", "category", "target", "topic", "polarity", "rating", "stars", "score",
    "intent", "emotion", "star", "tag", "y",
)  # fmt: skip
_MOST_CLASSES = 200
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_a-zA-Z]+")
_MOST_NAMED = 5  # columns that could be labels, too
_SHORT_TEXT = 5  # characters, in the mean
_MOMENT = re.compile(  # a date, a time, or both
    r"(\d{4}-\d\d?-\d\d?|\d\d?([./])\d\d?\2\d{2,4}|\d{4}/\d\d?/\d\d?|\d\d?:\d\d)([ T:]\d.*)?( ?[AaPp][Mm])?"
)


class Chosen(NamedTuple):
    """Hold a column, and the reason for it in words."""

    name: str
    why: str


def is_column_name(field: str) -> bool:
    """Tell if people call columns so that hold a text or a label."""
    return field.strip().casefold() in {*_TEXTS, *_LABELS} - {"y"}


def is_text_and_label(fields: Sequence[str]) -> bool:
    """Tell if people call a column of texts so, and one of labels."""
    names = {field.strip().casefold() for field in fields}
    return not names.isdisjoint(_TEXTS) and not names.isdisjoint(_LABELS)


def choose_text(table: pd.DataFrame, asked: str | None = None) -> Chosen:
    """Choose the column with the text: the one asked for, one with such a name, or the one with the longest fields.

    Raises:
        InputError: there is no such column, or none that could be a text.
    """
    if asked is not None:
        return _asked(table, asked, "--text")
    lengths = {str(name): _mean_length(column) for name, column in table.items()}
    longest = max(lengths, key=lengths.__getitem__)
    if lengths[longest] < _SHORT_TEXT:
        raise InputError(f"no column looks like text. Name it with --text. The columns are: {_listed(table)}")
    # A column `text` may hold a title where another has the article.
    named = _named(table, _TEXTS, lambda name: lengths[name] >= max(_SHORT_TEXT, lengths[longest] / 4))
    return named or Chosen(longest, f"the longest fields, {lengths[longest]:.0f} characters in the mean")


def choose_label(table: pd.DataFrame, taken: Sequence[str], asked: str | None = None) -> Chosen:
    """Choose the column with the label: the one asked for, one with such a name, or the one with the fewest values.

    Raises:
        InputError: there is no such column, or none that could be a label.
    """
    if asked is not None:
        return _asked(table, asked, "--label")
    others = table.drop(columns=list(taken))
    classes = {str(name): len(set(_words(column))) for name, column in others.items() if could_be_labels(column)}
    if named := _named(others, _LABELS, lambda name: name in classes):
        return named
    if not classes and (named := _named(others, _LABELS, lambda _: True)):  # what is wrong with it will be said
        return named
    if not classes:
        told = [f"{name} ({_told_of(table[name])})" for name in others]
        raise InputError(f"no column looks like a label. Name it with --label. Received: {', '.join(told) or 'none'}")
    fewest, *rest = sorted(classes, key=classes.__getitem__)
    could = ", ".join(f"{name!r} ({classes[name]})" for name in rest[:_MOST_NAMED])
    more = f"; with more: {could}{', …' if len(rest) > _MOST_NAMED else ''}. --label takes another" if rest else ""
    return Chosen(fewest, f"the fewest different values, {classes[fewest]}{more}")


def _told_of(column: pd.Series) -> str:
    values = _words(column)
    moments = bool(values) and all(map(_MOMENT.fullmatch, values))
    return f"{len(set(values)):,} different values{', dates or times' if moments else ''}"


def choose_split(table: pd.DataFrame, taken: Sequence[str], asked: str | None = None) -> Chosen | None:
    """Choose the column all of whose values speak of splits, if there is one.

    Raises:
        InputError: the column asked for does not exist.
    """
    if asked is not None:
        return _asked(table, asked, "--split")
    for name in table.drop(columns=list(taken)):
        splits = {split_named(value) for value in set(_words(table[name]))}
        if len(splits - {"unlabelled"}) > 1 and None not in splits:
            return Chosen(str(name), "its values are splits")
    return None


def choose_group(table: pd.DataFrame, asked: str | None) -> Chosen | None:
    """Take the column asked for: that texts belong together is nothing to guess.

    Raises:
        InputError: it does not exist.
    """
    return None if asked is None else _asked(table, asked, "--group")


def _asked(table: pd.DataFrame, name: str, option: str) -> Chosen:
    if name not in table.columns:
        raise InputError(f"{option}: there is no column {name!r}; {did_you_mean(name, map(str, table.columns))}")
    return Chosen(name, "as stated")


def _named(table: pd.DataFrame, names: Iterable[str], fits: Callable[[str], bool]) -> Chosen | None:
    """Find the first column that has such a name; else the first that has it as a word, such as `reviewText`."""
    columns = [str(name) for name in table.columns if fits(str(name))]
    for whole in (True, False):
        for wanted in names:
            for column in columns:
                words = [column.strip()] if whole else _WORD.findall(column)
                if wanted in [word.casefold() for word in words] and (whole or len(wanted) > 1):
                    return Chosen(column, "its name")
    return None


def _words(column: pd.Series) -> list[str]:
    """List the values as strings, without those that are missing."""
    written = (str(value).strip() for value in column if value is not None and not _is_nan(value))
    return [value for value in written if value]


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _mean_length(column: pd.Series) -> float:
    """Compute the mean number of characters of texts; addresses, lists and numbers are none."""
    values = [value.decode(errors="replace") if isinstance(value, bytes) else value for value in column]
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) < len(values) / 2 or sum(text.startswith(("http://", "https://")) for text in texts) > len(texts) / 2:
        return 0.0
    return sum(map(len, texts)) / len(texts)


def could_be_labels(column: pd.Series) -> bool:
    """Tell if values stand again and again, as labels do. Dates and times are none."""
    values = _words(column)
    if any(isinstance(value, list | dict) for value in column) or all(map(_MOMENT.fullmatch, values)):
        return False
    return 2 <= len(set(values)) <= min(_MOST_CLASSES, max(2, len(values) // 2))


def _listed(table: pd.DataFrame) -> str:
    return ", ".join(map(str, table.columns))
