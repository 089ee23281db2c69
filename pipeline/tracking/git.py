"""Ask git what is checked out, where it is to be had, and what is not committed yet."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.core.folders import project_root
from pipeline.packaging.secrets import secrets_in_changes
from pipeline.tracking.address import without_login
from pipeline.tracking.machine import MACHINE
from pipeline.tracking.paths import METRICS, RESULTS

PATCH = "uncommitted.patch"  # the artifact of an MLflow run with what git had not committed

# What the pipeline itself writes while it runs.
_WRITTEN = {"dvc.lock", METRICS.as_posix(), (RESULTS / MACHINE).as_posix()}
_LARGE = 100_000  # characters of one file's changes
_HUGE = 10_000_000  # bytes of a file of which not even the changes are looked at


def repository(commit: str) -> str:
    """Name what to `git clone` for a commit: the remote `origin` if it was pushed there, else this folder."""
    root, address = project_root(), _git("remote", "get-url", "origin")
    if not address or not _git("branch", "--remotes", "--list", "origin/*", "--contains", commit):
        return str(root)
    # A folder may be named as seen from here. Whoever clones has a login of his own.
    return str((root / address).resolve()) if (root / address).exists() else without_login(address)


def has_default_remote() -> bool:
    """Tell if DVC has a default remote."""
    return bool(_output(sys.executable, "-m", "dvc", "config", "core.remote"))


def commit(revision: str = "HEAD") -> str | None:
    """Resolve a revision to a commit, by default what git has checked out; None where there is none."""
    return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def text_at(revision: str, path: Path) -> str | None:
    """Read a file as a revision has it; None where there is none."""
    return _git("show", f"{revision}:./{path.as_posix()}")


def is_committed(path: Path) -> bool:
    """Tell if git has a file as it lies here."""
    return _git("diff", "--quiet", "HEAD", "--", str(path)) is not None and _git("ls-files", str(path)) != ""


def content(revision: str, path: Path) -> str | None:
    """Read a text file as a commit has it; None where it has none."""
    return _git("show", f"{revision}:./{path.as_posix()}")


def state() -> str:
    """Describe what is checked out, as `state_of` does."""
    changes, left_out = uncommitted_changes()
    return state_of(commit(), bool(changes or left_out), ", ".join(left_out))


def state_of(head: str | None, dirty: bool, left_out: str) -> str:
    """Describe a commit for a table, and what the working tree added to it.

    Args:
        head: the commit, if there is one.
        dirty: the working tree differed from it.
        left_out: changed files that the patch lacks.
    """
    if not head:
        return "not in git"
    return f"{head[:12]}{f' + {PATCH}' if dirty else ''}{f' (left out: {left_out})' if left_out else ''}"


def tracked_files(commit: str, folder: str) -> set[str]:
    """List the files below `folder` that a commit holds, as paths from the top of the repository."""
    return set(filter(None, (_git("ls-tree", "-r", "-z", "--name-only", commit, "--", folder) or "").split("\0")))


def uncommitted_changes() -> tuple[str, list[str]]:
    """Make the patch that turns the commit into the working tree, new files included, results left out.

    Returns:
        The patch (empty when there is nothing, or no commit), and the files left out of it: those that may hold
        secrets, with the line or the name that says so, and those that are large or not text.
    """
    if commit() is None:
        return "", []
    with tempfile.TemporaryDirectory() as folder:
        # A copy of the index learns of the new files; the user's own stays as it is.
        index = _git("rev-parse", "--git-path", "index")
        copy = Path(folder) / "index"
        if index and Path(index).exists():
            shutil.copy2(index, copy)  # with its time, by which git tells what it has to read again
        environment = {**os.environ, "GIT_INDEX_FILE": str(copy), "GIT_LITERAL_PATHSPECS": "1"}
        _git("add", "--intent-to-add", "--all", env=environment)
        names = (_git("diff", "HEAD", "--name-only", "--no-renames", "-z", env=environment) or "").split("\0")
        patch, left_out = "", []
        for name in sorted(set(filter(None, names)) - _WRITTEN):
            if Path(name).is_file() and Path(name).stat().st_size > _HUGE:
                left_out.append(name)
                continue
            diff = (
                _git("diff", "HEAD", "--no-renames", "--no-color", "--no-ext-diff", "--", name, env=environment) or ""
            )
            if not diff or len(diff) > _LARGE or "\nBinary files " in diff:
                left_out.append(name)
            elif found := secrets_in_changes(name, diff):
                left_out.append(f"{name} ({'; '.join(found[:3])}{'; …' if len(found) > 3 else ''})")
            else:
                patch += f"{diff}\n"
        return patch, left_out


def _git(*arguments: str, env: dict[str, str] | None = None) -> str | None:
    return _output("git", *arguments, env=env)


def _output(*command: str, env: dict[str, str] | None = None) -> str | None:
    """Run a command; return what it prints, or None if it fails."""
    try:
        result = subprocess.run(command, capture_output=True, check=True, env=env)
        # Not text=True, which turns CRLF into LF: such a patch would not apply.
        return result.stdout.decode().rstrip("\n")
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None
