"""Describe labelled texts in numbers: classes, lengths, script, repeats."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from pipeline.corpus.names import SPLITS
from pipeline.corpus.splits import count_repeats, text_digest

# By the names that Unicode gives to letters. Their words are not separated by blanks.
_WITHOUT_BLANKS = {"CJK", "HIRAGANA", "KATAKANA", "THAI", "LAO", "KHMER", "MYANMAR", "TIBETAN"}
_SCRIPT_NAMES = {"CJK": "Chinese characters", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Korean"}
_LETTERS = 300_000  # enough to name the script
_LETTERS_OF_TEXT = 500
_MOST_CHARACTERS = 32 << 20  # of the texts that are kept
_ENOUGH = 1000  # texts of a class, or groups: they can be divided
_LONGEST_RUN = 4  # letters between blanks, in the mean: with more, blanks do not separate the words of such a script


@dataclass
class Portrait:
    """Count what a data set holds, table by table.

    Attributes:
        classes: label to its number of texts.
        to_divide: label to its number of different texts that are not held out by the data, up to `_ENOUGH`.
        groups: those of the texts that are not held out by the data, up to `_ENOUGH`; a text without one is one.
        splits: split to its number of texts with a label; "" where the data bring none.
        unlabelled: texts without a label.
        first: the first text, and its label.
        texts: text and split of texts from all over the data (all of them, if they are not large), with a label each.
    """

    classes: Counter[str] = field(default_factory=Counter)
    splits: Counter[str] = field(default_factory=Counter)
    unlabelled: int = 0
    first: tuple[str, str] | None = None
    texts: dict[int, tuple[str, str]] = field(default_factory=dict)
    _scripts: Counter[str] = field(default_factory=Counter)
    _runs: Counter[int] = field(default_factory=Counter)
    groups: set[int] = field(default_factory=set)
    _different: dict[str, set[int]] = field(default_factory=dict)
    _names: list[pd.Series] = field(default_factory=list)
    _digests: list[np.ndarray] = field(default_factory=list)
    _splits: list[np.ndarray] = field(default_factory=list)  # places in SPLITS, from 1; 0: none
    _groups: list[np.ndarray] = field(default_factory=list)  # hashes; 0: none
    _labels: list[np.ndarray] = field(default_factory=list)
    _codes: dict[str, int] = field(default_factory=dict)
    _characters: int = 0
    _below: int = 1 << 64

    def add(self, table: pd.DataFrame) -> None:
        """Count some more rows, as `Reviews` gives them."""
        rows = table[table["label"].notna() & (table["split"] != "unlabelled")]
        self.unlabelled += len(table) - len(rows)
        splits = rows["split"].astype("object").where(rows["split"].notna(), "")
        self.classes.update(rows["label"])
        self.splits.update(splits)
        if self.first is None and len(rows):
            self.first = rows["text"].iloc[0], rows["label"].iloc[0]
        self._names.append(rows["name"])
        digests = [text_digest(text) for text in rows["text"]]
        self._digests.append(np.array(digests, np.uint64))
        self._splits.append(splits.map({name: place for place, name in enumerate(("", *SPLITS))}).to_numpy(np.int8))
        self._groups.append(np.array([0 if pd.isna(group) else hash(group) for group in rows["group"]], np.int64))
        divisible = ~splits.isin(["test", "validation"])
        self._count_to_divide(rows[divisible], np.array(digests, np.uint64)[divisible].tolist())
        codes = [self._codes.setdefault(label, len(self._codes)) for label in rows["label"]]
        self._labels.append(np.array(codes, np.int64))
        for digest, text, split in zip(digests, rows["text"], splits, strict=True):
            if digest < self._below and digest not in self.texts:
                self._keep(digest, text, split)

    @property
    def to_divide(self) -> Counter[str]:
        return Counter({label: len(digests) for label, digests in self._different.items()})

    @property
    def rows(self) -> int:
        """Count the texts with a label."""
        return self.classes.total()

    @property
    def repeats(self) -> tuple[int, int, int]:
        """Count the different texts that several rows have, these rows, and such texts with several labels.

        Case and white space do not count, as in the splits.
        """
        told = count_repeats(self.labelled())
        return told["texts"], told["reviews"], told["texts with several labels"]

    def labelled(self) -> pd.DataFrame:
        """Give the texts with a label as `splits.divide` takes them, in the order of their names as in a run."""
        labels, splits, groups = (np.concatenate(parts) for parts in (self._labels, self._splits, self._groups))
        names = np.array([*self._codes], dtype=object)
        table = pd.DataFrame(
            {
                "name": pd.concat(self._names, ignore_index=True),
                "label": names[labels],
                "split": pd.Series(splits).map(dict(enumerate(SPLITS, start=1))),
                "group": pd.Series(groups).astype("str").where(groups != 0),
                "digest": np.concatenate(self._digests),
            }
        )
        return table.sort_values("name", kind="stable", ignore_index=True)

    @property
    def has_groups(self) -> bool:
        """Tell if texts have groups of the user's."""
        return any(part.any() for part in self._groups)

    @property
    def script(self) -> str:
        """Name the script of most letters, such as Latin."""
        name = self._scripts.most_common(1)[0][0] if self._scripts else "no letters"
        return _SCRIPT_NAMES.get(name, name.capitalize() if name.isupper() else name)

    @property
    def has_blanks(self) -> bool:
        """Tell if blanks separate the words: always, or nearly so, but for some scripts."""
        without = sum(number for script, number in self._scripts.items() if script in _WITHOUT_BLANKS)
        if 2 * without < self._scripts.total():
            return True
        return sum(length * number for length, number in self._runs.items()) <= _LONGEST_RUN * self._runs.total()

    def _count_to_divide(self, rows: pd.DataFrame, digests: Sequence[int]) -> None:
        """Keep different texts of each class in mind, and different groups, until there are enough of them."""
        for label, group, digest in zip(rows["label"], rows["group"], digests, strict=True):
            different = self._different.setdefault(label, set())
            if len(different) < _ENOUGH:
                different.add(digest)
            if len(self.groups) < _ENOUGH:
                self.groups.add(digest if pd.isna(group) else hash(group))

    def _keep(self, digest: int, text: str, split: str) -> None:
        self.texts[digest] = text, split
        self._characters += len(text)
        if self._scripts.total() < _LETTERS:
            start = text[:_LETTERS_OF_TEXT]
            self._scripts.update(map(_script_of, filter(str.isalpha, start)))
            self._runs.update(map(len, start.split()))
        while self._characters > _MOST_CHARACTERS:  # half of them are enough: those of small digests, a fair sample
            self._below //= 2
            self.texts = {digest: kept for digest, kept in self.texts.items() if digest < self._below}
            self._characters = sum(len(text) for text, _ in self.texts.values())


def _script_of(letter: str) -> str:
    return unicodedata.name(letter, "?").partition(" ")[0].partition("-")[0]


def shares(classes: Counter[str]) -> Iterable[tuple[str, int, float]]:
    """List the classes, the largest first, with number and share."""
    return [(label, number, number / classes.total()) for label, number in classes.most_common()]
