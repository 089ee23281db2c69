"""Find out in which encoding text files are written. What is found goes into source.yaml, and no stage guesses."""

import codecs
import gzip
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from charset_normalizer import from_bytes

from pipeline.core.command import InputError

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, with whose mark it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Of encodings that fit equally well, the one that is met more often.
_COMMON = (
    "cp1252", "cp1251", "gb18030", "big5", "cp932", "euc_jp", "cp949", "cp1250", "cp1254", "cp1253", "cp1255", "cp1256",
    "cp1257", "koi8_r", "koi8_u", "iso8859_2", "cp874", "cp1258",
)  # fmt: skip
_BLOCK = 1 << 20
_SAMPLE = 1 << 16  # bytes of lines beyond ASCII that decide
_STRAY = 0.1  # of the lines beyond ASCII, at the most, may be no UTF-8 in a file that is UTF-8 otherwise


class Encoding(NamedTuple):
    """Hold an encoding that Python knows, and how it was found."""

    name: str
    why: str


@dataclass
class _Lines:
    """Count the lines beyond ASCII of a file: those that are UTF-8, and those that are not."""

    good: int = 0
    bad: int = 0
    sample: bytes = b""


def find_encoding(paths: Sequence[Path]) -> Encoding:
    """Find the one encoding of some text files, compressed or not.

    Raises:
        InputError: a file is damaged, the files are written in several encodings, or none is found.
    """
    marked: dict[str, Path] = {}
    utf8: Path | None = None
    other: Path | None = None
    lines = _Lines()
    for path in paths:
        if name := _marked(path):
            marked.setdefault(name, path)
            continue
        found = _lines_beyond_ascii(path)
        if found.bad > _STRAY * (found.good + found.bad):
            other = other or path
        elif found.good:
            utf8 = utf8 or path
        lines.good, lines.bad = lines.good + found.good, lines.bad + found.bad
        lines.sample = lines.sample or found.sample
    wide = [name for name in marked if name != "utf-8"]
    if len(wide) == 1 and len(marked) == 1 and not lines.good + lines.bad:
        return Encoding(wide[0], "its first bytes")
    first = next(iter(marked.values()), utf8)
    if wide or (other and first):
        raise InputError(
            f"all files must be written in one encoding. Received: {first} and {other or 'others'} differ. Save them as"
            " UTF-8"
        )
    if other is None:
        stray = f", less {lines.bad:,} lines" if lines.bad else ""
        return Encoding("utf-8", f"every byte fits{stray}" if marked or utf8 else "ASCII alone")
    return _most_likely(lines.sample, other)


@contextmanager
def _open_bytes(path: Path) -> Iterator[BinaryIO]:
    compressed = path.suffix.lower() == ".gz"
    try:
        with cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb") as file:
            yield file
    except (OSError, EOFError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _marked(path: Path) -> str | None:
    """Find what the beginning of a file says: a byte-order mark, or NUL in every other byte, as UTF-16 has."""
    with _open_bytes(path) as file:
        start = file.read(4096)
    for mark, name in _MARKS.items():
        if start.startswith(mark):
            return name
    nul = start[0::2].count(0), start[1::2].count(0)
    if max(nul) > len(start) / 8 and min(nul) == 0:
        return "utf-16-le" if nul[1] else "utf-16-be"
    return None


def _lines_beyond_ascii(path: Path) -> _Lines:
    """Count them. A file that is UTF-8 throughout, which is quick to see, counts as one good line."""
    decoder, ascii_alone = codecs.getincrementaldecoder("utf-8")(), True
    with _open_bytes(path) as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
                ascii_alone = ascii_alone and block.isascii()
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _one_by_one(path)
    return _Lines(good=int(not ascii_alone))


def _one_by_one(path: Path) -> _Lines:
    found = _Lines()
    with _open_bytes(path) as file:
        while line := file.readline(_BLOCK):
            if line.isascii():
                continue
            if len(found.sample) + len(line) < _SAMPLE or not found.sample:
                found.sample += line
            try:
                line.decode()
                found.good += 1
            except UnicodeDecodeError:
                found.bad += 1
    return found


def _most_likely(sample: bytes, path: Path) -> Encoding:
    """Choose the encoding in which the bytes look most like a language.

    Raises:
        InputError: none fits.
    """
    names: dict[str, tuple[float, float, int]] = {}
    for match in from_bytes(sample, cp_isolation=list(_COMMON)):
        for name in {match.encoding, *match.could_be_from_charset} & set(_COMMON):
            names[name] = match.chaos, -match.coherence, _COMMON.index(name)
    if not names:
        raise InputError(f"{path} is not UTF-8, and no usual encoding fits. Name it, such as --encoding cp437")
    best = min(names, key=names.__getitem__)
    equal = [name for name in sorted(names, key=_COMMON.index) if names[name][:2] == names[best][:2] and name != best]
    why = "not UTF-8; looks most like a language so"
    return Encoding(best, f"{why}, as likely as {', '.join(equal[:3])}" if equal else why)
