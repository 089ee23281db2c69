"""What git alone has of a commit's results: held against those on disk, and compared where predictions are missing."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml
from conftest import Project, commit_all
from dvc.utils.serialize import dumps_yaml

from pipeline.core.hashes import md5
from pipeline.tracking.committed import ROUNDING_STAGES, _machines, _verdicts, headline_of
from pipeline.tracking.paths import METRICS, RESULTS

COMPUTED = ("data/models", "data/memory")


def record_elsewhere(project: Project, cpu: str, shifts: Mapping[str, float]) -> None:
    """Commit results as another processor would have made them: other hashes of models, other numbers."""
    root = project.root
    metrics = json.loads((root / METRICS).read_text())
    metrics |= {name: metrics[name] + shift for name, shift in shifts.items()}
    (root / METRICS).write_text(json.dumps(metrics, indent=2) + "\n")
    lock = yaml.safe_load((root / "dvc.lock").read_text())
    for name, stage in lock["stages"].items():
        entries = [entry for entry in stage["deps"] if entry["path"].startswith(COMPUTED)]
        for entry in [*entries, *(stage["outs"] if name.partition("@")[0] in ROUNDING_STAGES else [])]:
            digest = md5(root / METRICS) if entry["path"] == METRICS.as_posix() else f"0000{entry['md5'][4:]}"
            entry["md5"] = digest
    (root / "dvc.lock").write_text(dumps_yaml(lock))
    machine = json.loads((root / RESULTS / "machine.json").read_text())
    machine |= {"metrics.json": md5(root / METRICS), "cpu": cpu}
    (root / RESULTS / "machine.json").write_text(json.dumps(machine, indent=2) + "\n")
    commit_all(project, "recorded elsewhere")


@pytest.mark.slow
def test_results_of_another_processor_are_told_and_compared_from_git(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    assert "recorded on" not in project.run("python", "-m", "pipeline", "run").stdout
    record_elsewhere(project, "Their CPU, family 6, avx2", {"lstm.accuracy": -0.0004, "gru.log_loss": 0.0002})
    shown = project.run("python", "-m", "pipeline", "run").stdout.splitlines()[-1]
    parts = ["recorded on Their CPU, here ", "largest difference 0.0004, same verdict", "git commit -am"]
    assert all(part in shown for part in parts), shown
    shown = project.run("python", "-m", "pipeline", "compare", "HEAD").stdout
    assert re.search(r"lstm.accuracy \| +0\.\d{4} \| +[01]\.\d{4} \| \+0\.0004 \|", shown), shown
    assert "data/models/lstm-1 of HEAD is neither in DVC's cache nor at its remote" in shown
    assert "made on Their CPU, family 6, avx2" in shown
    commit_all(project, "made here")
    assert "recorded on" not in project.run("python", "-m", "pipeline", "run").stdout
    # Their commit against ours; and ours with another parameter, for which no machine is the reason.
    assert "+0.0004" in project.run("python", "-m", "pipeline", "compare", "HEAD~1", "HEAD").stdout
    changed = project.run("python", "-m", "pipeline", "run", "--units", "4").stdout
    assert "recorded on" not in changed


@pytest.mark.parametrize(
    ("there", "here", "said"),
    [
        ("GRU beats LSTM by 0.4 points (0.1 to 0.7).", "GRU beats LSTM by 0.5 points (0.2 to 0.7).", ", same verdict"),
        ("GRU leads by 0.4 to 1.2 points.", "GRU leads by 0.5 points.", ", same verdict"),
        ("GRU beats LSTM by 0.4 points.", "LSTM beats GRU by 0.4 points.", ", another verdict"),
        (None, "A tie.", ""),
    ],
)
def test_a_verdict_is_the_same_if_its_words_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: str | None, here: str, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    RESULTS.mkdir(parents=True)
    (RESULTS / "verdict.json").write_text(json.dumps({"sentences": [here], "warnings": []}))
    assert _verdicts({"verdict": there} if there else {}) == said


def test_machines_are_told_by_what_differs() -> None:
    ours = {"cpu": "Our CPU, avx512f", "version.keras": "3.15.1", "verdict": "A tie."}
    assert _machines(ours | {"cpu": "Theirs, avx2"}, ours) == "recorded on Theirs, here Our CPU"
    assert _machines(ours | {"cpu": "Our CPU, avx2"}, ours) == "recorded on Our CPU, avx2, here Our CPU, avx512f"
    assert _machines(ours | {"version.keras": "3.14.0"}, ours) == "recorded on keras 3.14.0, here keras 3.15.1"
    assert _machines(ours, ours) == "recorded on the same kind of processor"
    assert _machines({}, ours) == "recorded on a machine that git does not name"


def test_the_numbers_of_older_commits_have_todays_names() -> None:
    older = {"lstm": {"accuracy": {"mean": 0.5, "std": 0.1}, "roc_auc": {"mean": None, "std": None}, "runs": 3}}
    assert headline_of(older) == {"lstm.accuracy": 0.5}
    assert headline_of({"lstm.accuracy": 0.5, "lstm.f1": None}) == {"lstm.accuracy": 0.5}
