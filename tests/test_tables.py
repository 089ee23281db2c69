"""Streams of tables: parts of a bounded size, the columns that were asked for, and every row of the file."""

import csv
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.command import InputError
from pipeline.corpus.tables import BATCH_BYTES, BATCH_ROWS, in_batches, read_table, row_count

ENDINGS = ["csv", "tsv", "jsonl", "parquet"]


def write(table: pd.DataFrame, path: Path) -> None:
    writers: dict[str, Callable[[], object]] = {
        ".csv": lambda: table.to_csv(path, index=False),
        ".tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".parquet": lambda: table.to_parquet(path, index=False),
    }
    writers[path.suffix]()


def rows(path: Path, *columns: str) -> list[list[object]]:
    table = pd.concat(read_table(path, list(columns), "the test"))
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


def test_a_batch_is_full_at_so_many_pieces_or_bytes() -> None:
    sizes = [1, 1, 1, BATCH_BYTES - 1, 1, 3, BATCH_BYTES, 5]
    assert list(in_batches(sizes, int, most=3)) == [[1, 1, 1], [BATCH_BYTES - 1, 1], [3, BATCH_BYTES], [5]]
    assert list(in_batches([], int)) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_short_rows_come_by_the_thousand_and_long_ones_by_the_megabyte(tmp_path: Path, ending: str) -> None:
    short = pd.DataFrame({"text": [f"row {row}" for row in range(BATCH_ROWS + 10)]})
    write(short, tmp_path / f"short.{ending}")
    tables = list(read_table(tmp_path / f"short.{ending}", ["text"], "the test"))
    assert [len(table) for table in tables] == [BATCH_ROWS, 10]
    assert pd.concat(tables)["text"].tolist() == short["text"].tolist()
    write(pd.DataFrame({"text": [f"{row} {'x' * 100_000}" for row in range(300)]}), tmp_path / f"long.{ending}")
    numbers = []
    for table in read_table(tmp_path / f"long.{ending}", ["text"], "the test"):
        assert table["text"].str.len().sum() < 2 * BATCH_BYTES
        numbers += [int(text.partition(" ")[0]) for text in table["text"]]
    assert numbers == list(range(300))


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_the_columns_asked_for_come_each_once_in_that_order(tmp_path: Path, ending: str) -> None:
    write(pd.DataFrame({"id": ["1", "2"], "text": ["a", "b"], "more": ["x", "y"]}), tmp_path / f"x.{ending}")
    (table,) = read_table(tmp_path / f"x.{ending}", ["text", "id", "text"], "the test")
    assert table.to_dict("list") == {"text": ["a", "b"], "id": ["1", "2"]}
    with pytest.raises(InputError, match=r"has no column 'txt' \(see the test\); did you mean text\?"):
        next(read_table(tmp_path / f"x.{ending}", ["id", "txt"], "the test"))


def test_a_column_that_nobody_asked_for_costs_no_memory(tmp_path: Path) -> None:
    blobs = pa.array([b"x" * 1_000_000] * 50)
    pq.write_table(pa.table({"text": ["a"] * 50, "blob": blobs}), tmp_path / "x.parquet", use_dictionary=False)
    before = pa.total_allocated_bytes()
    tables = read_table(tmp_path / "x.parquet", ["text"], "the test")
    assert len(next(tables)) == 50
    assert pa.total_allocated_bytes() - before < 5_000_000
    tracemalloc.start()
    (tmp_path / "x.jsonl").write_text(f"{json.dumps({'text': 'a', 'blob': 'x' * 1_000_000})}\n" * 50)
    assert sum(map(len, read_table(tmp_path / "x.jsonl", ["text"], "the test"))) == 50
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000


def test_an_empty_line_is_a_row_where_there_is_one_column_and_none_where_there_are_more(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\na\n\n   \nb\n")
    assert rows(path, "text") == [["a"], [None], ["   "], ["b"]]
    path.write_text("text,id\na,1\n\n,2\n   ,3\n\n")
    assert rows(path, "text", "id") == [["a", "1"], [None, "2"], ["   ", "3"]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", "text,id,text\na,1,b\n", "x.csv must have one column 'text'. Received: 2"),
        ("x.csv", "", "x.csv cannot be read as CSV: the first line, which names the columns, is empty"),
        ("x.csv", "\ntext\na\n", "x.csv cannot be read as CSV: the first line, which names the columns, is empty"),
        ("x.csv", "x" * 200_000, "x.csv cannot be read as CSV: field larger than field limit"),
        ("x.csv", "text,id\na,1\nb,2,3\n", "x.csv cannot be read as CSV: .*Expected 2 fields in line 3, saw 3"),
        ("x.csv", "text,id\na,1,2\n", "x.csv cannot be read as CSV: the rows have more fields than the header"),
        ("x.jsonl", '{"text": "a"}\n{"text": ' + "[" * 100_000, "x.jsonl cannot be read as JSONL: line 2: .*recursion"),
        ("x.jsonl", '{"text": ' + "1" * 5000 + "}", "x.jsonl cannot be read as JSONL: line 1: .*4300 digits"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, name: str, content: str, message: str) -> None:
    csv.field_size_limit(131_072)  # Python's own; a server in this process would have raised it
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=message):
        list(read_table(tmp_path / name, ["text"], "the test"))


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"must have one column 'text'\. Received: 2"):
        next(read_table(tmp_path / "x.parquet", ["text"], "the test"))


def test_rows_of_jsonl_may_lack_what_others_have(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a", "id": 1}\n\n{"text": "b"}\n' + '{"text": "c"}\n' * BATCH_ROWS)
    came = rows(tmp_path / "x.jsonl", "text", "id")
    assert came[:3] == [["a", 1], ["b", None], ["c", None]]
    assert len(came) == BATCH_ROWS + 2


def test_blank_lines_alone_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n  \n")
    assert list(read_table(tmp_path / "x.jsonl", ["text"], "the test")) == []


def test_parquet_says_how_many_rows_it_has(tmp_path: Path) -> None:
    for ending in ENDINGS:
        write(pd.DataFrame({"text": ["a"] * 7}), tmp_path / f"x.{ending}")
        assert row_count(tmp_path / f"x.{ending}") == (7 if ending == "parquet" else None)
