"""Files that are broken, one kind each: refused with file and line, or the rows are set aside, and none is lost."""

import gzip
import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.command import InputError
from pipeline.corpus import problems as kinds
from pipeline.corpus.problems import Problem
from pipeline.corpus.sources import Reviews, checked_source

HEAD = "text,label\n"
GOOD = '{"text": "a", "label": "good"}\n'


@dataclass(frozen=True)
class Broken:
    """A file, and what becomes of its rows.

    Attributes:
        name: of the file.
        content: its bytes, or its text in UTF-8.
        learnt: the texts that are learnt, where bad rows are set aside.
        listed: line and kind of the rows that are set aside.
        refused: what is said, where the file is refused whatever is asked for; a pattern.
        keys: what source.yaml says besides.
    """

    name: str
    content: bytes | str
    learnt: str = ""
    listed: list[tuple[int, str]] = field(default_factory=list)
    refused: str = ""
    keys: Mapping[str, object] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        path = folder / self.name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(self.content if isinstance(self.content, bytes) else self.content.encode())
        return path


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def workbook(*rows: tuple[object, ...], change: Callable[[openpyxl.Workbook], None] | None = None) -> bytes:
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in [("text", "label"), *rows]:
        book.active.append(row)
    if change:
        change(book)
    book.save(out)
    return out.getvalue()


SHEETS = workbook(("a", "good"), ("b", "bad"))
COLUMNS = parquet(pa.table({"text": ["a", "b"], "label": ["good", "bad"]}))
OTHER_BYTES = parquet(pa.table({"text": [b"a", b"na\xefve"], "label": ["good", "bad"]}))
SPLIT = {"split": "split"}

BROKEN = {
    # CSV and its kin
    "too few fields": Broken("a.csv", HEAD + "a,good\nb\nc,bad\nd,bad", "ad", [(3, kinds.TOO_FEW), (4, kinds.BESIDE)]),
    "too many fields": Broken("a.csv", HEAD + "a,good\nb, they say,bad\n", "a", [(3, kinds.TOO_MANY)]),
    "a raw line break": Broken("a.csv", "label,text\ngood,a\nbad,b\nc\n", "a", [(3, kinds.BESIDE), (4, kinds.TOO_FEW)]),
    "a quote that never closes": Broken("a.tsv", 'text\tlabel\na\tgood\n"b\tbad\n', "a", [(3, kinds.QUOTE)]),
    "a quote at the end": Broken("a.csv", HEAD + 'a,good\nb 5",good\n', "a", [(3, kinds.QUOTE)]),
    "a letter behind a quote": Broken("a.csv", HEAD + 'a,good\n"b"c,good\n', "a", [(3, kinds.QUOTE)]),
    "a lone carriage return": Broken("a.csv", HEAD + "a,good\nb\rc,bad\n", "a", [(3, kinds.CARRIAGE_RETURN)]),
    "NUL": Broken("a.csv", HEAD + "a,good\nb\0,bad\n", "a", [(3, kinds.NUL)]),
    "bytes of cp1252": Broken("a.csv", b"text,label\na,good\nna\xefve,bad\n", "a", [(3, kinds.ENCODING)]),
    "half a letter at the end": Broken("a.csv", "text,label\na,good\nbad,é".encode()[:-1], "a", [(3, kinds.ENCODING)]),
    "an empty text": Broken("a.csv", HEAD + "a,good\n,bad\n", "a", [(3, kinds.EMPTY)]),
    "a text of blanks": Broken("a.csv", HEAD + "a,good\n  ,bad\n", "a", [(3, kinds.EMPTY)]),
    "files put together": Broken("a.csv", HEAD + "a,good\n" + HEAD + "b,bad\n", "ab", [(3, kinds.HEADER_AGAIN)]),
    "a split that is none": Broken("a.csv", "text,label,split\na,good,test\nb,bad,fold\n", "a",
                                   [(3, kinds.UNKNOWN_SPLIT)], keys=SPLIT),
    "an empty file": Broken("a.csv", "", refused="first line, which names the columns, is empty"),
    "a blank first line": Broken("a.csv", "\n" + HEAD + "a,good\n", refused="first line, .* is empty"),
    "UTF-16": Broken("a.csv", (HEAD + "a,good\n").encode("utf-16"), refused="not in the encoding utf-8 .*utf-16"),
    "no label": Broken("a.csv", "text,verdict\na,good\n", refused="no column 'label' .*known: text, verdict"),
    "two texts": Broken("a.csv", "text,label,text\na,good,b\n", refused="one column 'text'. Received: 2"),
    "another delimiter": Broken("a.csv", "text;label\na;good\n", refused="';' stand between its fields"),
    "Excel's line": Broken("a.csv", "sep=;\ntext;label\na;good\n", refused="';' stands between fields"),
    "an open quote in the header": Broken("a.csv", '"text,label\na,good\n', refused="the first line: "),
    "a line of 17 MiB": Broken("a.csv", HEAD + "x" * (17 << 20), refused="line 2 is longer than 16 MiB"),
    "a quoted row of 17 MiB": Broken("a.csv", HEAD + 'a,good\n"' + ("x" * 99_999 + "\n") * 180, "a",
                                     [(3, kinds.QUOTE), *((line, kinds.BEHIND) for line in range(4, 171)),
                                      *((line, kinds.TOO_FEW) for line in range(171, 183))]),
    "labels in two ways": Broken("a.csv", HEAD + "a,good\nb,Good\n", refused="(?s)differ only by .*a.csv, line 3"),
    # JSON
    "half an object": Broken("a.jsonl", GOOD + '\n{"text": \n', "a", [(3, kinds.NO_OBJECT)]),
    "no object": Broken("a.jsonl", GOOD + '["a"]\n', "a", [(2, kinds.NO_OBJECT)]),
    "a name twice": Broken("a.jsonl", GOOD + '{"text": "b", "text": "c"}\n', "a", [(2, kinds.NO_OBJECT)]),
    "NaN": Broken("a.jsonl", GOOD + '{"text": NaN, "label": "x"}\n', "a", [(2, kinds.NO_OBJECT)]),
    "brackets in brackets": Broken("a.jsonl", GOOD + '{"text": ' + "[" * 100_000, "a", [(2, kinds.NO_OBJECT)]),
    "a number of 5,000 digits": Broken("a.jsonl", GOOD + '{"text": ' + "1" * 5000 + "}", "a", [(2, kinds.NO_OBJECT)]),
    "a list for a label": Broken("a.jsonl", GOOD + '{"text": "b", "label": ["x"]}', "a", [(2, kinds.NO_VALUE)]),
    "an object for a text": Broken("a.jsonl", GOOD + '{"text": {"b": 1}, "label": "x"}', "a", [(2, kinds.NO_TEXT)]),
    "a number for a text": Broken("a.jsonl", GOOD + '{"text": 1, "label": "x"}', "a", [(2, kinds.NO_TEXT)]),
    "half a character": Broken("a.jsonl", GOOD + '{"text": "b\\ud83d", "label": "x"}', "a", [(2, kinds.SURROGATE)]),
    "NUL in JSON": Broken("a.jsonl", GOOD + '{"text": "b\\u0000", "label": "x"}', "a", [(2, kinds.NUL)]),
    "no text": Broken("a.jsonl", GOOD + '{"label": "x"}\n', "a", [(2, kinds.EMPTY)]),
    "an array that is cut": Broken("a.json", f'[{GOOD},\n{{"text": "b"', refused="a.json .*line 3: "),
    "something behind an array": Broken("a.json", f"[{GOOD}]\n[]", refused="something stands behind the array"),
    "a number in an array": Broken("a.json", f"[{GOOD},\n3]", "a", [(3, kinds.NO_OBJECT)]),
    # Parquet, Arrow, Excel
    "no Parquet": Broken("a.parquet", "text", refused="cannot be read as PARQUET"),
    "Parquet that is cut": Broken("a.parquet", COLUMNS[:-20], refused="cannot be read as PARQUET"),
    "bytes that are no UTF-8": Broken("a.parquet", OTHER_BYTES, "a", [(2, kinds.ENCODING)]),
    "no Arrow": Broken("a.arrow", "text", refused="cannot be read as ARROW"),
    "no workbook": Broken("a.xlsx", HEAD, refused="cannot be read as XLSX: it is none"),
    "a workbook that is cut": Broken("a.xlsx", SHEETS[: len(SHEETS) // 2], refused="cannot be read as XLSX"),
    "a workbook with a password": Broken("a.xlsx", b"\xd0\xcf\x11\xe0" + b"\0" * 600, refused="password"),
    "a formula that nobody calculated": Broken("a.xlsx", workbook(("a", "good"), ("=A1", "bad")), "a",
                                               [(3, kinds.NO_RESULT)]),
    "an error in a cell": Broken("a.xlsx", workbook(("a", "good"), ("b", "#N/A")), "a", [(3, kinds.CELL_ERROR)]),
    "merged cells": Broken("a.xlsx", workbook(("a", "good"), ("b", None),
                                              change=lambda book: book.active.merge_cells("B2:B3")), "a",
                           [(3, kinds.MERGED)]),
    # Compressed, and a text a line or a file
    "gzip that is cut": Broken("a.csv.gz", gzip.compress((HEAD + "a,good\n" * 99).encode())[:-9], refused="is damaged"),
    "no gzip": Broken("a.csv.gz", HEAD, refused=r"a\.csv\.gz (is damaged|cannot be read)"),
    "lines with a carriage return": Broken("good.txt", "a\nb\rc\n", "a", [(2, kinds.CARRIAGE_RETURN)]),
    "lines of cp1252": Broken("good.txt", b"a\nna\xefve\n", "a", [(2, kinds.ENCODING)]),
    "a text of cp1252": Broken("good/1.txt", b"na\xefve", "", [(1, kinds.ENCODING)]),
    "a text with NUL": Broken("good/1.txt", "b\0", "", [(1, kinds.NUL)]),
    "a text of nothing": Broken("good/1.txt", " \n", "", [(1, kinds.EMPTY)]),
    "a text of 17 MiB": Broken("good/1.txt", "x" * (17 << 20), "", [(1, kinds.TOO_LONG)]),
    "no data": Broken("table.xls", "hello", refused="holds no data: .* It has: table.xls"),
}  # fmt: skip


def read(folder: Path, broken: Broken, bad_rows: str) -> tuple[list[str], list[Problem]]:
    kept: list[Problem] = []
    source = checked_source({"format": "files", "bad_rows": bad_rows, **broken.keys}, "the test")
    tables = list(Reviews(source, folder, kept.append))
    return pd.concat(tables)["text"].tolist() if tables else [], kept


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_file_is_refused_or_its_rows_are_listed(tmp_path: Path, broken: Broken) -> None:
    path = broken.write(tmp_path)
    if broken.refused:
        with pytest.raises(InputError, match=broken.refused) as refusal:
            read(tmp_path, broken, "set_aside")
        assert str(path) in str(refusal.value) or path.name in str(refusal.value)
        return
    learnt, listed = read(tmp_path, broken, "set_aside")
    assert (learnt, [(one.line, one.kind) for one in listed]) == ([*broken.learnt], broken.listed)
    assert {one.file for one in listed} == {broken.name}
    # Only a row that is set aside takes its neighbour with it.
    line, kind = next((line, kind) for line, kind in broken.listed if kind != kinds.BESIDE)
    if kind == kinds.EMPTY:  # stops nothing
        assert read(tmp_path, broken, "refuse")[0] == [*broken.learnt]
        return
    with pytest.raises(InputError, match=rf"(?s)cannot be read as written.*{re.escape(str(path))}, line {line}[:,] "):
        read(tmp_path, broken, "refuse")


def test_there_are_forty_and_more() -> None:
    assert len(BROKEN) >= 40
