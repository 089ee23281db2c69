"""Runs from other folders and at the same time: all write to the right store, nest rightly and lose nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from conftest import Project, clean_environment
from mlflow.entities import Run

from pipeline.tracking.run_record import name_of


def runs_in(store: str) -> list[Run]:
    client = mlflow.MlflowClient(store)
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


@pytest.mark.slow
def test_experiments_in_temporary_folders_write_to_the_store_of_the_repository(
    fresh_copy: Callable[[], Project],
) -> None:
    project = fresh_copy()
    before = {run.info.run_id for run in runs_in(project.store)}
    small = ["-S", "models=[gru]", "-S", "seeds=[1]", "-S", "train.epochs=1"]
    for units in (3, 4):
        project.run("dvc", "exp", "run", "--queue", "--name", f"units-{units}", *small, "-S", f"train.units={units}")
    project.run("dvc", "queue", "start", "--jobs", "2")
    for units in (3, 4):  # wait until each is done
        project.run("dvc", "queue", "logs", "--follow", f"units-{units}", check=False)
    project.run("dvc", "exp", "run", "--temp", "--name", "units-5", *small, "-S", "train.units=5")
    new = [run for run in runs_in(project.store) if run.info.run_id not in before]
    trained = {run.data.tags["gatewise.dvc_experiment"]: run.info.run_name for run in new if name_of(run) == "gru-1"}
    assert trained == {f"units-{units}": f"gru-1 units={units} epochs=1" for units in (3, 4, 5)}
    compared = {run.data.tags["gatewise.dvc_experiment"] for run in new if name_of(run) == "comparison"}
    assert compared == set(trained)
    assert project.run("git", "status", "--porcelain").stdout == ""
    assert all("/tmp/exps/" not in run.info.artifact_uri for run in new)


@pytest.mark.slow
def test_two_clones_can_write_to_one_store_at_once(trained_project: Project, tmp_path: Path) -> None:
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'shared.db'}"}
    clones = []
    for name in ("one", "two"):
        clone = Project(tmp_path / name)
        clone.run("git", "clone", "--quiet", str(trained_project.root), str(clone.root), cwd=tmp_path)
        # What training left comes from the cache next door; evaluate writes all runs anew, in both clones at once.
        clone.run("dvc", "remote", "add", "--default", "next-door", str(trained_project.root / ".dvc" / "cache"))
        clone.run("dvc", "pull", check=False)
        clones.append(clone)
    command = ["dvc", "repro", "--force", "--single-item", "evaluate"]
    started = [subprocess.Popen(command, cwd=clone.root, env=clean_environment() | store) for clone in clones]
    assert [process.wait() for process in started] == [0, 0]
    runs = runs_in(store["MLFLOW_TRACKING_URI"])
    comparisons = [run for run in runs if name_of(run) == "comparison"]
    assert len(comparisons) == 2
    assert len(runs) == 7  # what one clone had written, the other one found
    known = {run.info.run_id for run in runs}
    for comparison in comparisons:
        linked = {key: value for key, value in comparison.data.tags.items() if key.startswith("gatewise.run.")}
        assert len(linked) == 5
        assert set(linked.values()) <= known
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.slow
def test_mlflow_run_from_another_folder_nests_in_the_store_of_that_folder(
    fresh_copy: Callable[[], Project], tmp_path: Path
) -> None:
    project = fresh_copy()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    project.run("mlflow", "run", str(project.root), "--env-manager", "local", "-e", "evaluate", cwd=elsewhere)
    store = f"sqlite:///{elsewhere / 'mlflow.db'}"
    (parent,) = mlflow.MlflowClient(store).search_runs(["0"])
    runs = runs_in(store)
    assert [name_of(run) for run in runs] == ["lstm-1", "lstm-2", "gru-1", "gru-2", "baseline", "comparison"]
    assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
    assert parent.info.run_name == runs[-1].info.run_name  # the verdict
    assert (parent.data.params["models"], parent.data.params["seeds"]) == ("lstm, gru, baseline", "1, 2")
