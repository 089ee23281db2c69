"""Know the labels of a data set: which are written in several ways, and where each stands first."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

import pandas as pd

from pipeline.core.command import InputError

_MOST = 10_000
_SHOWN = 10
_NUMBERS = {"true": "1", "false": "0"}


class LabelsError(InputError):
    """Tell that labels cannot be used as they are written."""


class Labels:
    """Collect the labels of a data set.

    Args:
        stated: the labels that source.yaml names; these are what they are, however alike.
        mapping: the label that each way of writing stands for.
    """

    def __init__(self, stated: Collection[str], mapping: Mapping[str, str]) -> None:
        self._stated, self._mapping = set(stated), mapping
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}

    def read(self, labels: pd.Series, file: str) -> pd.Series:
        """Count the labels of some rows (the index is their line), and give what they stand for.

        Raises:
            InputError: there are so many different ones that they are no labels.
        """
        for label, number in Counter(labels.dropna()).items():
            if label not in self._first:
                self._met(label, f"{file}, line {(labels == label).idxmax()}")
            self._counts[label] += number
        return (
            labels.map(lambda label: self._mapping.get(label, label), na_action="ignore") if self._mapping else labels
        )

    def read_one(self, label: str, file: str) -> str:
        """Do the same with the label of one file."""
        if label not in self._first:
            self._met(label, file)
        self._counts[label] += 1
        return self._mapping.get(label, label)

    def _met(self, label: str, place: str) -> None:
        self._first[label] = place
        if len(self._first) > _MOST:
            raise InputError(
                f"the label must be one of at most {_MOST:,} values. Received: more, up to {place}. `label` in"
                " source.yaml says in which column it is"
            )

    def problem(self) -> str | None:
        """Find labels that differ by blanks, case, or 1, 1.0 and true alone: say where, and how to join them.

        Labels with control characters are named, too: they would break every table and every line that has them.
        """
        for label in sorted(self._first):
            if any(unicodedata.category(letter) in ("Cc", "Zl", "Zp") for letter in self._mapping.get(label, label)):
                return (
                    f"labels must stand on one line, without control characters. Received: {label!r}"
                    f" ({self._counts[label]:,}, first in {self._first[label]}). Say in source.yaml what it means:"
                    f' labels: {{"a name": [{json.dumps(label)}], …}}'
                )
        unclear = [
            written
            for written in alike(self._counts)
            if len({self._mapping.get(label, label) for label in written}) > 1
            and not self._stated.issuperset(self._mapping.get(label, label) for label in written)
        ]
        if not unclear:
            return None
        lines = ["labels that differ only by blanks, letters that are not seen, case, or how a number is written:"]
        for written in unclear[:_SHOWN]:
            told = [f"{label!r} ({self._counts[label]:,}, first in {self._first[label]})" for label in written]
            lines.append(f"  {'; '.join(told)}")
        if len(unclear) > _SHOWN:
            lines.append(f"  and {len(unclear) - _SHOWN:,} more")
        most = max(unclear[0], key=self._counts.__getitem__)
        quoted = ", ".join(f'"{label}"' for label in unclear[0])
        lines.append(f'Say in source.yaml which are the same: labels: {{"{most.strip()}": [{quoted}], …}}')
        return "\n".join(lines)


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Put labels together that differ only by blanks, what is not seen, case, or how a number is written."""
    ways: dict[str, list[str]] = {}
    for label in sorted(labels):
        ways.setdefault(_core(label), []).append(label)
    return list(ways.values())


def _core(label: str) -> str:
    seen = "".join(letter for letter in unicodedata.normalize("NFC", label) if unicodedata.category(letter) != "Cf")
    core = " ".join(seen.casefold().split())
    if re.fullmatch(r"[+-]?[0-9]+", core):
        return core.removeprefix("+").lstrip("0") or "0"  # of any length: floats would join neighbours
    try:
        number = float(core.replace("_", "x"))
        if number.is_integer():
            return str(int(number))
    except (ValueError, OverflowError):
        pass
    return _NUMBERS.get(core, core)
