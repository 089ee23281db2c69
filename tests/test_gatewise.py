"""The command `gatewise`: its table, its page in the docs, how it is installed, and under which Python it runs."""

import os
import subprocess
import sys
import time
import venv
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from conftest import ROOT, Project, clean_environment
from help_page import REWRITE, page

from pipeline.__main__ import COMMANDS, main
from pipeline.core.command import PATH
from pipeline.tools.arguments import MODEL, Tool, from_make


def test_the_page_has_every_help_text() -> None:
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == page(), f"rewrite it: {REWRITE}"


def test_every_tool_is_a_command() -> None:
    tools = {file.stem for file in (ROOT / "pipeline" / "tools").glob("[a-z]*.py")}
    assert set(COMMANDS) == tools - {"arguments", "reproduce", "side_by_side", "stages"} | {"rollback"}


def test_help_imports_no_tool_and_takes_no_time() -> None:
    heavy = "{'tensorflow', 'keras', 'mlflow', 'pandas', 'numpy', 'dvc', 'ruamel'}"
    code = "import sys, pipeline.__main__ as gatewise\nsys.argv = ['gatewise', '--help']\ngatewise.run(gatewise.main)\n"
    code += f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    began = time.perf_counter()
    shown = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert time.perf_counter() - began < 5  # 0.2 on a quiet machine; TensorFlow alone takes more
    assert all(name in shown.stdout for name in COMMANDS)


def test_a_command_that_does_not_exist_is_named_with_the_nearest() -> None:
    result = CliRunner().invoke(main, ["explian"])
    assert result.exit_code == 2
    assert "'explian'; did you mean explain?" in result.output


@pytest.mark.parametrize(
    ("typed", "completed"),
    [("gatewise r", ["run", "report", "record", "rollback"]), ("gatewise explain --mod", ["--models"]),
     ("gatewise run epo", ["epochs="]), ("gatewise run train.uni", ["train.units="])],
)  # fmt: skip
def test_the_tab_key_completes_commands_options_and_parameters(typed: str, completed: list[str]) -> None:
    asked = {"_GATEWISE_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(typed.count(" "))}
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline"],
        cwd=ROOT, env=clean_environment() | asked, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert [line.partition(",")[2] for line in shown.stdout.splitlines()] == completed


@click.command("look", cls=Tool)
@click.argument("text", nargs=-1)
@click.option("--keep", multiple=True)
@click.option("--output", type=PATH)
@click.option("--with-care", is_flag=True)
@MODEL
def look(**given: object) -> dict[str, object]:
    """Hand back what was given."""
    return {name: value for name, value in given.items() if value}


@pytest.mark.parametrize(
    ("words", "given"),
    [
        (["TEXT=not good", "MODEL=gru-1"], {"text": ("not good",), "model": "gru-1"}),
        (["KEEP=id film", "OUTPUT=x.csv"], {"keep": ("id", "film"), "output": Path("x.csv")}),
        (["--keep", "id", "film", "--output", "x"], {"keep": ("id", "film"), "output": Path("x")}),
        (["--keep", "id", "--keep", "film", "--", "a"], {"keep": ("id", "film"), "text": ("a",)}),
        (["WITH_CARE=1", "a", "b=c"], {"with_care": True, "text": ("a", "b=c")}),
        (["--", "MODEL=gru-1"], {"text": ("MODEL=gru-1",)}),
        (["TEXT=- dash"], {"text": ("- dash",)}),
    ],
)
def test_a_name_in_capitals_is_the_option_or_the_argument(words: list[str], given: dict[str, object]) -> None:
    assert look.main(words, standalone_mode=False) == given


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["MODLE=x"], "did you mean MODEL?"),
        (["MODEL="], "MODEL= has no value"),
        (["MODEL=x", "--model", "y"], "MODEL= is given twice"),
        (["TEXT=x", "y"], "TEXT= is given twice"),
    ],
)
def test_a_name_that_does_not_fit_is_refused(words: list[str], problem: str) -> None:
    result = CliRunner().invoke(look, words)
    assert (result.exit_code, problem in result.output) == (2, True)


@pytest.mark.parametrize(
    ("overrides", "words"), [("", []), (r"B=$$x\ \\ A=1", ["A=1", "B=$x \\"]), ("A=2 A=1", ["A=1", "A=2"])]
)
def test_the_last_variable_of_make_counts(overrides: str, words: list[str]) -> None:
    assert from_make(overrides) == words


def clone(project: Project, folder: Path) -> Path:
    subprocess.run(["git", "clone", "--quiet", str(project.root), str(folder)], check=True)
    return folder


def python_of(folder: Path, packages: bool) -> Path:
    """Make a Python of its own, with the packages of this one or with none."""
    venv.create(folder, with_pip=False, symlinks=True)
    if packages:
        (site,) = folder.glob("lib/python*/site-packages")
        (site / "shared.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
    return folder / "bin" / "python"


def test_the_installed_command_runs_the_code_of_the_current_folder(trained_project: Project, tmp_path: Path) -> None:
    installed, other, old = (clone(trained_project, tmp_path / name) for name in ("installed", "other", "old"))
    python = python_of(tmp_path / "venv", packages=True)
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--editable", "."]
    subprocess.run([str(python), "-m", "pip", "install", *options], cwd=installed, check=True, capture_output=True)
    code = other / "pipeline" / "__main__.py"
    code.write_text(code.read_text().replace("Classify texts.", "Classify texts of the other folder."))
    (old / "pipeline" / "__main__.py").unlink()

    def gatewise(folder: Path) -> subprocess.CompletedProcess[str]:
        command = [str(python.parent / "gatewise"), "--help"]
        return subprocess.run(command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False)

    for folder in (installed, tmp_path):
        assert (gatewise(folder).returncode, "other folder" in gatewise(folder).stdout) == (0, False)
    assert "Classify texts of the other folder." in gatewise(other).stdout
    refused = gatewise(old)
    assert (refused.returncode, refused.stderr.count("\n")) == (1, 1)
    assert f"error: {old} has an older version" in refused.stderr


@pytest.mark.slow
def test_another_python_goes_on_with_the_one_of_the_environment(trained_project: Project, tmp_path: Path) -> None:
    folder = clone(trained_project, tmp_path / "clone")
    python = python_of(tmp_path / "bare", packages=False)
    alone = clean_environment() | {"PATH": f"{python.parent}{os.pathsep}/usr/bin{os.pathsep}/bin"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(words, cwd=folder, env=alone, capture_output=True, text=True, check=False)

    refused = run("python", "-m", "pipeline.download", "--help")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert "lacks click" in refused.stderr
    assert "make repro" in refused.stderr
    assert run("python", "-c", "import pipeline").returncode == 0  # nobody asked it to do anything
    alone["DVC_STAGE"] = "download"  # as DVC has it, which removes what a stage makes before it starts it
    assert "`dvc checkout download` brings the last ones back" in run("python", "-m", "pipeline.download").stderr
    del alone["DVC_STAGE"]

    (folder / ".venv").symlink_to(sys.prefix)
    shown = run("python", "-m", "pipeline", "--help")
    assert (shown.returncode, "rollback" in shown.stdout) == (0, True)
    reproduced = run(str(folder / ".venv/bin/dvc"), "repro", "--single-item", "download")
    assert reproduced.returncode == 0, reproduced.stderr
    assert (folder / "data" / "raw").is_dir()
    # An experiment of `dvc exp run --temp` runs in a copy below the project.
    copy = clone(trained_project, folder / ".dvc" / "tmp" / "exps" / "copy")
    below = subprocess.run(
        ["python", "-m", "pipeline", "--help"], cwd=copy, env=alone, capture_output=True, check=False
    )
    assert below.returncode == 0

    (folder / ".venv").unlink()
    (folder / ".venv").symlink_to(tmp_path / "bare")
    empty = run("python", "-m", "pipeline", "--help")
    assert (empty.returncode, empty.stderr.count("\n")) == (1, 1)
    assert "make clean repro" in empty.stderr
