"""Find out in which encoding text files are written. What is found goes into source.yaml, and no stage guesses."""

import codecs
import gzip
import re
import zlib
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
# Of languages that are written in Latin letters, a few of which are not in ASCII.
_LATIN = ("cp1252", "cp1250", "cp1254", "cp1257", "cp1258", "iso8859_2", "mac_roman")
# How files begin that are no text, whatever their name says.
_FORMS = {
    b"PK\x03\x04": "a ZIP archive or a workbook",
    b"\x1f\x8b": "compressed by gzip",
    b"SQLite format 3\0": "a SQLite database",
    b"%PDF-": "a PDF",
    b"PAR1": "Parquet",
    b"ARROW1": "an Arrow file",
    b"\xd0\xcf\x11\xe0": "of an Office before 2007",
    b"BZh91AY&SY": "compressed by bzip2",
    b"\xfd7zXZ\0": "compressed by xz",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "compressed by zstd",
}
_BLOCK = 1 << 20
_SAMPLE = 1 << 16  # bytes of lines beyond ASCII that decide
_FEW = 0.2  # of the letters are beyond ASCII, at the most, in a language with Latin letters
_LONG_RUN = 3  # bytes beyond ASCII, one after the other, in the mean: with more, they are words of another script
_TELLING = 30  # bytes beyond ASCII; how often letters stand in fewer of them says nothing of the language
_MIXED = 0.5  # lines of UTF-8 for each other one, at the least, in a file of several encodings
_CHANCE = 4  # lines that may look like UTF-8 by chance
_STRAY = 0.1  # of the lines beyond ASCII, at the most, may be no UTF-8 in a file that is UTF-8 otherwise


class Encoding(NamedTuple):
    """Hold an encoding that Python knows, and how it was found."""

    name: str
    why: str


@dataclass
class _Beyond:
    """Count what is beyond ASCII: lines of one file, or texts of a file each; and whether they are UTF-8."""

    path: Path
    good: int = 0
    bad: int = 0
    sample: bytes = b""
    is_ascii: bool = False  # and not empty

    @property
    def is_utf8(self) -> bool:
        return self.bad <= _STRAY * (self.good + self.bad)


def find_encoding(files: Sequence[Path], texts: Sequence[Path] = ()) -> Encoding:
    """Find the one encoding of some text files, compressed or not.

    Args:
        files: of many lines. In each, a line or two may be written otherwise, and will be told as a bad row.
        texts: files of one text each. A few of them may be written otherwise.

    Raises:
        InputError: a file is damaged or no text, the files are written in several encodings, or none is found.
    """
    for path in files:
        _check_is_text(path)
    marks = {path: _marked(path) for path in [*files, *texts]}
    counted = [_count(path) for path, mark in marks.items() if mark is None]
    of_texts = set(texts)
    wide = {path: mark for path, mark in marks.items() if mark not in (None, "utf-8")}
    stray = len(wide) if of_texts.issuperset(wide) and len(wide) <= _STRAY * len(texts) else 0
    if stray:  # each will be told as a bad row
        wide = {}
    marked = {mark: path for path, mark in reversed(marks.items()) if mark == "utf-8" or path in wide}
    parts = [one for one in counted if one.good + one.bad and one.path not in of_texts]
    if together := [one for one in counted if one.good + one.bad and one.path in of_texts]:
        parts.append(_as_one(together))
    utf8 = [one for one in parts if one.is_utf8]
    others = [one for one in parts if not one.is_utf8]
    ascii_alone = [one for one in counted if wide and one.is_ascii]  # is neither UTF-16 nor UTF-32, but any other
    if bool(utf8 or ascii_alone or marked.get("utf-8")) + bool(others) + len(set(wide.values())) > 1:
        two = [*marked.values(), *(one.path for one in (*utf8[:1], *ascii_alone[:1], *others[:1]))]
        raise InputError(
            f"all files must be written in one encoding. Received: {two[0]} and {two[-1]} differ. Save them as UTF-8"
        )
    if wide:
        return Encoding(next(iter(wide.values())), "its first bytes")
    if others:
        _check_not_mixed(others[0], "texts" if others[0].path in of_texts else "lines")
        return _most_likely(others[0].sample, others[0].path)
    stray += sum(one.bad for one in utf8)
    noun = "text" if texts else "line"
    less = f", but for {stray:,} {noun}{'s' if stray > 1 else ''}" if stray else ""
    return Encoding("utf-8", f"every byte fits{less}" if utf8 or marked or stray else "ASCII alone")


def _check_not_mixed(part: _Beyond, things: str) -> None:
    """Check that lines of a file, or texts of a file each, are not UTF-8 in parts: others hardly ever look like it.

    Raises:
        InputError: many are UTF-8, and many are not.
    """
    if part.good > max(_CHANCE, _MIXED * part.bad):
        where = f"{part.path}{' and others' if things == 'texts' else ''}"
        raise InputError(
            f"all {things} must be written in one encoding. Received: {part.good:,} {things} beyond ASCII are UTF-8,"
            f" and {part.bad:,} are not, in {where}. Save all as UTF-8, or name the one to read all with: --encoding"
        )


def _as_one(texts: Sequence[_Beyond]) -> _Beyond:
    bad = [one for one in texts if one.bad]
    sample = b"".join(one.sample for one in bad)[:_SAMPLE]
    return _Beyond((bad or texts)[0].path, len(texts) - len(bad), len(bad), sample)


@contextmanager
def _open_bytes(path: Path) -> Iterator[BinaryIO]:
    compressed = path.suffix.lower() == ".gz"
    try:
        with cast(BinaryIO, gzip.open(path)) if compressed else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _check_is_text(path: Path) -> None:
    """Check that a file is not of another form, whatever its name says.

    Raises:
        InputError: it is.
    """
    with _open_bytes(path) as file:
        start = file.read(4096)
    form = next((form for begin, form in _FORMS.items() if start.startswith(begin)), None)
    if form and (b"\0" in start or not _is_utf8(start)):  # letters may begin so, too
        raise InputError(
            f"{path} is no text: it begins as what is {form} does. Give it the ending that it needs, or unpack it"
        )


def _is_utf8(start: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return False
    return True


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


def _count(path: Path) -> _Beyond:
    """Count the lines beyond ASCII. A file that is UTF-8 throughout, which is quick to see, counts as one good line."""
    decoder, ascii_alone, size = codecs.getincrementaldecoder("utf-8")(), True, 0
    with _open_bytes(path) as file:
        try:
            while block := file.read(_BLOCK):
                decoder.decode(block)
                ascii_alone, size = ascii_alone and block.isascii(), size + len(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return _one_by_one(path)
    return _Beyond(path, good=int(not ascii_alone), is_ascii=ascii_alone and size > 0)


def _one_by_one(path: Path) -> _Beyond:
    found = _Beyond(path)
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


def _has_latin_letters(sample: bytes) -> bool:
    """Tell if the bytes beyond ASCII are few, and stand alone among letters, and not together in words of their own."""
    runs = [len(run) for run in re.findall(rb"[\x80-\xff]+", sample)]
    letters = sum(map(len, re.findall(rb"[A-Za-z]+", sample)))
    return sum(runs) < _FEW * (sum(runs) + letters) and sum(runs) < _LONG_RUN * len(runs)


def _signs_in_words(sample: bytes, name: str) -> int:
    """Count signs between two letters of a word, such as the bullet in `na•ve`, less those that may stand there."""
    inside = re.findall(r"(?<=[A-Za-z])[^\x00-\x7f](?=[a-z])", sample.decode(name, errors="replace"))
    return sum(not sign.isalpha() and sign not in "’‘–—…" for sign in inside)


def _most_likely(sample: bytes, path: Path) -> Encoding:
    """Choose the encoding in which the bytes look most like a language.

    Raises:
        InputError: none fits.
    """
    possible = _LATIN if _has_latin_letters(sample) else _COMMON
    telling = sum(byte > 127 for byte in sample) >= _TELLING
    names: dict[str, tuple[int, float, float, int]] = {}
    for match in from_bytes(sample, cp_isolation=list(possible)):
        for name in {match.encoding, *match.could_be_from_charset} & set(possible):
            coherence = match.coherence if telling else 0.0
            names[name] = _signs_in_words(sample, name), match.chaos, -coherence, possible.index(name)
    if not names:
        raise InputError(
            f"{path} is not UTF-8, and no usual encoding fits. Name it: --encoding (latin_1 reads any bytes)"
        )
    best = min(names, key=names.__getitem__)
    equal = [name for name in sorted(names, key=possible.index) if names[name][:3] == names[best][:3] and name != best]
    why = "not UTF-8; looks most like a language so"
    return Encoding(best, f"{why}, as likely as {', '.join(equal[:3])}" if equal else why)
