"""`make verify` in real repositories: what repeats, what differs a little, and what does not repeat."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Project, commit_all
from dvc.api import DVCFileSystem

from pipeline.tools.verify import DIFFERENT, EQUAL, UNKNOWN, _judge, _mirror
from pipeline.tracking.paths import METRICS

VERIFY = ("python", "-m", "pipeline", "verify")


def content(root: Path) -> dict[str, bytes]:
    """All files of the user, less what git itself keeps."""
    files = (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    kept = {path.relative_to(root).as_posix(): path for path in files}
    volatile = (".git/", ".dvc/tmp/", "mlflow.db")
    return {
        name: path.read_bytes()
        for name, path in kept.items()
        if not name.startswith(volatile) and "__pycache__" not in name
    }


def change(project: Project, file: str, old: str, new: str) -> None:
    path = project.root / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    commit_all(project, f"change {file}")


@pytest.mark.slow
def test_a_network_repeats_bit_for_bit_and_nothing_of_the_user_is_touched(trained_project: Project) -> None:
    before = content(trained_project.root)
    result = trained_project.run(*VERIFY, "--stage", "train@gru-1")
    assert "HEAD: 9 outputs (identical bytes: 9;" in result.stdout
    assert "data/models/gru-1" in result.stdout
    assert "cpu" in result.stdout
    assert "not known" not in result.stdout
    assert content(trained_project.root) == before


@pytest.mark.parametrize(
    ("shift", "code", "summary"),
    [
        ("0.0001", 0, "HEAD: 8 outputs (identical bytes: 7, equal numbers: 1;"),
        ("0.1", 1, "HEAD: 8 outputs (identical bytes: 7, different: 1;"),
    ],
)
@pytest.mark.slow
def test_metrics_within_the_tolerance_are_equal_and_others_different(
    fresh_copy: Callable[[], Project], shift: str, code: int, summary: str
) -> None:
    project = fresh_copy()
    # As if this processor rounded otherwise: the commit's code and its dvc.lock no longer agree.
    change(project, "pipeline/trained/scores.py", '"brier": float(', f'"brier": {shift} + float(')
    result = project.run(*VERIFY, "--stage", "baseline", check=False)
    assert result.returncode == code
    assert f"{summary} tolerance 0.005)" in result.stdout


def stranger(project: Project, folder: Path) -> Project:
    """A clone that has neither the cache nor a remote."""
    clone = Project(folder)
    clone.run("git", "clone", "--quiet", str(project.root), str(clone.root), cwd=folder.parent)
    clone.run("git", "config", "user.email", "strangers@gatewise.invalid")
    clone.run("git", "config", "user.name", "stranger")
    return clone


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, EQUAL), (0.001, EQUAL), (0.01, DIFFERENT)])
def test_without_the_recorded_files_the_metrics_in_git_decide(
    trained_project: Project, tmp_path: Path, shift: float, verdict: str
) -> None:
    results = tmp_path / "again" / "data" / "results"
    results.mkdir(parents=True)
    metrics = json.loads((trained_project.root / METRICS).read_text())
    metrics["gru.accuracy"] += shift
    (results / "metrics.json").write_text(json.dumps(metrics))
    model = tmp_path / "again" / "data" / "models" / "gru-1"
    shutil.copytree(trained_project.root / "data" / "models" / "gru-1", model)
    came = [("train@gru-1", "data/models/gru-1"), ("evaluate", METRICS.as_posix())]
    reference = DVCFileSystem(str(stranger(trained_project, tmp_path / "strangers").root), rev="HEAD")
    assert _judge("train@gru-1", came, tmp_path / "again", reference, 0.005) == verdict
    # The memory of a network is judged like the network.
    assert _judge("memory@gru-1", came, tmp_path / "again", reference, 0.005) == verdict
    assert _judge("preprocess", came, tmp_path / "again", reference, 0.005) == DIFFERENT
    # A part of the pipeline makes no metrics of all models.
    assert _judge("train@gru-1", came[:1], tmp_path / "again", reference, 0.005) == UNKNOWN


@pytest.mark.slow
def test_a_wrong_model_does_not_pass_where_nothing_is_recorded(trained_project: Project, tmp_path: Path) -> None:
    """The metrics that git has are not taken for those of the model that came."""
    strangers = stranger(trained_project, tmp_path / "strangers")
    change(
        strangers, "pipeline/baseline.py", 'train, labels["train"], weights)', 'train, 1 - labels["train"], weights)'
    )
    result = strangers.run(*VERIFY, "--stage", "baseline", check=False)
    assert "HEAD: 8 outputs (identical bytes: 7, nothing recorded: 1;" in result.stdout, result.stderr
    assert "not known" not in result.stdout  # on what the author's were made
    assert result.returncode == 1


def test_results_of_other_parameters_are_refused_before_any_work(trained_project: Project, tmp_path: Path) -> None:
    strangers = stranger(trained_project, tmp_path / "strangers")
    change(strangers, "params.yaml", "units: 8", "units: 9")
    result = strangers.run(*VERIFY, check=False)
    expected = "error: dvc.lock at HEAD was made with other parameters: train was {'"
    assert result.stderr.startswith(expected), result.stderr
    assert result.returncode == 1


def test_a_mirror_is_named_as_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATASET_MIRROR", "mirror")
    assert _mirror(tmp_path) == str(tmp_path / "mirror")
    monkeypatch.setenv("DATASET_MIRROR", "https://mirror.invalid/data")
    assert _mirror(tmp_path) == "https://mirror.invalid/data"
    monkeypatch.delenv("DATASET_MIRROR")
    assert _mirror(tmp_path) is None
    (tmp_path / "data" / "raw").mkdir(parents=True)
    assert _mirror(tmp_path) == str(tmp_path / "data" / "raw")


@pytest.mark.slow
def test_data_have_no_tolerance(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    change(
        project, "pipeline/preprocess.py", "        params.preprocess.seed,\n", "        params.preprocess.seed + 1,\n"
    )
    result = project.run(*VERIFY, "--stage", "preprocess", check=False)
    assert result.returncode == 1
    assert "different" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--revision", "nowhere"], "there is no dvc.lock at nowhere"),
        (["--revision", "HEAD~1"], "there is no dvc.lock at HEAD~1"),
        (["--stage", "train@gru-9"], "has no stage 'train@gru-9'; did you mean train@gru-"),
    ],
)
def test_what_cannot_be_verified_is_said(trained_project: Project, arguments: list[str], problem: str) -> None:
    result = trained_project.run(*VERIFY, *arguments, check=False)
    assert result.returncode == 1
    assert problem in result.stderr
    assert "Traceback" not in result.stderr
