"""List the rows of files that cannot be learnt from: file, line, kind of problem, and what stands there.

A bad file costs one run: all problems of all files come in one report. With `bad_rows: set_aside` in source.yaml, these
rows lie in `rejected.parquet` instead. No row is lost in silence: rows in = rows learnt + rows listed.
"""

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.command import InputError

TOO_FEW = "too few fields"
TOO_MANY = "too many fields"
HEADER_AGAIN = "the first line again"
QUOTE = "broken quote"
BEHIND = "behind a broken quote"
JOINED = "rows joined by a quote"
BESIDE = "beside a row of too few fields"
CARRIAGE_RETURN = "lone carriage return"
NUL = "NUL character"
ENCODING = "bytes of another encoding"
NO_OBJECT = "no JSON object"
NO_TEXT = "text that is no string"
NO_VALUE = "label, split or group that is no single value"
SURROGATE = "half a character"
TOO_LONG = "longer than 16 MiB"
UNKNOWN_SPLIT = "unknown split"
NO_RESULT = "formula without its result"
CELL_ERROR = "error in a cell"
MERGED = "merged cells"
EMPTY = "empty text"  # never stops a run: there is nothing to learn from, and nothing to mend

_UNQUOTED = "if quotes mean nothing in this file, say {}"
_REMEDIES = {
    TOO_FEW: "a line break in a field without quotes, or another delimiter",
    TOO_MANY: "a delimiter in a field without quotes",
    HEADER_AGAIN: "as where files were put together",
    QUOTE: _UNQUOTED,
    JOINED: _UNQUOTED,
    NO_VALUE: "write the field that you need of a list or an object into a column of its own",
    NO_OBJECT: "an object in braces, each name once",
    CARRIAGE_RETURN: "in a field without quotes",
    ENCODING: "say which, such as {}",
    SURROGATE: "a lone UTF-16 surrogate",
    NO_RESULT: "open the file in Excel, and save it",
    CELL_ERROR: "such as #N/A or #REF!",
    MERGED: "only the first has a value: unmerge them, and fill the others",
    UNKNOWN_SPLIT: "expected train, validation (or val, valid, dev), test or unlabelled",
}

# How to say it: of a data set, and of a file that a tool reads.
_STATED = {QUOTE: "`quote: none` in source.yaml", ENCODING: "`encoding: cp1252` in source.yaml"}
_SET_ASIDE = "`bad_rows: set_aside` in source.yaml"
_OPTIONS = {QUOTE: "--quote none", ENCODING: "--encoding cp1252"}

_SHOWN_PROBLEMS = 10  # of each kind
_SHOWN_CHARACTERS = 60
_BATCH_ROWS = 1024
_NO_UNICODE = re.compile("[\ud800-\udfff]")
_SCHEMA = pa.schema([("file", pa.string()), ("line", pa.int64()), ("kind", pa.string()), ("row", pa.string())])


@dataclass(frozen=True)
class Problem:
    """Hold one row that is not learnt.

    Attributes:
        file: where it stands.
        line: the first line of the row, from 1; the row where the file has no lines; None where it has neither.
        kind: one of the constants above.
        row: what stands there, as it stands there.
        value: the field that is wrong, where the row alone does not show it.
    """

    file: str
    line: int | None
    kind: str
    row: str
    value: str = ""

    @property
    def told(self) -> str:
        """Say where it stands and what stands there, on one line."""
        value = f", {shortened(self.value)!r}" if self.value else ""
        return f"{self.file}{_place(self.line)}{value}: {shortened(self.row)}"


class BadRowsError(InputError):
    """Report the rows that cannot be read, on several lines."""

    in_lines = True


@dataclass
class Problems:
    """Collect what is wrong with the rows of a data set.

    Attributes:
        set_aside: go on without the bad rows.
        keep: is told each of them.
        of_tool: the file is one that a tool reads, and not of a data set.
        counts: number of rows of each kind.
        errors: what no row can be blamed for, such as a missing column. These always stop the run.
    """

    set_aside: bool = False
    keep: Callable[[Problem], None] | None = None
    of_tool: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    errors: list[InputError] = field(default_factory=list)
    _first: dict[str, list[Problem]] = field(default_factory=dict)
    _files_of_rows: set[str] = field(default_factory=set)

    def add(self, problem: Problem) -> None:
        self.counts[problem.kind] += 1
        if problem.kind != EMPTY:
            self._files_of_rows.add(problem.file)
        first = self._first.setdefault(problem.kind, [])
        if len(first) < _SHOWN_PROBLEMS:
            first.append(problem)
        if self.keep:
            self.keep(problem)

    def check(self) -> None:
        """Stop, if anything was found that must not be passed over.

        Raises:
            InputError: the only one of `errors`.
            BadRowsError: there are bad rows that are not to be set aside, or several errors.
        """
        kinds = [] if self.set_aside else [kind for kind in self.counts if kind != EMPTY]
        if not kinds and len(self.errors) == 1:
            raise self.errors[0]
        if kinds or self.errors:
            raise BadRowsError("\n".join([*self._report(kinds), *map(str, self.errors)]))

    def first(self, number: int) -> list[Problem]:
        """List the first of them, of all kinds in turn."""
        return [one for ones in zip_longest(*self._first.values()) for one in ones if one is not None][:number]

    def _report(self, kinds: list[str]) -> list[str]:
        if not kinds:
            return []
        number, files = sum(self.counts[kind] for kind in kinds), len(self._files_of_rows)
        told = [f"{number:,} {'row' if number == 1 else 'rows'} in {files:,} {'file' if files == 1 else 'files'}"]
        told[0] += " cannot be read as written:"
        for kind in kinds:
            told.append(f"{self.counts[kind]:,} × {kind}{self._remedy(kind)}")
            if kind == BEHIND:  # what follows from another one
                continue
            told += [f"  {one.told}" for one in self._first[kind]]
            if (more := self.counts[kind] - _SHOWN_PROBLEMS) > 0:
                told.append(f"  and {more:,} more")
        told.append("Mend these rows" + ("" if self.of_tool else f", or go on without them: {_SET_ASIDE}"))
        return told

    def _remedy(self, kind: str) -> str:
        return _remedy(kind, _OPTIONS if self.of_tool else _STATED)


def first_problem(kind: str, line: int, row: str) -> str:
    """Say what is wrong with the first row of a file none of whose rows can be read."""
    return f"The first, line {line}: {shortened(row)}: {kind}{_remedy(kind, _OPTIONS)}"


def _remedy(kind: str, ways: Mapping[str, str]) -> str:
    way = ways.get(QUOTE if kind == JOINED else kind, "")
    return f" ({_REMEDIES[kind].format(way)})" if kind in _REMEDIES else ""


def _place(line: int | None) -> str:
    return "" if line is None else f", line {line}"


def shortened(row: str) -> str:
    """Give the beginning of what stands in a row, on one line."""
    # Of a row of megabytes, only the beginning: `repr` shows what has no shape.
    shown = repr(printable(row[: 4 * _SHOWN_CHARACTERS]).rstrip("\r\n"))[1:-1].replace("\\\\x", "\\x")
    return shown if len(shown) <= _SHOWN_CHARACTERS else f"{shown[:_SHOWN_CHARACTERS]} …"


def printable(text: str) -> str:
    r"""Write bytes that `lines.open_text` could not decode as `\xe9`, and `?` for any other half of a character."""

    def written(found: re.Match[str]) -> str:
        code = ord(found[0]) - 0xDC00
        return f"\\x{code:02x}" if 0 <= code < 256 else "?"

    return _NO_UNICODE.sub(written, text)


class Rejected:
    """Keep the rows that are set aside, on disk, for `rejected.parquet`: `file`, `line`, `kind`, `row`.

    Use it as a context manager: the file has no name, so that nothing stays if the process is killed.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._writer = pq.ParquetWriter(self._file, _SCHEMA, compression="zstd")
        self._waiting: list[Problem] = []

    def __enter__(self) -> "Rejected":
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    def add(self, problem: Problem) -> None:
        self._waiting.append(problem)
        if len(self._waiting) == _BATCH_ROWS:
            self._flush()

    def write(self, path: Path) -> None:
        """Write all rows, once: no more can be added."""
        self._flush()
        self._writer.close()
        self._file.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(self._file, file)

    def _flush(self) -> None:
        rows = [asdict(one) | {"row": printable(one.row)} for one in self._waiting]
        self._writer.write_table(pa.Table.from_pylist(rows, _SCHEMA))
        self._waiting = []
