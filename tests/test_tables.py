"""Streams of tables: parts of a bounded size, the columns that were asked for, and every row of the file."""

import csv
import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.core.command import InputError
from pipeline.corpus.lines import Dialect
from pipeline.corpus.problems import BadRowsError
from pipeline.corpus.tables import BATCH_BYTES, BATCH_ROWS, Columns, in_batches, read_table, row_count, sample_rows

ENDINGS = ["csv", "tsv", "jsonl", "parquet"]


def write(table: pd.DataFrame, path: Path) -> None:
    writers: dict[str, Callable[[], object]] = {
        ".csv": lambda: table.to_csv(path, index=False),
        ".tsv": lambda: table.to_csv(path, index=False, sep="\t"),
        ".jsonl": lambda: table.to_json(path, orient="records", lines=True),
        ".ndjson": lambda: table.to_json(path, orient="records", lines=True),
        ".json": lambda: table.to_json(path, orient="records"),
        ".parquet": lambda: table.to_parquet(path, index=False),
    }
    writers[path.suffix]()


def rows(path: Path, *columns: str) -> list[list[object]]:
    table = pd.concat(read_table(path, Columns(columns[0], others=columns[1:]), "the test"))
    return table.astype(object).where(table.notna(), None).to_numpy().tolist()


def test_a_batch_is_full_at_so_many_pieces_or_bytes() -> None:
    sizes = [1, 1, 1, BATCH_BYTES - 1, 1, 3, BATCH_BYTES, 5]
    assert list(in_batches(sizes, int, most=3)) == [[1, 1, 1], [BATCH_BYTES - 1, 1], [3, BATCH_BYTES], [5]]
    assert list(in_batches([], int)) == []


@pytest.mark.parametrize("ending", ENDINGS)
def test_short_rows_come_by_the_thousand_and_long_ones_by_the_megabyte(tmp_path: Path, ending: str) -> None:
    short = pd.DataFrame({"text": [f"row {row}" for row in range(BATCH_ROWS + 10)]})
    write(short, tmp_path / f"short.{ending}")
    tables = list(read_table(tmp_path / f"short.{ending}", Columns("text"), "the test"))
    assert [len(table) for table in tables] == [BATCH_ROWS, 10]
    assert pd.concat(tables)["text"].tolist() == short["text"].tolist()
    write(pd.DataFrame({"text": [f"{row} {'x' * 100_000}" for row in range(300)]}), tmp_path / f"long.{ending}")
    numbers = []
    for table in read_table(tmp_path / f"long.{ending}", Columns("text"), "the test"):
        assert table["text"].str.len().sum() < 2 * BATCH_BYTES
        numbers += [int(text.partition(" ")[0]) for text in table["text"]]
    assert numbers == list(range(300))


@pytest.mark.parametrize("ending", ENDINGS)
def test_only_the_columns_asked_for_come_each_once_in_that_order(tmp_path: Path, ending: str) -> None:
    write(pd.DataFrame({"id": ["1", "2"], "text": ["a", "b"], "more": ["x", "y"]}), tmp_path / f"x.{ending}")
    (table,) = read_table(tmp_path / f"x.{ending}", Columns("text", others=("id", "text")), "the test")
    assert table.to_dict("list") == {"text": ["a", "b"], "id": ["1", "2"]}
    with pytest.raises(InputError, match=r"has no column 'txt' \(see the test\); did you mean text\?"):
        next(read_table(tmp_path / f"x.{ending}", Columns("id", others=("txt",)), "the test"))


def test_a_column_that_nobody_asked_for_costs_no_memory(tmp_path: Path) -> None:
    blobs = pa.array([b"x" * 1_000_000] * 50)
    pq.write_table(pa.table({"text": ["a"] * 50, "blob": blobs}), tmp_path / "x.parquet", use_dictionary=False)
    before = pa.total_allocated_bytes()
    tables = read_table(tmp_path / "x.parquet", Columns("text"), "the test")
    assert len(next(tables)) == 50
    assert pa.total_allocated_bytes() - before < 5_000_000
    tracemalloc.start()
    (tmp_path / "x.jsonl").write_text(f"{json.dumps({'text': 'a', 'blob': 'x' * 1_000_000})}\n" * 50)
    assert sum(map(len, read_table(tmp_path / "x.jsonl", Columns("text"), "the test"))) == 50
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120_000_000


def test_an_empty_line_is_a_row_where_there_is_one_column_and_none_where_there_are_more(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text\na\n\n   \nb\n")
    assert rows(path, "text") == [["a"], [None], ["   "], ["b"]]
    path.write_text("text,id\na,1\n\n,2\n   ,3\n\n")
    assert rows(path, "text", "id") == [["a", "1"], [None, "2"], ["   ", "3"]]


def test_a_long_field_is_read_whatever_another_program_allows(tmp_path: Path) -> None:
    csv.field_size_limit(131_072)  # Python's own; a server in this process would have raised it
    (tmp_path / "x.csv").write_text("text\n" + "x" * 200_000)
    assert rows(tmp_path / "x.csv", "text") == [["x" * 200_000]]


def test_two_columns_of_one_name_in_parquet_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array(["b"])], names=["text", "text"])
    pq.write_table(table, tmp_path / "x.parquet")
    with pytest.raises(InputError, match=r"must have one column 'text'\. Received: 2"):
        next(read_table(tmp_path / "x.parquet", Columns("text"), "the test"))


@pytest.mark.parametrize("ending", ["parquet", "arrow"])
def test_other_columns_may_have_one_name_none_at_all_or_dates_that_python_does_not_know(
    tmp_path: Path, ending: str
) -> None:
    path = tmp_path / f"odd.{ending}"
    late = pa.array([1 << 29, 0], pa.date32())
    inside = pa.array([[1 << 29], []], pa.list_(pa.date32()))
    texts = pa.array(["one", "two"])
    for table in (
        pa.Table.from_arrays([texts, texts, late, inside, texts], ["x", "x", "day", "days", "text"]),
        pa.table({}),
    ):
        if ending == "parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
        assert sample_rows(path, Dialect(), 10).columns.tolist() == list(dict.fromkeys(table.column_names))
        if table.num_columns:
            assert rows(path, "text", "day") == [["one", "<value out of range: 536870912>"], ["two", "1970-01-01"]]
            assert rows(path, "text", "days") == [["one", []], ["two", []]]


def test_rows_of_jsonl_may_lack_what_others_have(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text('{"text": "a", "id": 1}\n\n{"text": "b"}\n' + '{"text": "c"}\n' * BATCH_ROWS)
    came = rows(tmp_path / "x.jsonl", "text", "id")
    assert came[:3] == [["a", 1], ["b", None], ["c", None]]
    assert len(came) == BATCH_ROWS + 2


def test_blank_lines_alone_are_no_rows(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n  \n")
    assert list(read_table(tmp_path / "x.jsonl", Columns("text"), "the test")) == []


def test_parquet_says_how_many_rows_it_has(tmp_path: Path) -> None:
    for ending in ENDINGS:
        write(pd.DataFrame({"text": ["a"] * 7}), tmp_path / f"x.{ending}")
        assert row_count(tmp_path / f"x.{ending}") == (7 if ending == "parquet" else None)


def test_a_json_array_is_read_piece_by_piece_and_each_object_knows_its_line(tmp_path: Path) -> None:
    objects = [f'{{"text": "film {number} é {"x" * 3000}", "id": {number}}}' for number in range(1000)]
    for start, between, end in (("[\n", ",\n", "\n]\n"), ("\n", "\n", "")):
        (tmp_path / "x.json").write_text(start + between.join(objects) + end)
        table = pd.concat(read_table(tmp_path / "x.json", Columns("text", others=("id",)), "the test"))
        assert table["id"].tolist() == list(range(1000))
        assert table.index.tolist() == list(range(2, 1002))


def test_bad_rows_are_listed_by_kind_ten_of_each(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("text,id\n" + "short\n" * 12 + "a,b,c\n" + "fine,1\n" + "nul\0,1\n")
    with pytest.raises(BadRowsError) as error:
        list(read_table(tmp_path / "x.csv", Columns("text"), "the test"))
    lines = str(error.value).splitlines()
    assert lines[0] == "14 rows in 1 file cannot be read as written:"
    assert lines[1].startswith("12 × too few fields")
    assert lines[2:12] == [f"  {tmp_path}/x.csv, line {line}: short" for line in range(2, 12)]
    assert lines[12] == "  and 2 more"
    assert lines[14] == f"  {tmp_path}/x.csv, line 14: a,b,c"
    assert lines[15:17] == ["1 × NUL character", f"  {tmp_path}/x.csv, line 16: nul\\x00,1"]


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl", "ndjson", "json"])
def test_a_compressed_file_is_read_as_what_it_holds_and_a_cut_one_is_named(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"text": [f"film {number}" for number in range(3000)]})
    write(table, tmp_path / f"x.{ending}")
    data = gzip.compress((tmp_path / f"x.{ending}").read_bytes())
    path = tmp_path / f"X.{ending.upper()}.gz"
    path.write_bytes(data)
    assert [text for (text,) in rows(path, "text")] == table["text"].tolist()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(InputError, match=rf"X\.{ending.upper()}\.gz (is damaged|cannot be read)"):
        rows(path, "text")


def test_strings_of_bytes_are_texts_where_they_are_utf_8(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": [b"na\xc3\xafve", b"na\xefve"]}), tmp_path / "x.parquet")
    with pytest.raises(BadRowsError, match=r"another encoding .*\n.*x\.parquet, line 2: .*na\\xefve"):
        rows(tmp_path / "x.parquet", "text")
    wrong = pa.Array.from_buffers(pa.string(), 2, pa.array([b"na\xc3\xafve", b"na\xefve"]).buffers())
    pq.write_table(pa.table({"text": wrong}), tmp_path / "y.parquet")
    with pytest.raises(BadRowsError, match=r"another encoding .*\n.*y\.parquet, line 2: "):
        rows(tmp_path / "y.parquet", "text")
    pq.write_table(pa.table({"text": [b"na\xc3\xafve", b"fine"]}), tmp_path / "z.parquet")
    assert rows(tmp_path / "z.parquet", "text") == [["naïve"], ["fine"]]
