"""Fetch the verbatim bytes of a data set and check them.

Reads   data/sources/<dataset>/source.yaml (and the user's own files beside it)
Writes  data/raw/: source.yaml and the archive, or a copy of the user's data

    python -m pipeline.download --sources data/sources --downloads data/downloads --output data/raw
"""

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import click

from pipeline.core.command import PATH, InputError, progress, run
from pipeline.core.folders import project_root, replacing
from pipeline.core.params import move_blocks, read_params
from pipeline.corpus.fetching import MIRROR_VARIABLE, fetch
from pipeline.corpus.files import find_data
from pipeline.corpus.sources import SOURCE_FILE, FilesSource, Reviews, read_source


def download(source_folder: Path, downloads: Path, mirror: str | None, output: Path) -> list[str]:
    """Put the files that `sources.Reviews` needs into `output`, and no others.

    Returns:
        Sentences about what was used of the user's own files, and what was not.

    Raises:
        InputError: source.yaml is wrong; or the bytes cannot be fetched, or are not those that it pins; or `output` is
            a folder that no earlier run has written.
        BadRowsError: the user's own files hold what cannot be read.
    """
    source = read_source(source_folder)
    data = _find(source_folder, source.files) if isinstance(source, FilesSource) else []
    _check_output(output, source_folder, downloads)
    reviews = Reviews(source, source_folder)
    try:
        with replacing(output) as folder:
            if isinstance(source, FilesSource):
                # All of it is read before anything is copied: or the report would name the copy.
                for _ in progress(reviews, desc="check files", unit=" tables"):
                    pass
                _copy(data, source_folder, folder)
            else:
                fetch(source, downloads, mirror, folder / source.file)
            shutil.copyfile(source_folder / SOURCE_FILE, folder / SOURCE_FILE)
    except OSError as error:  # shutil.Error is one too
        raise InputError(f"{source_folder} could not be copied to {output}: {error}") from None
    return [*reviews.notes, *(f"warning: {warning}" for warning in reviews.warnings)]


def _copy(files: list[Path], source: Path, target: Path) -> None:
    for path in progress(files, desc="copy", unit=" files"):
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def _find(source_folder: Path, patterns: Sequence[str] | None) -> list[Path]:
    """Find the data. In the copy in which `dvc exp run --temp` works, those that git ignores are missing.

    Raises:
        InputError: there are none; with what brings them into the copy, where it is one.
    """
    try:
        return find_data(source_folder, patterns).files
    except InputError as error:
        root = project_root()
        if root.resolve() == Path.cwd() or not (root / source_folder).is_dir():
            raise
        there = [path.relative_to(root) for path in find_data(root / source_folder, patterns).files]
        named = [f"--copy-paths {path}" for path in there[:5]]
        raise InputError(
            f"{error}. This is DVC's copy of the project, without what git ignores. Add to the command:"
            f" {' '.join(named)}; or make the files known to DVC once: dvc add {source_folder}/<file>, then commit"
        ) from None


def _check_output(output: Path, source_folder: Path, downloads: Path) -> None:
    """Check that `output` may be replaced: a mistyped path must not cost data that a user has collected."""
    target, kept = output.resolve(), [source_folder.resolve().parent, downloads.resolve()]
    if any(folder.is_relative_to(target) or target.is_relative_to(folder) for folder in kept):
        raise InputError(
            f"--output must lie outside the sources and the downloads, because it is replaced. Received: {output}"
        )
    if output.exists() and not (output.is_dir() and ((output / SOURCE_FILE).is_file() or not any(output.iterdir()))):
        raise InputError(f"{output} would be replaced, but no download has written it: {SOURCE_FILE} is missing there")


@click.command(help="Fetch the verbatim bytes of a data set and check them.")
@click.option("--sources", type=PATH, required=True, help="folder with a folder per data set")
@click.option("--downloads", type=PATH, required=True, help="where dropped and unfinished archives lie")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(sources: Path, downloads: Path, output: Path) -> None:
    if "DVC_STAGE" in os.environ:  # or DVC would not find the parameters of the next stage
        for moved in move_blocks():
            print(moved)
    params = read_params()
    source_folder = sources / params.dataset
    for note in download(source_folder, downloads, os.environ.get(MIRROR_VARIABLE), output):
        print(note)


if __name__ == "__main__":
    run(main)
