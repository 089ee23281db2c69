"""Write folders: nothing half-written stays, and no file of somebody else is lost."""

import fcntl
import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.core.command import InputError

_WRITER = "process"  # the file that says who writes
SOURCES = "data/sources/"  # a folder for each data set
STAGES_LOCK = Path(".dvc/tmp/gatewise-stages.lock")  # held as long as stages run that `gatewise run` has begun


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

    Other files of `folder` stay. If the process is killed, `.<folder>.part` stays, and the next run removes it.

    Raises:
        InputError: another process is writing `folder`.
    """
    with _beside(folder) as part:
        yield part
        target = folder.resolve()
        target.mkdir(exist_ok=True)
        for path in part.iterdir():
            path.replace(target / path.name)


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a new folder to write into; when the block ends well, it takes the place of `folder`, else it is removed.

    It has the same name. If the process is killed, `.<folder>.part` stays, and the next run removes it.

    Raises:
        InputError: another process is writing `folder`.
    """
    with _beside(folder) as part:
        yield part
        target = folder.resolve()
        if target.exists():
            target.replace(part.with_name(f"{part.name}.old"))
        part.replace(target)


@contextmanager
def writing(file: Path) -> Iterator[Path]:
    """Give a path to write to; when the block ends well, the file takes the place of `file`.

    Raises:
        InputError: another process is writing `file`.
    """
    with _beside(file) as part:
        yield part / file.name
        (part / file.name).replace(file.resolve())


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """Make an empty folder of the same name within `.<folder>.part`, which no other process has at the same time."""
    target = folder.resolve()
    place = target.with_name(f".{target.name}.part")
    with _alone(place, folder):
        try:
            _empty(place)
            (place / _WRITER).write_text(str(os.getpid()))
            (place / target.name).mkdir()
            yield place / target.name
        finally:
            shutil.rmtree(place, ignore_errors=True)


@contextmanager
def _alone(place: Path, folder: Path) -> Iterator[None]:
    """Make a folder, if it is not there, and keep others out of this block for it.

    The lock is one of the system on the folder itself (`flock`), which ends with the process, whatever ends that. So
    there is no number of a process to be believed, which may be another one's by now.
    """
    number = None
    while number is None:
        number = _locked(place, folder)
    try:
        yield
    finally:
        os.close(number)


def _locked(place: Path, folder: Path) -> int | None:
    """Open and lock a folder; None if whoever had it has removed it meanwhile."""
    place.mkdir(parents=True, exist_ok=True)
    try:
        number = os.open(place, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(number)
        raise InputError(
            f"{folder} is being written by another process ({_writer(place)}). Wait until it ends, or stop it, and run"
            " this again"
        ) from None
    except OSError:  # a file system without locks
        return number
    if place.exists() and os.path.samestat(os.fstat(number), place.stat()):
        return number
    os.close(number)
    return None


def _writer(place: Path) -> str:
    try:
        return f"number {int((place / _WRITER).read_text())}"
    except (OSError, ValueError):
        return "it has just begun or ended"


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextmanager
def scratch(folder: Path) -> Iterator[Path]:
    """Make an empty folder and remove it when the block ends. Remove first what a killed run left there."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
