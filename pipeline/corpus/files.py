"""Find the data among the files of a folder, as they come: tables, texts, and the split that each is of.

What is hidden, and what systems and editors leave, is no data. README and LICENSE stop nothing.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from pipeline.core.command import InputError
from pipeline.corpus.lines import ending_of
from pipeline.corpus.names import is_unlabelled, is_unsure_split, split_named, without_split
from pipeline.corpus.tables import TABLE_ENDINGS

SOURCE_FILE = "source.yaml"

_LEFT_BY_SYSTEMS = {"__macosx", "thumbs.db", "desktop.ini"}
_DOCUMENT = re.compile(
    r"(readme|licen[cs]e|copying|notice|citation|authors|change(log|s)|contributing)(\.(md|txt|rst|html|pdf|bib|cff))?"
    # What others' tools write beside data.
    r"|(state|dataset_infos?|dataset_dict|dataset-metadata|datapackage|metadata|config|package)\.json",
    re.IGNORECASE,
)
_FEW_NOTES = 4  # files beside folders of texts may be about them
_MANY_LABELS = 50  # more files in a folder are texts, whatever they are called
_NO_TEXT_ENDINGS = (
    "|.xls|.ods|.doc|.docx|.pdf|.zip|.tar|.tgz|.bz2|.xz|.7z|.rar|.pkl|.pickle|.npy|.npz|.h5|.db|.sqlite|.feather"
    "|.avro|.orc|.rds|.rdata|.mat|.png|.jpg|.jpeg|.gif|.svg|.mp3|.wav|.exe|.so|.pyc|"
)


@dataclass
class Found:
    """Hold the data of a folder, each list in order.

    Attributes:
        tables: files of rows.
        lines: .txt files named after a label, one text a line.
        texts: files of one text each, in a folder named after a label.
        with_splits: the folders of texts are named after label and split: good-train.
        splits: what names of files and folders say; missing where they say nothing, or the same of all.
        unsure: a file that may have been held out, by its name, where others are named train; empty: none.
        passed_over: names of files that are not read.
    """

    tables: list[Path] = field(default_factory=list)
    lines: list[Path] = field(default_factory=list)
    texts: list[Path] = field(default_factory=list)
    with_splits: bool = False
    splits: dict[Path, str] = field(default_factory=dict)
    unsure: str = ""
    passed_over: list[str] = field(default_factory=list)

    @property
    def files(self) -> list[Path]:
        return [*self.tables, *self.lines, *self.texts]


def find_data(folder: Path, patterns: Sequence[str] | None = None) -> Found:
    """Find the data in a folder. Links are followed.

    Args:
        folder: the data set's.
        patterns: of the files that are data, such as `*.csv`; None: all files that look like data.

    Raises:
        InputError: there are none; or a link leads nowhere; or something is neither a file nor a folder.
    """
    files = sorted(path for path in _walk(folder, frozenset()) if path != folder / SOURCE_FILE)
    names = {path: path.relative_to(folder).as_posix() for path in files}
    if patterns is not None:
        data = [path for path in files if any(fnmatch(names[path], pattern) for pattern in patterns)]
    else:
        data = [path for path in files if _looks_like_data(path)]
    found = Found(tables=[path for path in data if path.name.lower().endswith(TABLE_ENDINGS)])
    _find_texts(found, folder, [path for path in data if path not in set(found.tables)])
    if not found.files:
        others = [*([SOURCE_FILE] if (folder / SOURCE_FILE).exists() else []), *names.values()] or ["no file"]
        raise InputError(
            f"{folder} holds no data: expected tables ({', '.join(TABLE_ENDINGS)}), <label>/<any name> with a text,"
            f" or <label>.txt with a text a line. It has: {', '.join(others[:6])}{', …' if len(others) > 6 else ''}"
        )
    taken = set(found.files)
    found.passed_over = [names[path] for path in files if path not in taken]
    found.splits = _splits(found, folder)
    found.unsure = _unsure(found, folder)
    return found


def label_of_lines(found: Found, path: Path) -> str:
    """Get the label of a file with a text a line: its name, less the split if all of these files name one."""
    label = re.split(r"\.txt(?:\.gz)?$", path.name, flags=re.IGNORECASE)[0]
    return without_split(label) if all(split_named(file.name) for file in found.lines) else label


def label_of_text(found: Found, path: Path) -> str:
    """Get the label of a file of one text: the name of its folder, less the split if all of these folders name one."""
    return without_split(path.parent.name) if found.with_splits else path.parent.name


def _walk(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:  # a link that leads back
        return
    for path in folder.iterdir():
        name = path.name
        if name.startswith((".", "~$")) or name.endswith(("~", ".dvc")) or name.casefold() in _LEFT_BY_SYSTEMS:
            continue
        if path.is_dir():
            yield from _walk(path, above | {real})
        elif path.is_file():
            yield path
        elif path.exists():
            raise InputError(f"{path} is neither a file nor a folder")
        else:
            raise InputError(f"{path} is a link that leads nowhere")


def _looks_like_data(path: Path) -> bool:
    if _DOCUMENT.fullmatch(path.name):
        return False
    if path.suffix.lower() == ".arrow":
        return _is_saved_part(path)
    return f"|{ending_of(path)}|" not in _NO_TEXT_ENDINGS


def _is_saved_part(path: Path) -> bool:
    """Tell a part of a data set from the caches that Hugging Face datasets leaves beside it."""
    try:
        files = json.loads((path.parent / "state.json").read_text(encoding="utf-8"))["_data_files"]
        return path.name in {file["filename"] for file in files}
    except (OSError, ValueError, KeyError, TypeError):
        return not path.name.startswith("cache-")


def _find_texts(found: Found, folder: Path, files: list[Path]) -> None:
    """Sort out the files that are no tables: only a folder without folders of data holds texts."""
    above = {parent for path in [*files, *found.tables] for parent in path.parent.parents}
    leaves = [path for path in files if path.parent != folder and path.parent not in above]
    if found.tables:
        found.texts = [path for path in leaves if is_unlabelled(path.parent.name) and ending_of(path) == ".txt"]
        return
    names = {path.parent.name for path in leaves if not is_unlabelled(path.parent.name)}
    per_split = bool(names) and all(split_named(name) for name in names)  # train/pos.txt: no folder is a label
    found.with_splits = per_split and _name_labels_too(leaves)
    if leaves and not per_split:
        _check_that_no_label_is_passed_over(folder, files, leaves)
    if leaves and (not per_split or found.with_splits):
        found.texts = leaves
    else:
        top = [path for path in files if path.parent == folder and path.parent not in above]
        found.lines = [path for path in [*top, *leaves] if ending_of(path) == ".txt"]


def _check_that_no_label_is_passed_over(folder: Path, files: list[Path], leaves: list[Path]) -> None:
    """Check that no folder holds many texts beside folders of texts, which alone would be read.

    Raises:
        InputError: one does.
    """
    taken = set(leaves)
    beside = Counter(path.parent for path in files if path not in taken and path.parent != folder)
    for parent, number in beside.items():
        below = sorted({path.parent for path in leaves if parent in path.parents})
        if below and number > max(_FEW_NOTES, len(below)) and not split_named(parent.name):
            raise InputError(
                f"{parent} holds {number:,} files beside the folder {below[0].name}, and a folder of texts is a label."
                " Move the files into a folder of their own, or the folder elsewhere"
            )


def _name_labels_too(texts: list[Path]) -> bool:
    """Tell if folders that all name a split name labels, too: good-train, good-test, bad-train, bad-test.

    Where all of them hold the same few files, these are the labels: books-train/pos.txt.
    """
    splits: dict[str, set[str | None]] = {}
    files: dict[Path, set[str]] = {}
    for path in texts:
        if not is_unlabelled(path.parent.name):
            splits.setdefault(without_split(path.parent.name), set()).add(split_named(path.parent.name))
            files.setdefault(path.parent, set()).add(path.name)
    names = [*files.values()]
    same_few = len(names[0]) <= _MANY_LABELS and all(one == names[0] for one in names)
    return len(splits) > 1 and max(map(len, splits.values())) > 1 and not same_few


def _unsure(found: Found, folder: Path) -> str:
    """Name a file that may have been held out, for a test or for validation, beside files that are to be learnt."""
    parts = _parts(found, folder)
    if not any(split_named(part) == "train" for of_file in parts.values() for part in of_file):
        return ""
    unsure = (path for path, of_file in parts.items() if any(map(is_unsure_split, of_file)))
    return next((path.relative_to(folder).as_posix() for path in unsure), "")


def _parts(found: Found, folder: Path) -> dict[Path, list[str]]:
    """List the names that may speak of a split: of a file and its folders; the folder of a text is its label."""
    texts, less = set(found.texts), -1 if found.with_splits else -2
    parts = {path: [*path.relative_to(folder).parts] for path in found.files}
    return {path: names[:less] if path in texts else names for path, names in parts.items()}


def _splits(found: Found, folder: Path) -> dict[Path, str]:
    """Read the splits from names, the file's first, then its folders'. One split for all of the data is none."""
    splits = {
        path: next(filter(None, map(split_named, reversed(names))), None)
        for path, names in _parts(found, folder).items()
    }
    named = {split or "train" for split in splits.values()} - {"unlabelled"}
    if len(named) < 2:
        return {path: split for path, split in splits.items() if split == "unlabelled"}
    return {path: split for path, split in splits.items() if split is not None}
