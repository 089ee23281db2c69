"""Stages side by side: which of them run together, and what one that fails costs the others."""

import threading
from collections.abc import Sequence

import pytest
import yaml
from conftest import Project
from runs import stages_run

from pipeline.core.command import INTERRUPTED
from pipeline.tools.side_by_side import SideBySide

NETWORKS = ["lstm", "gru", "rnn"]
NEEDS: dict[str, list[str]] = {
    "download": [],
    "preprocess": ["download"],
    "baseline": ["preprocess"],
    "embed": ["preprocess"],
    **{f"train {name}": ["embed"] for name in NETWORKS},
    **{f"memory {name}": [f"train {name}"] for name in NETWORKS},
    "evaluate": [*(f"memory {name}" for name in NETWORKS), "baseline"],
}


class Noted(SideBySide):
    """Notes which stages one process gets, and waits for a second process where two may run.

    The stage named by `until_baseline` ends after the baseline has ended: which stages are left when, does not hang on
    the speed of the threads.
    """

    def __init__(self, jobs: int, codes: dict[str, int] | None = None, until_baseline: str = "") -> None:
        super().__init__(NEEDS, jobs, lambda names: f", {len(names)} to go")
        self.noted: list[list[str]] = []
        self.begun: list[str] = []
        self._codes, self._until_baseline = codes or {}, until_baseline
        self._baseline_ended = threading.Event()
        self._now, self.most = 0, 0
        self._lock = threading.Lock()
        self._together = threading.Event()

    def _chain(self, first: str) -> list[str]:
        self.begun.append(first)
        return super()._chain(first)

    def _alone(self, stages: Sequence[str]) -> int:
        assert self._now == 0
        return self._end([*stages])

    def _beside(self, stages: Sequence[str]) -> int:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            if self._now == 2:
                self._together.set()
        assert self._together.wait(20)
        if self._until_baseline in stages:
            assert self._baseline_ended.wait(20)
        code = self._end([*stages])
        if "baseline" in stages:
            self._baseline_ended.set()
        with self._lock:
            self._now -= 1
        return code

    def _end(self, stages: list[str]) -> int:
        with self._lock:
            self.noted.append(stages)
        return max(self._codes.get(name, 0) for name in stages)


def test_what_does_not_wait_for_each_other_runs_together_and_what_follows_one_alone_shares_its_process() -> None:
    stages = Noted(2, until_baseline="train rnn")
    assert stages.run() == 0
    assert stages.noted[0] == ["download", "preprocess", "embed"]
    assert sorted(stages.noted[1:-1]) == [
        ["baseline"], ["train gru", "memory gru"], ["train lstm", "memory lstm"], ["train rnn", "memory rnn"],
    ]  # fmt: skip
    assert stages.noted[-1] == ["evaluate"]
    assert stages.most == 2


def test_what_sets_all_processes_to_work_goes_before_what_nobody_waits_for() -> None:
    """The baseline begins after the last network, or beside `embed` where that frees too few networks."""
    stages = Noted(2, until_baseline="train rnn")
    stages.run()
    assert stages.begun == ["download", "train lstm", "train gru", "train rnn", "baseline", "evaluate"]
    stages = Noted(4, until_baseline="embed")
    stages.run()
    assert stages.begun[:3] == ["download", "embed", "baseline"]


def test_what_fails_stops_what_needs_it_and_no_other() -> None:
    stages = Noted(2, {"train lstm": 1})
    assert stages.run() == 1
    assert {name for names in stages.noted for name in names} == NEEDS.keys() - {"evaluate"}


def test_after_a_signal_nothing_more_begins() -> None:
    stages = Noted(2, {"train lstm": INTERRUPTED, "train gru": INTERRUPTED})
    assert stages.run() == INTERRUPTED
    assert len(stages.noted) == 3


@pytest.mark.slow
def test_side_by_side_or_not_the_same_files_come_out(own_project: Project) -> None:
    """A stage that fails between costs the others nothing, and is all that runs again."""
    cell, lock = own_project.root / "pipeline" / "cells" / "gru.py", own_project.root / "dvc.lock"
    whole = cell.read_bytes()
    cell.write_bytes(whole + b"raise SystemExit('no such cell')\n")
    words = ("python", "-m", "pipeline", "run", "units=7", "seeds=1")
    failed = own_project.run(*words, "jobs=2", check=False)
    assert failed.returncode == 1
    assert "error: train gru-1 failed, and said why above" in failed.stderr
    assert sorted(stages_run(failed.stdout)) == ["memory lstm-1", "train gru-1", "train lstm-1"]
    cell.write_bytes(whole)
    again = own_project.run(*words, "jobs=2")
    assert stages_run(again.stdout) == ["train gru-1", "memory gru-1", "evaluate"]
    together = yaml.safe_load(lock.read_text())
    own_project.run("git", "checkout", "--quiet", "dvc.lock", "params.yaml")
    (own_project.root / ".dvc" / "cache" / "runs").rename(own_project.root / "runs")
    one_by_one = own_project.run(*words, "jobs=1")
    assert "train lstm-1" in stages_run(one_by_one.stdout)
    assert yaml.safe_load(lock.read_text()) == together


def test_a_number_of_jobs_that_is_none_is_refused(trained_project: Project) -> None:
    result = trained_project.call("python", "-m", "pipeline", "run", "jobs=0", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: jobs must be a whole number above 0")
