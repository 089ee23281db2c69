"""Folders that a stage writes: nothing half-written stays, and nothing that another put there goes."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.command import InputError

SOURCES = "data/sources/"  # a folder for each data set


def project_root() -> Path:
    """The top folder of the user's repository, also from inside the temporary copy that a DVC experiment runs in."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    return here


def check_files(*paths: Path) -> None:
    """Make sure, before any work, that what a stage reads is there.

    Raises:
        InputError: a file is missing.
    """
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} is missing (or no file); the stages before this one make it: dvc repro")


def check_ours(folder: Path, names: Collection[str]) -> None:
    """Make sure that a folder which is about to be replaced holds nothing but what an earlier run left there.

    Args:
        folder: it may be missing or empty.
        names: of the files that a run writes.

    Raises:
        InputError: it is a file, or holds something else.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} must be a folder: what is in it will be replaced. It is a file")
    others = sorted(path.name for path in folder.iterdir() if path.name not in names) if folder.exists() else []
    if others:
        raise InputError(
            f"{folder} would be replaced, but holds what is not ours: {', '.join(others[:5])}"
            f"{', …' if len(others) > 5 else ''}. Name an empty or a new folder"
        )


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to write into: all in it moves over when the block ends well, and goes when it does not.

    Of a run that is killed, `<folder>.part` stays, and the next run removes it.
    """
    target = folder.resolve()
    with scratch(target.with_name(f"{target.name}.part")) as part:
        yield part
        target.mkdir(exist_ok=True)
        for path in part.iterdir():
            path.replace(target / path.name)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """An empty folder that goes when the block ends; what a killed run left of it goes before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
