"""The project's own files agree with each other: dvc.yaml with imports and parameters, README with what exists."""

import ast
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT
from ruamel.yaml import YAML

from pipeline.parts.params import read_params

DVC: dict[str, Any] = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())
STAGES = list(DVC["stages"])
PIPELINE_FILES = sorted((ROOT / "pipeline").rglob("*.py"))
LIGHT_STAGES = ["download", "preprocess"]


def imports(path: Path) -> Iterator[Path]:
    """The files of this project that a file names in import statements."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            file = ROOT / f"{name.replace('.', '/')}.py"
            if file.is_file():
                yield file


def all_imports(path: Path) -> set[Path]:
    """The same, with what the imported files import in turn."""
    found: set[Path] = set()
    waiting = [path]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imports(file)
    return found


def params_read(path: Path) -> set[str]:
    """What a stage's script reads of params.yaml, in the words of dvc.yaml: every `params.a.b` in its code."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        parts: list[str] = []
        inner: ast.expr | ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if parts and isinstance(inner, ast.Name) and inner.id == "params":
            found.add(".".join(parts).replace("data.", "datasets.${dataset}."))
    if "networks" in found:  # the names of the runs
        found |= {"models", "seeds"}
    # `params.train` is part of `params.train.units`: only the longest chains are what is read.
    return {name for name in found if not any(other.startswith(f"{name}.") for other in found)} - {"data", "networks"}


def text_commands(markdown: str) -> list[str]:
    """The lines of the fenced shell blocks that are commands: those behind a `$`, or all where there is none."""
    commands = []
    for block in re.findall(r"```(?:console|bash|sh)\n(.*?)```", markdown, re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        commands += prompted or [line for line in lines if line.strip() and not line.startswith("#")]
    return [command.partition("  #")[0].strip() for command in commands]


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_its_script_and_all_it_imports(stage: str) -> None:
    needed = {file.relative_to(ROOT).as_posix() for file in all_imports(ROOT / "pipeline" / f"{stage}.py")}
    declared = {dep for dep in DVC["stages"][stage]["deps"] if dep.startswith("pipeline/")}
    assert declared == needed


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_declares_exactly_the_parameters_that_it_reads(stage: str) -> None:
    assert set(DVC["stages"][stage].get("params", [])) == params_read(ROOT / "pipeline" / f"{stage}.py")


@pytest.mark.parametrize("stage", STAGES)
def test_each_path_of_a_command_is_a_dep_or_leads_to_one_or_is_an_out(stage: str) -> None:
    content = DVC["stages"][stage]
    kinds = ("deps", "outs", "metrics", "plots")
    known = [path if isinstance(path, str) else next(iter(path)) for kind in kinds for path in content.get(kind, [])]
    paths = [word for word in shlex.split(content["cmd"]) if word.startswith("data/")]
    # Dropped and unfinished archives are no part of the result.
    missing = [path for path in paths if not any(f"{k}/".startswith(f"{path}/") for k in known)]
    assert missing == (["data/downloads"] if stage == "download" else [])


def test_only_evaluate_depends_on_the_test_labels() -> None:
    readers = [stage for stage in STAGES if any("test_labels" in dep for dep in DVC["stages"][stage]["deps"])]
    assert readers == ["evaluate"]
    whole_folders = [stage for stage in STAGES if "data/processed" in DVC["stages"][stage]["deps"]]
    assert whole_folders == []


def test_params_yaml_is_valid_and_has_a_folder_for_every_data_set() -> None:
    params = read_params(ROOT / "params.yaml")
    for name in params.datasets:
        assert (ROOT / "data" / "sources" / name / "source.yaml").is_file()


def test_parts_import_neither_stages_nor_tools_and_have_no_cycles() -> None:
    for part in sorted((ROOT / "pipeline" / "parts").glob("*.py")):
        others = all_imports(part) - {part}
        assert all(file.parent.name == "parts" or file.name == "__init__.py" for file in others)
        assert all(part not in all_imports(other) for other in others)


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("mlflow", {"tracking.py", "textmodel.py", "packaging.py", "registry.py", "sparkmodel.py"}),
        ("keras", {"networks.py"}),
    ],
)
def test_only_one_place_knows_a_framework(library: str, allowed: set[str]) -> None:
    pattern = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    assert {file.name for file in PIPELINE_FILES if pattern.search(file.read_text())} == allowed


@pytest.mark.parametrize("stage", LIGHT_STAGES)
def test_stages_that_need_no_framework_do_not_import_one(stage: str) -> None:
    heavy = {"networks.py", "tracking.py", "figures.py"}
    assert heavy.isdisjoint({file.name for file in all_imports(ROOT / "pipeline" / f"{stage}.py")})


def test_the_readme_names_only_commands_that_exist() -> None:
    commands = text_commands((ROOT / "README.md").read_text())
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    entry_points = set(YAML(typ="safe").load((ROOT / "MLproject").read_text())["entry_points"])
    assert any(command.startswith("make repro") for command in commands)
    for command in commands:
        words = [word for word in shlex.split(command) if not re.match(r"[A-Z_]+=", word)]
        if words[0] == "make":
            assert set(words[1:]) <= targets, command
        elif words[:2] == ["python", "-m"]:
            assert (ROOT / f"{words[2].replace('.', '/')}.py").is_file(), command
        elif words[:2] == ["mlflow", "run"] and "-e" in words:
            assert words[words.index("-e") + 1] in entry_points, command
        else:
            assert words[0] in {"git", "cd", "dvc", "mlflow", "curl", "export"}, command


def test_make_hands_every_parameter_on() -> None:
    given = ["DATASET=imdb", "SEEDS=1,2", "train.units=3"]
    # Without what the make that runs these tests hands on to a make below it.
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"}}
    shown = subprocess.run(
        ["make", "-n", "repro", *given], cwd=ROOT, capture_output=True, text=True, check=True, env=alone
    ).stdout
    (command,) = [line for line in shown.splitlines() if "pipeline.tools.reproduce" in line]
    assert sorted(shlex.split(command)[3:]) == ["--dataset=imdb", "--seeds=1,2", "--train.units=3"]


def test_the_readme_explains_every_parameter() -> None:
    readme = (ROOT / "README.md").read_text()
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    names = {key for block in ("preprocess", "train", "baseline") for key in params[block]}
    names |= {"dataset", "models", "seeds", *params["datasets"][params["dataset"]]}
    assert {name for name in names if f"`{name}`" not in readme} == set()


def test_locks_hold_hashes_and_no_addresses() -> None:
    for lock in ROOT.glob("requirements*.lock"):
        content = lock.read_text()
        assert "://" not in content
        assert "--index-url" not in content
        pinned = re.findall(r"^\S+==\S+.*?(?=^\S|\Z)", content, re.MULTILINE | re.DOTALL)
        assert pinned
        assert all("--hash=sha256:" in requirement for requirement in pinned)


def test_every_direct_dependency_is_imported_somewhere() -> None:
    """Nothing is in the lock that nothing uses."""
    pyproject = (ROOT / "pyproject.toml").read_text()
    direct = re.findall(
        r'^  "([a-z-]+)[>=]', pyproject.partition("dependencies = [")[2].partition("]")[0], re.MULTILINE
    )
    modules = {"scikit-learn": "sklearn", "ruamel-yaml": "ruamel", "pip": '"pip"', "dvc": '"dvc"'}
    code = "\n".join(file.read_text() for file in PIPELINE_FILES)
    assert len(direct) > 10
    assert [name for name in direct if modules.get(name, name) not in code] == []
