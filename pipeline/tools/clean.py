"""Show how much disk the parts of a project take, and remove those that can be made again, or that are asked for."""

import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from dvc.exceptions import DvcException
from dvc.repo import Repo
from filelock import FileLock, Timeout
from tabulate import tabulate

from pipeline.core.command import InputError, run, waiting
from pipeline.core.folders import project_root
from pipeline.core.params import read_params
from pipeline.tools.arguments import Tool
from pipeline.tools.run import LOCK
from pipeline.tracking.address import without_login
from pipeline.tracking.paths import LEFTOVERS, MEMORY, MODELS
from pipeline.tracking.store import deleted_artifacts, sqlite_file, store_uri
from pipeline.trained.trained import BASELINE

_DOWNLOADS = Path("data/downloads")
_PAGES = (Path("data/explain"), Path("data/compare"), Path("dvc_plots"))
_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class Part:
    """Something that takes room and can be removed.

    Attributes:
        what: what it is.
        paths: the files and folders that go.
        again: how it is made again; empty: it cannot be, and is removed only when it is named.
        remove: removes it.
    """

    what: str
    paths: Sequence[Path]
    again: str
    remove: Callable[[], None]

    @property
    def size(self) -> int:
        """Add up the bytes."""
        return sum(map(size_of, self.paths))


def size_of(path: Path) -> int:
    """Add up the bytes of a file or folder; 0 of what is not there. Links are not followed."""
    if path.is_symlink() or not path.exists():
        return 0
    if path.is_file():
        return path.stat().st_size
    with os.scandir(path) as entries:
        return sum(size_of(Path(entry)) for entry in entries)


def parts() -> dict[str, Part]:
    """List what can be removed, of the project in the current folder."""
    params = read_params()
    named = {*params.networks, BASELINE}
    models = [path for folder in (MODELS, MEMORY) for path in folder.glob("[!.]*") if path.stem not in named]
    models += sorted(LEFTOVERS.glob("*"))
    pages = [path for path in _PAGES if path.exists()]
    unused, runs = unused_cache(), deleted_artifacts()
    downloads = sorted(_DOWNLOADS.glob("*"))
    return {
        "cache": Part("results in DVC's cache that no commit needs", unused, "gatewise run", _remover(unused)),
        "models": Part("models that params.yaml does not name", models, "gatewise run", _remover(models)),
        "pages": Part("pages of explain, compare and dvc plots", pages, "the same command", _remover(pages)),
        "runs": Part("runs that you have deleted in MLflow", runs, "", _forget_runs),
        "downloads": Part("archives in data/downloads", downloads, "", _remover(downloads)),
    }


def unused_cache() -> list[Path]:
    """List the files in DVC's cache that neither the files here nor any commit, branch, tag or experiment needs.

    `dvc gc --all-commits` reads every commit, which takes minutes in a long history. Only those count in which dvc.lock
    or a .dvc file changed. A cache outside of the project may be shared with others: nothing of it is listed.
    """
    logging.getLogger("dvc").setLevel(logging.ERROR)  # or each commit without dvc.lock is told
    changed = ["git", "rev-list", "--all", "--full-history", "--", "dvc.lock", "*.dvc"]
    with waiting("look what in DVC's cache is needed"), Repo() as repo:
        cache = repo.cache.local
        if not Path(cache.path).is_relative_to(repo.root_dir):
            return []
        commits = subprocess.run(changed, capture_output=True, text=True, check=True).stdout.split()
        try:
            with repo.lock:
                used = repo.used_objs(revs=commits, force=True)
        except DvcException as error:
            told = error.__cause__ or error
            raise InputError(f"what of DVC's cache is needed cannot be told: {told}. `gatewise run` mends it") from None
        needed = {str(item.value) for items in used.values() for item in items}
        return [Path(cache.oid_to_path(name)) for name in cache.all() if name not in needed]


def _remover(paths: Iterable[Path]) -> Callable[[], None]:
    def remove() -> None:
        for path in paths:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.chmod(0o644)  # DVC's cache is read-only, which some systems do not remove
                path.unlink()

    return remove


def _forget_runs() -> None:
    """Have MLflow remove what the user has deleted there."""
    command = [sys.executable, "-m", "mlflow", "gc", "--backend-store-uri", store_uri()]
    done = subprocess.run(
        command, env={**os.environ, "MLFLOW_TRACKING_URI": store_uri()}, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise InputError(f"mlflow gc failed: {without_login(done.stderr).strip().splitlines()[-1]}")


def kept() -> list[tuple[str, str, int]]:
    """List what this command leaves alone: what it is, how it goes all the same, and its bytes."""
    root, store = project_root(), sqlite_file(store_uri())
    data = [path for path in (root / "data").glob("*") if path.name != _DOWNLOADS.name]
    rows = [
        ("data and results", "", data),
        ("MLflow's runs and models", "gatewise clean runs, of those deleted in the UI", [root / "mlartifacts"]),
        ("all of DVC's cache", "dvc gc --workspace: older commits lose their results", [root / ".dvc" / "cache"]),
        (".venv", "make clean", [root / ".venv"]),
    ]
    rows[1][-1].extend([store] if store else [])
    return [(what, how, sum(map(size_of, paths))) for what, how, paths in rows]


def _amount(size: float) -> str:
    """Write bytes for people.

    >>> _amount(3_500_000_000)
    '3.5 GB'
    """
    for unit in _UNITS:
        if size < 1000 or unit == _UNITS[-1]:
            break
        size /= 1000
    return f"{size:.1f} {unit}" if size < 10 and unit != _UNITS[0] else f"{size:.0f} {unit}"


def table(found: dict[str, Part]) -> str:
    """Show the sizes of all parts, and what else takes room."""
    rows = [(name, _amount(part.size), part.what, part.again or "cannot be") for name, part in found.items()]
    others = [("", _amount(size), what, how) for what, how, size in kept()]
    can = tabulate(rows, headers=["part", "size", "what it is", "is made again by"], disable_numparse=True)
    stays = tabulate(others, headers=["", "size", "what stays", "goes with"], disable_numparse=True)
    return f"{can}\n\n{stays}"


@click.command(cls=Tool)
@click.argument("names", metavar="[PART]...", nargs=-1)
@click.option("--yes", is_flag=True, help="Remove. Without it, the command only shows what would go.")
def main(names: tuple[str, ...], yes: bool) -> None:
    """Show how much disk the project takes, and remove what can be made again.

    Without a PART, that is all that one command makes again: cache, models and pages. Runs that you deleted in MLflow
    and downloads go only when you name them. Commits, and all that they need, stay. So do your sources.

    \b
    Examples:
      gatewise clean                   # shows the parts and their sizes
      gatewise clean --yes             # removes what can be made again
      gatewise clean runs --yes        # removes for good what you deleted in MLflow
    """
    found = parts()
    unknown = [name for name in names if name not in found]
    if unknown:
        raise click.UsageError(f"PART must be one of {', '.join(found)}. Received: {unknown[0]}")
    chosen = [name for name, part in found.items() if (name in names if names else part.again)]
    size = _amount(sum(found[name].size for name in chosen))
    if not yes:
        print(table(found))
        words = " ".join(["gatewise clean", *names, "--yes"])
        print(f"\nNothing is removed yet. `{words}` removes {', '.join(chosen)}: {size}.")
        return
    try:
        with FileLock(LOCK, timeout=0):
            for name in chosen:
                found[name].remove()
    except Timeout:
        raise InputError("a pipeline runs in this folder. Wait until it ends") from None
    print(f"removed {', '.join(chosen)}: {size}")


if __name__ == "__main__":
    run(main)
