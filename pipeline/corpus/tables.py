"""Read tables of any form as a stream: a file may be larger than memory, and every row of it is learnt or listed."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from pipeline.core.command import InputError, did_you_mean
from pipeline.corpus.lines import Dialect, ending_of, fault, open_text, read_lines
from pipeline.corpus.names import split_named
from pipeline.corpus.objects import read_json, read_jsonl
from pipeline.corpus.problems import (
    CARRIAGE_RETURN,
    EMPTY,
    ENCODING,
    NO_TEXT,
    NO_VALUE,
    NUL,
    SURROGATE,
    UNKNOWN_SPLIT,
    Problem,
    Problems,
    first_problem,
)
from pipeline.corpus.separated import Separated
from pipeline.corpus.sheets import SHEET_ENDINGS, Sheet

SEPARATED_ENDINGS = (".csv", ".tsv")
_PLAIN_ENDINGS = (*SEPARATED_ENDINGS, ".json", ".jsonl", ".ndjson")
TABLE_ENDINGS = (*_PLAIN_ENDINGS, *(f"{ending}.gz" for ending in _PLAIN_ENDINGS), ".parquet", ".arrow", *SHEET_ENDINGS)
_OF_STRINGS = (*SEPARATED_ENDINGS, *SHEET_ENDINGS)
BATCH_ROWS = 4096  # of a table, at the most
BATCH_BYTES = 8 << 20  # fewer rows, where their texts are as long as that
_SLICE_ROWS = 64  # what Parquet is read by

Piece = TypeVar("Piece")


class Columns(NamedTuple):
    """Name the columns to read.

    Attributes:
        text: holds the texts.
        label: holds the labels; None: there are none.
        split: holds the splits; a word for none is told as a problem.
        group: holds the groups.
        others: further columns.
        learnt: an empty text is told as a problem, and what is not the text becomes a string or is missing. Else,
            every row is given, and what is neither text nor label is given as it is.
    """

    text: str
    label: str | None = None
    split: str | None = None
    group: str | None = None
    others: tuple[str, ...] = ()
    learnt: bool = False

    @property
    def names(self) -> list[str]:
        """List them, each once, the text first."""
        named = [self.text, self.label, self.split, self.group, *self.others]
        return list(dict.fromkeys(name for name in named if name is not None))


@dataclass(slots=True)
class _Read:
    """Hold a row: where it stands, its values in the order of the columns, how to show it, and what is wrong."""

    line: int
    values: list[Any]
    raw: Callable[[], str]
    kind: str | None


_Rows = tuple[list[str], Iterator[_Read]]  # the names of all columns, and the rows


def in_batches(pieces: Iterable[Piece], size: Callable[[Piece], int], most: int = BATCH_ROWS) -> Iterator[list[Piece]]:
    """Cut a stream into lists of at most `most` pieces; a list ends sooner when its pieces make `BATCH_BYTES`."""
    batch: list[Piece] = []
    total = 0
    for piece in pieces:
        batch.append(piece)
        total += size(piece)
        if len(batch) == most or total >= BATCH_BYTES:
            yield batch
            batch, total = [], 0
    if batch:
        yield batch


def read_table(
    path: Path,
    columns: Columns,
    see: str,
    dialect: Dialect = Dialect(),  # noqa: B008 (frozen)
    problems: Problems | None = None,
    known: set[str] | None = None,
) -> Iterator[pd.DataFrame]:
    """Stream some columns of a table, as many rows at a time as `in_batches` says.

    The fields of CSV, TSV and Excel are strings, empty ones are missing; those of the others are what the file says.

    Args:
        path: the file; its ending says what it is.
        columns: what to read; nothing else is kept in memory.
        see: where the columns were named, for people.
        dialect: how text files are written.
        problems: is told what is wrong. Without it, bad rows are an error at the end.
        known: labels that are known already, to which those of this file are added.

    Yields:
        Tables of the columns, each once, of objects; the index is the line of a row (or its number, from 1). A text is
        a string, or missing where the file has an empty field.

    Raises:
        InputError: the file is missing, is not what its ending says, or has no such column or two of that name.
        BadRowsError: there are bad rows, and no `problems` to take them.
    """
    found = Problems() if problems is None else problems
    ending = ending_of(path)
    try:
        names, rows = _open(path, ending, columns, dialect, found.set_aside, set() if known is None else known)
        _must_have(columns.names, names, path, see)
        good = _good_rows(rows, columns, found, str(path), typed=ending not in _OF_STRINGS)
        for batch in in_batches(good, lambda row: len(row.values[0] or "")):
            values = zip(*(row.values for row in batch), strict=True)  # by columns, which takes pandas half the time
            lines = [row.line for row in batch]
            yield pd.DataFrame(dict(zip(columns.names, map(list, values), strict=True)), lines, dtype="object")
    except (ValueError, OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as {ending[1:].upper()}: {error}") from None
    if problems is None:
        found.check()


def read_text_lines(path: Path, column: str, encoding: str, found: Problems, learnt: bool) -> Iterator[pd.DataFrame]:
    """Stream a file with one text a line. What is told, and the index of the tables, is as `read_table` has it.

    Raises:
        InputError: the file cannot be read.
    """

    def good(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        for number, line in lines:
            text = line.rstrip("\r\n")
            kind = fault(line) or (CARRIAGE_RETURN if "\r" in text else None)
            if kind is None and learnt and (not text or text.isspace()):
                kind = EMPTY
            if kind:
                found.add(Problem(str(path), number, kind, line))
            else:
                yield number, text

    try:
        with open_text(path, encoding) as file:
            for batch in in_batches(good(enumerate(read_lines(file), start=1)), lambda line: len(line[1])):
                yield pd.DataFrame([text for _, text in batch], [n for n, _ in batch], [column], dtype="object")
    except (ValueError, OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as lines of text: {error}") from None


def row_count(path: Path) -> int | None:
    """Count the rows of a Parquet file, which says how many it has; None for other files."""
    return int(pq.read_metadata(path).num_rows) if path.suffix.lower() == ".parquet" else None


def column_names(path: Path, dialect: Dialect) -> list[str]:
    """List the columns of a file; of JSON, those of its first rows. What cannot be read has none."""
    try:
        return _open(path, ending_of(path), Columns(""), dialect, False, set())[0]
    except (InputError, ValueError, OSError, pa.ArrowException):
        return []


def sample_rows(path: Path, dialect: Dialect, most: int) -> pd.DataFrame:
    """Take rows from all over a file, with all columns: the first one always, and fewer than `most`.

    Rows that cannot be read are left out. The index is the line of a row (or its number, from 1).

    Raises:
        InputError: the file is not what its ending says, or none of its rows can be read.
    """
    ending, bad = ending_of(path), ""
    try:
        names = list(dict.fromkeys(_open(path, ending, Columns(""), dialect, False, set())[0]))
        if not names:  # Parquet may have no column
            return pd.DataFrame()
        columns = Columns(names[0], others=tuple(names[1:]))
        rows: list[_Read] = []
        step = 1
        for number, row in enumerate(_open(path, ending, columns, dialect, False, set())[1]):
            if row.kind and not bad:
                bad = first_problem(row.kind, row.line, row.raw())
            # Of a sheet, a cell of another column may be to blame.
            if number % step == 0 and (row.kind is None or ending in SHEET_ENDINGS):
                rows.append(row)
                if len(rows) == most:  # from here on, every other row is enough
                    rows, step = rows[::2], 2 * step
    except (ValueError, OSError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read as {ending[1:].upper()}: {error}") from None
    if bad and not rows:
        raise InputError(f"{path} holds no rows that can be read. {bad}")
    heads = pd.Index(columns.names, dtype="object")  # a name in JSON may hold half a character
    return pd.DataFrame([row.values for row in rows], [row.line for row in rows], heads, dtype="object")


def _must_have(columns: list[str], header: list[str], path: Path, see: str) -> None:
    for name in columns:
        if name not in header:
            nearest = did_you_mean(name, header)
            raise InputError(f"{path} has no column {name!r} (see {see}); {nearest}.{_hint(header, see)}")
        if header.count(name) > 1:
            raise InputError(f"{path} must have one column {name!r}. Received: {header.count(name)} of that name")


def _hint(header: list[str], see: str) -> str:
    """Say what may stand between the fields of a file that seems to have one column."""
    others = [mark for mark in ";\t|," if len(header) == 1 and mark in header[0]]
    option = "--delimiter" if see.startswith("--") else "`delimiter`"
    return f" Or does {others[0]!r} stand between its fields? Say so with {option}" if others else ""


def _open(path: Path, ending: str, columns: Columns, dialect: Dialect, set_aside: bool, known: set[str]) -> _Rows:
    if ending == ".parquet":
        return _open_parquet(path, columns)
    if ending == ".arrow":
        return _open_arrow(path, columns)
    if ending in SEPARATED_ENDINGS:
        return _open_separated(path, columns, dialect, set_aside, known)
    if ending in SHEET_ENDINGS:
        return _open_sheet(path, columns, dialect)
    return _open_json(path, ending, columns, dialect)


def _open_separated(path: Path, columns: Columns, dialect: Dialect, set_aside: bool, known: set[str]) -> _Rows:
    file = Separated(path, dialect)
    places = [file.names.index(name) for name in columns.names if name in file.names]

    def rows() -> Iterator[_Read]:
        label = None if columns.label is None else file.names.index(columns.label)
        found = file.rows(places[0], label, known)
        for line, fields, raw, kind in file.with_neighbours(found) if set_aside else found:
            # Only the empty field is missing: a review may well say "NA" or "None".
            values = [fields[place] or None for place in places] if kind is None else []
            yield _Read(line, values, raw.__str__, kind)

    return file.names, rows()


def _open_sheet(path: Path, columns: Columns, dialect: Dialect) -> _Rows:
    sheet = Sheet(path, dialect.sheet, dialect.header)
    names = [name for name in columns.names if name in sheet.names]
    places = [sheet.names.index(name) for name in names]
    rows = (
        _Read(number, list(values), partial(_shown, names, values), next(filter(None, kinds), None))
        for number, values, kinds in sheet.rows(places)
    )
    return sheet.names, rows


def _open_json(path: Path, ending: str, columns: Columns, dialect: Dialect) -> _Rows:
    objects = (read_json if ending == ".json" else read_jsonl)(path, dialect.encoding)
    # What the first of them have: further down, a whole batch may lack what only some rows have.
    first = next(in_batches(objects, lambda row: len(row.raw)), [])
    names = dict.fromkeys(chain.from_iterable(row.values for row in first))
    wanted = columns.names
    rows = (
        _Read(line, [values.get(name) for name in wanted], raw.__str__, kind)
        for line, values, raw, kind in chain(first, objects)
    )
    return list(names) or wanted, rows


def _open_parquet(path: Path, columns: Columns) -> _Rows:
    # Left to itself, it reads whole row groups, and several columns at once.
    file = pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    batches = file.iter_batches(_SLICE_ROWS, columns=columns.names, use_threads=False)
    return file.schema_arrow.names, _typed_rows(batches, columns, _class_names(file.schema_arrow, columns.label))


def _open_arrow(path: Path, columns: Columns) -> _Rows:
    """Open what `save_to_disk` of Hugging Face datasets writes (a stream), or a file of Arrow's."""
    mapped = pa.memory_map(str(path))
    try:
        reader = pa.ipc.open_stream(mapped)
        batches: Iterable[pa.RecordBatch] = reader
    except pa.ArrowInvalid:
        reader = pa.ipc.open_file(mapped)
        batches = map(reader.get_batch, range(reader.num_record_batches))
    have = reader.schema.names
    chosen = (batch.select([have.index(name) for name in columns.names]) for batch in batches)
    slices = (batch.slice(start, _SLICE_ROWS) for batch in chosen for start in range(0, batch.num_rows, _SLICE_ROWS))
    return reader.schema.names, _typed_rows(slices, columns, _class_names(reader.schema, columns.label))


def _typed_rows(batches: Iterable[pa.RecordBatch], columns: Columns, classes: list[str] | None) -> Iterator[_Read]:
    names = columns.names
    label = names.index(columns.label) if classes and columns.label else None
    line = 0
    for batch in batches:
        have = batch.schema.names  # in the order of the file; a name that nobody asked for may stand there twice
        lists = [_values(batch.column(have.index(name))) for name in names]
        for row in zip(*lists, strict=True):
            line += 1
            values = list(row)
            if label is not None and isinstance(values[label], int):
                code = values[label]
                values[label] = classes[code] if classes and 0 <= code < len(classes) else None  # -1 is no label
            yield _Read(line, values, partial(_shown, names, row), None)


def _values(column: pa.Array) -> list[Any]:
    """Give the values; bytes, where strings are no UTF-8 (Parquet does not check).

    Where a date is none that Python knows, all of them come as strings; as empty lists, if they stand inside others.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    try:
        values: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        large = pa.types.is_large_string(column.type)
        values = column.view(pa.large_binary() if large else pa.binary()).to_pylist()
    except OverflowError:  # Python knows no year behind 9999; Arrow can write it down
        values = [[]] * len(column) if pa.types.is_nested(column.type) else column.cast(pa.string()).to_pylist()
    return values


def _shown(names: list[str], row: Sequence[Any]) -> str:
    return json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, default=_shown_value)


def _shown_value(value: Any) -> str:
    return value.decode(errors="surrogateescape") if isinstance(value, bytes) else repr(value)


def _class_names(schema: pa.Schema, column: str | None) -> list[str] | None:
    """Find the names of the labels that stand there as numbers, where Hugging Face datasets wrote the file."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        names = features[column]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return names if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _good_rows(rows: Iterator[_Read], columns: Columns, found: Problems, name: str, typed: bool) -> Iterator[_Read]:
    """Pass over the rows that are not learnt, and tell `found` of them."""
    split = None if columns.split is None else columns.names.index(columns.split)
    first = 1 + (columns.label not in (None, columns.text))  # text and label
    for row in rows:
        kind, value = row.kind, ""
        if kind is None:
            values = row.values
            if typed:
                kind = _normalise(values, len(values) if columns.learnt else first, columns.learnt)
            if kind is None and columns.learnt and (not values[0] or values[0].isspace()):
                kind = EMPTY
            if kind is None and split is not None and values[split] and split_named(values[split]) is None:
                kind, value = UNKNOWN_SPLIT, str(values[split])
            if kind is None:
                yield row
                continue
        found.add(Problem(name, row.line, kind, row.raw(), value))


def _normalise(values: list[Any], number: int, learnt: bool) -> str | None:
    """Turn the first values of a row into what is learnt: the first is the text. Give what is wrong with them."""
    for place in range(number):
        value = values[place]
        if type(value) is str:  # the common case first: this is called for every row
            if kind := _fault_of_string(value):
                return kind
            if not value and place > 0:
                values[place] = None
            continue
        value = _decoded(value)
        missing = value is None or (isinstance(value, float) and math.isnan(value))
        if missing and (learnt or place > 0):
            values[place] = None
        elif kind := _fault(value, is_text=place == 0):
            return kind
        else:
            written = str(value).lower() if isinstance(value, bool) else str(value)
            values[place] = written or ("" if place == 0 else None)
    return None


def _fault(value: Any, is_text: bool) -> str | None:
    if isinstance(value, bytes):
        return ENCODING
    if is_text and not isinstance(value, str):
        return NO_TEXT
    if isinstance(value, dict | list | tuple):
        return NO_VALUE
    return _fault_of_string(str(value))


def _decoded(value: Any) -> Any:
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            return value
    return value


def _fault_of_string(text: str) -> str | None:
    if "\0" in text:
        return NUL
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            return SURROGATE
    return None
