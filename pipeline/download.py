"""Fetch the verbatim bytes of a data set and check them.

Reads   data/sources/<dataset>/source.yaml (and the user's own files beside it)
Writes  data/raw/: source.yaml and the archive, or a copy of the user's files

    python -m pipeline.download --source data/sources/rotten_tomatoes --downloads data/downloads --output data/raw
"""

import argparse
import os
import shutil
from pathlib import Path

from pipeline.parts.command import InputError, run
from pipeline.parts.fetching import MIRROR_VARIABLE, fetch
from pipeline.parts.sources import SOURCE_FILE, FilesSource, find_files, read_source


def download(source_folder: Path, downloads: Path, mirror: str | None, output: Path) -> None:
    """Leave in `output` what `sources.read` needs, and nothing else.

    Raises:
        InputError: source.yaml is wrong, or the bytes cannot be had or are not those that it pins.
    """
    source = read_source(source_folder)
    if isinstance(source, FilesSource):
        find_files(source_folder)  # or the error would name the copy
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    if isinstance(source, FilesSource):
        try:
            shutil.copytree(source_folder, output, dirs_exist_ok=True)
        except (OSError, shutil.Error) as error:
            raise InputError(f"{source_folder} could not be copied to {output}: {error}") from None
    else:
        fetch(source, downloads, mirror, output / source.file)
        shutil.copyfile(source_folder / SOURCE_FILE, output / SOURCE_FILE)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fetch the verbatim bytes of a data set and check them.")
    parser.add_argument("--source", type=Path, required=True, help="folder of the data set, with its source.yaml")
    parser.add_argument("--downloads", type=Path, required=True, help="where dropped and unfinished archives lie")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    download(arguments.source, arguments.downloads, os.environ.get(MIRROR_VARIABLE), arguments.output)


if __name__ == "__main__":
    run(main)
