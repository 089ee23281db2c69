"""The plan of the house, as the tests hold it against the code: stages, floors, imports, and who watches a stage."""

import ast
from functools import cache
from pathlib import Path
from typing import Any

from conftest import ROOT
from ruamel.yaml import YAML

DVC: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())


STAGES = list(DVC["stages"])


PIPELINE_FILES = sorted((ROOT / "pipeline").rglob("*.py"))


@cache
def imports(path: Path) -> set[Path]:
    """The files of this project that a file names in import statements."""
    names = imported_names(path)
    found = {ROOT / f"{name.replace('.', '/')}.py" for name in names}
    found |= {ROOT / name.replace(".", "/") / "__init__.py" for name in names}
    return {file for file in found if file.is_file()}


@cache
def imported_names(path: Path) -> set[str]:
    """The modules, and what is taken from them, that a file names in import statements."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


@cache
def all_imports(path: Path, left_out: frozenset[Path] = frozenset()) -> set[Path]:
    """The same as `imports`, with what the imported files import in turn; what is left out is not followed."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in found and file not in left_out:
            found.add(file)
            waiting += imports(file)
    return found


# Who a stage tells what it does. Nothing there can change a byte of an output, so DVC need not know of it.
WATCHING = {
    "train": "pipeline/tracking/watching.py",
    "baseline": "pipeline/tracking/watching.py",
    "evaluate": "pipeline/tracking/publishing.py",
}


# From the ground up: a folder imports from those before it, and from no other. ARCHITECTURE.md has the same order.
FLOORS = [
    "cells", "core", "corpus", "tokens", "trained", "networks", "linear", "inside", "comparison", "reporting",
    "explaining", "adding", "packaging", "tracking", "serving",
]  # fmt: skip
