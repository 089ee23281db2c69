"""Excel workbooks: what a cell shows is what is read, by number of row, or the row is told."""

import datetime
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from openpyxl.xml.constants import SHARED_STRINGS, SHEET_MAIN_NS
from test_add import add, home, learnt, refusal, stated  # noqa: F401 (home is a fixture)

from pipeline.core.command import InputError
from pipeline.corpus.problems import Problem
from pipeline.corpus.sources import FilesSource, Reviews
from pipeline.corpus.tables import Columns, read_table
from pipeline.tools.predict import read_texts
from pipeline.tools.score import find_files

HEADER = ("text", "label")
ROWS = [(f"Film {i}, they say, is {'warm and clever' if i % 3 else 'cold and wooden'}", ("good", "bad")[i % 3 == 0])
        for i in range(60)]  # fmt: skip


def workbook(path: Path, sheets: dict[str, list[Any]], change: Callable[[Any], None] | None = None) -> Path:
    """Write rows into sheets; an empty one is a row that stays empty."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change:
        change(book)
    book.save(path)
    return path


def edited(path: Path, part: str, old: str, new: str) -> None:
    """Change the bytes of one part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert old.encode() in parts[part]
    parts[part] = parts[part].replace(old.encode(), new.encode())
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def rows(path: Path, *columns: str) -> dict[int, list[Any]]:
    """The values of every row by its number."""
    table = pd.concat(read_table(path, Columns(columns[0], others=columns[1:]), "the test"))
    table = table.where(table.notna(), None)
    return dict(zip(table.index, table.to_numpy().tolist(), strict=True))


def set_aside(folder: Path, **keys: Any) -> tuple[dict[str, str | None], list[tuple[int | None, str]]]:
    """Text to label of the rows that are learnt; row and kind of the others."""
    kept: list[Problem] = []
    table = pd.concat(Reviews(FilesSource(format="files", bad_rows="set_aside", **keys), folder, kept.append))
    labels = table["label"].astype("object").where(table["label"].notna(), None)
    return dict(zip(table["text"], labels, strict=True)), [(one.line, one.kind) for one in kept]


def test_a_cell_is_read_as_it_shows_and_a_row_has_the_number_that_excel_gives_it(tmp_path: Path) -> None:
    day = datetime.datetime(2026, 11, 26)
    cells = ["a\nb", " é ", 1, 1.0, 0.1 + 0.2, 12_345_678, 1e20, True, day, day.replace(hour=9, minute=5), None, "NA"]
    path = workbook(tmp_path / "X.XLSX", {"one": [[], HEADER, [], *([cell, "x"] for cell in cells), [], [None, None]]})
    expected = ["a\nb", " é ", "1", "1", "0.3", "12345678", "1e+20", "TRUE", "2026-11-26", "2026-11-26 09:05:00", None,
                "NA"]  # fmt: skip
    assert rows(path, "text", "label") == {row: [text, "x"] for row, text in enumerate(expected, start=4)}


def test_texts_of_a_cell_or_shared_by_cells_may_hold_what_xml_cannot(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"one": [["text"], ["a_x000D_\nb"], ["my_x_file"], [0]]})
    edited(path, "xl/worksheets/sheet1.xml", 't="n"><v>0</v>', 't="s"><v>0</v>')
    strings = "<si><r><t>one </t></r><r><t>text_x0007_</t></r></si>"
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{SHEET_MAIN_NS}">{strings}</sst>')
    kind = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{SHARED_STRINGS}"/></Types>'
    edited(path, "[Content_Types].xml", "</Types>", kind)
    assert rows(path, "text") == {2: ["a\r\nb"], 3: ["my_x_file"], 4: ["one text\a"]}


def test_the_size_that_a_sheet_states_is_not_believed(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"one": [HEADER, *ROWS[:9]]})
    edited(path, "xl/worksheets/sheet1.xml", 'ref="A1:B10"', 'ref="A1:A2"')
    assert len(rows(path, "text", "label")) == 9


def test_what_a_formula_gave_counts_if_it_is_known(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"one": [HEADER, ["fine", "good"], ["=A2", "bad"], ['=""', "bad"]]})
    assert set_aside(tmp_path) == ({"fine": "good"}, [(3, "formula without its result"),
                                                      (4, "formula without its result")])  # fmt: skip
    sheet = "xl/worksheets/sheet1.xml"
    edited(path, sheet, "<f>A2</f><v />", "<f>A2</f><v>17</v>")
    edited(path, sheet, '<c r="A4"><f>""</f><v />', '<c r="A4" t="str"><f>""</f><v></v>')
    assert [row for row, _ in set_aside(tmp_path)[1]] == [3, 4]  # whoever wrote it asks for a calculation
    edited(path, "xl/workbook.xml", 'fullCalcOnLoad="1"', 'fullCalcOnLoad="0"')
    assert set_aside(tmp_path) == ({"fine": "good", "17": "bad"}, [(4, "empty text")])


def test_merged_cells_and_errors_cost_their_rows_where_the_column_counts(tmp_path: Path) -> None:
    def merge(book: Any) -> None:
        book["one"].merge_cells("B2:B3")
        book["one"].merge_cells("C4:C5")

    table = [(*HEADER, "note"), ["a", "good", ""], ["b", None, ""], ["c", "bad", "x"], ["d", "bad", None],
             ["#N/A", "bad", "#REF!"], ["e", "good", "#REF!"]]  # fmt: skip
    path = workbook(tmp_path / "x.xlsx", {"one": table}, merge)
    assert set_aside(tmp_path) == ({"a": "good", "c": "bad", "d": "bad", "e": "good"},
                                   [(3, "merged cells"), (6, "error in a cell")])  # fmt: skip
    with pytest.raises(InputError, match=r"(?s)2 rows in 1 file.*x\.xlsx, line 3: .*unmerge|x\.xlsx, line 6"):
        rows(path, "text", "label")


@pytest.mark.parametrize(
    ("sheets", "stated", "message"),
    [
        ({"a": [HEADER, ["x", "y"]], "b": [["note"]]}, None, "several sheets hold something: a, b.* `sheet`"),
        ({"a": [HEADER, ["x", "y"]]}, "A", "no sheet 'A'. Its sheets are: a"),
        ({"a": [[], []], "b": []}, None, "no sheet that is shown holds anything"),
        ({"a": [["text", "text"], ["x", "y"]]}, None, "must have one column 'text'. Received: 2"),
        ({"a": [["A survey"], HEADER, ["x", "y"]]}, None, "has no column 'text' .*known: A survey"),
    ],
)
def test_a_sheet_that_cannot_be_chosen_is_refused(
    tmp_path: Path, sheets: dict[str, list[Any]], stated: str | None, message: str
) -> None:
    workbook(tmp_path / "x.xlsx", sheets)
    with pytest.raises(InputError, match=message):
        set_aside(tmp_path, sheet=stated)


def test_hidden_sheets_and_the_lock_of_an_open_workbook_are_no_data(tmp_path: Path) -> None:
    def hide(book: Any) -> None:
        book["old"].sheet_state = "hidden"

    workbook(tmp_path / "x.xlsx", {"old": [HEADER, ["old", "y"]], "new": [HEADER, ["new", "y"]]}, hide)
    (tmp_path / "~$x.xlsx").write_bytes(b"\5Somebody")
    assert set_aside(tmp_path) == ({"new": "y"}, [])
    assert set_aside(tmp_path, sheet="old") == ({"old": "y"}, [])


@pytest.mark.parametrize(
    ("part", "old", "new", "message"),
    [
        ("xl/worksheets/sheet1.xml", '<row r="2"', '<row r="9"', "damaged: row 3 stands behind row 9"),
        ("xl/worksheets/sheet1.xml", '<row r="61"', '<row r="1048577"', "damaged: row 1,048,577 stands behind row 60"),
        ("xl/worksheets/sheet1.xml", 't="n"><v>2</v>', 't="s"><v>9999</v>', "damaged .IndexError"),
        ("xl/worksheets/sheet1.xml", "</sheetData>", "", "damaged .ParseError|mismatched"),
        ("xl/workbook.xml", "<sheets>", "<sheet>", "cannot be read as XLSX"),
        ("[Content_Types].xml", "<Types", "<Typo", "cannot be read as XLSX"),
    ],
)
def test_a_damaged_workbook_is_refused_whatever_the_damage(
    tmp_path: Path, part: str, old: str, new: str, message: str
) -> None:
    path = workbook(tmp_path / "x.xlsx", {"one": [HEADER, (2, "good"), *ROWS[1:]]})
    edited(path, part, old, new)
    with pytest.raises(InputError, match=message):
        rows(path, "text", "label")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "password"),
        (b"text,label\n", "it is none"),
        (b"PK\3\4", "BadZipFile"),
        (b"", "none"),
    ],
)
def test_what_is_no_workbook_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.xlsx").write_bytes(data)
    with pytest.raises(InputError, match=message):
        rows(tmp_path / "x.xlsx", "text")


def test_add_finds_the_sheet_and_its_header_and_states_them(home: Path) -> None:  # noqa: F811
    told = add(workbook(home / "Films.xlsx", {"notes": [["by hand"]], "films": ROWS}))
    assert "Excel" in told
    assert "the sheet 'films'" in told
    assert {key: stated("films")[key] for key in ("sheet", "header", "text", "label")} == {
        "sheet": "films", "header": False, "text": "1", "label": "2",
    }  # fmt: skip
    assert learnt("films") == ROWS


def test_add_refuses_to_choose_one_of_several_tables(home: Path) -> None:  # noqa: F811
    path = workbook(home / "films.xlsx", {"train": [HEADER, *ROWS], "test": [HEADER, *ROWS[:30]]})
    assert "several sheets: train, test. Name one with --sheet" in refusal(path)
    add(path, "--sheet", "test")
    assert learnt("films") == ROWS[:30]


def test_predict_reads_a_workbook_and_score_says_that_it_does_not(tmp_path: Path) -> None:
    path = workbook(tmp_path / "x.xlsx", {"one": [["id", "text"], [1, "a"], [2.0, None], [3, 4]]})
    (table,) = read_texts(str(path), "text", ["id"])
    assert table.to_numpy().tolist() == [["a", "1"], ["", "2"], ["4", "3"]]
    with pytest.raises(InputError, match="`gatewise predict --file` reads Excel"):
        find_files(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_line_by_which_excel_is_told_the_delimiter_is_no_row(home: Path, end: str) -> None:  # noqa: F811
    lines = ["sep=;", ";".join(HEADER), *(";".join(row) for row in ROWS)]
    (home / "films.csv").write_bytes(end.join([*lines, ""]).encode("utf-8-sig"))
    add(home / "films.csv")
    assert stated("films")["delimiter"] == ";"
    assert learnt("films") == ROWS
    (home / "films.csv").write_text("\n".join([*lines[:3], "cut"]))
    with pytest.raises(InputError, match=r"';' stands between fields: say so with `delimiter`"):
        set_aside(home)
    assert set_aside(home, delimiter=";")[1] == [(4, "too few fields")]


@pytest.mark.parametrize("header", ["text\n", "id,text\n"])
def test_a_table_per_label_is_refused_with_what_to_do(home: Path, header: str) -> None:  # noqa: F811
    (home / "films").mkdir()
    for label in ("neg", "pos"):
        texts = (f"Film number {i} is {label}\n" for i in range(20))
        (home / "films" / f"{label}.csv").write_text(header + "".join(f"{header[:-5]}{text}" for text in texts))
    told = refusal(home / "films")
    assert "the texts of one label (neg, pos)" in told
    assert ".txt files with one text a line" in told
