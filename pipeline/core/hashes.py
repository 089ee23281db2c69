"""Hash files and folders, as DVC and MLflow know them."""

import hashlib
import json
from fnmatch import fnmatch
from pathlib import Path

# As in .dvcignore; a test compares with DVC.
_FOLDERS = ("__pycache__", ".ipynb_checkpoints", ".*.part")
_FILES = ("*~", ".#*", "#*#", ".*.sw?", ".DS_Store")


def md5(path: Path) -> str:
    """Hash a file as DVC does in dvc.lock."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def sha256(path: Path) -> str:
    """Hash a file as the tags of MLflow runs do."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_md5(folder: Path) -> str:
    """Hash a folder as DVC does in dvc.lock: the list of its files, each with its hash.

    What Python compiles, and what editors and killed stages leave, is left out, as .dvcignore says.
    """
    files = [(path.relative_to(folder), path) for path in folder.rglob("*") if path.is_file()]
    files = [(relative, path) for relative, path in files if not _is_ignored(relative)]
    listed = [{"md5": md5(path), "relpath": relative.as_posix()} for relative, path in files]
    listed.sort(key=lambda entry: entry["relpath"])
    digest = hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False)
    return f"{digest.hexdigest()}.dir"


def _is_ignored(path: Path) -> bool:
    folders = any(fnmatch(name, pattern) for name in path.parts[:-1] for pattern in _FOLDERS)
    return folders or any(fnmatch(path.name, pattern) for pattern in _FILES)
