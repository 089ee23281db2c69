"""The project's own files agree with each other: dvc.yaml with imports and parameters, README with what exists."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import audit
import pandas as pd
import pytest
from conftest import ROOT, Project, commit_all, make_project, tiny_reviews
from house import DVC, FLOORS, PIPELINE_FILES, STAGES, WATCHING, all_imports, imported_names, imports
from ruamel.yaml import YAML

from pipeline.__main__ import main
from pipeline.core.command import HELP_OPTIONS, InputError
from pipeline.core.params import parameter_names, read_params, set_params
from pipeline.tools.arguments import from_make
from pipeline.tools.run import asked, brought, parse

LIGHT_STAGES = ["download", "preprocess"]


def params_read(code: str) -> set[str]:
    """What a stage's script reads of params.yaml, in the words of dvc.yaml: every `params.a.b` in its code.

    A block that is handed on whole (`params.data`) counts as a whole, and so would all of `params`.
    """
    chains, inner = [], set()
    for node in ast.walk(ast.parse(code)):  # the outermost attribute of a chain comes first
        if isinstance(node, ast.Attribute):
            chains += [node] if id(node) not in inner else []
            inner.add(id(node.value))
        elif isinstance(node, ast.Name) and node.id == "params" and isinstance(node.ctx, ast.Load):
            assert id(node) in inner, "params is handed on whole: this test cannot see what is read of it"
    found = {name.removeprefix("params.") for name in map(ast.unparse, chains) if name.startswith("params.")}
    if "networks" in found:  # the names of the runs
        found = found - {"networks"} | {"models", "seeds"}
    return {re.sub(r"^data\b", "data/sources/${dataset}.yaml", name) for name in found}


def params_declared(stage: str) -> set[str]:
    """What dvc.yaml says that a stage reads: names of params.yaml, and of another file behind its name."""
    declared: set[str] = set()
    for param in DVC["stages"][stage].get("params", []):
        declared |= {param} if isinstance(param, str) else {f"{file}.{key}" for file in param for key in param[file]}
    return declared


def text_commands(markdown: str) -> list[str]:
    """The lines of the fenced shell blocks that are commands: those behind a `$`, or all where there is none."""
    commands = []
    for block in re.findall(r"```(?:console|bash|sh)\n(.*?)```", markdown, re.DOTALL):
        lines = block.replace("\\\n", " ").splitlines()
        prompted = [line[2:] for line in lines if line.startswith("$ ")]
        commands += prompted or [line for line in lines if line.strip() and not line.startswith("#")]
    return [command.partition("  #")[0].strip() for command in commands]


CELLS = "pipeline/cells/${item.model}.py"  # which one, the matrix says


def places(files: set[Path]) -> set[str]:
    """Folders of code, and files outside of them, as dvc.yaml names them."""
    found = set()
    for file in files:
        folder = file.parent.relative_to(ROOT).as_posix()
        if folder == "pipeline/cells":
            found.add("pipeline/cells/__init__.py")
        elif folder != "pipeline":
            found.add(folder)
        elif file.name != "__init__.py":
            found.add(file.relative_to(ROOT).as_posix())
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_depends_on_the_code_that_can_change_its_bytes_and_on_no_other(stage: str) -> None:
    watching = {ROOT / WATCHING[stage]} if stage in WATCHING else set()
    needed = places(all_imports(ROOT / "pipeline" / f"{stage}.py", frozenset(watching)))
    declared = {dep for dep in DVC["stages"][stage]["deps"] if dep.startswith("pipeline/")}
    if "matrix" in DVC["stages"][stage]:
        assert CELLS in declared
    if "pipeline/cells" in declared:  # which draws and names all of them
        declared = declared - {"pipeline/cells"} | {"pipeline/cells/__init__.py"}
    assert declared - {CELLS} == needed


@pytest.mark.parametrize("stage", STAGES)
def test_each_stage_declares_exactly_the_parameters_that_it_reads(stage: str) -> None:
    assert params_declared(stage) == params_read((ROOT / "pipeline" / f"{stage}.py").read_text())


@pytest.mark.parametrize("stage", STAGES)
def test_each_path_of_a_command_is_a_dep_or_leads_to_one_or_is_an_out(stage: str) -> None:
    content = DVC["stages"][stage]
    kinds = ("deps", "outs", "metrics", "plots")
    known = [path if isinstance(path, str) else next(iter(path)) for kind in kinds for path in content.get(kind, [])]
    paths = [word for word in shlex.split(content["cmd"]) if word.startswith("data/")]
    # Dropped and unfinished archives, unfinished trainings, and the models of before, are no part of the result.
    missing = [path for path in paths if not any(f"{k}/".startswith(f"{path}/") for k in known)]
    known_missing = {"download": "data/downloads", "train": "data/checkpoints", "evaluate": "data/leftovers"}
    assert missing == ([known_missing[stage]] if stage in known_missing else [])


def test_only_evaluate_depends_on_the_test_labels() -> None:
    readers = [stage for stage in STAGES if any("test_labels" in dep for dep in DVC["stages"][stage]["deps"])]
    assert readers == ["evaluate"]
    whole_folders = [stage for stage in STAGES if "data/processed" in DVC["stages"][stage]["deps"]]
    assert whole_folders == []


def test_params_yaml_is_valid_and_has_a_folder_for_every_data_set() -> None:
    params = read_params(ROOT / "params.yaml")
    for name in params.datasets:
        assert (ROOT / "data" / "sources" / name / "source.yaml").is_file()
        assert (ROOT / "data" / "sources" / f"{name}.yaml").is_file()


def floor(file: Path) -> int:
    """How high a file stands; stages and tools are above all folders, and what only marks a package is below."""
    if file == ROOT / "pipeline" / "__init__.py":
        return -1
    folder = file.parent.name
    return FLOORS.index(folder) if folder in FLOORS else len(FLOORS)


def test_folders_import_downwards_only() -> None:
    folders = {path.name for path in (ROOT / "pipeline").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == {*FLOORS, "tools"}
    upwards = [
        f"{file.relative_to(ROOT)} -> {other.relative_to(ROOT)}"
        for file in PIPELINE_FILES
        for other in imports(file)
        if floor(other) > floor(file)
    ]
    assert upwards == []


def test_no_files_import_each_other_in_a_circle() -> None:
    for file in PIPELINE_FILES:
        for other in imports(file) - {file}:
            assert file not in all_imports(other), f"{file} and {other}"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("mlflow", {"tracking", "packaging", "serving"}),
        ("keras", {"networks", "cells"}),
    ],
)
def test_only_some_folders_know_a_framework(library: str, allowed: set[str]) -> None:
    pattern = re.compile(rf"^\s*(import|from) {library}\b", re.MULTILINE)
    assert {file.parent.name for file in PIPELINE_FILES if pattern.search(file.read_text())} == allowed


@pytest.mark.parametrize("stage", LIGHT_STAGES)
def test_stages_that_need_no_framework_do_not_import_one(stage: str) -> None:
    heavy = {"networks.py", "tracker.py", "figures.py"}
    assert heavy.isdisjoint({file.name for file in all_imports(ROOT / "pipeline" / f"{stage}.py")})


def fits(words: list[str]) -> bool:
    """Ask the parser of DVC, MLflow or gatewise, itself, about a command line."""
    try:
        if words[0] == "dvc":
            from dvc.cli.parser import get_main_parser

            get_main_parser().parse_args(words[1:])
        elif words[0] == "gatewise":
            gatewise_fits(words[1:])
        else:
            from mlflow.cli import cli

            name, command, rest = cli.resolve_command(cli.make_context("mlflow", [], resilient_parsing=True), words[1:])
            command.make_context(name, rest)
    except (Exception, SystemExit) as problem:
        print(problem)
        return False
    return True


def gatewise_fits(words: list[str]) -> None:
    """Parse a command line of gatewise; of `run`, look for the parameters, too.

    Raises:
        Exception: it does not fit.
    """
    # With the options for help that it always has: click keeps those of the first time.
    options: dict[str, Any] = {"help_option_names": HELP_OPTIONS, "resilient_parsing": words[0].startswith("-")}
    context = main.make_context("gatewise", [*words], **options)
    if words[0].startswith("-"):
        return
    name, command, rest = main.resolve_command(context, [*words])
    assert command is not None
    if "--help" not in rest:
        command.make_context(name, [*rest], parent=context)
    if name == "run":
        known = {*parameter_names(ROOT / "params.yaml"), "preset", "jobs"}
        known |= {known_name.rpartition(".")[2] for known_name in known}
        assert set(parse(rest)) <= known, rest


PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
PAGES = [page for page in [*PAGES, *sorted((ROOT / "docs").glob("*.md"))] if page.exists()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_only_commands_that_exist(page: Path) -> None:
    commands = text_commands(page.read_text())
    inline = re.findall(r"`(gatewise [^`…<\[]+)`", page.read_text())
    targets = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    entry_points = set(YAML(typ="safe").load((ROOT / "MLproject").read_text())["entry_points"])
    assert page.name != "README.md" or any(command.startswith(("make repro", "gatewise run")) for command in commands)
    for command in [*commands, *inline]:
        words = [word for word in shlex.split(command, comments=True) if not re.match(r"[A-Z_]+=", word)]
        if words[0] == "gatewise":
            assert fits(until_the_shell(command)), command
        elif words[0] == "make":
            assert set(words[1:]) <= targets, command
        elif words[:2] == ["python", "-m"] and words[2].startswith(("pipeline", "benchmarks")):
            path = ROOT / words[2].replace(".", "/")
            assert path.with_suffix(".py").is_file() or (path / "__main__.py").is_file(), command
        elif words[:2] == ["mlflow", "run"]:
            assert fits(words), command
            assert "-e" not in words or words[words.index("-e") + 1] in entry_points, command
        elif words[0] in ("dvc", "mlflow"):
            assert fits(words), command
        elif page.name == "README.md":
            assert words[0] in {"git", "cd", "curl", "export"}, command


def until_the_shell(command: str) -> list[str]:
    """Split a command line, up to a pipe or a redirection."""
    words = shlex.split(command, comments=True)
    ends = [place for place, word in enumerate(words) if word in {"|", "<", ">", "&&", "&"}]
    return words[: min(ends, default=len(words))]


def test_another_data_set_brings_its_preset_and_what_is_named_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make repro DATASET=imdb` is the tutorial's experiment, and the way back gives the network of a clone."""
    for path in (ROOT / "params.yaml", ROOT / "presets.yaml", *(ROOT / "data/sources").glob("*.yaml")):
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    monkeypatch.chdir(tmp_path)
    clone = read_params()
    assert asked({"dataset": clone.dataset}) == {"dataset": clone.dataset}
    assert [brought(name) for name in (None, clone.dataset, "imdb", "lost")] == [None, None, "tutorial", None]
    for name, value in (("vocabulary", 10_000), ("max_tokens", 300)):  # what stands there itself stays
        assert asked({"dataset": "imdb"}).get(name) is None
        set_params({f"datasets.imdb.{name}": str(value)})
    set_params(asked({"dataset": "imdb", "epochs": "7"}))
    article = {"embedding_dim": 64, "units": 64, "bidirectional": False, "dropout": 0.2, "pooling": "max", "epochs": 7}
    assert article.items() <= read_params().train.model_dump().items()
    assert (read_params().data.vocabulary, read_params().data.max_tokens) == (10_000, 300)
    assert asked({"dataset": "imdb"}) == {"dataset": "imdb"}  # what was set stays while the data set does
    set_params(asked({"dataset": clone.dataset}))
    assert (read_params().train, read_params().data) == (clone.train, clone.data)
    assert asked({"dataset": "imdb", "preset": "strong"}).items() >= {"units": "128", "max_tokens": "400"}.items()
    settings = tmp_path / "data/sources/imdb.yaml"
    named = settings.read_text()
    settings.write_text(named.replace("preset: tutorial", "preset: tutoral"))
    with pytest.raises(InputError, match=r"data/sources/imdb.yaml names a preset, and .*did you mean tutorial"):
        asked({"dataset": "imdb"})
    settings.write_text(named[: named.index("preset: ")])  # as in settings from before there were any
    assert asked({"dataset": "imdb"}) == {"dataset": "imdb"}


def make(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make, without what the make that runs these tests hands on to a make below it."""
    alone = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS"}}
    return subprocess.run(
        ["make", *words], cwd=ROOT, capture_output=True, text=True, check=False, env=alone | environment
    )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["DATASET=imdb", "SEEDS=1,2", "train.units=3"], ["DATASET=imdb", "SEEDS=1,2", "train.units=3"]),
        (["datasets.MyData.test=0.3", "UNITS:=3"], ["UNITS=3", "datasets.MyData.test=0.3"]),
        (["MODELS=it's \\ \"\tb", "UNITS=$(HOME) `id` $x", "FOO="],
         ["FOO=", "MODELS=it's \\ \"\tb", "UNITS=$(HOME) `id` $x"]),
        (["PYTHON=python3", "GPU=1", "VENV=x", "ALL=1", "UV="], []),
        ([], []),
    ],
)  # fmt: skip
def test_every_variable_of_make_arrives_as_it_was_typed(tmp_path: Path, given: list[str], words: list[str]) -> None:
    lines = re.findall(r"^override export TYPED.*", (ROOT / "Makefile").read_text(), re.MULTILINE)
    show = f"@{sys.executable} -c 'import os; print(os.environ[\"TYPED\"])'"
    (tmp_path / "Makefile").write_text("\n".join([*lines, f"show: ; {show}"]))
    shown = make("-C", str(tmp_path), "--no-print-directory", "show", *given, UNITS="7", TYPED="SEEDS=7")
    assert shown.returncode == 0, shown.stderr
    assert sorted(from_make(shown.stdout.removesuffix("\n"))) == words


@pytest.mark.parametrize(
    ("words", "code", "problem"),
    [
        (["repro", "UNITS=$(HOME) `id`"], 1, "train.units: Input should be a valid integer. Received: '$(HOME) `id`'"),
        (["repro", "UNIT=3", "GPU=1"], 1, "unknown parameter 'unit'; did you mean units?"),
        (["repro", "UNITS="], 2, "UNITS= has no value"),
        (["explain"], 2, "Missing argument 'TEXT'"),
        (["explain", "TEXT=two words", "MODELS=it's gone"], 1, 'no trained model "it\'s gone"'),
        (["verify", "STAG=train"], 2, "did you mean STAGE?"),
    ],
)
def test_make_hands_its_variables_to_the_command(
    own_project: Project, words: list[str], code: int, problem: str
) -> None:
    """The environment is not made anew: -o calls it up to date. The exit code of the command is in make's words.

    The project is its own: in one that others use, another run may be in the way.
    """
    result = own_project.run("make", "-o", ".venv/.runtime", *words, check=False, environment={"SEEDS": "7"})
    assert problem in result.stderr
    assert f"Error {code}" in result.stderr
    assert own_project.run("git", "status", "--porcelain").stdout == ""


def test_an_environment_that_could_not_be_made_does_not_stay(tmp_path: Path) -> None:
    """A Python whose `venv` ends half way, as Debian's does without its package."""
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\n[ "$1" = -m ] || exit 0\nmkdir -p "$3/bin" && touch "$3/bin/python" && exit 1\n')
    python.chmod(0o755)
    venv = tmp_path / "venv"
    result = make(f"{venv}/bin/python", f"VENV={venv}", f"PYTHON={python}", "UV=")
    assert result.returncode != 0
    assert f"error: {venv} could not be made, and is removed" in result.stderr + result.stdout
    assert not venv.exists()


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
    modules = {
        "scikit-learn": "sklearn",
        "pyyaml": "yaml",
        "ruamel-yaml": "ruamel",
        "charset-normalizer": "charset_normalizer",
        "detect-secrets": "detect_secrets",
    }
    imported = {name.partition(".")[0] for file in PIPELINE_FILES for name in imported_names(file)}
    run = set(re.findall(r'"-m", "(\w+)"', "\n".join(file.read_text() for file in PIPELINE_FILES)))
    assert len(direct) > 10
    assert [name for name in direct if modules.get(name, name) not in imported | run] == []


def test_the_stages_of_mlproject_are_those_of_dvc() -> None:
    entry_points = YAML(typ="safe").load((ROOT / "MLproject").read_text())["entry_points"]
    for stage, content in DVC["stages"].items():
        assert entry_points[stage]["command"].strip() == content["cmd"].strip().replace("${item.", "{")


def project_with_own_data(root: Path) -> Project:
    """A project whose own data git does not have, but DVC does, with a remote."""
    project = make_project(root)
    sources = project.root / "data" / "sources"
    shutil.copytree(sources / "tiny", sources / "mine")
    shutil.copyfile(sources / "tiny.yaml", sources / "mine.yaml")
    set_params({"dataset": "mine"}, project.root / "params.yaml")
    assert "reviews.csv" not in project.run("git", "status", "--porcelain", "--untracked-files=all").stdout
    project.run("dvc", "remote", "add", "--default", "storage", str(root.parent / "storage"))
    project.run("dvc", "add", "data/sources/mine/reviews.csv")
    commit_all(project, "data")
    assert "mine/reviews.csv\n" not in project.run("git", "ls-files").stdout
    return project


def test_data_that_dvc_knows_stay_and_travel_with_plain_push_and_pull(tmp_path: Path) -> None:
    """DVC takes `/data/*` in .gitignore for the folder itself, and would neither see nor keep what is below it."""
    project = project_with_own_data(tmp_path / "project")
    assert "1 file pushed" in project.run("dvc", "push", "data/sources/mine/reviews.csv.dvc").stdout
    project.run("dvc", "gc", "--workspace", "--force")
    assert (project.root / "data/sources/mine/reviews.csv").exists()
    clone = Project(tmp_path / "clone")
    project.run("git", "clone", "--quiet", str(project.root), str(clone.root))
    clone.run("dvc", "pull", "--allow-missing")
    for stage in ("download", "preprocess"):
        clone.call("python", "-m", f"pipeline.{stage}", *shlex.split(DVC["stages"][stage]["cmd"])[3:])
    texts = pd.read_parquet(clone.root / "data/processed/reviews.parquet")["text"]
    assert sorted(texts) == sorted(tiny_reviews()["text"])


@pytest.mark.slow
def test_data_that_dvc_knows_are_there_in_an_experiment_elsewhere(tmp_path: Path) -> None:
    project = project_with_own_data(tmp_path / "project")
    change = ["-S", "data/sources/mine.yaml:vocabulary=50"]
    told = project.run("dvc", "exp", "run", "--temp", "--name", "small", *change, "preprocess").stdout
    assert "Ran experiment(s): small" in told
    changed = project.run("dvc", "params", "diff", "HEAD", "small").stdout
    assert re.search(r"data/sources/mine\.yaml\s+vocabulary\s+200\s+50", changed)
    assert "vocabulary: 200" in (project.root / "data/sources/mine.yaml").read_text()


WEAK = {"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["2.1"], "description": ""}
ANSWERS = {
    "a weakness": (
        {"dependencies": [{"name": "a", "version": "2", "vulns": [WEAK]}]},
        1,
        "GHSA-1 (CVE-1), mended in 2.1",
    ),
    "none": (
        {"dependencies": [{"name": "a", "version": "2", "vulns": []}]},
        0,
        "1 packages looked up, 0 not; 0 weaknesses",
    ),
    "some are missing": (
        {"dependencies": [{"name": "a", "version": "2", "vulns": []}, {"name": "b", "skip_reason": "unknown"}]},
        0,
        "not audited: b\n",
    ),
    "no answer": ("no network", 0, "NOT AUDITED: no advisory could be reached"),
}


@pytest.mark.parametrize(("answer", "code", "told"), ANSWERS.values(), ids=ANSWERS)
def test_the_audit_says_what_it_could_not_look_up(
    answer: object,
    code: int,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The advisories are on the network, so a script stands in for pip-audit."""
    monkeypatch.chdir(ROOT)
    script = tmp_path / "pip-audit"
    script.write_text(f"#!/bin/sh\necho '{json.dumps(answer)}'\n", encoding="utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert audit.main() == code
    assert told in capsys.readouterr().out
