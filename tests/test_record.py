"""`gatewise record`: the runs of what lies on disk, written again into a real store."""

from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from conftest import Project
from mlflow.entities import Run
from runs import stages_run

from pipeline.tracking.metric_names import TIMES
from pipeline.tracking.run_record import SUPERSEDED, name_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import Trained

RECORD = ("python", "-m", "pipeline", "record")


def runs_of(project: Project) -> list[Run]:
    client = mlflow.MlflowClient(project.store)
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def live(runs: list[Run]) -> dict[str, Run]:
    """The runs that are not superseded, by their names, of which there is one each."""
    found = [run for run in runs if SUPERSEDED not in run.data.tags]
    assert len({name_of(run) for run in found}) == len(found)
    return {name_of(run): run for run in found}


def origin_of(run: Run) -> dict[str, str]:
    """The tags that say who made a run, when, and from what."""
    names = (
        "gatewise.git_",
        "gatewise.version.",
        "gatewise.cpu",
        "gatewise.stage",
        "gatewise.fingerprint",
        "mlflow.source",
    )
    return {name: value for name, value in run.data.tags.items() if name.startswith(names)}


def artifacts_of(project: Project, run: Run) -> dict[str, str]:
    client = mlflow.MlflowClient(project.store)
    names = {file.path for file in client.list_artifacts(run.info.run_id)} & {"dependencies.json", "uncommitted.patch"}
    return {name: mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{name}") for name in names}


def test_runs_are_written_again_with_what_the_old_ones_know(
    fresh_copy: Callable[[], Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = fresh_copy()
    before = live(runs_of(project))
    # What the logging of today would not write.
    client = mlflow.MlflowClient(project.store)
    client.log_metric(before["gru-1"].info.run_id, "validation/of_yesterday", 1.0)
    client.log_param(before["lstm-1"].info.run_id, "of_yesterday", 1)
    files = {path: path.read_bytes() for path in (project.root / "data/models").rglob("*") if path.is_file()}
    project.call(*RECORD)

    after = live(runs_of(project))
    assert len(runs_of(project)) == 2 * len(before)
    assert after.keys() == before.keys()
    for name, old in before.items():
        new = after[name]
        assert client.get_run(old.info.run_id).data.tags[SUPERSEDED] == new.info.run_id
        assert (new.info.start_time, new.info.end_time) == (old.info.start_time, old.info.end_time)
        assert (new.info.status, new.data.params) == ("FINISHED", old.data.params)
        assert origin_of(new) == origin_of(old)
        assert artifacts_of(project, new) == artifacts_of(project, old)
        assert "dependencies.json" in artifacts_of(project, new)
        assert new.data.metrics == pytest.approx(old.data.metrics)
        for metric in [metric for metric in old.data.metrics if metric.startswith((TIMES, "by_epoch/"))]:
            histories = (client.get_metric_history(run.info.run_id, metric) for run in (old, new))
            first, second = ([(point.step, point.value) for point in history] for history in histories)
            assert first == second
    assert any(metric.startswith(TIMES) for metric in after["lstm-1"].data.metrics)
    linked = {name: after["comparison"].data.tags[f"gatewise.run.{name}"] for name in after if name != "comparison"}
    assert linked == {name: run.info.run_id for name, run in after.items() if name != "comparison"}
    assert {path: path.read_bytes() for path in files} == files
    assert project.run("git", "status", "--porcelain").stdout == ""

    # Who looks for a run finds the new one, whose model answers; nothing is out of date or missing.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", project.store)
    monkeypatch.chdir(project.root)
    tracker = Tracker("tiny")
    found = tracker.find(Trained.load(Path("data/models/gru-1")).fingerprint)
    assert found is not None
    assert {found.info.run_id, tracker.named("gru-1").info.run_id} == {after["gru-1"].info.run_id}
    assert tracker.named(before["gru-1"].info.run_id[:12]).info.run_id == before["gru-1"].info.run_id
    assert after["gru-1"].info.run_id in (project.root / "data/results/report.html").read_text()
    assert before["gru-1"].info.run_id not in (project.root / "data/results/report.html").read_text()
    assert stages_run(project.run("python", "-m", "pipeline", "run").stdout) == []
    assert "champion" in project.call("python", "-m", "pipeline", "promote", "--model", "gru-1").stdout


@pytest.mark.slow
def test_a_model_without_a_run_gets_one(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    client = mlflow.MlflowClient(project.store)
    before = live(runs_of(project))
    client.delete_run(before["gru-2"].info.run_id)
    project.call(*RECORD)
    after = live(runs_of(project))
    assert after.keys() == before.keys()
    assert after["gru-2"].data.tags["gatewise.restored"] == "true"
    assert "gatewise.restored" not in after["gru-1"].data.tags


def test_a_logged_model_looks_for_no_environment(trained_project: Project) -> None:
    copies = list((trained_project.root / "mlartifacts").rglob("code/pipeline/__init__.py"))
    assert len(copies) == 5
    assert {copy.read_text() for copy in copies} == {""}


def test_results_of_other_models_are_not_recorded(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    before = len(runs_of(project))
    (project.root / "params.yaml").write_text(
        (project.root / "params.yaml").read_text().replace("seeds: [1, 2]", "seeds: [1]")
    )
    result = project.call(*RECORD, check=False)
    assert result.returncode == 1
    assert "statistics.json is about the models" in result.stderr
    assert len(runs_of(project)) == before
