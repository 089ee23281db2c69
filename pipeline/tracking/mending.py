"""Mend what a killed process has left in a clone, where that loses nothing, and say what was mended.

Whatever cannot be mended so is told in one sentence with what to type. No MLflow and no DVC is imported for it: this
runs at the start of each `gatewise run`, which has nothing to do most of the time.
"""

import importlib.util
import json
import platform
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import yaml

from pipeline.core.command import InputError
from pipeline.core.text import counted
from pipeline.tracking.git import content
from pipeline.tracking.store import sqlite_file, sqlite_uri, store_uri

_LOCK, _RWLOCK = Path("dvc.lock"), Path(".dvc/tmp/rwlock")
_RUNS = Path(".dvc/cache/runs")
_MOMENT = 0.5  # seconds after which another process has written what it is just writing
_RUNNING = """
    SELECT tags.value, runs.start_time FROM runs JOIN tags USING (run_uuid)
    WHERE runs.status = 'RUNNING' AND runs.lifecycle_stage = 'active' AND tags.key = 'gatewise.process'
"""


def mend() -> list[str]:
    """Mend dvc.lock, DVC's file of locks, its cache of runs, and a store in a SQLite file.

    Returns:
        What was mended, or is to be mended by hand, in sentences.

    Raises:
        InputError: dvc.lock is in the middle of a merge.
    """
    told = [_mend_lock(), _mend_rwlock(), _mend_runs()]
    if (file := sqlite_file(store_uri())) is not None and file.is_file():
        told.append(_mend_store(file))
    return [sentence for sentence in told if sentence]


def left_running() -> bool:
    """Tell if the SQLite store has runs of processes of this machine that are gone; a server is not asked."""
    file = sqlite_file(store_uri())
    if file is None or not file.is_file():
        return False
    try:
        with closing(_open(file)) as store:
            return any(not is_alive(process, began) for process, began in store.execute(_RUNNING))
    except sqlite3.DatabaseError:
        return False


def is_alive(process: str, began: int | None = None) -> bool:
    """Tell if a process goes on; those of other machines are taken to.

    Args:
        process: `machine/number`.
        began: when it already ran, in milliseconds: a process that began later has its number by chance.
    """
    machine, _, number = process.rpartition("/")
    if machine != platform.node() or not number.isdigit():
        return True
    try:
        found = psutil.Process(int(number))
        created = found.create_time()
        if found.status() == psutil.STATUS_ZOMBIE:  # it has ended, and its parent has not asked how
            return False
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:  # somebody else's
        return True
    return began is None or created <= began / 1000 + 1


def _mend_lock() -> str:
    """Restore an empty or cut dvc.lock as git has it: what DVC knew since then is in its cache of runs."""
    if not _LOCK.is_file():
        return ""
    text = _LOCK.read_text(encoding="utf-8", errors="replace")
    if re.search(r"^(<<<<<<<|>>>>>>>) ", text, re.MULTILINE):
        raise InputError(
            f"{_LOCK} has the marks of a merge, and no results belong to it. `git checkout --ours {_LOCK}` takes"
            " that of your branch; then run the same command again"
        )
    if _is_lock(text):
        return ""
    kept = _set_aside(_LOCK) if text.strip() else None
    committed = content("HEAD", _LOCK)
    if committed is not None and _is_lock(f"{committed}\n"):
        part = _LOCK.with_name(f"{_LOCK.name}.part")
        part.write_text(f"{committed}\n", encoding="utf-8")
        part.replace(_LOCK)
        how = "restored as git has it"
    else:
        _LOCK.unlink(missing_ok=True)
        how = "removed, since git has none"
    old = f" ({kept} is the old one)" if kept else ""
    return f"mended: {_LOCK} was cut off by a process that was killed; it is {how}{old}"


def _is_lock(text: str) -> bool:
    """Tell if this is a whole dvc.lock. One that was cut may be valid YAML, and break DVC all the same."""
    if not text.endswith("\n"):
        return False
    try:
        read = yaml.load(text, Loader=yaml.CBaseLoader)
    except yaml.YAMLError:
        return False
    stages = read.get("stages", {}) if isinstance(read, dict) and "schema" in read else None
    return isinstance(stages, dict) and all(isinstance(stage, dict) and _is_stage(stage) for stage in stages.values())


def _is_stage(stage: dict[str, Any]) -> bool:
    """Tell if nothing of a stage is cut so that DVC cannot read it: what has no value is an empty string here."""
    params, lists = stage.get("params", {}), [stage.get(kind, []) for kind in ("deps", "outs")]
    if not (stage.get("cmd") and isinstance(params, dict) and all(isinstance(one, list) for one in lists)):
        return False
    entries = [entry for one in lists for entry in one]
    return all(isinstance(values, dict) for values in params.values()) and all(
        isinstance(entry, dict) and isinstance(entry.get("path"), str) and all(entry.values()) for entry in entries
    )


def _mend_rwlock() -> str:
    """Remove DVC's file of locks if it is cut off, and from it the locks of processes that are gone."""
    if not _RWLOCK.is_file() or _locks() is not None:
        return _release_locks()
    time.sleep(_MOMENT)
    if not _RWLOCK.is_file() or _locks() is not None:
        return ""
    _RWLOCK.unlink(missing_ok=True)
    return f"mended: {_RWLOCK} was cut off by a process that was killed; it is removed"


def _mend_runs() -> str:
    """Remove empty folders from DVC's cache of runs: it makes a folder first, and fails where nothing is in it."""
    empty = [folder for folder in _RUNS.glob("??/*") if folder.is_dir() and not any(folder.iterdir())]
    for folder in empty:
        with suppress(OSError):  # somebody writes into it just now
            folder.rmdir()
    return (
        f"mended: {counted(len(empty), 'empty folder')} in {_RUNS}, left by a process that was killed; removed"
        if empty
        else ""
    )


def _locks() -> dict[str, dict[str, Any]] | None:
    """Read DVC's locks; None: the file is no such thing."""
    try:
        read = json.loads(_RWLOCK.read_text(encoding="utf-8"))
        return read if isinstance(read, dict) and all(isinstance(kind, dict) for kind in read.values()) else None
    except FileNotFoundError:
        return {}
    except (ValueError, OSError):
        return None


def _release_locks() -> str:
    """Release the locks of processes that are gone: DVC takes one whose number is still there for alive.

    Another process may have it now, or the killed one has it until its parent has asked how it ended.
    """
    locks, written = _locks() or {}, _RWLOCK.stat().st_mtime if _RWLOCK.is_file() else 0.0
    holders = {int(info["pid"]) for info in _holders(locks) if isinstance(info, dict) and "pid" in info}
    mine = partial(is_alive, began=int(written * 1000))
    if not holders or any(mine(f"{platform.node()}/{number}") for number in holders):
        return ""
    _RWLOCK.unlink(missing_ok=True)
    numbers = ", ".join(map(str, sorted(holders)))
    return f"mended: the locks of DVC's process {numbers}, which is gone, are removed"


def _holders(locks: dict[str, dict[str, Any]]) -> Iterator[Any]:
    for kind in locks.values():
        for info in kind.values():
            yield from info if isinstance(info, list) else [info]


def _mend_store(file: Path) -> str:
    """Set a half-made store without a run aside, so that the next run makes a new one."""
    if file.stat().st_size == 0:
        return ""  # MLflow makes its tables in it
    try:
        with closing(_open(file)) as store:
            tables = {name for (name,) in store.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            version = _first(store, "SELECT version_num FROM alembic_version") if "alembic_version" in tables else None
            runs = _first(store, "SELECT count(*) FROM runs") if "runs" in tables else 0
    except sqlite3.OperationalError:  # locked, or not ours to read: MLflow will say so
        return ""
    except sqlite3.DatabaseError:
        return (
            f"warning: {file.name} is no database, so MLflow records nothing. `mv {file} {file}.damaged` sets it aside;"
            " the next `gatewise run` makes a new one and writes the runs of what is on disk"
        )
    newest = _newest_version()
    if version is not None and (newest is None or version == newest):
        return ""
    if runs:
        return (
            f"warning: {file.name} has {runs} runs, and tables of another version of MLflow."
            f" `cp {file} {file}.before && mlflow db upgrade {sqlite_uri(file)}` brings it to this one"
        )
    aside = _set_aside(file)
    return f"mended: {file.name} was half made by a process that was killed; it has no run, and is {aside} now"


def _newest_version() -> str | None:
    """Find out, without MLflow, which version of the tables it makes: the one that no other is made from."""
    found = importlib.util.find_spec("mlflow")
    if found is None or not found.submodule_search_locations:
        return None
    texts = [
        path.read_text(encoding="utf-8")
        for path in Path(found.submodule_search_locations[0], "store/db_migrations/versions").glob("*.py")
    ]

    def named(name: str) -> set[str]:
        form = re.compile(rf"^{name}\s*(?::[^=]*)?=\s*[\"'](\w+)[\"']", re.MULTILINE)
        return {match[1] for text in texts if (match := form.search(text))}

    newest = named("revision") - named("down_revision")
    return newest.pop() if len(newest) == 1 else None


def _first(store: sqlite3.Connection, question: str) -> Any:
    row = store.execute(question).fetchone()
    return row[0] if row else None


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)


def _set_aside(file: Path) -> str:
    """Rename a file, with what SQLite has beside it; return the new name."""
    new = f"{file.name}.damaged-{datetime.now():%Y%m%d-%H%M%S}"
    for end in ("-journal", "-wal", "-shm"):
        beside = file.with_name(file.name + end)
        if beside.exists():
            beside.replace(file.with_name(new + end))
    file.replace(file.with_name(new))
    return new
