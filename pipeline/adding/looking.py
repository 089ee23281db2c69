"""Look at a user's files with the reader that `download` and `preprocess` read with, and make their source.yaml.

What the user states goes before what is found. What is found is stated in source.yaml, and never guessed again.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import Any

import pandas as pd

from pipeline.adding.columns import (
    Chosen,
    choose_group,
    choose_label,
    choose_split,
    choose_text,
    is_column_name,
    is_text_and_label,
)
from pipeline.adding.dialects import find_dialect, has_header, with_other_quote
from pipeline.adding.encodings import find_encoding
from pipeline.adding.gathering import Gathered
from pipeline.adding.portraits import Portrait
from pipeline.core.command import InputError, progress
from pipeline.core.text import counted, valid_unicode
from pipeline.corpus.files import Found, find_data
from pipeline.corpus.labels import LabelsError, alike
from pipeline.corpus.lines import Dialect, ending_of
from pipeline.corpus.names import split_named, without_split
from pipeline.corpus.problems import EMPTY, BadRowsError, Problem, Problems
from pipeline.corpus.sheets import SHEET_ENDINGS, hidden_rows, sheet_names, wider_row
from pipeline.corpus.sources import FilesSource, Reviews, checked_source
from pipeline.corpus.tables import SEPARATED_ENDINGS, column_names, sample_rows

_SAMPLE_ROWS = 4000
_FEW_BAD = 0.02  # of the rows: these are set aside; with more, the file is probably written in another way
_MOSTLY_FINE = 0.2  # of the rows, at the most, are bad in a file whose quotes are quotes
_WITHOUT_ENCODING = (".parquet", ".arrow", *SHEET_ENDINGS)
_FIRST_ROWS = 20  # of which one may be the names of the columns, below a title
_MOST_STATED = 20  # labels; more would make source.yaml long


@dataclass
class Look:
    """Hold what was seen.

    Attributes:
        source: what source.yaml has to say.
        why: the reason for a key of it, in words.
        portrait: what the texts are like.
        problems: the rows that are set aside.
        files: those that are data, below the view.
        notes: what else a user should know, in sentences.
        unused: columns that are none of ours.
        found: files by kind.
    """

    source: dict[str, Any]
    files: Gathered
    found: Found
    why: dict[str, str] = field(default_factory=dict)
    portrait: Portrait = field(default_factory=Portrait)
    problems: Problems = field(default_factory=Problems)
    notes: list[str] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)


@dataclass
class _Reading:
    """Hold what one passage over all rows gave; `error` is what stops a run, if anything does."""

    portrait: Portrait
    problems: Problems
    notes: list[str]
    error: InputError | None

    @property
    def bad(self) -> int:
        return self.problems.counts.total() - self.problems.counts[EMPTY]

    @property
    def is_unreadable(self) -> bool:
        """Tell if something else than labels stops a run."""
        return self.error is not None and not isinstance(self.error, LabelsError)


def look(files: Gathered, stated: Mapping[str, Any], asked: Mapping[str, Any]) -> Look:
    """Look at all rows.

    Args:
        files: the user's.
        stated: what source.yaml says today; empty, if there is none.
        asked: what the user wants otherwise, by the keys of source.yaml.

    Raises:
        InputError: the files cannot be used as they are; the message has the user's names for them.
    """
    try:
        return _look(files, stated, asked)
    except InputError as error:
        raise type(error)(files.in_words_of_user(str(error))) from None


def _look(files: Gathered, stated: Mapping[str, Any], asked: Mapping[str, Any]) -> Look:
    source = {"format": "files", **stated, **asked}
    if "label" in asked and asked["label"] != stated.get("label"):
        source.pop("labels", None)  # they are of another column
    _checked(source)
    seen = Look(source, files, find_data(files.view, source.get("files")))
    _find_encoding(seen)
    try:
        dialect = _find_dialect(seen)
        if seen.found.tables:
            _find_columns(seen, dialect, asked, is_new=not stated)
    except InputError as error:
        raise InputError(f"{error}{_of_a_table_per_label(seen)}") from None
    _check_that_all_is_read(seen)
    reading = _read(seen, seen.source)
    if not ("quote" in stated or "quote" in asked):
        reading = _with_the_quote_that_fits(seen, dialect, reading)
    reading = _with_labels_joined(seen, reading)
    _decide(seen, reading)
    _note_hidden_rows(seen)
    if "labels" not in source and ("label" in asked or not stated) and len(seen.portrait.classes) <= _MOST_STATED:
        source["labels"] = sorted(seen.portrait.classes)
    return seen


def _of_a_table_per_label(seen: Look) -> str:
    """Say what to do, if the tables may be named after the labels of their texts."""
    names = {without_split(path.name.partition(".")[0]) for path in seen.found.tables}
    if len(names) < 2 or "label" in seen.source:
        return ""
    return (
        f". If each file holds the texts of one label ({', '.join(sorted(names)[:3])}), make one table of them with a"
        " column for the label, or .txt files with one text a line"
    )


def _find_encoding(seen: Look) -> None:
    found = seen.found
    plain = [path for path in [*found.tables, *found.lines] if ending_of(path) not in _WITHOUT_ENCODING]
    if (plain or found.texts) and "encoding" not in seen.source:
        seen.source["encoding"], seen.why["encoding"] = find_encoding(plain, found.texts)


def _find_dialect(seen: Look) -> Dialect:
    """Find how tables are written, and state it. What is no text table has no dialect but an encoding."""
    source = seen.source
    encoding = source.get("encoding", "utf-8")
    tables = [path for path in _largest_first(seen.found.tables) if ending_of(path) in SEPARATED_ENDINGS]
    if not tables:
        return _find_sheet(seen, encoding)
    if {"delimiter", "quote", "header"} <= source.keys():
        return _checked(source).dialect
    dialect = find_dialect(tables, source, encoding)
    if dialect.delimiter is not None:
        source.setdefault("delimiter", dialect.delimiter)
    source.setdefault("quote", dialect.quote or "none")
    if "header" not in source:
        rows = sample_rows(tables[0], dialect, _SAMPLE_ROWS)
        source["header"], seen.why["header"] = has_header(rows)
    return replace(dialect, header=source["header"], sheet=source.get("sheet"))


def _find_sheet(seen: Look, encoding: str) -> Dialect:
    """Find which sheet of the largest workbook is the table, and whether it has a header.

    Raises:
        InputError: it has several tables.
    """
    source = seen.source
    books = [path for path in _largest_first(seen.found.tables) if ending_of(path) in SHEET_ENDINGS]
    if books and "sheet" not in source:
        try:
            names = sheet_names(books[0])
        except (ValueError, OSError) as error:
            raise InputError(f"{books[0]} cannot be read as a workbook: {error}") from None
        tables = [name for name in names if len(column_names(books[0], Dialect(sheet=name))) > 1]
        if len(names) > 1 and len(tables) != 1:
            raise InputError(
                f"{books[0]} has several sheets: {', '.join(names)}. Name one with --sheet, or save each as a file"
            )
        if len(names) > 1:
            source["sheet"], seen.why["sheet"] = tables[0], "the only one with several columns"
    dialect = Dialect(encoding, header=source.get("header", True), sheet=source.get("sheet"))
    if books and "header" not in source:
        rows = sample_rows(books[0], replace(dialect, header=False), _SAMPLE_ROWS)
        source["header"], seen.why["header"] = has_header(rows)
    return replace(dialect, header=source.get("header", True))


def _note_hidden_rows(seen: Look) -> None:
    """Tell of rows that Excel hides."""
    for book in (path for path in seen.found.tables if ending_of(path) in SHEET_ENDINGS):
        if hidden := hidden_rows(book, seen.source.get("sheet")):
            seen.notes.append(
                f"{seen.files.original(book)} hides {counted(len(hidden), 'row')} from view, the first of them row"
                f" {hidden[0]}; what stands there is read as all else is"
            )


def _find_columns(seen: Look, dialect: Dialect, asked: Mapping[str, Any], is_new: bool) -> None:
    """Choose the columns by the largest table, and leave out the tables that do not have them."""
    source, tables = seen.source, _largest_first(seen.found.tables)
    sample = sample_rows(tables[0], dialect, _SAMPLE_ROWS)
    if "header" in seen.why:  # else it is stated
        _check_first_row(seen, tables[0], dialect)
    # What has no name, or half a character in it, cannot be stated in source.yaml.
    names = [name for name in map(str, sample) if name.strip() and valid_unicode(name) == name]
    sample = sample.loc[:, names]
    _check_sample(sample, tables[0])

    def wanted(key: str) -> str | None:
        """Get a column that is asked for; or stated, and there: another delimiter makes other columns."""
        return source[key] if key in asked or source.get(key) in sample.columns else None

    split = choose_split(sample, [], wanted("split")) if is_new or wanted("split") else None
    no_label = [split.name] if split else []
    text = choose_text(sample.drop(columns=no_label), wanted("text"))
    label = choose_label(sample, [text.name, *no_label], wanted("label"))
    chosen = {"text": text, "label": label, "group": choose_group(sample, wanted("group")), "split": split}
    for key, column in chosen.items():
        if column is None:
            source.pop(key, None)
        else:
            source[key], seen.why[key] = column
    names = [column.name for column in chosen.values() if column]
    used = set(names)
    if len(used) < len(names):
        raise InputError(f"one column cannot be two things. Received: {_told(chosen)}")
    seen.unused = [str(name) for name in sample if name not in used]
    _leave_out_others(seen, dialect, used)


def _check_first_row(seen: Look, path: Path, dialect: Dialect) -> None:
    """Check that no title stands above the names of the columns.

    Raises:
        InputError: one does, or what looks like one.
    """
    if ending_of(path) not in (*SEPARATED_ENDINGS, *SHEET_ENDINGS):
        return
    rows = sample_rows(path, replace(dialect, header=False), _SAMPLE_ROWS)
    first = rows.head(_FIRST_ROWS).fillna("").to_numpy().tolist()
    filled = [[field.strip() for field in fields if field.strip()] for fields in first]
    alone = len(filled[0]) == 1 and not is_column_name(filled[0][0])
    more = "" if len(rows.columns) > 1 else _wider_row(path, dialect.sheet)
    if alone and sum(len(fields) > 1 for fields in filled[1:]) > len(filled[1:]) / 2:
        more = "the rows below it have more"
    place = next((place for place in range(1, len(filled)) if _are_names(rows, place)), 0)
    where = "row" if ending_of(path) in SHEET_ENDINGS else "line"
    if place and not any(map(is_column_name, filled[0])):
        shown = ", ".join(map(repr, filled[0])) or "an empty row"
        received = f"{shown}, and such names in {where} {rows.index[place]}"
    elif alone and more:
        received = f"{filled[0][0]!r} alone, and {more}"
    else:
        return
    raise InputError(
        f"{path}: the first row must be the names of the columns, or the first text with its label. Received:"
        f" {received}. If it is a title, remove what stands above the table; if not, say --header or --no-header"
    )


def _are_names(rows: pd.DataFrame, place: int) -> bool:
    """Tell if a row has the name of a text and that of a label, which come in no other row."""
    row = [str(field or "").strip() for field in rows.iloc[place]]
    named = [number for number, field in enumerate(row) if is_column_name(field)]
    once = all((rows.iloc[:, number].fillna("").str.strip() == row[number]).sum() == 1 for number in named)
    return once and is_text_and_label([row[number] for number in named])


def _wider_row(path: Path, sheet: str | None) -> str:
    """Name a row of a sheet that shows more cells than the first one."""
    wide = wider_row(path, sheet) if ending_of(path) in SHEET_ENDINGS else None
    return f"more cells in row {wide}" if wide else ""


def _check_sample(sample: pd.DataFrame, path: Path) -> None:
    if sample.empty:
        raise InputError(f"{path} holds no rows that can be read")
    if len(sample) == 1 and ending_of(path) == ".json":
        inside = [name for name, value in sample.iloc[0].items() if isinstance(value, list)]
        if inside or any(isinstance(value, dict) for value in sample.iloc[0]):
            lists = f"; {', '.join(map(repr, inside[:5]))} in it is a list: save that alone, if it has the texts"
            raise InputError(
                f"{path} must be a list of objects, one for each text. Received: one object for all of them"
                f"{lists if inside else ''}"
            )


def _told(chosen: Mapping[str, Chosen | None]) -> str:
    return ", ".join(f"{key} {column.name!r}" for key, column in chosen.items() if column)


def _leave_out_others(seen: Look, dialect: Dialect, used: set[str]) -> None:
    """Name the tables that have the columns, if others lie beside them.

    Raises:
        InputError: the user has named one that has not.
    """
    others = {path: used - set(column_names(path, dialect)) for path in seen.found.tables}
    others = {path: missing for path, missing in others.items() if missing}
    if not others:
        return
    for path, missing in others.items():
        if path.relative_to(seen.files.view).as_posix() in seen.files.listed:
            raise InputError(f"{path} has no column {sorted(missing)[0]!r}, which the other files have")
        note = f"not read, because it has no column {sorted(missing)[0]!r}: {seen.files.original(path)}"
        if split := split_named(path.stem):
            note += f". Its name speaks of the {split} split, and the texts are split without it"
        seen.notes.append(note)
    kept = [path for path in seen.found.files if path not in others]
    seen.source["files"] = [escape(path.relative_to(seen.files.view).as_posix()) for path in kept]
    seen.found = find_data(seen.files.view, seen.source["files"])


def _check_that_all_is_read(seen: Look) -> None:
    """Check that every file or folder that the user named gives texts.

    Raises:
        InputError: one gives none.
    """
    read = [seen.files.original(path) for path in seen.found.files]
    for given in seen.files.given:
        if not any(given == path or given in path.parents for path in read):
            raise InputError(
                f"{given} gives no texts beside {read[0]}: all files must be of one kind, tables or texts."
                " Leave it out, or write both in one way"
            )


def _with_the_quote_that_fits(seen: Look, dialect: Dialect, reading: _Reading) -> _Reading:
    """See whether quotes are meant otherwise than the first rows look, if rows are bad. Labels are no reason."""
    tables = [path for path in seen.found.tables if ending_of(path) in SEPARATED_ENDINGS]
    is_fine = reading.bad == 0 and not reading.is_unreadable
    if not tables or is_fine or dialect.quote not in ('"', None):
        return reading
    other = with_other_quote(dialect, tables)
    if other is None:
        return reading
    changed = seen.source | {"quote": other.quote or "none"}
    again = _read(seen, changed)
    if dialect.quote == '"' and _is_broken_by(reading, again):
        return reading
    if not again.is_unreadable and (reading.is_unreadable or again.bad < reading.bad):
        seen.source["quote"], seen.why["quote"] = changed["quote"], "so more rows can be read"
        return again
    return reading


def _is_broken_by(quoted: _Reading, plain: _Reading) -> bool:
    """Tell if quotes that are read as letters stand around most texts, or cut rows so that other labels come.

    Then one quote that never closes, in a file that is fine otherwise, has made the rows bad: they are to be told.
    """
    rows = quoted.portrait.rows
    if quoted.is_unreadable or quoted.bad > _MOSTLY_FINE * (rows + quoted.bad):
        return False
    texts = [text for text, _ in plain.portrait.texts.values()]
    around = sum(text.startswith('"') for text in texts)
    classes = plain.portrait.classes
    others = sum(number for label, number in classes.items() if label not in quoted.portrait.classes)
    return around > len(texts) / 2 or others > _FEW_BAD * sum(classes.values())


def _with_labels_joined(seen: Look, reading: _Reading) -> _Reading:
    """Take labels that differ by blanks, case or the writing of a number for one, and state it."""
    classes = reading.portrait.classes
    if reading.error is None or "labels" in seen.source or len(classes) > 1000:
        return reading
    joined = {max(ways, key=classes.__getitem__).strip(): ways for ways in alike(classes)}
    if len(joined) == 1 or all(ways == [label] for label, ways in joined.items()):
        return reading
    changed = seen.source | {"labels": joined}
    again = _read(seen, changed)
    if again.error is not None:
        return reading
    seen.source["labels"] = joined
    for label, ways in joined.items():
        if others := [f"{way!r} ({classes[way]:,})" for way in ways if way != label]:
            seen.notes.append(f"taken for the label {label!r}: {', '.join(others)}")
    return again


def _read(seen: Look, keys: Mapping[str, Any]) -> _Reading:
    """Read all rows, and go on where bad ones are."""
    source = _checked({**keys, "bad_rows": "set_aside"})
    problems, portrait = Problems(of_tool=True), Portrait()
    reviews = Reviews(source, seen.files.view, _with_users_names(seen.files, problems.add))
    try:
        for table in progress(reviews, desc="look at the texts", unit=" tables"):
            portrait.add(table)
    except InputError as error:
        return _Reading(portrait, problems, [], error)
    return _Reading(portrait, problems, [*reviews.notes, *reviews.warnings], None)


def _checked(keys: Mapping[str, Any]) -> FilesSource:
    source = checked_source(dict(keys), "the options")
    assert isinstance(source, FilesSource)  # its format is `files`
    return source


def _with_users_names(files: Gathered, keep: Callable[[Problem], None]) -> Callable[[Problem], None]:
    return lambda one: keep(replace(one, file=str(files.original(files.view / one.file))))


def _decide(seen: Look, reading: _Reading) -> None:
    """Take what was read, if a run could learn from it.

    Raises:
        InputError: it could not.
    """
    portrait, source = reading.portrait, seen.source
    if reading.error is not None:
        raise reading.error
    few = reading.bad <= _FEW_BAD * (portrait.rows + reading.bad)
    if reading.bad and source.get("bad_rows", "set_aside" if few else "refuse") == "refuse":
        try:
            reading.problems.check()
        except BadRowsError as error:
            others = ", or go on without them: --bad-rows set_aside" if portrait.rows else ""
            raise BadRowsError(f"{error}{others}") from None
    if reading.bad:
        source["bad_rows"] = "set_aside"
    if len(portrait.classes) < 2:
        given = Counter(portrait.classes).most_common(3)
        named = ", ".join(f"{label!r} ({counted(number, 'text')})" for label, number in given) or "no text with a label"
        raise InputError(f"at least two labels are needed to learn from. Received: {named}")
    seen.portrait, seen.problems = portrait, reading.problems
    # What was left out is told already.
    said = ("splits in the names", *(("not read",) if "files" in source else ()))
    seen.notes += [note for note in reading.notes if not note.startswith(said)]


def _largest_first(paths: Sequence[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: (-path.stat().st_size, path))
