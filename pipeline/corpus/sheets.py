"""Read Excel workbooks (.xlsx) strictly: what a cell shows is what is read, or the row is told with Excel's number.

openpyxl decides what a cell holds; what it would pass over in silence is found in the bytes of the sheet before.
"""

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from itertools import repeat
from pathlib import Path
from typing import IO, Any, NamedTuple

from pipeline.corpus.problems import CELL_ERROR, MERGED, NO_RESULT

SHEET_ENDINGS = (".xlsx", ".xlsm")
LAST_ROW = 1_048_576  # of a sheet; Excel has no more
_MOST_COLUMNS = 16_384  # the same
_MOST_STRINGS = 1 << 30  # bytes, of the parts of a workbook that are read as a whole
_CHUNK = 1 << 20
_TAG = re.compile(rb"<(?:\w+:)?(row|f|mergeCell)(?=[\s>/])([^>]*)>")
_NUMBER = re.compile(rb"""\br=["'](\d+)["']""")
_HIDDEN = re.compile(rb"""\bhidden=["'](?:1|true)["']""")
_LOOKED_AT = 20  # rows below the first, to tell a title from the names of columns
_RANGE = re.compile(rb"""\bref=["']([A-Z]+)(\d+):([A-Z]+)(\d+)["']""")
_CONTROL = re.compile(r"_x00(?!00)([01][0-9A-Fa-f])_")  # how a workbook writes what XML cannot hold
_OLD = b"\xd0\xcf\x11\xe0"


class SheetRow(NamedTuple):
    """Hold a row: its number in Excel, what its cells show (None: nothing), and what is wrong with each."""

    number: int
    values: list[str | None]
    kinds: list[str | None]


@dataclass
class _Scan:
    """Hold what the bytes of a sheet say: whether it has formulas, and the rows below the first of merged cells."""

    formulas: bool
    merged: dict[int, set[int]]  # of each column


class Sheet:
    """Read one sheet of a workbook.

    Args:
        path: the file.
        stated: the name of the sheet; None: the only one that holds anything.
        header: the first row names the columns; without it they are called 1, 2, 3 …

    Attributes:
        names: of the columns; an empty string where the header has none.

    Raises:
        ValueError: the file is no workbook, or has no such sheet, or has several and none is stated.
    """

    def __init__(self, path: Path, stated: str | None, header: bool) -> None:
        self._path = path
        with _opened(path) as book:
            self.title = _chosen(book, stated)
            self._first, shown = _first_row(book[self.title])
        self.names = [value or "" for value in shown] if header else [str(place + 1) for place in range(len(shown))]
        self._begin = self._first + header

    def rows(self, places: Iterable[int]) -> Iterator[SheetRow]:
        """Read all rows that hold anything, in the order of the sheet.

        Args:
            places: of the columns that count, from 0; those of others are not looked at.

        Raises:
            ValueError: the sheet is damaged.
        """
        wanted = list(places)
        with ExitStack() as stack:
            book = stack.enter_context(_opened(self._path))
            with book[self.title]._get_source() as source:
                scan = _scan(source, wanted)
            formulas: Iterator[tuple[Any, ...]] = repeat(())
            if scan.formulas:
                formulas = self._cells(stack.enter_context(_opened(self._path, results=False)))
            # Whoever asks for a calculation on opening has written formulas without calculating them.
            calculated = not (book.calculation and book.calculation.fullCalcOnLoad)
            for number, (cells, sources) in enumerate(zip(self._cells(book), formulas, strict=False), self._begin):
                values, kinds = [], []
                for place in wanted:
                    values.append(shown_value(cells[place].value))
                    kinds.append(_kind(cells[place], sources[place] if sources else None, calculated))
                    if number in scan.merged[place]:
                        kinds[-1] = MERGED
                if any(kinds) or any(values) or _holds_anything(cells):
                    yield SheetRow(number, values, kinds)

    def _cells(self, book: Any) -> Iterator[tuple[Any, ...]]:
        sheet = book[self.title]
        sheet.reset_dimensions()  # or rows beyond what the file says of its size were lost
        rows: Iterator[tuple[Any, ...]] = sheet.iter_rows(min_row=self._begin, max_col=len(self.names))
        return rows


def sheet_names(path: Path) -> list[str]:
    """List the sheets that are shown and hold anything.

    Raises:
        ValueError: the file is no workbook.
    """
    with _opened(path) as book:
        return [sheet.title for sheet in book.worksheets if sheet.sheet_state == "visible" and _has_cells(sheet)]


def wider_row(path: Path, title: str | None) -> int | None:
    """Find a row that shows more cells than the first one that holds anything, by Excel's number, among the next few.

    Raises:
        ValueError: the file is no workbook, or has no such sheet.
    """
    with _opened(path) as book:
        sheet = book[_chosen(book, title)]
        first, shown = _first_row(sheet)
        for number, cells in enumerate(sheet.iter_rows(min_row=first + 1, max_row=first + _LOOKED_AT), first + 1):
            if sum(shown_value(cell.value) is not None for cell in cells) > len(shown):
                return number
    return None


def hidden_rows(path: Path, title: str | None) -> list[int]:
    """List the rows that Excel does not show, as where a filter is on, by its numbers.

    Raises:
        ValueError: the file is no workbook, or has no such sheet.
    """
    hidden, last = [], 0
    with _opened(path) as book, book[_chosen(book, title)]._get_source() as source:
        for name, attributes in _tags(source):
            if name == b"row":
                last = _number_of_row(attributes, last)
                hidden += [last] * bool(_HIDDEN.search(attributes))
    return hidden


def shown_value(value: Any) -> str | None:
    """Write what a cell shows; dates as 2026-11-26, whatever their format.

    >>> shown_value(1.0), shown_value(0.1 + 0.2), shown_value(True), shown_value(datetime(2026, 11, 26))
    ('1', '0.3', 'TRUE', '2026-11-26')
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return _CONTROL.sub(lambda found: chr(int(found[1], 16)), value) if "_x00" in value else value
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.15g}"
    if isinstance(value, datetime):
        return value.isoformat(" ") if value.time() != time() else value.date().isoformat()
    return value.isoformat() if isinstance(value, date | time) else str(value)


@contextmanager
def _opened(path: Path, results: bool = True) -> Iterator[Any]:
    """Open a workbook: with the results of formulas, or with the formulas.

    Raises:
        ValueError: openpyxl gives up on the file (on the way, too).
    """
    import openpyxl  # takes a fifth of a second, and few have workbooks

    # It says what it does not read: pictures, rules, macros.
    warnings.filterwarnings("ignore", category=UserWarning, module=r"openpyxl\.")
    try:
        with path.open("rb") as file:
            _check(file)
            book = openpyxl.load_workbook(file, read_only=True, data_only=results, keep_links=False)
            try:
                yield book
            finally:
                book.close()
    except (ValueError, OSError):
        raise
    except Exception as error:  # a damaged workbook ends in one of any kind
        raise ValueError(f"it is damaged ({type(error).__name__}: {error})") from None


def _check(file: IO[bytes]) -> None:
    start = file.read(4)
    if start == _OLD:
        raise ValueError("it has a password, or is of an Excel before 2007. Save it as .xlsx without a password")
    if not start.startswith(b"PK"):
        raise ValueError("it is none, whatever its ending says")
    whole = [part for part in zipfile.ZipFile(file).infolist() if part.filename.lower().endswith((".xml", ".rels"))]
    if sum(part.file_size for part in whole if "worksheets/" not in part.filename) > _MOST_STRINGS:
        raise ValueError("it holds more than 1 GiB of different texts. Save it as CSV")


def _chosen(book: Any, stated: str | None) -> str:
    sheets = {sheet.title: sheet for sheet in book.worksheets}
    if stated is not None:
        if stated not in sheets:
            raise ValueError(f"it has no sheet {stated!r}. Its sheets are: {', '.join(sheets)}")
        return stated
    filled: list[str] = [name for name, sheet in sheets.items() if sheet.sheet_state == "visible" and _has_cells(sheet)]
    if not filled:
        raise ValueError("no sheet that is shown holds anything")
    if len(filled) > 1:
        raise ValueError(
            f"several sheets hold something: {', '.join(filled)}. Say which with `sheet`, or save each as a file"
        )
    return filled[0]


def _has_cells(sheet: Any) -> bool:
    sheet.reset_dimensions()
    return any(_holds_anything(cells) for cells in sheet.iter_rows())


def _holds_anything(cells: Iterable[Any]) -> bool:
    return any(cell.value not in (None, "") for cell in cells)


def _first_row(sheet: Any) -> tuple[int, list[str | None]]:
    """Find the first row that holds anything, and what it shows up to its last cell with a value."""
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(max_col=_MOST_COLUMNS), start=1):
        values = [shown_value(cell.value) for cell in cells]
        while values and values[-1] is None:
            values.pop()
        if values:
            return number, values
    raise ValueError(f"the sheet {sheet.title!r} is empty")


def _kind(cell: Any, source: Any, calculated: bool) -> str | None:
    if cell.data_type == "e":
        return CELL_ERROR
    # "str" without a value: the result is an empty text.
    is_formula = source is not None and source.data_type == "f"
    if is_formula and (not calculated or (cell.value is None and cell.data_type != "str")):
        return NO_RESULT
    return None


def _scan(source: IO[bytes], wanted: Iterable[int]) -> _Scan:
    """Look through the bytes of a sheet.

    Raises:
        ValueError: its rows are not in order, of which openpyxl would leave some out; or there are too many.
    """
    scan, last = _Scan(False, {place: set() for place in wanted}), 0
    for name, attributes in _tags(source):
        if name == b"f":
            scan.formulas = True
        elif name == b"row":
            row = _number_of_row(attributes, last)
            if not last < row <= LAST_ROW:
                raise ValueError(f"it is damaged: row {row:,} stands behind row {last:,}")
            last = row
        else:
            _note_merged(scan, attributes)
    return scan


def _tags(source: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Give the name and the attributes of each tag of rows, formulas and merged cells."""
    rest = b""
    while chunk := source.read(_CHUNK):
        text, end = rest + chunk, 0
        for found in _TAG.finditer(text):
            end = found.end()
            yield found[1], found[2]
        rest = text[max(end, len(text) - 1000) :]  # a tag may be cut


def _number_of_row(attributes: bytes, last: int) -> int:
    number = _NUMBER.search(attributes)
    return int(number[1]) if number else last + 1


def _note_merged(scan: _Scan, attributes: bytes) -> None:
    if found := _RANGE.search(attributes):
        rows = range(int(found[2]) + 1, min(int(found[4]), LAST_ROW) + 1)
        for place in range(_place(found[1]), _place(found[3]) + 1):
            if place in scan.merged:
                if len(rows) + len(scan.merged[place]) > LAST_ROW:  # they cannot overlap
                    raise ValueError(f"it is damaged: merged cells overlap at row {found[2].decode()}")
                scan.merged[place].update(rows)


def _place(letters: bytes) -> int:
    """Number a column from 0.

    >>> _place(b"A"), _place(b"AA"), _place(b"XFD")
    (0, 26, 16383)
    """
    place = 0
    for letter in letters[:4]:
        place = 26 * place + letter - ord("A") + 1
    return min(place, _MOST_COLUMNS) - 1
