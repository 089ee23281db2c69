"""The whole pipeline in a real DVC repository with a real MLflow store, used as a user would."""

import json
import shlex
import shutil
from collections.abc import Callable

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import Project, commit_all
from filelock import FileLock
from house import DVC
from mlflow.entities import Run
from runs import MODELS, runs_of, stages_run

from pipeline.core.hashes import md5
from pipeline.tracking.run_record import name_of
from pipeline.tracking.store import FINGERPRINT


def names(runs: list[Run]) -> list[str]:
    return [name_of(run) for run in runs]


def test_every_model_has_a_run_and_one_comparison_links_them(trained_project: Project) -> None:
    runs = runs_of(trained_project)
    assert names(runs) == [*MODELS, "comparison"]
    comparison = runs[-1]
    linked = {name: comparison.data.tags[f"gatewise.run.{name}"] for name in MODELS}
    assert linked == {run.info.run_name: run.info.run_id for run in runs[:-1]}
    client = mlflow.MlflowClient(trained_project.store)
    folders = (None, "pictures", "curves")
    artifacts = {file.path for folder in folders for file in client.list_artifacts(comparison.info.run_id, folder)}
    assert {"pictures/confusion.png", "curves/roc.csv", "metrics.json", "summary.md"} <= artifacts


def test_a_training_run_holds_curves_parameters_picture_and_model(trained_project: Project) -> None:
    client = mlflow.MlflowClient(trained_project.store)
    run = next(run for run in runs_of(trained_project) if name_of(run) == "gru-2")
    history = pd.read_csv(trained_project.root / "data/models/gru-2/history.csv")
    logged = client.get_metric_history(run.info.run_id, "by_epoch/validation/loss")
    assert [(metric.step, metric.value) for metric in logged] == list(
        zip(history["epoch"], history["validation_loss"], strict=True)
    )
    assert run.data.params["units"] == "8"
    assert run.data.params["seed"] == "2"
    assert "learning_curves.png" in {file.path for file in client.list_artifacts(run.info.run_id)}
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert {metric.key for metric in model.metrics} >= {"test/accuracy", "test/roc_auc"}


def test_the_models_tested_on_exactly_these_data_are_one_call_away(trained_project: Project) -> None:
    mlflow.set_tracking_uri(trained_project.store)
    experiment = mlflow.get_experiment_by_name("gatewise-tiny")

    def tested_on(digest: str) -> list[str]:
        models = mlflow.search_logged_models(
            experiment_ids=[experiment.experiment_id],
            filter_string="metrics.`test/accuracy` > 0",
            datasets=[{"dataset_name": "tiny", "dataset_digest": digest}],
            output_format="list",
        )
        return sorted(model.name for model in models)

    digest = md5(trained_project.root / "data/processed/reviews.parquet")
    assert digest in (trained_project.root / "dvc.lock").read_text()
    assert tested_on(digest) == sorted(MODELS)
    assert tested_on("0" * 32) == []


def test_metrics_agree_with_the_predictions_on_disk(trained_project: Project) -> None:
    data = trained_project.root / "data"
    labels = np.load(data / "processed/test_labels.npy")
    metrics = json.loads((data / "results/statistics.json").read_text())["over_seeds"]
    assert list(metrics) == ["lstm", "gru", "baseline"]
    for model in ("lstm", "gru"):
        hits = [
            (np.load(data / f"models/{model}-{seed}/predictions.npz")["test"].argmax(axis=1) == labels).mean()
            for seed in (1, 2)
        ]
        assert len({md5(data / f"models/{model}-{seed}/model.keras") for seed in (1, 2)}) == 2
        assert metrics[model]["accuracy"]["mean"] == pytest.approx(np.mean(hits))
        assert metrics[model]["accuracy"]["std"] == pytest.approx(np.std(hits, ddof=1))
    assert metrics["baseline"]["accuracy"]["std"] is None
    scores = {run.info.run_name: run.data.metrics["test/accuracy"] for run in runs_of(trained_project)[:-1]}
    assert metrics["lstm"]["accuracy"]["mean"] == pytest.approx((scores["lstm-1"] + scores["lstm-2"]) / 2)
    shown = json.loads((data / "results/metrics.json").read_text())
    assert list(shown) == [
        *("lstm.accuracy", "gru.accuracy", "baseline.accuracy", "gru-lstm"),
        *("lstm.f1", "gru.f1", "lstm.log_loss", "gru.log_loss"),
    ]
    assert shown["gru.log_loss"] == metrics["gru"]["log_loss"]["mean"]
    assert shown["gru-lstm"] == shown["gru.accuracy"] - metrics["lstm"]["accuracy"]["mean"]


def test_the_models_learn_the_tiny_data_set(trained_project: Project) -> None:
    metrics = json.loads((trained_project.root / "data/results/metrics.json").read_text())
    assert all(metrics[f"{model}.accuracy"] > 0.9 for model in ("lstm", "gru", "baseline"))


def test_a_second_repro_does_nothing_and_leaves_git_clean(trained_project: Project) -> None:
    before = len(runs_of(trained_project))
    output = trained_project.run("python", "-m", "pipeline", "run").stdout
    assert stages_run(output) == []
    assert json.loads((trained_project.root / "data/results/verdict.json").read_text())["sentences"][0] in output
    assert "make ui" in output
    assert len(runs_of(trained_project)) == before
    assert trained_project.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_another_process_on_two_threads_and_without_test_labels_writes_the_same_bytes(
    fresh_copy: Callable[[], Project],
) -> None:
    project = fresh_copy()
    folder = project.root / "data/models/lstm-1"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    shutil.rmtree(folder)
    (project.root / "data/processed/test_labels.npy").unlink()
    command = "python -m pipeline.train --model lstm --seed 1 --output data/models/lstm-1"
    inputs = "--tokens data/processed/tokens.npz --tokenizer data/processed/tokenizer.json"
    inputs += " --embeddings data/processed/embeddings.npz"
    threads = {"TF_NUM_INTRAOP_THREADS": "2", "TF_NUM_INTEROP_THREADS": "2", "OMP_NUM_THREADS": "2"}
    project.run(*command.split(), *inputs.split(), environment=threads)
    assert len(before) == 4
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.slow
def test_a_new_seed_trains_only_what_is_new_and_an_old_setting_comes_back_from_the_cache(
    fresh_copy: Callable[[], Project],
) -> None:
    project = fresh_copy()
    output = project.run("python", "-m", "pipeline", "run", "--seeds", "1,3", "--models", "gru").stdout
    assert "set seeds: 1,2 -> 1,3" in output
    assert stages_run(output) == ["train gru-3", "memory gru-3", "evaluate"]
    runs = runs_of(project)
    assert names(runs)[-2:] == ["gru-3", "comparison"]
    # Back: nothing trains, and the comparison links a run for every model all the same.
    output = project.run("python", "-m", "pipeline", "run", "--seeds", "1,2", "--models", "lstm,gru").stdout
    assert not [stage for stage in stages_run(output) if stage.startswith("train")]
    runs = runs_of(project)
    assert sorted(names(runs)) == sorted([*MODELS, "gru-3", *["comparison"] * 3])
    assert {f"gatewise.run.{name}" for name in MODELS} <= set(runs[-1].data.tags)


@pytest.mark.slow
def test_a_parameter_there_and_back_leaves_mlflow_complete(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    reproduce = ("python", "-m", "pipeline", "run", "--models", "gru", "--seeds", "1")
    project.run(*reproduce, "--units", "8")
    (project.root / "mlflow.db").unlink()
    project.run(*reproduce, "--units", "9")
    assert names(runs_of(project)) == ["gru-1", "baseline", "comparison"]
    # DVC brings the first results back; the store has never heard of them.
    output = project.run(*reproduce, "--units", "8").stdout
    assert not [stage for stage in stages_run(output) if stage.startswith("train")]
    runs = runs_of(project)[3:]
    assert names(runs) == ["gru-1", "comparison"]
    assert runs[-1].data.tags["gatewise.run.gru-1"] == runs[0].info.run_id
    restored = runs[0].data.tags
    assert restored["gatewise.restored"] == "true"
    assert restored["gatewise.git_commit"] == project.run("git", "rev-parse", "HEAD").stdout.strip()
    assert "gatewise.version.keras" not in restored
    # And now it has: nothing runs, but the results are shown and the report is of them.
    for units in ("9", "8"):
        output = project.run(*reproduce, "--units", units).stdout
        assert stages_run(output) == []
        assert (project.root / "data/results/summary.md").read_text() in output
        marks = {"gatewise.earlier", "gatewise.outdated"}
        shown = [run.data.params for run in runs_of(project) if marks.isdisjoint(run.data.tags)]
        assert {params.get("units", units) for params in shown} == {units}
        page = (project.root / "data/results/report.html").read_text()
        assert runs[0].info.run_id in page or units == "9"
    assert len(runs_of(project)) == 5
    machine = json.loads((project.root / "data/results/machine.json").read_text())
    assert machine["version.numpy"] == np.__version__


@pytest.mark.slow
def test_a_lost_store_is_written_again_from_the_files(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    before = runs_of(project)
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{project.root / 'other.db'}"}
    project.call(*shlex.split(DVC["stages"]["evaluate"]["cmd"]), environment=store)
    client = mlflow.MlflowClient(store["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    after = list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))
    assert names(after) == names(before)
    for old, new in zip(before[:-1], after[:-1], strict=True):
        assert new.data.tags["gatewise.restored"] == "true"
        assert new.data.tags[FINGERPRINT] == old.data.tags[FINGERPRINT]
        assert new.data.params == old.data.params
        kept = {name: value for name, value in old.data.metrics.items() if not name.startswith("time/")}
        assert new.data.metrics == kept


@pytest.mark.slow
def test_dvc_shows_experiments_differences_and_plots(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    project.run("dvc", "exp", "run", "--name", "small", "-S", "train.units=4", "-S", "models=[lstm]", "-S", "seeds=[1]")
    experiments = project.run("dvc", "exp", "show", "--csv", "--no-pager").stdout
    assert "small" in experiments
    assert "train.units" in experiments
    assert "lstm.accuracy" in experiments
    assert "train.units" in project.run("dvc", "params", "diff").stdout
    assert "gru-lstm" in project.run("dvc", "metrics", "diff").stdout
    shown = project.run("dvc", "plots", "diff", "HEAD").stdout
    page = (
        project.root / shown.strip().removeprefix("file://").removeprefix(str(project.root)).lstrip("/")
    ).read_text()
    assert "validation_accuracy" in page
    assert "true_positive_rate" in page
    tags = runs_of(project)[-1].data.tags
    assert tags["gatewise.dvc_experiment"] == "small"


@pytest.mark.slow
def test_mlflow_run_nests_the_stages_under_the_projects_run(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    already = len(runs_of(project))
    project.run("mlflow", "run", ".", "--env-manager", "local", "-P", "epochs=1", "-P", "seeds=1", "-P", "models=gru")
    client = mlflow.MlflowClient(project.store)
    (parent,) = client.search_runs(["0"])
    new = runs_of(project)[already:]
    assert names(new) == ["gru-1", "comparison"]
    assert {run.data.tags["mlflow.parentRunId"] for run in new} == {parent.info.run_id}
    assert parent.info.status == "FINISHED"


@pytest.mark.parametrize(
    ("words", "problem", "code"),
    [
        (["epoch=1"], "unknown parameter 'epoch'; did you mean epochs?", 1),
        (["units=many"], "train.units: Input should be a valid integer. Received: 'many'", 1),
        (["--dataset", "tinny"], "did you mean tiny?", 1),
        (["VECTORS=lost.txt"], "a file in data/vectors. Received: lost.txt", 1),
        (["units", "3"], "expected name=value, such as units=32. Received: units 3", 2),
        (["--units"], "Received: --units", 2),
        (["units="], "units= has no value", 2),
    ],
)
def test_a_wrong_parameter_fails_before_any_work(
    trained_project: Project, words: list[str], problem: str, code: int
) -> None:
    before = (trained_project.root / "params.yaml").read_bytes()
    result = trained_project.call("python", "-m", "pipeline", "run", *words, check=False)
    assert result.returncode == code
    assert problem in result.stderr
    assert "Traceback" not in result.stderr
    assert "stage" not in result.stdout
    assert (trained_project.root / "params.yaml").read_bytes() == before


@pytest.mark.slow
def test_models_of_other_settings_are_named_and_moved_and_leave_no_trace_in_dvc_lock(
    fresh_copy: Callable[[], Project],
) -> None:
    project = fresh_copy()
    output = project.run("python", "-m", "pipeline", "run", "--seeds", "1").stdout
    moved = sorted(path.name for path in (project.root / "data/leftovers").iterdir())
    assert [name[:6] for name in moved] == ["gru-2-", "gru-2-", "lstm-2", "lstm-2"]
    assert all(name in output for name in ["not compared", *moved])
    shown = project.run("python", "-m", "pipeline", "lineage").stdout.splitlines()
    in_params = {line.split()[0].rpartition("/")[2]: line.split()[2] for line in shown[2:] if "data/models" in line}
    assert in_params == {"baseline": "yes", "gru-1": "yes", "lstm-1": "yes"}
    lock = (project.root / "dvc.lock").read_bytes()
    shutil.copytree(project.root / "data/models/gru-1", project.root / "data/models/gru-7")
    assert "gru-7-" in project.run("dvc", "repro").stdout
    assert (project.root / "dvc.lock").read_bytes() == lock


def test_a_second_pipeline_leaves_the_parameters_of_the_first_alone(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    before = (project.root / "params.yaml").read_bytes()
    with FileLock(project.root / ".dvc/tmp/gatewise.lock"):
        result = project.run("python", "-m", "pipeline", "run", "--units", "9", check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: a pipeline runs in this folder already")
    assert (project.root / "params.yaml").read_bytes() == before


@pytest.mark.slow
def test_a_pipeline_that_fails_says_what_stays_in_params_yaml(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    result = project.run("python", "-m", "pipeline", "run", "--datasets.tiny.test", "0.001", check=False)
    assert result.returncode == 1
    assert "error: a test share of 0.001 needs 1000 texts or more of each label" in result.stderr
    assert "\nerror: preprocess failed, and said why above\n" in result.stderr
    assert (
        "These changes stay: datasets.tiny.test: 0.25 -> 0.001. `git checkout data/sources/tiny.yaml` undoes"
        in result.stderr
    )


@pytest.mark.slow
def test_a_clone_with_a_remote_gets_files_and_runs_without_training(
    trained_project: Project, fresh_copy: Callable[[], Project]
) -> None:
    """Another machine: `git clone`, `dvc pull`, and MLflow is complete after evaluate."""
    project = fresh_copy()
    remote = project.root.parent / "remote"
    project.run("dvc", "remote", "add", "--default", "storage", str(remote))
    commit_all(project, "a remote")
    project.run("dvc", "push")
    clone = Project(project.root.parent / "clone")
    project.run("git", "clone", "--quiet", str(project.root), str(clone.root))
    clone.run("dvc", "pull")
    output = clone.run("python", "-m", "pipeline", "run").stdout
    assert not [stage for stage in stages_run(output) if stage.startswith("train")]
    assert names(runs_of(clone)) == [*MODELS, "comparison"]
    for name in ("metrics.json", "machine.json", "pictures/confusion.png", "curves/learning_curves.csv"):
        ours, theirs = (root / "data/results" / name for root in (clone.root, trained_project.root))
        assert ours.read_bytes() == theirs.read_bytes()
