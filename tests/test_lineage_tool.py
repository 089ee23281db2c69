"""From a run to its files: the printed commands are run, and give the model of the run."""

import re
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from conftest import Project, commit_all

from pipeline.core.hashes import folder_md5, md5, sha256
from pipeline.reporting.stamp import fingerprint

LINEAGE = ("python", "-m", "pipeline", "lineage")


def follow(project: Project, folder: Path, run: str) -> Path:
    """Type what the tool says for a run, in an empty folder; the model that it gives."""
    shown = project.call(*LINEAGE, run).stdout
    commands = re.findall(r"^  (.*)$", shown.partition("bring it back:\n")[2], re.MULTILINE)
    folder.mkdir()
    Project(folder).run("bash", "-ec", "\n".join(commands))
    (model,) = folder.glob("*/data/models/*/model.keras")
    assert f"SHA-256 {sha256(model)}" in shown
    return model


def test_everything_on_disk_has_its_run(trained_project: Project) -> None:
    shown = trained_project.call(*LINEAGE).stdout
    client = mlflow.MlflowClient(trained_project.store)
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    for run in client.search_runs([experiment.experiment_id], "tags.`gatewise.stage` != 'evaluate'"):
        line = next(line for line in shown.splitlines() if f"data/models/{run.info.run_name} " in line)
        assert run.info.run_id in line
    assert "none" not in shown
    assert re.search(r"^data/results .* [0-9a-f]{32} ", shown, re.MULTILINE)


def test_nothing_is_listed_as_lost_while_mlflow_is_away(trained_project: Project) -> None:
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    result = trained_project.call(*LINEAGE, check=False, environment=away)
    assert (result.returncode, result.stdout) == (1, "")
    assert "error: MLflow (http://127.0.0.1:9) cannot be asked" in result.stderr


def test_a_comparison_tells_which_models_it_compared(trained_project: Project) -> None:
    shown = trained_project.call(*LINEAGE, "comparison").stdout
    assert f"data/models = {folder_md5(trained_project.root / 'data/models')}" in shown
    assert f"SHA-256 {fingerprint(trained_project.root / 'data/results')}" in shown
    assert "\nmodel " not in shown


@pytest.mark.slow
def test_a_run_restored_beside_other_code_says_so_and_names_no_commands(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    with (project.root / "pipeline/train.py").open("a") as code:
        code.write("# changed since\n")
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{project.root / 'other.db'}"}
    project.run("dvc", "repro", "--force", "--single-item", "evaluate", environment=store)
    shown = project.call(*LINEAGE, "gru-1", environment=store).stdout
    assert re.search(r"^commit +not known$", shown, re.MULTILINE)
    assert "bring it back" not in shown
    # The baseline is made by code that has not changed.
    commands = project.call(*LINEAGE, "baseline", environment=store).stdout.partition("bring it back:\n")[2]
    assert commands.rstrip().endswith("dvc repro baseline")


def test_a_run_tells_all_that_it_read(trained_project: Project) -> None:
    shown = trained_project.call(*LINEAGE, "lstm-2").stdout
    tokens = md5(trained_project.root / "data/processed/tokens.npz")
    assert f"data/processed/tokens.npz = {tokens}" in shown
    code = trained_project.root / "pipeline" / "networks"
    assert f"pipeline/networks = {folder_md5(code)}" in shown
    assert f"tiny tokens {tokens} (training)" in shown
    assert "units = 8" in shown
    assert f"{tokens}" in (trained_project.root / "dvc.lock").read_text()


def test_an_unknown_run_is_said_with_the_nearest_name(trained_project: Project) -> None:
    result = trained_project.call(*LINEAGE, "lstm2", check=False)
    assert result.returncode == 1
    assert result.stderr.strip().endswith("the experiment gatewise-tiny has no run 'lstm2'; did you mean lstm-2?")


@pytest.mark.slow
def test_the_commands_bring_back_the_files_of_a_run_from_a_changed_tree(
    fresh_copy: Callable[[], Project], tmp_path: Path
) -> None:
    project = fresh_copy()
    (project.root / "notes.txt").write_text("password = hunter2-hunter2\n")
    project.run("python", "-m", "pipeline", "run", "--units", "5", "--models", "gru", "--seeds", "1")
    model = follow(project, tmp_path / "elsewhere", "gru-1")
    assert "units: 5" in (model.parents[3] / "params.yaml").read_text()
    assert not (model.parents[3] / "notes.txt").exists()
    assert "(left out: notes.txt (line 1: " in project.call(*LINEAGE, "gru-1").stdout


def data_out_of_git(project: Project) -> None:
    """The state of a user's own data: in data/sources, and ignored by git."""
    project.run("git", "rm", "--quiet", "--cached", "data/sources/tiny/reviews.csv")
    commit_all(project, "data out of git")


@pytest.mark.slow
def test_data_that_git_does_not_have_come_from_here(fresh_copy: Callable[[], Project], tmp_path: Path) -> None:
    """Nor does git have their description: a user who has not committed anything yet."""
    project = fresh_copy()
    project.run("git", "rm", "--quiet", "--cached", "data/sources/tiny/source.yaml")
    data_out_of_git(project)
    project.run("git", "rm", "--quiet", "--cached", "data/sources/tiny/source.yaml")
    project.run("git", "commit", "--quiet", "--message", "the description out of git")
    project.run("python", "-m", "pipeline", "run", "--units", "5", "--models", "gru", "--seeds", "1")
    follow(project, tmp_path / "else where", "gru-1")
    (project.root / "data/sources/tiny/reviews.csv").write_text("text,label,film\n")
    shown = project.call(*LINEAGE, "gru-1").stdout
    assert "data/sources/tiny holds other data now than this run read" in shown


@pytest.mark.slow
def test_data_that_dvc_knows_come_from_its_remote(fresh_copy: Callable[[], Project], tmp_path: Path) -> None:
    project = fresh_copy()
    data_out_of_git(project)
    project.run("dvc", "remote", "add", "--default", "storage", str(tmp_path / "remote"))
    project.run("dvc", "add", "data/sources/tiny/reviews.csv")
    commit_all(project, "data in DVC")
    project.run("python", "-m", "pipeline", "run", "--units", "5", "--models", "gru", "--seeds", "1")
    commit_all(project, "results")
    project.run("dvc", "push")
    shown = project.call(*LINEAGE, "gru-1").stdout
    assert "dvc pull data/sources/tiny/reviews.csv.dvc" in shown
    assert "cp -R" not in shown
    assert "other data now" not in shown
    follow(project, tmp_path / "elsewhere", "gru-1")


def test_a_name_means_the_model_on_disk(fresh_copy: Callable[[], Project]) -> None:
    """Not the latest run of that name, which may be of other settings."""
    project = fresh_copy()
    client = mlflow.MlflowClient(project.store)
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    later = client.create_run(experiment.experiment_id, run_name="gru-1")
    client.set_terminated(later.info.run_id)
    shown = project.call(*LINEAGE, "gru-1").stdout
    assert later.info.run_id not in shown
    assert f"SHA-256 {sha256(project.root / 'data/models/gru-1/model.keras')}" in shown
