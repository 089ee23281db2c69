"""Fetch the verbatim bytes of a data set and check them.

Reads   data/sources/<dataset>/source.yaml (and the user's own files beside it)
Writes  data/raw/: source.yaml and the archive, or a copy of the user's files

    python -m pipeline.download --sources data/sources --downloads data/downloads --output data/raw
"""

import os
import shutil
from pathlib import Path

import click

from pipeline.core.command import PATH, InputError, run
from pipeline.core.folders import filling, project_root
from pipeline.core.params import read_params
from pipeline.corpus.fetching import MIRROR_VARIABLE, fetch
from pipeline.corpus.sources import SOURCE_FILE, FilesSource, find_files, read_source


def download(source_folder: Path, downloads: Path, mirror: str | None, output: Path) -> None:
    """Put the files that `sources.Reviews` needs into `output`, and no others.

    Raises:
        InputError: source.yaml is wrong; or the bytes cannot be fetched, or are not those that it pins; or `output`
            is a folder that no earlier run has written.
    """
    source = read_source(source_folder)
    if isinstance(source, FilesSource):
        _check_files(source_folder)  # or the error would name the copy
    _check_output(output, source_folder, downloads)
    try:
        with filling(output) as folder:
            if isinstance(source, FilesSource):
                shutil.copytree(source_folder, folder, dirs_exist_ok=True)
            else:
                fetch(source, downloads, mirror, folder / source.file)
                shutil.copyfile(source_folder / SOURCE_FILE, folder / SOURCE_FILE)
            shutil.rmtree(output, ignore_errors=True)
    except OSError as error:  # shutil.Error is one too
        raise InputError(f"{source_folder} could not be copied to {output}: {error}") from None


def _check_files(source_folder: Path) -> None:
    """Check that there are data. In the copy in which `dvc exp run --temp` works, those that git ignores are missing.

    Raises:
        InputError: there are none; with what brings them into the copy, where it is one.
    """
    try:
        find_files(source_folder)
    except InputError as error:
        root = project_root()
        if root.resolve() == Path.cwd() or not (root / source_folder).is_dir():
            raise
        named = [
            f"--copy-paths {path.relative_to(root)}" for files in find_files(root / source_folder) for path in files
        ]
        raise InputError(
            f"{error}. This is DVC's copy of the project, without what git ignores. Add to the command:"
            f" {' '.join(named[:5])}; or make the files known to DVC once: dvc add {source_folder}/<file>, then commit"
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
    params = read_params()
    source_folder = sources / params.dataset
    download(source_folder, downloads, os.environ.get(MIRROR_VARIABLE), output)


if __name__ == "__main__":
    run(main)
