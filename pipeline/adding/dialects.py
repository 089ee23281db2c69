"""Find out how the fields of text tables are written: delimiter, quote, header.

Candidates are tried with the reader that `download` and `preprocess` read with: the one that gives most rows wins.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from pipeline.adding.columns import could_be_labels, is_column_name
from pipeline.core.command import InputError
from pipeline.corpus.lines import Dialect, ending_of, fault, open_text, read_lines
from pipeline.corpus.problems import ENCODING, shortened
from pipeline.corpus.separated import Separated

NAMES = {
    ",": "comma",
    "\t": "tab",
    ";": "semicolon",
    "|": "bar",
    ":": "colon",
    None: "tab or comma",
}
_USUAL = (",", "\t", ";", "|")
_ENOUGH = 0.9  # share of whole rows from which on no unusual delimiter is tried
_FEWEST = 0.5  # of whole rows: with fewer, it is no table
_ROWS = 2000  # of each file
_FILES = 10
_LONGEST_NAME = 40  # characters


def find_dialect(tables: Sequence[Path], stated: Mapping[str, Any], encoding: str) -> Dialect:
    """Find delimiter and quote: those with which most of the first rows have one number of fields, two or more.

    Args:
        tables: CSV and its kin, by whatever name.
        stated: what source.yaml or the user says; that is tried alone.
        encoding: of the files.

    Raises:
        InputError: no delimiter makes a table of them.
    """
    tried: dict[Dialect, _Fit] = {}
    for delimiters in (_usual(tables), _unusual(tables, encoding)):
        for delimiter in [stated["delimiter"]] if stated.get("delimiter") else delimiters:
            for quote in [stated["quote"]] if "quote" in stated else ['"', None, "'"]:
                if delimiter != quote:
                    dialect = Dialect(encoding, delimiter, None if quote == "none" else quote, header=False)
                    tried[dialect] = _fit(tables, dialect)
        best = max(tried, key=lambda one: tried[one][:2])  # the first of those that are as good
        quoted = replace(best, quote='"')
        if tried[best].spanning and quoted in tried and tried[quoted].whole >= _ENOUGH:
            best = quoted  # a few rows are bad, which are to be told; else all would be cut at their line breaks
        if tried[best].whole >= _ENOUGH:
            return best
    if tried[best].whole < _FEWEST:
        _explain(tables[0], encoding, stated)
    if not tried[best].whole:
        raise InputError(f"{tables[0]} {_what_is_wrong(tables[0], encoding)}")
    if tried[best].whole < _FEWEST:
        raise InputError(
            f"{tables[0]} is no table that can be read. Of all delimiters, {NAMES.get(best.delimiter, best.delimiter)}"
            f" fits best, and {tried[best].whole:.0%} of the first rows have as many fields as the first one. Name"
            " another: --delimiter"
        )
    return best


def _explain(path: Path, encoding: str, stated: Mapping[str, Any]) -> None:
    """Look for what most often hides a table: another encoding, or lines above it.

    Raises:
        InputError: it is found; the message has the line.
    """
    with open_text(path, encoding) as file:
        lines = [*islice(read_lines(file), _ROWS)]
    kinds = [fault(line) for line in lines]
    if kinds.count(ENCODING) > len(lines) * (1 - _FEWEST):
        first = kinds.index(ENCODING)
        raise InputError(
            f"{path}, line {first + 1} is not in the encoding {encoding}: {shortened(lines[first])}. Name another with"
            " --encoding, or leave the option out"
        )
    quotes = [stated["quote"]] if stated.get("quote") not in (None, "none") else ['"', "'"]
    delimiters = [stated["delimiter"]] if stated.get("delimiter") else _USUAL
    found = [_lines_above(lines, delimiter, quote) for delimiter in delimiters for quote in quotes]
    if (best := max(found, default=_NONE_ABOVE)) != _NONE_ABOVE:
        begin = -best.above
        raise InputError(
            f"{path} has lines above the table: its first row must be the names of the columns, or the first text."
            f" Received: line 1 is {shortened(lines[0])!r}, and the table seems to begin in line {begin + 1}:"
            f" {shortened(lines[begin])!r}. Remove what stands above"
        )


class _Above(NamedTuple):
    """Hold how many rows look like those of a table, and minus the number of lines above it; the greater the better."""

    whole: int
    above: int


_NONE_ABOVE = _Above(0, 0)


def _lines_above(lines: Sequence[str], delimiter: str, quote: str) -> _Above:
    """Find lines of one field each, such as a title, above rows that nearly all have one number of fields."""
    starts, rows = [0], []
    try:
        reader = csv.reader(lines, delimiter=delimiter, quotechar=quote)
        for fields in reader:
            rows.append(fields)
            starts.append(reader.line_num)
    except csv.Error:
        return _NONE_ABOVE
    widths = [len(fields) for fields in rows]
    usual = max(set(widths), key=widths.count, default=0)
    first = widths.index(usual) if usual > 1 else 0
    whole = widths[first:].count(usual)
    above = [[field for field in fields if field.strip()] for fields in rows[:first]]
    are_titles = all(len(fields) < 2 and not any(map(is_column_name, fields)) for fields in above)
    if first and are_titles and whole > 1 and whole >= _ENOUGH * len(widths[first:]):
        return _Above(whole, -starts[first])
    return _NONE_ABOVE


def _what_is_wrong(path: Path, encoding: str) -> str:
    with open_text(path, encoding) as file:
        start = file.read(1 << 16)
    if not start.strip():
        return "is empty"
    if "\r" in start and "\n" not in start:
        return "has carriage returns alone at the ends of lines, as Macs once wrote them. Save it with line feeds"
    if start.startswith("__label__"):
        return "begins each line with __label__, as fastText has it: write a tab behind the label in place of the blank"
    return "is no table with a text and a label: no delimiter makes two columns of it. Name it: --delimiter"


def has_header(rows: pd.DataFrame) -> tuple[bool, str]:
    """Tell if the first row names the columns, and why.

    It does not if one of its fields stands again and again in its column below, as a label does. Else it does if a
    field is a name that people give to such columns, or if all fields are short and none is a number.

    Args:
        rows: from all over the file, the first one first.
    """
    first = [str(field or "").strip() for field in rows.iloc[0]]
    below = rows.iloc[1:]
    below = below[~(below == rows.iloc[0]).all(axis=1)]  # where files were put together, it stands again as it is
    for place, field in enumerate(first):
        times = int((below.iloc[:, place].fillna("").str.strip() == field).sum()) if field else 0
        if times > max(1, len(below) // 200):
            return False, f"{field!r} in the first row stands {times:,} times below it"
    named = [field for field in first if is_column_name(field)]
    if named:
        return True, f"the first row has {named[0]!r}"
    fields = [field for field in first if field]
    if fields and all(len(field) <= _LONGEST_NAME and not _is_number(field) for field in fields):
        return True, "the first row has short fields that never come again"
    return False, "the first row looks like the others"


def with_other_quote(dialect: Dialect, tables: Sequence[Path]) -> Dialect | None:
    """Give the dialect in which quotes are letters like others (or the other way round), if that may be meant."""
    other = replace(dialect, quote=None if dialect.quote else '"')
    return other if _fit(tables, replace(other, header=False)).whole >= _FEWEST else None


def _usual(tables: Sequence[Path]) -> list[str | None]:
    endings = {ending_of(path) for path in tables}
    if {".csv", ".tsv"} <= endings:
        return [None, *_USUAL]
    return ["\t", ",", ";", "|"] if endings == {".tsv"} else [*_USUAL]


def _unusual(tables: Sequence[Path], encoding: str) -> list[str | None]:
    """List the other characters of the first line that could stand between fields."""
    with open_text(tables[0], encoding) as file:
        line = next(read_lines(file), "").rstrip("\r\n")
    # No blank: every text has some.
    return [mark for mark in sorted(set(line)) if not mark.isalnum() and mark not in {*_USUAL, *"\"'.-_ \r"}]


class _Fit(NamedTuple):
    """Hold how well a dialect fits the first rows; the greater the better.

    Attributes:
        is_table: most rows are whole, a column holds what could be labels, and fields do not begin with a blank, as
            they do where a comma belongs to the text.
        whole: share of the rows that have as many fields as the first one, two or more.
        spanning: many fields begin with a quotation mark that closes in a later row.
    """

    is_table: int
    whole: float
    spanning: bool = False


def _fit(tables: Sequence[Path], dialect: Dialect) -> _Fit:
    """Try a dialect. Quotes around whole fields are meant, and no letters."""
    whole = total = quoted = wrapped = opened = closed = 0
    fields: list[list[str]] = []
    for path in tables[:_FILES]:
        try:
            file = Separated(path, dialect)
            for row in islice(file.rows(0, None, set()), _ROWS):
                total += 1
                if row.kind is None and len(file.names) > 1:
                    whole += 1
                    fields.append(row.fields)
                if dialect.quote != '"' and '"' in row.raw:
                    quoted += 1
                    wrapped += any(len(field) > 1 and field[0] == field[-1] == '"' for field in row.fields)
                    opened += any(field.startswith('"') and field.count('"') % 2 for field in row.fields)
                    closed += any(field.endswith('"') and field.count('"') % 2 for field in row.fields)
        except ValueError:
            total += 1
    if not total or wrapped > quoted / 2:
        return _Fit(0, 0.0)
    share = whole / total
    columns = pd.DataFrame(fields, dtype="object")
    labels = any(could_be_labels(column) for _, column in columns.items())
    behind = [field for row in fields for field in row[1:]]
    blanks = 2 * sum(field.startswith(" ") for field in behind) > len(behind)
    spanning = min(opened, closed) > quoted / 4
    return _Fit((share >= _ENOUGH) * (2 * labels + (not blanks)), share, spanning)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
