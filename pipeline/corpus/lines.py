"""Read the lines of text files as they are: any encoding, compressed or not, and no byte changed in silence."""

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.core.command import InputError
from pipeline.corpus.problems import ENCODING, NUL

LONGEST = 1 << 24  # characters of a row: what is longer is no text but, say, a quote that never closes
_MARK = "gatewise-mark"
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Dialect:
    """Hold how text files are written: stated in source.yaml, and never guessed.

    Attributes:
        encoding: one that Python knows. UTF-8 may begin with a byte-order mark.
        delimiter: between the fields of a row; None: a tab in .tsv, else a comma.
        quote: around fields; None: quotes are letters as others are.
        header: the first row names the columns; without it they are called 1, 2, 3 …
        sheet: of a workbook; None: the only one that holds anything.
    """

    encoding: str = "utf-8"
    delimiter: str | None = None
    quote: str | None = '"'
    header: bool = True
    sheet: str | None = None


def ending_of(path: Path) -> str:
    """Get the ending in lower case, without `.gz`."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def check_encoding(name: str) -> None:
    """Check that Python knows this encoding of text, and can say which bytes are bad.

    Raises:
        ValueError: it does not.
    """
    try:
        "a".encode(name)
        codecs.register_error(_MARK, _marked)
        codecs.getincrementaldecoder(name)(_MARK).decode(b"a")  # those of domain names stop at the first bad byte
    except (LookupError, UnicodeError):
        raise ValueError("must be an encoding that Python knows, such as utf-8, cp1252 or utf-16") from None


@contextmanager
def open_text(path: Path, encoding: str) -> Iterator[io.TextIOWrapper]:
    """Open a text file, or what a .gz file holds.

    Bytes that are not of this encoding come as lone surrogates, U+DC00 + byte, which no encoding can give otherwise:
    so a bad byte costs its row and not the file. Line ends stay as they are; a line ends with a line feed.

    Raises:
        InputError: the file is no gzip, or is cut off; or does not begin as this encoding must. (On the way, too.)
    """
    codecs.register_error(_MARK, _marked)
    name = codecs.lookup(encoding).name
    compressed = path.suffix.lower() == ".gz"
    try:
        with gzip.open(path) if compressed else path.open("rb") as data:
            yield io.TextIOWrapper(data, "utf-8-sig" if name == "utf-8" else name, errors=_MARK, newline="\n")
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise InputError(f"{path} is damaged: {error}") from None
    except UnicodeError as error:  # no byte is to blame: UTF-16 and UTF-32 need a mark at the beginning
        raise InputError(f"{path} is not in the encoding {encoding}: {error}") from None


def read_lines(file: io.TextIOWrapper) -> Iterator[str]:
    """Give the lines with their ends, without a byte-order mark before the first.

    Raises:
        ValueError: a line is longer than `LONGEST`.
    """
    number = 0
    while line := file.readline(LONGEST + 1):
        number += 1
        if len(line) > LONGEST and not line.endswith("\n"):
            raise ValueError(f"line {number} is longer than {LONGEST >> 20} MiB")
        yield line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line


def fault(line: str) -> str | None:
    """Find what no line of text can hold."""
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError:
            return ENCODING
    return NUL if "\0" in line else None


def bom_hint(path: Path) -> str:
    """Say which encoding a file claims at its beginning, if it is not the one that was stated."""
    with path.open("rb") as file:
        start = file.read(2)
    return " (it begins with the byte-order mark of `encoding: utf-16`)" if start in (b"\xff\xfe", b"\xfe\xff") else ""


def _marked(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end
