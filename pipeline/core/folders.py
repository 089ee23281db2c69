"""Write folders: nothing half-written stays, and no file of somebody else is lost."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.command import InputError

SOURCES = "data/sources/"  # a folder for each data set


def project_root() -> Path:
    """Find the top folder of the user's repository, also from the temporary copy in which a DVC experiment runs."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    return here


def check_files(*paths: Path) -> None:
    """Check, before any work, that the files that a stage reads exist.

    Raises:
        InputError: a file is missing.
    """
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} is missing, or is no file. The stages before this one make it: dvc repro")


def check_ours(folder: Path, names: Collection[str]) -> None:
    """Check that a folder can be replaced: it is missing or empty, or an earlier run wrote all of it.

    Args:
        folder: the folder to replace.
        names: of the files that a run writes.

    Raises:
        InputError: `folder` is a file, or holds other files.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} must be a folder, because its files will be replaced. Received: a file")
    others = sorted(path.name for path in folder.iterdir() if path.name not in names) if folder.exists() else []
    if others:
        raise InputError(
            f"{folder} would be replaced, but it holds files that no run wrote. Name an empty or a new folder."
            f" Received: {', '.join(others[:5])}{', …' if len(others) > 5 else ''}"
        )


@contextmanager
def filling(folder: Path) -> Iterator[Path]:
    """Give a new folder to write into; when the block ends well, move its files to `folder`, else remove them.

    If the process is killed, `<folder>.part` stays, and the next run removes it.
    """
    target = folder.resolve()
    with scratch(target.with_name(f"{target.name}.part")) as part:
        yield part
        target.mkdir(exist_ok=True)
        for path in part.iterdir():
            path.replace(target / path.name)


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Make an empty folder and remove it when the block ends. Remove first what a killed run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
