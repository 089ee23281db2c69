"""Hash files and folders, as DVC and MLflow know them."""

import hashlib
import json
from pathlib import Path


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

    What Python compiled is left out, as .dvcignore says.
    """
    paths = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    files = [(path.relative_to(folder), path) for path in paths]
    listed = [{"md5": md5(path), "relpath": relative.as_posix()} for relative, path in files]
    listed.sort(key=lambda entry: entry["relpath"])
    digest = hashlib.md5(json.dumps(listed, sort_keys=True).encode(), usedforsecurity=False)
    return f"{digest.hexdigest()}.dir"
