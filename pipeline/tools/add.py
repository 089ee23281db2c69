"""From a file as it lies to a data set: look at it, say what it is, and write what a run needs."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from pipeline.adding.gathering import gathered
from pipeline.adding.looking import Look, look
from pipeline.adding.settings import FITTED_TO_CLASSES, FITTED_TO_TEXTS, fit, known_settings, minutes, what_stops
from pipeline.adding.telling import description, duration
from pipeline.adding.writing import changed_keys, changes_texts, folder_of, is_there, write_changes, write_new
from pipeline.core.command import PATH, InputError, run
from pipeline.core.folders import SOURCES
from pipeline.core.params import TrainParams, move_blocks, preset_values, read_params
from pipeline.corpus.sources import SOURCE_FILE, FilesSource, read_source
from pipeline.tools.arguments import Tool
from pipeline.tools.side_by_side import default_jobs

_TAB = ("tab", "\\t")


def add(
    paths: Sequence[Path], splits: dict[str, Sequence[Path]], name: str | None, asked: Mapping[str, Any], dry: bool
) -> list[str]:
    """Look at files and make a data set of them.

    Args:
        paths: files and folders.
        splits: more of them, by the split that they are.
        name: of the data set; None: after the files.
        asked: what the user wants, by the keys of source.yaml.
        dry: write nothing.

    Returns:
        What to tell.

    Raises:
        InputError: the files cannot be used. Nothing is written then.
    """
    if not paths and not any(splits.values()):
        paths = [_folder_of_known(name)]
    held_out = [option for option in ("test", "validation") if splits.get(option)]
    if held_out and not (paths or splits.get("train")):
        raise InputError(f"--train must name texts to learn from. Received: --{' and --'.join(held_out)} alone")
    if len(paths) == 1 and name is None:
        name = _name_in_project(paths[0])
    with gathered(paths, splits, name) as files:
        target = _checked_folder(files.name)
        stated = _stated(target)
        seen = look(files, stated, asked)
        exists = is_there(seen, target)
        fitted = fit(seen.portrait)
        keys = changed_keys(seen, stated)
        known = known_settings(files.name) if exists else {}
        anew = _fitted_anew(keys, seen, known) if known else set(fitted.values)
        changes = {key: value for key, value in fitted.values.items() if key in anew}
        values = {**fitted.values, **known, **changes}
        stops = _what_stops(seen, values)
        told = [description(files.name, seen, fitted, values, stops), ""]
        if not dry:
            told += move_blocks()
            _write(seen, target, exists, keys, changes)
        told.append(_what_was_written(seen, target, exists, keys, changes, dry))
    if stops:
        return [*told, f"then, when the warning is mended: make repro DATASET={target.name}"]
    try:
        params = read_params()
        preset = (known or fitted.values).get("preset")
        train = params.train if params.dataset == target.name else _brought(params.train, preset)
    except InputError as error:  # a dry run looks all the same
        return [*told, f"before a run, mend this: {error}", f"then: make repro DATASET={target.name}"]
    jobs = default_jobs()
    time = duration(minutes(seen.portrait, fitted, train, len(params.networks), jobs))
    side_by_side = f", {jobs} networks at once" if jobs > 1 else ""
    return [*told, f"a run takes {time}{side_by_side}: make repro DATASET={target.name}"]


def _brought(train: TrainParams, preset: str | None) -> TrainParams:
    """Give the network that a data set brings when it is selected."""
    of_preset = preset_values(preset) if preset else {}
    return train.model_copy(update={key: of_preset[key] for key in TrainParams.model_fields.keys() & of_preset})


def _what_stops(seen: Look, values: Mapping[str, Any]) -> str | None:
    try:
        seed = read_params().preprocess.seed
    except InputError:
        seed = 1
    return what_stops(seen.portrait, values, seen.source.get("labels"), seed)


def _folder_of_known(name: str | None) -> Path:
    if name is None:
        raise InputError("name the files or folders to add; --help has examples")
    if not folder_of(name).is_dir():
        raise InputError(f"{folder_of(name)} does not exist: name the files or folders to add")
    return folder_of(name)


def _name_in_project(path: Path) -> str | None:
    """Get the name of the data set that a folder, or a file in it, is already; None, if it lies elsewhere."""
    place, sources = path.absolute(), Path(SOURCES).absolute()
    folder = place.parent if place.parent.parent == sources and path.is_file() else place
    return folder.name if folder.parent == sources and folder.is_dir() else None


def _checked_folder(name: str) -> Path:
    """Get the folder of a data set.

    Raises:
        InputError: it cannot be called so, or is one that comes with gatewise.
    """
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise InputError(f"--name must have letters from a to z, digits, - and _ alone. Received: {name!r}")
    return folder_of(name)


def _stated(target: Path) -> dict[str, Any]:
    """Read what source.yaml says today; nothing, if there is none."""
    if not (target / SOURCE_FILE).is_file():
        return {}
    source = read_source(target)
    if not isinstance(source, FilesSource):
        raise InputError(f"{target.name} is a data set that comes with gatewise. Name yours otherwise: --name")
    keys = {key: value for key, value in source.model_dump().items() if value is not None}
    return {"delimiter": None, "quote": "none", **keys}


def _fitted_anew(keys: set[str], seen: Look, known: Mapping[str, Any]) -> set[str]:
    """List the settings that change with these keys of source.yaml."""
    names = set(FITTED_TO_TEXTS) if changes_texts(keys) else set()
    other_labels = bool(keys & {"label", "labels"})
    if keys & {"split", "ignore_splits", "files"} or (other_labels and _what_stops(seen, known)):
        names |= set(FITTED_TO_CLASSES)
    return names


def _write(seen: Look, target: Path, exists: bool, keys: set[str], settings: Mapping[str, Any]) -> None:
    if exists:
        write_changes(seen, target, keys, settings)
    else:
        write_new(seen, target, settings)


def _what_was_written(
    seen: Look, target: Path, exists: bool, keys: set[str], settings: Mapping[str, Any], dry: bool
) -> str:
    parts = []
    if not exists:
        number = len(seen.found.files)
        parts.append(f"{target} ({'a copy' if number == 1 else f'copies of {number:,} files'}, and source.yaml)")
        parts.append(f"{target}.yaml (the settings)")
    elif keys:
        parts.append(f"{target / SOURCE_FILE} ({', '.join(sorted(keys))})")
    if exists and settings:
        parts.append(f"{target}.yaml ({', '.join(settings)})")
    if not parts:
        return "nothing to change"
    return f"{'would write' if dry else 'wrote'} {' and '.join(parts)}"


@click.command(cls=Tool)
@click.argument("path", nargs=-1, type=PATH)
@click.option("--name", help="Of the data set. Default: after the file or folder.")
@click.option("--text", help="The column with the text.")
@click.option("--label", help="The column with the label.")
@click.option("--group", help="A column: texts of one group never stand in two splits.")
@click.option("--split", help="A column: train, validation or test.")
@click.option("--train", multiple=True, type=PATH, metavar="PATH...", help="Files or folders to train on.")
@click.option("--validation", multiple=True, type=PATH, metavar="PATH...", help="The same, to validate with.")
@click.option("--test", multiple=True, type=PATH, metavar="PATH...", help="The same, to test with.")
@click.option("--encoding", help="Of text files, by its name in Python.")
@click.option("--delimiter", help="Between the fields of a row; or tab.")
@click.option("--quote", help="Around fields; or none.")
@click.option("--header/--no-header", default=None, help="The first row names the columns, or is data.")
@click.option("--sheet", help="Of an Excel workbook.")
@click.option(
    "--bad-rows",
    type=click.Choice(["refuse", "set_aside"]),
    help="What becomes of rows that cannot be read. Default: set aside if they are 2 % or fewer.",
)
@click.option("--ignore-splits", is_flag=True, default=None, help="Mix the split that the data bring.")
@click.option("--dry-run", is_flag=True, help="Look and tell; write nothing.")
def main(
    path: tuple[Path, ...],
    name: str | None,
    train: tuple[Path, ...],
    validation: tuple[Path, ...],
    test: tuple[Path, ...],
    dry_run: bool,
    **asked: Any,
) -> None:
    """Make a data set of your files.

    PATH is a table (CSV or the like, JSON, JSON Lines, Parquet, Excel, .gz of text forms), several of one kind, or a
    folder: of tables, of a file per label, or of a folder per label. How the files are written, and which columns are
    text and label, is found out, told, and stated in data/sources/NAME/source.yaml. Settings that fit the texts go
    into data/sources/NAME.yaml.

    Nothing is asked. What is found wrongly, say with an option: a second run changes that alone.

    \b
    Examples:
      gatewise add ~/spam.csv
      gatewise add ~/spam.csv --label kind
      gatewise add --name news --train news_train.jsonl --test news_test.jsonl
      gatewise add ~/aclImdb --dry-run
    """
    keys = {key: value for key, value in asked.items() if value is not None}
    if keys.get("delimiter") in _TAB:
        keys["delimiter"] = "\t"
    splits: dict[str, Sequence[Path]] = {"train": train, "validation": validation, "test": test}
    print("\n".join(add(path, splits, name, keys, dry_run)))


if __name__ == "__main__":
    run(main)
