"""Tables in any dialect: what was written is read back, or refused, and never something else.

The tables are hypothesis' own: the same ones at every run, and many more with `make test ALL=1`.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.adding.gathering import gathered
from pipeline.adding.looking import look
from pipeline.core.command import InputError
from pipeline.corpus.problems import Problem
from pipeline.corpus.sources import Reviews, checked_source

Rows = list[tuple[str, str]]

ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gb18030", "cp1252", "koi8-r"]
TROUBLE = [",", ";", "\t", "|", '"', '""', "'", "\\", "\n", "\r\n", "\r", ",bad", "\ngood,", "sep=;", " ", "a", "film"]
WORDS = ["warm", "clever", "naïve", "dull", "wooden", "the film", "of 1999", "isn’t", "très", "a bore"]


@dataclass(frozen=True)
class Table:
    """Rows, and how they are written."""

    rows: Rows
    encoding: str
    delimiter: str
    quote: str | None
    end: str
    header: bool
    label_first: bool
    all_quoted: bool

    @property
    def keys(self) -> dict[str, Any]:
        """What source.yaml says of it."""
        text, label = ("text", "label") if self.header else ("2", "1") if self.label_first else ("1", "2")
        dialect = {"delimiter": self.delimiter, "quote": self.quote or "none", "encoding": self.encoding}
        return {"format": "files", "text": text, "label": label, "header": self.header, **dialect}

    @property
    def is_plain(self) -> bool:
        """Whether each row is one line of letters: then there is nothing to refuse."""
        return not any(mark in text for text, _ in self.rows for mark in "\n\r\0")

    def content(self) -> bytes | None:
        """The bytes of the file; None, if this dialect cannot hold the rows."""
        rows = [("text", "label"), *self.rows] if self.header else self.rows
        lines = [self._written(row[::-1] if self.label_first else row) for row in rows]
        if None in lines:
            return None
        return "".join(f"{line}{self.end}" for line in lines).encode(self.encoding)

    def _written(self, fields: tuple[str, ...]) -> str | None:
        special = {self.delimiter, "\n", "\r"}
        if self.quote is None:
            return None if any(special & set(field) for field in fields) else self.delimiter.join(fields)
        quote = self.quote
        quoted = [self.all_quoted or bool((special | {quote}) & set(field)) for field in fields]
        pairs = zip(fields, quoted, strict=True)
        return self.delimiter.join(f"{quote}{f.replace(quote, 2 * quote)}{quote}" if q else f for f, q in pairs)


def letters(encoding: str) -> st.SearchStrategy[str]:
    """Any letter of an encoding. (Hypothesis' own way, `codec`, takes a second for each encoding.)"""
    if encoding in ("cp1252", "koi8-r"):
        return st.sampled_from([letter for byte in range(256) if (letter := bytes([byte]).decode(encoding, "ignore"))])
    # A byte-order mark that begins a text cannot be told from that of the file.
    return st.characters(exclude_categories=["Cs"], exclude_characters="\ufeff")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    """Short texts of anything that the encoding has, and of what means something in a table."""
    encoding = draw(st.sampled_from(ENCODINGS))
    text = st.lists(st.one_of(st.sampled_from(TROUBLE), letters(encoding)), min_size=1, max_size=8).map("".join)
    rows = draw(st.lists(st.tuples(text, st.sampled_from(["good", "bad"])), min_size=1, max_size=12))
    return Table(
        rows, encoding, draw(st.sampled_from(",;\t|~")), draw(st.sampled_from(['"', '"', "'", None])),
        draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


@st.composite
def reviews(draw: st.DrawFn) -> Table:
    """Texts as people write them: what `add` finds out, it finds out from these.

    In encodings that need no guess: words of chance have no language by which one could be told from another.
    """
    rows = []
    joints = st.sampled_from([" ", " ", " ", ", ", "; ", " | ", ' "so" ', "\n", " - "])
    for number in range(draw(st.integers(20, 40))):
        words = draw(st.lists(st.tuples(st.sampled_from(WORDS), joints), min_size=3, max_size=6))
        rows.append((f"{number} {''.join(map(''.join, words))}end", "bad" if number % 3 else "good"))
    return Table(
        rows, draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16"])), draw(st.sampled_from(",;\t|")), '"',
        draw(st.sampled_from(["\n", "\r\n"])), draw(st.booleans()), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


@contextmanager
def file_of(table: Table) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "films.csv"
        path.write_bytes(table.content() or b"")
        yield path


def read(keys: dict[str, Any], folder: Path) -> tuple[Rows, list[Problem]]:
    kept: list[Problem] = []
    parts = list(Reviews(checked_source(keys, "the test"), folder, kept.append))
    return [row for part in parts for row in zip(part["text"], part["label"], strict=True)], kept


def check_with_the_dialect_stated(table: Table) -> None:
    if table.content() is None:
        return
    with file_of(table) as path:
        try:
            came, kept = read(table.keys, path.parent)
        except InputError:
            assert not table.is_plain
            return
    assert came == [row for row in table.rows if not row[0].isspace()]
    assert len(came) + len(kept) == len(table.rows)


def check_with_what_add_finds(table: Table) -> None:
    with file_of(table) as path, gathered([path], {}, "films") as files:
        try:
            seen = look(files, {}, {})
        except InputError:
            return
        came, kept = read(seen.source, files.view)
    assert set(came) <= set(table.rows)
    assert len(came) + len(kept) == len(table.rows)


QUICK = settings(
    max_examples=200,
    phases=[Phase.generate],  # what fails is shown as it is: to make it smaller takes minutes
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@QUICK
@given(tables())
def test_a_table_is_read_back_as_it_was_written_or_refused(table: Table) -> None:
    check_with_the_dialect_stated(table)


@settings(QUICK, max_examples=25)
@given(reviews())
def test_what_add_finds_reads_the_table_back(table: Table) -> None:
    check_with_what_add_finds(table)


@pytest.mark.slow
@settings(QUICK, max_examples=2_000)
@given(tables())
def test_many_tables_are_read_back_as_they_were_written_or_refused(table: Table) -> None:
    check_with_the_dialect_stated(table)


@pytest.mark.slow
@settings(QUICK, max_examples=100)
@given(reviews())
def test_what_add_finds_reads_many_tables_back(table: Table) -> None:
    check_with_what_add_finds(table)
