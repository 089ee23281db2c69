"""Other commits: their parameters, which today's schema need not know, and what the code before the folders left."""

import ast
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Project, begin, clean_environment, commit_all, copy_code
from dvc.utils.serialize import dumps_yaml
from runs import MODELS, runs_of

from pipeline.core.command import InputError
from pipeline.core.params import read_params, read_yaml
from pipeline.tools.verify import _check_params
from pipeline.tracking import paths
from pipeline.tracking.revisions import RecordedParams

BEFORE_FOLDERS = "536fae230ad544bf58d07ec06c3cbb78b54c8e14"  # the last commit with all code in pipeline/parts
OLD_PARAMS = """\
dataset: films
models: [lstm, peephole]
seeds: [1, 2]
train:
  units: 8
  learning_rate: 1e-05
  momentum: 0.9
  start: no
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    (tmp_path / "params.yaml").write_text(OLD_PARAMS)
    return tmp_path / "params.yaml"


def test_the_parameters_of_another_commit_are_read_as_they_are(old: Path) -> None:
    with pytest.raises(InputError):
        read_params(old)
    params = RecordedParams.read(old, "v1")
    assert params.dataset == "films"
    assert params.networks == ["lstm-1", "lstm-2", "peephole-1", "peephole-2"]
    assert params.values["train"] == {"units": 8, "learning_rate": 1e-05, "momentum": 0.9, "start": "no"}


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("models: [lstm]\n", ["dataset", "None"]),
        ("dataset: films\nmodels: lstm\n", ["models", "list", "'lstm'"]),
        ("- dataset\n", ["dataset", "None"]),
    ],
)
def test_what_is_missing_there_is_named_with_the_revision(old: Path, content: str, parts: list[str]) -> None:
    old.write_text(content)
    with pytest.raises(InputError) as problem:
        RecordedParams.read(old, "v1")
    assert all(part in str(problem.value) for part in ["params.yaml of v1", *parts])


def test_the_lock_of_another_commit_is_held_against_its_own_parameters(old: Path) -> None:
    train = {"units": 8, "learning_rate": 1e-05, "momentum": 0.9, "start": "no"}

    def lock(**changes: object) -> object:
        stages = {"train@lstm-1": {"params": {"params.yaml": {"train": train | changes}}}}
        stages["train@gru-1"] = {"params": {"params.yaml": {"train": {}}}}  # of a model that is not asked for
        (old.parent / "dvc.lock").write_text(dumps_yaml({"schema": "2.0", "stages": stages}))
        return read_yaml(old.parent / "dvc.lock")

    _check_params(lock(), old.parent, "v1")
    with pytest.raises(InputError) as problem:
        _check_params(lock(momentum=0.8), old.parent, "v1")
    assert all(part in str(problem.value) for part in ["dvc.lock at v1", "train@lstm-1", "0.8", "0.9"])


def test_the_tools_look_where_dvc_yaml_puts_things() -> None:
    content = read_yaml(ROOT / "dvc.yaml")["stages"].values()
    named = [dep for stage in content for dep in stage["deps"]]
    outs = [out for stage in content for out in [*stage["outs"], *stage.get("metrics", [])]]
    named += [out if isinstance(out, str) else next(iter(out)) for out in outs]
    named += [word for stage in content for word in stage["cmd"].split() if "/" in word]
    known = {Path(name) for name in named} | {parent for name in named for parent in Path(name).parents}
    ours = {name: path for name, path in vars(paths).items() if isinstance(path, Path)}
    assert len(ours) > 10
    assert {name: path for name, path in ours.items() if path not in known} == {}


@pytest.fixture(scope="module")
def upgraded(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Run the tiny pipeline with the code before the folders, tag it `old`, and put today's code over it."""
    known = subprocess.run(["git", "cat-file", "-e", BEFORE_FOLDERS], cwd=ROOT, capture_output=True, check=False)
    if known.returncode != 0:
        pytest.skip("the history of this repository does not go back to that commit")
    root = tmp_path_factory.mktemp("before") / "project"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(root)], env=clean_environment(), check=True)
    Project(root).run("git", "checkout", "--quiet", BEFORE_FOLDERS)
    theirs = ast.parse((root / "tests" / "conftest.py").read_text()).body
    (params,) = (
        node.value for node in theirs if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "TINY_PARAMS"
    )
    shutil.rmtree(root / ".git")
    shutil.rmtree(root / "tests")
    (root / "dvc.lock").unlink()
    project = begin(root)
    today = (root / "params.yaml").read_text()
    (root / "params.yaml").write_text(ast.literal_eval(params))
    project.run("dvc", "repro")
    commit_all(project, "their results")
    project.run("git", "tag", "old")
    shutil.rmtree(root / "pipeline")
    copy_code(root)
    project.run("git", "checkout", "--quiet", "old", "--", "data/results")  # git has our own metrics.json
    (root / "params.yaml").write_text(today)
    commit_all(project, "today's code")
    return project


@pytest.mark.slow
def test_old_runs_and_models_are_found_opened_and_promoted(upgraded: Project) -> None:
    listed = upgraded.run("python", "-m", "pipeline.tools.lineage").stdout
    old = upgraded.run("git", "rev-parse", "old~1").stdout[:12]
    runs = {run.info.run_name: run for run in runs_of(upgraded)}
    assert all(run.info.run_id in listed for run in runs.values())
    assert listed.count(old) == len(runs) == len(MODELS) + 1
    shown = upgraded.run("python", "-m", "pipeline.tools.lineage", "lstm-1").stdout
    assert "pipeline/parts/tracking.py = " in shown
    assert f"git checkout {old}" in shown
    logged = f"models:/{runs['gru-1'].outputs.model_outputs[0].model_id}"
    answers = [
        upgraded.run("python", "-m", "pipeline.tools.predict", "--model", model, "not dull at all").stdout
        for model in (logged, "gru-1")
    ]
    assert answers[0] == answers[1] != ""
    assert "pipeline/parts" in "".join(map(str, (upgraded.root / "mlartifacts").rglob("classifier.py")))
    assert "is the champion" in upgraded.run("python", "-m", "pipeline.tools.promote", "--model", "gru-1").stdout
    assert upgraded.run("python", "-m", "pipeline.tools.predict", "not dull at all").stdout == answers[0]
    report = upgraded.run("python", "-m", "pipeline.tools.report", check=False)
    assert "verdict.json does not exist" in report.stderr  # of results that today's evaluate has not written
    assert "trained at " + old in (upgraded.root / "data/results/report.html").read_text()


@pytest.mark.slow
def test_an_old_commit_is_verified_through_its_own_lock(upgraded: Project) -> None:
    result = upgraded.run("python", "-m", "pipeline.tools.verify", "--revision", "old", "--stage", "train@gru-1")
    assert "old: 8 outputs (identical bytes: 8;" in result.stdout


@pytest.mark.slow
def test_an_old_commit_is_compared_with_what_todays_code_trains(upgraded: Project) -> None:
    before = {run.info.run_id for run in runs_of(upgraded)}
    change = ("--models", "gru", "--seeds", "1", "--units", "4")
    upgraded.run("python", "-m", "pipeline.tools.reproduce", *change)
    shown = upgraded.run("python", "-m", "pipeline.tools.compare", "old").stdout
    assert shown.startswith("A is old, B is workspace.")
    page = (upgraded.root / "data/compare/old..workspace/report.html").read_text()
    names = {run.info.run_name: run.info.run_id for run in runs_of(upgraded) if run.info.run_id in before}
    # Not the baseline: today's code trained it to the same bytes, and the latest run of them counts.
    assert all(names[name] in page for name in ("gru-1", "gru-2", "lstm-1", "lstm-2"))
