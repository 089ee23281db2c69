"""Read CSV and its kin strictly: every row is as its author meant it, or is told with its line.

Python's `csv` decides what a field is; what it lets pass although the row is doubtful is found here. Nothing is joined:
where a quote is broken, the lines behind it are looked at one by one.
"""

import csv
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.corpus.lines import LONGEST, Dialect, bom_hint, ending_of, fault, open_text, read_lines
from pipeline.corpus.problems import BEHIND, BESIDE, CARRIAGE_RETURN, HEADER_AGAIN, JOINED, QUOTE, TOO_FEW, TOO_MANY

_MOST_LABELS = 10_000  # to keep in mind
_MOST_DOUBTS = 1000
_SEPARATOR = re.compile(r"sep=(.)[\r\n]*", re.IGNORECASE)


class Row(NamedTuple):
    """Hold a row: its first line from 1, its fields, the line or lines as they stand, and what is wrong with it."""

    line: int
    fields: list[str]
    raw: str
    kind: str | None


class _Feed:
    """Give lines to a reader, and keep those of the row that it is at."""

    def __init__(self, lines: Iterator[str], skipped: int = 0) -> None:
        self._lines = lines
        self.taken: list[str] = []
        self.number = skipped
        self._size = 0

    def begin(self) -> list[str]:
        self.taken, self._size = [], 0
        return self.taken

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        if self._size > LONGEST and len(self.taken) > 1:
            raise csv.Error("the row is too long")
        return line


@dataclass
class Separated:
    """Read the rows of one file.

    Args:
        path: the file.
        dialect: how it is written.

    Raises:
        ValueError: its first row, which names or counts the columns, cannot be read. (`rows` raises it for a line that
            is too long, or for rows in quotes, found too late.)
    """

    path: Path
    dialect: Dialect
    names: list[str] = field(init=False)
    _broken: bool = False  # a broken quote was met: what has quotes, or a label never seen before, is doubtful
    _doubts: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._delimiter = self.dialect.delimiter or ("\t" if ending_of(self.path) == ".tsv" else ",")
        quote = self.dialect.quote
        if quote == self._delimiter:
            raise ValueError(f"{quote!r} can stand between fields or around them, and not both")
        self._format: dict[str, Any] = {"delimiter": self._delimiter, "quotechar": quote}
        self._format["quoting"] = csv.QUOTE_MINIMAL if quote else csv.QUOTE_NONE
        self._quote = quote or "\0"
        self._sound = _grammar(self._delimiter, self._quote, r"[^DQ\r\n]*+")
        # A letter like others inside a field; at its end it is what is left of a field in quotes.
        self._likely = _grammar(self._delimiter, self._quote, r"(?:[^DQ\r\n](?:[^D\r\n]*[^DQ\r\n])?)?")
        csv.field_size_limit(2 * LONGEST)  # of this process; Python's own is 131,072
        first = self._first_row()
        self.names = first if self.dialect.header else [str(place) for place in range(1, len(first) + 1)]

    def rows(self, text: int, label: int | None, known: set[str]) -> Iterator[Row]:
        """Read all rows.

        Args:
            text: place of the column of texts.
            label: place of the column of labels, if there is one.
            known: the labels that are known; those of sound rows are added.
        """
        self._label, self._known = label, known
        # A piece of a row that was cut by a line break looks like a whole one: its neighbour goes with it.
        self._cut_before = text == len(self.names) - 1 and text > 0
        self._cut_behind = text == 0 and len(self.names) > 1
        with open_text(self.path, self.dialect.encoding) as file:
            lines = self._without_separator(read_lines(file))
            yield from self._all_rows(_Feed(lines, self._skipped))
        late = [f"line {line}" for label, line in self._doubts.items() if label in known]
        if late:
            raise ValueError(f"a field in quotes holds what looks like whole rows, in {', '.join(late[:10])}")

    def with_neighbours(self, rows: Iterator[Row]) -> Iterator[Row]:
        """Doubt the row before or behind a short one, too: one of them may be its other half."""
        held: Row | None = None
        doubt = False
        for row in rows:
            short = row.kind == TOO_FEW
            if held is not None:
                yield held._replace(kind=BESIDE) if short and self._cut_before and held.kind is None else held
            held = row._replace(kind=BESIDE) if doubt and row.kind is None else row
            doubt = short and self._cut_behind
        if held is not None:
            yield held

    def _first_row(self) -> list[str]:
        with open_text(self.path, self.dialect.encoding) as file:
            feed = _Feed(self._without_separator(read_lines(file)))
            try:
                names = next(csv.reader(feed, strict=True, **self._format), [])
            except csv.Error as error:
                raise ValueError(f"the first line: {error}") from None
        if any(fault(line) for line in feed.taken):
            encoding = self.dialect.encoding
            hint = bom_hint(self.path) or ": name its own with `encoding`"
            raise ValueError(f"the first line is not in the encoding {encoding}{hint}")
        if not names:
            raise ValueError("the first line, which names the columns, is empty")
        return names

    def _without_separator(self, lines: Iterator[str]) -> Iterator[str]:
        """Pass over a first line such as `sep=;`, by which Excel is told the delimiter.

        Raises:
            ValueError: it names another one than the dialect does.
        """
        first = next(lines, "")
        found = _SEPARATOR.fullmatch(first)
        if found and found[1] != self._delimiter:
            raise ValueError(f"its first line says that {found[1]!r} stands between fields: say so with `delimiter`")
        self._skipped = int(found is not None)
        return lines if found else chain([first] * bool(first), lines)

    def _all_rows(self, feed: _Feed) -> Iterator[Row]:
        reader = csv.reader(feed, strict=True, **self._format)
        if self.dialect.header:
            next(reader)
        width, label, known = len(self.names), self._label, self._known
        again = self.names if self.dialect.header and width > 1 else None
        while True:
            taken = feed.begin()
            line = feed.number + 1
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield from self._apart(taken, line, _kind_of(error))
                continue
            raw = taken[0] if len(taken) == 1 else "".join(taken)
            doubtful = self._broken or len(fields) != width or len(taken) > 1 or self._quote in raw
            if doubtful or not raw.isascii() or "\0" in raw:
                if raw.isspace() and width > 1:
                    continue  # a line that is blank is none
                kind = self._kind(fields, raw, taken, line)
                if kind in (JOINED, QUOTE):
                    yield from self._apart(taken, line, kind)
                    continue
            else:
                kind = None
            if fields == again:
                kind = HEADER_AGAIN
            if kind is None and label is not None and fields[label] and len(known) < _MOST_LABELS:
                known.add(fields[label])
            yield Row(line, fields or [""], raw, kind)

    def _kind(self, fields: list[str], raw: str, taken: list[str], line: int) -> str | None:
        """Find what is wrong with a row that `csv` has read."""
        if kind := fault(raw):
            return kind
        if len(taken) > 1 and self._looks_joined(taken, line):
            return JOINED
        if (len(fields) or 1) != len(self.names):  # an empty line is a row where there is one column
            return TOO_FEW if len(fields) < len(self.names) else TOO_MANY
        if not self._broken and self._quote in raw and not self._likely.fullmatch(raw):
            return QUOTE
        return BEHIND if self._broken and not self._beyond_doubt(fields, raw) else None

    def _apart(self, taken: list[str], line: int, kind: str) -> Iterator[Row]:
        """Give up a row at its first line; those behind it, one by one, are rows only where nothing is doubtful."""
        self._broken = self._broken or kind in (QUOTE, JOINED) or len(taken) > 1
        yield Row(line, [], taken[0], fault(taken[0]) or kind)
        for number, raw in enumerate(taken[1:], start=line + 1):
            if raw.isspace() and len(self.names) > 1:
                continue
            fields: list[str] = []
            if self._sound.fullmatch(raw):
                fields = next(csv.reader([raw], **self._format))
            if len(fields) == len(self.names) and not fault(raw) and self._beyond_doubt(fields, raw):
                yield Row(number, fields, raw, None)
            else:
                yield Row(number, [], raw, fault(raw) or BEHIND)

    def _beyond_doubt(self, fields: list[str], raw: str) -> bool:
        known = self._label is None or fields[self._label] in self._known
        return known and self._sound.fullmatch(raw) is not None

    def _looks_joined(self, taken: list[str], line: int) -> bool:
        """Find lines inside a row of several lines that are rows of their own: as many fields, and a known label.

        A label that nobody has seen yet is kept in mind: `rows` looks again at the end of the file.
        """
        width = len(self.names)
        if width == 1:
            return False
        alone = [raw.rstrip("\r\n").split(self._delimiter) for raw in taken]
        if self._label is None:
            return len(alone) > 2 and all(len(fields) == width for fields in alone)
        opened = len(next(csv.reader(taken[:1], **self._format))) - 1
        # The row's own label stands in its first line or in its last one.
        begin, end = int(opened > self._label), len(alone) - int(opened < self._label)
        for place in range(begin, end):
            fields = alone[place]
            if len(fields) == width:
                label = fields[self._label]
                if label in self._known:
                    return True
                if label and len(self._doubts) < _MOST_DOUBTS:
                    self._doubts.setdefault(label, line + place)
        return False


def _grammar(delimiter: str, quote: str, plain: str) -> re.Pattern[str]:
    """Describe a row: `plain` is a field without quotes, where D is the delimiter and Q the quote."""
    field = rf"(?:Q(?:[^Q]|QQ)*+Q|{plain})"
    pattern = rf"{field}(?:D{field})*+[\r\n]*"
    return re.compile(pattern.replace("D", re.escape(delimiter)).replace("Q", re.escape(quote)))


def _kind_of(error: csv.Error) -> str:
    return CARRIAGE_RETURN if str(error).startswith("new-line character") else QUOTE
