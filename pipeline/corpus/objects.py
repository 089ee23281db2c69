"""Read JSON Lines and JSON as a stream of objects, each with its line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pipeline.corpus.lines import LONGEST, fault, open_text, read_lines
from pipeline.corpus.problems import NO_OBJECT

_CHUNK = 1 << 20
_BETWEEN = re.compile(r"[\s,]*")


class Object(NamedTuple):
    """Hold an object: its first line from 1, what it holds, how it stands there, and what is wrong with it."""

    line: int
    values: dict[str, Any]
    raw: str
    kind: str | None


def read_jsonl(path: Path, encoding: str) -> Iterator[Object]:
    """Read a file with one object a line. Blank lines are none.

    Raises:
        ValueError: a line is too long.
    """
    decoder = _decoder()
    with open_text(path, encoding) as file:
        for number, line in enumerate(read_lines(file), start=1):
            if not line.isspace():
                try:
                    value = decoder.decode(line.strip())
                except (ValueError, RecursionError):  # numbers of thousands of digits, brackets within brackets
                    value = None
                yield _object(number, value, line)


def read_json(path: Path, encoding: str) -> Iterator[Object]:
    """Read an array of objects, or objects one after the other, a megabyte at a time.

    Raises:
        ValueError: it is no JSON; from there on, no object can be told from the next.
    """
    decoder = _decoder()
    with open_text(path, encoding) as file:
        text, line, place, at_end = file.read(_CHUNK).removeprefix("\ufeff"), 1, 0, False
        in_array = text.lstrip().startswith("[")
        if in_array:
            place = text.index("[") + 1
        while True:
            place = _end_of(_BETWEEN.match(text, place))
            line, text, place = line + text.count("\n", 0, place), text[place:], 0
            closed = in_array and text.startswith("]")
            if closed or (not text and at_end):
                break
            try:
                value, place = decoder.raw_decode(text)
            except (ValueError, RecursionError) as error:
                if at_end or len(text) > LONGEST:
                    raise ValueError(f"line {line}: {getattr(error, 'msg', error)}") from None
                place = len(text)
            if place < len(text) or (at_end and place):
                yield _object(line, value, text[:place])
            else:  # it may go on in what was not read yet
                more = file.read(max(_CHUNK, len(text)))
                text, place, at_end = text + more, 0, not more
        rest = text[1:] + file.read(_CHUNK)
        if closed and rest.strip():
            raise ValueError(f"line {line}: something stands behind the array")
        if in_array and not closed:
            raise ValueError(f"line {line}: the array does not end; the file may have been cut off")


def _end_of(match: re.Match[str] | None) -> int:
    assert match is not None  # it may be empty
    return match.end()


def _object(line: int, value: Any, raw: str) -> Object:
    kind = fault(raw) or (None if isinstance(value, dict) else NO_OBJECT)
    return Object(line, value if isinstance(value, dict) else {}, raw, kind)


def _decoder() -> json.JSONDecoder:
    return json.JSONDecoder(object_pairs_hook=_without_repeats, parse_constant=_refuse)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name stands twice in an object")
    return values


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
