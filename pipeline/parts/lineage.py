"""Where a result comes from: content hashes, the state of the repository, the machine and the versions."""

import hashlib
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

VERSIONED = ("keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "scikit-learn", "tokenizers")


def md5(path: Path) -> str:
    """Hash of a file as DVC writes it into dvc.lock."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(path: Path) -> str:
    """Hash of a file as the tags of MLflow runs hold it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def project_root() -> Path:
    """The top folder of the user's repository, also from inside the temporary copy that a DVC experiment runs in."""
    if "DVC_ROOT" in os.environ:
        return Path(os.environ["DVC_ROOT"])
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / ".dvc").is_dir():
            return folder
    return here


def git_state() -> dict[str, str]:
    """Commit of the current folder and whether files that git tracks differ from it; empty outside of git."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return {}
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {"git_commit": commit, "git_dirty": "true" if changes else "false"}


def environment() -> dict[str, str]:
    """Versions and processor: what else, besides data and parameters, can change the bits of a result."""
    versions = {}
    for package in VERSIONED:
        try:
            versions[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return {**versions, "version.python": platform.python_version(), "cpu": _processor()}


def _git(*arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
