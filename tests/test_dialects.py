"""Damage to a table costs no row beyond its own; and what is not stated is named."""

import csv
import random
import re
from pathlib import Path

import pytest

from pipeline.core.command import InputError
from pipeline.corpus.problems import Problem
from pipeline.corpus.sources import FilesSource, Reviews

PIECES = ["a", "film", " ", " ", "é", "电影", "😀", ",", ";", "\t", "|", '"', "'", "\\", "\n", "\r\n", "\r"]
Rows = list[tuple[str, str]]


def rows_of(chance: random.Random, pieces: list[str]) -> Rows:
    """Texts that occur once, each with a label.

    Python before 3.11.9 writes a carriage return at the end of a row without quotes, where it is part of the line end.
    """
    texts = {"".join(chance.choices(pieces, k=chance.randint(1, 8))).rstrip("\r") for _ in range(chance.randint(1, 12))}
    return [(text, chance.choice(["good", "bad"])) for text in sorted(texts) if text.strip()]


def write(path: Path, rows: Rows, source: FilesSource, label_first: bool, end: str) -> None:
    with path.open("w", encoding=source.encoding, newline="") as file:
        writer = csv.writer(
            file, delimiter=source.delimiter or ",", lineterminator=end, quotechar=source.quote,
            quoting=csv.QUOTE_MINIMAL if source.quote else csv.QUOTE_NONE,
        )  # fmt: skip
        written = [("text", "label"), *rows] if source.header else rows
        writer.writerows(row[::-1] if label_first else row for row in written)


def read(folder: Path, source: FilesSource, keep: list[Problem] | None = None) -> Rows:
    tables = list(Reviews(source, folder, None if keep is None else keep.append))
    rows = [(text, label) for table in tables for text, label in zip(table["text"], table["label"], strict=True)]
    return [(text.rstrip("\r"), label) for text, label in rows]


def test_one_character_is_no_delimiter_and_quote_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\na,good\nb,bad\n")
    with pytest.raises(InputError, match="between fields or around them"):
        read(tmp_path, FilesSource(format="files", quote=","))


@pytest.mark.parametrize("seed", range(10))
def test_a_damaged_byte_costs_no_row_in_silence(tmp_path: Path, seed: int) -> None:
    chance, found = random.Random(seed), 0
    for _ in range(30):
        rows = [*rows_of(chance, PIECES), ("plain", "good"), ("and plain", "bad")]
        chance.shuffle(rows)
        label_first = chance.random() < 0.5
        source = FilesSource(format="files", delimiter=",", bad_rows="set_aside", labels=["bad", "good"])
        write(tmp_path / "a.csv", rows, source, label_first, "\n")
        whole = (tmp_path / "a.csv").read_bytes().decode()
        place = chance.randrange(len("text,label\n"), len(whole))
        quotes = [match.start() for match in re.finditer('"', whole)]
        if quotes and chance.random() < 0.4:
            place = chance.choice(quotes)
            damaged = whole[:place] + whole[place + 1 :]
        else:
            damaged = whole[:place] + chance.choice(['"', "\n", "\r", ",", "\0"]) + whole[place:]
        (tmp_path / "a.csv").write_bytes(damaged.encode())
        kept: list[Problem] = []
        try:
            came = read(tmp_path, source, kept)
        except InputError:
            continue
        new = [row for row in came if row not in rows]
        lost = [row for row in rows if row not in came]
        assert len(new) <= 1, (damaged, new)  # the row that was damaged, and stayed a row
        assert not lost or kept or len(lost) == len(new) == 1, (damaged, lost)
        found += bool(kept)
    assert found > 5


def test_an_unquoted_file_is_read_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text('text\tlabel\n" an inch\tgood\nfine\tbad\n" two inches"\tgood\n')
    source = FilesSource(format="files", quote="none")
    assert read(tmp_path, source) == [('" an inch', "good"), ("fine", "bad"), ('" two inches"', "good")]
    with pytest.raises(InputError, match=r"(?s)3 rows in 1 file.*broken quote \(.*`quote: none`.*a\.tsv, line 2: "):
        read(tmp_path, FilesSource(format="files"))


@pytest.mark.parametrize("ending", ["csv", "txt", "jsonl"])
def test_an_encoding_is_stated_and_another_is_refused_with_its_line(tmp_path: Path, ending: str) -> None:
    content = {"csv": "text,label\nfine,good\nnaïve,good\n", "txt": "fine\nok\nnaïve\n",
               "jsonl": '{"text":"fine","label":"good"}\n\n{"text":"naïve","label":"good"}\n'}[ending]  # fmt: skip
    (tmp_path / f"good.{ending}").write_text(content, encoding="cp1252")
    with pytest.raises(InputError, match=rf"bytes of another encoding .*\n.*good\.{ending}, line 3: .*na\\xefve"):
        read(tmp_path, FilesSource(format="files"))
    assert ("naïve", "good") in read(tmp_path, FilesSource(format="files", encoding="cp1252"))
