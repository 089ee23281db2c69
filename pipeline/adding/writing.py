"""Write a data set into the project: a copy of its files, source.yaml, and its settings. All of it, or nothing."""

import filecmp
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from pipeline.adding.looking import Look
from pipeline.core.command import InputError, progress
from pipeline.core.folders import SOURCES, scratch
from pipeline.core.params import write_settings
from pipeline.corpus.files import SOURCE_FILE, find_data

_KEYS = (
    "format", "text", "label", "group", "split", "labels", "encoding", "delimiter", "quote", "header", "sheet",
    "bad_rows", "ignore_splits", "files",
)  # fmt: skip
_TEXT_KEYS = {"text", "encoding", "delimiter", "quote", "header", "sheet", "files"}  # which change the texts


def folder_of(name: str) -> Path:
    """Get the folder of a data set."""
    return Path(SOURCES) / name


def changed_keys(seen: Look, stated: Mapping[str, Any]) -> set[str]:
    """List the keys of source.yaml that have another value than before."""
    return {key for key in {*seen.source, *stated} if seen.source.get(key) != stated.get(key)}


def changes_texts(keys: set[str]) -> bool:
    """Tell if the texts are others, when these keys of source.yaml change."""
    return bool(keys & _TEXT_KEYS)


def is_there(seen: Look, target: Path) -> bool:
    """Tell if the data set is in the project already: with these files, or with none, as in a clone.

    Raises:
        InputError: it has other files.
    """
    if not target.is_dir():
        return False
    ours = {path.relative_to(seen.files.view) for path in seen.found.files}
    try:
        theirs = {path.relative_to(target) for path in find_data(target, seen.source.get("files")).files}
    except InputError:
        return True
    differ = ours ^ theirs
    if not differ:
        differ = {path for path in ours if not filecmp.cmp(seen.files.view / path, target / path, shallow=False)}
    if differ:
        raise InputError(
            f"{target} has other files than these, such as {min(differ)}. Name another data set with --name, or remove"
            f" {target}"
        )
    return True


def write_new(seen: Look, target: Path, settings: Mapping[str, Any]) -> None:
    """Write a data set that is not there yet.

    Raises:
        InputError: the disk is full, say. Then nothing of it stays.
    """
    try:
        with scratch(target.with_name(f"{target.name}.part")) as part:
            for path in progress(seen.found.files, desc="copy", unit=" files"):
                _copy(path, part / path.relative_to(seen.files.view))
            _write_source(part / SOURCE_FILE, seen.source, set(seen.source))
            part.rename(target)
        try:
            write_settings(target.name, settings)
        except BaseException:
            shutil.rmtree(target)
            raise
    except OSError as error:  # shutil.Error is one too
        raise InputError(f"{target} could not be written: {error}") from None


def write_changes(seen: Look, target: Path, keys: set[str], settings: Mapping[str, Any]) -> None:
    """Change what source.yaml and the settings of a data set say; comments stay. Bring the files that are missing.

    Args:
        seen: what was seen.
        target: the folder of the data set.
        keys: of source.yaml, to be changed.
        settings: to be changed.
    """
    for path in seen.found.files:
        copy = target / path.relative_to(seen.files.view)
        if not copy.exists():
            _copy(path, copy.with_name(f"{copy.name}.part"))
            copy.with_name(f"{copy.name}.part").replace(copy)
    if keys:
        _write_source(target / SOURCE_FILE, seen.source, keys)
    write_settings(target.name, settings)


def _copy(path: Path, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(path, copy)


def _write_source(path: Path, source: Mapping[str, Any], keys: set[str]) -> None:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    if path.exists():
        document = yaml.load(path.read_text(encoding="utf-8"))
    else:
        document = CommentedMap()
        document.yaml_set_start_comment("Written by `gatewise add`. docs/your-own-data.md explains the keys.")
    for key in (key for key in _KEYS if key in keys):
        if source.get(key) is None:
            document.pop(key, None)
        else:
            document[key] = _in_one_line(source[key])
    out = io.StringIO()
    yaml.dump(document, out)
    temporary = path.with_name(f"{path.name}.part")
    temporary.write_text(out.getvalue(), encoding="utf-8")
    temporary.replace(path)


def _in_one_line(value: Any) -> Any:
    if isinstance(value, list):
        listed = CommentedSeq(value)
        listed.fa.set_flow_style()
        return listed
    if isinstance(value, dict):
        mapped = CommentedMap({key: _in_one_line(ways) for key, ways in value.items()})
        mapped.fa.set_flow_style()
        return mapped
    return value
