"""Read tables in CSV, TSV, JSONL or Parquet as a stream: a file may be larger than memory."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.command import InputError, did_you_mean

TABLE_ENDINGS = (".csv", ".tsv", ".jsonl", ".parquet")
BATCH_ROWS = 4096  # of a table, at the most
BATCH_BYTES = 8 << 20  # fewer rows, where their texts are as long as that
_SLICE_ROWS = 64  # what CSV and Parquet are read by: a batch is as many as it takes

Piece = TypeVar("Piece")


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


def read_table(path: Path, columns: list[str], see: str) -> Iterator[pd.DataFrame]:
    """Stream some columns of a CSV, TSV, JSONL or Parquet file, as many rows at a time as `in_batches` says.

    The fields of CSV and TSV are strings, empty ones are missing; those of the others are what the file says.

    Args:
        path: the file; its ending says what it is.
        columns: the columns to read; no others are kept in memory.
        see: where the columns were named, for people.

    Yields:
        Tables of these columns, each once, in this order.

    Raises:
        InputError: the file is missing, is not what its ending says, or has no such column or two of that name.
    """
    ending = path.suffix.lower()
    read_rows = {".parquet": _read_parquet, ".jsonl": _read_jsonl}.get(ending, _read_separated)
    try:
        yield from read_rows(path, list(dict.fromkeys(columns)), see)
    except (ValueError, OSError, csv.Error) as error:  # ParserError, ArrowInvalid, UnicodeDecodeError: ValueErrors
        raise InputError(f"{path} cannot be read as {ending[1:].upper()}: {error}") from None


def row_count(path: Path) -> int | None:
    """Count the rows of a Parquet file, which says how many it has; None for other files."""
    return int(pq.read_metadata(path).num_rows) if path.suffix.lower() == ".parquet" else None


def _must_have(columns: list[str], header: list[str], path: Path, see: str) -> None:
    for name in columns:
        if name not in header:
            raise InputError(f"{path} has no column {name!r} (see {see}); {did_you_mean(name, header)}")
        if header.count(name) > 1:
            raise InputError(f"{path} must have one column {name!r}. Received: {header.count(name)} of that name")


def _read_parquet(path: Path, columns: list[str], see: str) -> Iterator[pd.DataFrame]:
    # Left to itself, it reads whole row groups, and several columns at once.
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
        _must_have(columns, file.schema_arrow.names, path, see)
        slices = file.iter_batches(_SLICE_ROWS, columns=columns, use_threads=False)
        for batch in in_batches(slices, lambda rows: rows.nbytes, BATCH_ROWS // _SLICE_ROWS):
            table = pa.Table.from_batches(batch)
            yield table.to_pandas(integer_object_nulls=True)[columns]  # or 1 is "1.0" where another row has none


def _read_separated(path: Path, columns: list[str], see: str) -> Iterator[pd.DataFrame]:
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=separator), [])
    if not header:
        raise ValueError("the first line, which names the columns, is empty")
    _must_have(columns, header, path, see)
    places = [header.index(name) for name in columns]
    # Only the empty field is missing: a review may well say "NA" or "None". And an empty line is a row where there is
    # but one column.
    options: dict[str, Any] = {"dtype": "str", "keep_default_na": False, "na_values": [""]}
    with pd.read_csv(path, sep=separator, chunksize=_SLICE_ROWS, skip_blank_lines=len(header) > 1, **options) as slices:
        chosen = (_columns_at(places, rows).set_axis(columns, axis=1) for rows in slices)
        for batch in in_batches(chosen, lambda rows: int(rows.memory_usage().sum()), BATCH_ROWS // _SLICE_ROWS):
            yield pd.concat(batch, ignore_index=True)


def _columns_at(places: list[int], rows: pd.DataFrame) -> pd.DataFrame:
    if not isinstance(rows.index, pd.RangeIndex):  # pandas would take the first fields for an index
        raise ValueError("the rows have more fields than the header")
    return rows.iloc[:, places]


def _read_jsonl(path: Path, columns: list[str], see: str) -> Iterator[pd.DataFrame]:
    """Read JSON lines. Not with `pd.read_json`: it makes whole numbers floats if another row has none."""
    with path.open(encoding="utf-8-sig") as file:
        lines = ((number, line) for number, line in enumerate(file, start=1) if line.strip())
        for place, batch in enumerate(in_batches(lines, lambda line: len(line[1]))):
            rows = [_json_object(line, number) for number, line in batch]
            if place == 0:  # further down, a whole batch may lack what only some rows have
                _must_have(columns, list(dict.fromkeys(chain.from_iterable(rows))), path, see)
            yield pd.DataFrame(rows, columns=columns, dtype="object")


def _json_object(line: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line.strip())
    except json.JSONDecodeError as error:
        raise ValueError(f"line {number}: {error.msg} at column {error.colno}") from None
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets within brackets
        raise ValueError(f"line {number}: {error}") from None
    if not isinstance(row, dict):
        raise ValueError(f"line {number} is not an object: {line.strip()[:80]}")
    return row
