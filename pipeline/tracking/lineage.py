"""Where a result comes from: content hashes, the state of the repository, the machine and the versions."""

import fnmatch
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.folders import SOURCES, project_root
from pipeline.core.hashes import folder_md5, md5

PATCH = "uncommitted.patch"  # the artifact of an MLflow run with what git had not committed
MACHINE = "machine.json"  # beside the results: on what the models were trained
VERSIONED = ("keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "scikit-learn", "tokenizers")

# What the pipeline itself writes while it runs.
_RESULTS = {"dvc.lock", "data/results/metrics.json", f"data/results/{MACHINE}"}
_VECTORS = ("avx512f", "avx2", "avx")
_GENERATION = {"family": "cpu family", "model": "model", "stepping": "stepping"}
_LARGE = 100_000  # characters of one file's changes
_HUGE = 10_000_000  # bytes of a file of which not even the changes are looked at
_SECRET_FILES = (".env*", ".netrc", "*.pem", "*.key", "id_*", "*credential*", "*secret*", "*password*", "config.local")
_SECRET_LINE = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_\w{30,}|\bhf_\w{30,}|\bsk-[\w-]{16,}"
    r"|\bxox[a-z]-[\w-]{10,}|\bglpat-[\w-]{16,}|\bBearer\s+[\w.~+/=-]{16,}|://[^\s/:@\"']+:[^\s/@\"']+@"
    r"|\b[A-Z][A-Z0-9_]*(TOKEN|PASS|CREDENTIALS?|_KEY)[\"']?[ \t]*[:=][ \t]*[\"']?[^\s\"'(){}]{8,}"
    r"|(?i:(password|passwd|secret|api_?key|access_?key|(auth|access)_?token)[\"']?[ \t]*[:=][ \t]*[\"']?[^\s\"']{6,})"
)


def repository(commit: str) -> str:
    """What to `git clone` to have a commit: the remote `origin`, if it has been pushed there, or the folder itself."""
    root, address = project_root(), _git("remote", "get-url", "origin")
    if not address or not _git("branch", "--remotes", "--list", "origin/*", "--contains", commit):
        return str(root)
    # A folder may be named as seen from here.
    return str((root / address).resolve()) if (root / address).exists() else address


def has_default_remote() -> bool:
    """Whether DVC knows where to push to and pull from."""
    return bool(_output(sys.executable, "-m", "dvc", "config", "core.remote"))


def commit(revision: str = "HEAD") -> str | None:
    """The commit that a revision means, by default what git has checked out; None where there is none."""
    return _git("rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")


def state() -> str:
    """What is checked out, in the words of `state_of`."""
    changes, left_out = uncommitted_changes()
    return state_of(commit(), bool(changes or left_out), ", ".join(left_out))


def state_of(head: str | None, dirty: bool, left_out: str) -> str:
    """For a table: the commit, and whether that was all.

    Args:
        head: the commit, if there is one.
        dirty: the working tree differed from it.
        left_out: changed files that the patch lacks.
    """
    if not head:
        return "not in git"
    return f"{head[:12]}{f' + {PATCH}' if dirty else ''}{f' (left out: {left_out})' if left_out else ''}"


def environment() -> dict[str, str]:
    """Versions and processor: what else, besides data and parameters, can change the bits of a result."""
    versions = {}
    for package in VERSIONED:
        try:
            versions[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return {**versions, "version.python": platform.python_version(), "cpu": _processor()}


def dependencies(stage: str, item: Mapping[str, Any]) -> dict[str, str]:
    """MD5 of everything that a stage of dvc.yaml depends on, and of the data set's source folder, where all begins.

    These are the hashes that dvc.lock has once the stage is done.

    Args:
        stage: its name in dvc.yaml.
        item: `model` and `seed`, where dvc.yaml has one stage for each.
    """
    pipeline_file = Path("dvc.yaml")
    if not pipeline_file.is_file():
        return {}
    stages = YAML(typ="safe").load(pipeline_file.read_text(encoding="utf-8"))["stages"]
    values = {f"item.{name}": str(value) for name, value in item.items()}
    named = (_filled(dep, values) for dep in stages.get(stage, {}).get("deps", []))
    found = {path: digest for path in named if (digest := _digest(Path(path))) is not None}
    return found | _source(_locked())


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Put values into the `${…}` of a path in dvc.yaml."""
    return re.sub(r"\$\{([\w.]+)\}", lambda match: values.get(match[1], match[0]), template)


def locked_dependencies(stage: str, output: Path) -> dict[str, str]:
    """MD5 of every file that a stage read when it wrote a folder, and of the data set's source folder, by dvc.lock.

    Args:
        stage: as dvc.lock names it, such as `train@lstm-1`.
        output: the folder.

    Returns:
        Nothing if dvc.lock has other files in that folder, or if the tree has other code or parameters than made them.
    """
    locked = _locked()
    if stage not in locked or _hashes(locked[stage], "outs").get(output.as_posix()) != folder_md5(output):
        return {}
    return _hashes(locked[stage], "deps") | _source(locked) if _is_made_here(stage, locked) else {}


def _locked() -> dict[str, Any]:
    """The stages in dvc.lock."""
    file = Path("dvc.lock")
    stages: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))["stages"] if file.is_file() else {}
    return stages


def _hashes(stage: dict[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, [])}


def _source(locked: dict[str, Any]) -> dict[str, str]:
    # DVC has just hashed the source folder for `download`; the data may be too large to do so in every stage.
    deps = _hashes(locked.get("download", {}), "deps")
    return {path: digest for path, digest in deps.items() if path.startswith(SOURCES)}


def _is_made_here(stage: str, locked: dict[str, Any]) -> bool:
    """Whether the tree has the code and parameters of a stage and of those before it, which made what it read."""
    makers = {path: (name, digest) for name in locked for path, digest in _hashes(locked[name], "outs").items()}
    for path, digest in _hashes(locked[stage], "deps").items():
        maker, made = makers.get(path, (None, None))
        if maker is not None:
            if made != digest or not _is_made_here(maker, locked):
                return False
        elif not path.startswith(SOURCES) and _digest(Path(path)) != digest:
            return False
    return all(
        value_of(YAML(typ="safe").load(Path(file).read_text(encoding="utf-8")), name) == value
        for file, values in locked[stage].get("params", {}).items()
        for name, value in values.items()
    )


def _digest(path: Path) -> str | None:
    """The hash that DVC gives to a file or folder; None where there is neither."""
    if path.is_dir():
        return folder_md5(path)
    return md5(path) if path.is_file() else None


def value_of(params: Any, name: str) -> Any:
    """`train.units` in nested mappings; None where there is no such thing."""
    for key in name.split("."):
        params = params.get(key) if isinstance(params, dict) else None
    return params


def tracked_files(commit: str, folder: str) -> set[str]:
    """The files below `folder` that a commit holds, as paths from the top of the repository."""
    return set(filter(None, (_git("ls-tree", "-r", "-z", "--name-only", commit, "--", folder) or "").split("\0")))


def uncommitted_changes() -> tuple[str, list[str]]:
    """What `git apply` needs to turn the commit into the working tree, new files included, results left out.

    Returns:
        The patch (empty when there is nothing, or no commit), and the files left out of it: those that may hold
        secrets, by their name or by a line of theirs, and those that are large or not text.
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
        for name in sorted(set(filter(None, names)) - _RESULTS):
            if Path(name).is_file() and Path(name).stat().st_size > _HUGE:
                left_out.append(name)
                continue
            diff = (
                _git("diff", "HEAD", "--no-renames", "--no-color", "--no-ext-diff", "--", name, env=environment) or ""
            )
            if not diff or len(diff) > _LARGE or "\nBinary files " in diff or _may_hold_secrets(name, diff):
                left_out.append(name)
            else:
                patch += f"{diff}\n"
        return patch, left_out


def _may_hold_secrets(name: str, diff: str) -> bool:
    file = Path(name).name.lower()
    return any(fnmatch.fnmatch(file, pattern) for pattern in _SECRET_FILES) or bool(_SECRET_LINE.search(diff))


def _git(*arguments: str, env: dict[str, str] | None = None) -> str | None:
    return _output("git", *arguments, env=env)


def _output(*command: str, env: dict[str, str] | None = None) -> str | None:
    """What a command prints, or None if it fails."""
    try:
        result = subprocess.run(command, capture_output=True, check=True, env=env)
        # Not text=True, which turns CRLF into LF: such a patch would not apply.
        return result.stdout.decode().rstrip("\n")
    except (OSError, subprocess.CalledProcessError, UnicodeDecodeError):
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    # The widest vectors decide how sums are split up, and so their last bits; so may the generation, which the name
    # of a virtual processor does not tell.
    vectors = next((kind for kind in _VECTORS if kind in facts.get("flags", "").split()), platform.machine())
    numbers = [f"{name} {facts[key]}" for name, key in _GENERATION.items() if key in facts]
    return ", ".join([facts.get("model name", platform.machine()), *numbers, vectors])
