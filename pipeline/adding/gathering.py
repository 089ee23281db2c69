"""Lay a user's files out by links, as they will lie in data/sources/<name>, for the strict reader to look at."""

import os
import re
import tempfile
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.core.command import InputError
from pipeline.corpus.files import SOURCE_FILE
from pipeline.corpus.lines import ending_of
from pipeline.corpus.names import split_named, without_split
from pipeline.corpus.tables import TABLE_ENDINGS

SPLIT_OPTIONS = ("train", "validation", "test")
_SHEETS = {".xls": "of an Excel before 2007", ".xlsb": "a binary workbook", ".ods": "of LibreOffice"}
_PACKED = {".zip": "packed", ".tar": "packed", ".tgz": "packed", ".bz2": "packed", ".xz": "packed", ".7z": "packed"}
_TABLE_AS_TEXT = {"", ".txt", ".dat", ".data", ".text", ".tab", ".psv"}
_ENDING = re.compile(r"(\.(csv|tsv|jsonl?|ndjson|parquet|arrow|xls[xm]|txt|dat|data|text|tab|psv|gz))+$", re.IGNORECASE)


@dataclass
class Gathered:
    """Hold a user's files.

    Attributes:
        name: of the data set.
        entries: where a file or folder will lie below data/sources/<name>, to where it lies.
        view: a temporary folder with a link for each entry.
        told: what the user calls all of it.
        listed: the entries that are files and were named one by one.
        given: the files and folders that the user named.
    """

    name: str
    entries: dict[str, Path]
    view: Path
    told: str
    listed: set[str] = field(default_factory=set)
    given: list[Path] = field(default_factory=list)

    def original(self, path: Path) -> Path:
        """Find the user's file behind one below `view`."""
        place = path.relative_to(self.view)
        for above in (place, *place.parents):
            if (entry := self.entries.get(above.as_posix())) is not None:
                return entry / place.relative_to(above)
        return path

    def in_words_of_user(self, text: str) -> str:
        """Put the user's names in the place of ours."""
        for place in sorted(self.entries, key=len, reverse=True):
            text = text.replace(f"{self.view}/{place}", str(self.entries[place]))
        return text.replace(str(self.view), self.told)


@contextmanager
def gathered(paths: Sequence[Path], splits: dict[str, Sequence[Path]], name: str | None) -> Iterator[Gathered]:
    """Lay files and folders out in a temporary folder, and take it away in the end.

    Args:
        paths: as the user gave them.
        splits: more of them, by the split that they are.
        name: of the data set; None: it follows from the paths.

    Raises:
        InputError: one does not exist or is of no form that can be read; or two would lie in the same place.
    """
    everything = [*paths, *(path for of_split in splits.values() for path in of_split)]
    for path in everything:
        _check(path)
    entries: dict[str, Path] = {}
    for place, path in [*_places(paths, ""), *(pair for split in splits for pair in _places(splits[split], split))]:
        if place in entries:
            raise InputError(f"{entries[place]} and {path} would both be called {place}. Rename one of them")
        entries[place] = path
    with tempfile.TemporaryDirectory() as folder:
        view = Path(folder).resolve()
        for place, path in entries.items():
            (view / place).parent.mkdir(parents=True, exist_ok=True)
            (view / place).symlink_to(path.absolute())
        listed = {place for place, path in entries.items() if path in everything and path.is_file()}
        yield Gathered(
            name or name_of(everything), entries, view, ", ".join(map(str, everything[:5])), listed, everything
        )


def name_of(paths: Sequence[Path]) -> str:
    """Name a data set after its file or folder, or after the folder around its files, in small ASCII letters.

    >>> name_of([Path("IMDB Dataset.csv.gz")]), name_of([Path("spam/train.csv"), Path("spam/test.csv")])
    ('imdb_dataset', 'spam')
    """
    path = Path(os.path.abspath(paths[0]))  # noqa: PTH100 (a link keeps its name)
    candidates = [_ENDING.sub("", path.name)] if len(paths) == 1 else []
    if len(paths) > 1 and len({without_split(_ENDING.sub("", one.name)) for one in paths}) == 1:
        candidates = [without_split(_ENDING.sub("", path.name))]
    for candidate in [*candidates, path.parent.name]:
        plain = unicodedata.normalize("NFKD", candidate).encode("ascii", "ignore").decode().lower()
        name = re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_-")
        if name and split_named(name) is None:
            return name
    return "mydata"


def _check(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist")
    ending = path.suffix.lower()
    if path.is_file() and (kind := _SHEETS.get(ending)):
        raise InputError(f"{path} is {kind}: save it as .xlsx, and add that")
    if path.is_file() and (ending in _PACKED or path.name.lower().endswith(".tar.gz")):
        raise InputError(f"{path} is packed: unpack it, and add the folder")


def _places(paths: Sequence[Path], split: str) -> list[tuple[str, Path]]:
    """Say where each file or folder will lie; of a folder alone, what is in it."""
    inside = [path for path in paths if path.is_dir()] if len(paths) == 1 else []
    if inside:
        paths = [path for path in sorted(inside[0].iterdir()) if not _is_ours(path)]
        places = [(path.name, path) for path in paths]
    else:
        are_tables = len(paths) == 1 or all(split_named(path.name) for path in paths)
        places = [(_name_of_table(path, are_tables), path) for path in paths]
    if not split:
        return places
    result = []
    for number, (place, path) in enumerate(places, start=1):
        other = path.is_file() and split_named(place) not in (None, split)  # of file names, the last word counts
        result.append((f"{split}/{number}{''.join(Path(place).suffixes)}" if other else f"{split}/{place}", path))
    return result


def _is_ours(path: Path) -> bool:
    return path.name.startswith(".") or path.name == SOURCE_FILE or path.suffix == ".dvc"


def _name_of_table(path: Path, is_table: bool) -> str:
    """Keep the name of a file; but data.txt alone is a table, and so are train.txt and test.txt: they need the ending.
    Of other .txt files, each has the texts of one label.
    """
    if path.is_dir() or path.name.lower().endswith(TABLE_ENDINGS):
        return path.name
    compressed = ".gz" if path.suffix.lower() == ".gz" else ""
    plain = path.name[: len(path.name) - len(compressed)]
    if (is_table or ending_of(path) != ".txt") and ending_of(path) in _TABLE_AS_TEXT:
        return f"{plain}.csv{compressed}"
    return path.name
