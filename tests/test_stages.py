"""`gatewise run` while it runs: what it says of stages and times, and how a signal ends it."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from conftest import ROOT, Project, clean_environment
from filelock import FileLock
from runs import stages_run

from pipeline.core.command import InputError
from pipeline.core.folders import STAGES_LOCK
from pipeline.tools import run as runner
from pipeline.tools.stages import Step, to_go

LSTM, GRU = (
    Step(f"train {name}", (f"tiny train 0 {name}", "tiny train 0", "tiny train")) for name in ("lstm-1", "gru-1")
)
EVALUATE = Step("evaluate", ("tiny evaluate 0 ", "tiny evaluate 0", "tiny evaluate"))


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({}, ""),
        ({"tiny train": 0.5}, ""),  # together below two seconds
        ({"tiny evaluate": 5}, ""),  # which says nothing of the networks
        ({"tiny train 0 lstm-1": 20}, ""),
        ({"tiny train 0 lstm-1": 20, "tiny train 0": 25}, ", about 45 seconds to go"),
        ({"tiny train 0 lstm-1": 20, "tiny train": 30}, ", about 50 seconds to go"),  # with other parameters
        ({"tiny train 0": 200, "tiny evaluate 0 ": 80}, ", about 8 minutes to go"),
    ],
)
def test_the_rest_is_estimated_from_the_times_of_earlier_stages(times: dict[str, float], told: str) -> None:
    assert to_go([LSTM, GRU, EVALUATE], times) == told


def stopped_at(project: Project, words: list[str], line: str, number: int) -> tuple[int, str, str]:
    """Run the pipeline, and send the signal when it has printed a line that begins so: exit code, output, errors."""
    run = subprocess.Popen(
        [sys.executable, "-m", "pipeline", "run", *words],
        cwd=project.root, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert run.stdout is not None
    seen = []
    for printed in run.stdout:
        seen.append(printed)
        if printed.startswith(line):
            break
    run.send_signal(number)
    output, errors = run.communicate(timeout=60)
    return run.returncode, "".join(seen) + output, errors


@pytest.mark.slow
def test_a_signal_ends_the_stage_and_leaves_no_lock(own_project: Project) -> None:
    """The first one arrives while the stage imports, the second one while the network learns."""
    before = (own_project.root / "dvc.lock").read_bytes()
    words = ["units=7", "models=gru", "seeds=1"]
    code, output, errors = stopped_at(own_project, words, "[1/3] train gru-1", signal.SIGTERM)
    assert code == 130
    first, second = filter(None, errors.splitlines())  # Click closes the line of ^C, if the stage had come so far
    assert first.startswith("interrupted; finished stages stay.")
    assert second.startswith("These changes stay: train.units: 8 -> 7; models: lstm,gru -> gru;")
    code, output, errors = stopped_at(own_project, [], "gru-1 epoch 1", signal.SIGINT)
    assert (code, stages_run(output)) == (130, ["train gru-1"])
    assert errors.split() == first.split()
    locks = json.loads((own_project.root / ".dvc" / "tmp" / "rwlock").read_text())
    assert not any(locks.values())
    assert (own_project.root / "dvc.lock").read_bytes() == before
    # Back: the network whose files DVC had removed comes from its cache, and nobody speaks of a killed process.
    own_project.run("git", "checkout", "--quiet", "params.yaml")
    back = own_project.run("python", "-m", "pipeline", "run")
    assert stages_run(back.stdout) == []
    assert "[1/3] train gru-1: the result comes from DVC's cache" in back.stdout
    assert back.stderr == ""
    assert own_project.run("git", "status", "--porcelain").stdout == ""


def test_a_stage_ends_when_dvc_is_killed(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    shutil.copyfile(ROOT / "pipeline/__init__.py", tmp_path / "pipeline/__init__.py")
    (tmp_path / "pipeline/stage.py").write_text("import time\nprint('runs', flush=True)\ntime.sleep(60)\n")
    dvc = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'pipeline.stage'])"
    killed = subprocess.Popen(
        [sys.executable, "-c", dvc],
        cwd=tmp_path, env=clean_environment() | {"DVC_STAGE": "train"}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert killed.stdout is not None
    assert killed.stdout.readline() == "runs\n"
    (stage,) = psutil.Process(killed.pid).children()
    killed.kill()
    assert killed.stdout.read() == ""  # it ends with the last process that may write to it
    assert stage.wait(30) is None
    killed.wait()


def test_ctrl_c_in_an_import_shows_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "pipeline").mkdir()
    shutil.copyfile(ROOT / "pipeline/__init__.py", tmp_path / "pipeline/__init__.py")
    (tmp_path / "pipeline/stage.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    command = [sys.executable, "-m", "pipeline.stage"]
    ended = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (-signal.SIGINT, "")


def test_a_run_waits_for_the_stages_of_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    STAGES_LOCK.parent.mkdir(parents=True)
    runner.wait_for_stages()
    assert capsys.readouterr().out == ""
    monkeypatch.setattr(runner, "_ENDING", 0.1)
    with FileLock(STAGES_LOCK), pytest.raises(InputError, match="stages go on that an earlier run has begun"):
        runner.wait_for_stages()
    assert capsys.readouterr().out.startswith("an earlier run was killed")


@pytest.mark.slow
def test_a_killed_run_takes_its_stages_with_it_and_the_next_one_needs_no_help(own_project: Project) -> None:
    words = [sys.executable, "-m", "pipeline", "run"]
    killed = subprocess.Popen(
        [*words, "units=6", "models=gru", "seeds=1"],
        cwd=own_project.root, env=clean_environment(), stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert killed.stdout is not None
    assert any(line.startswith("gru-1 epoch 2") for line in killed.stdout)  # the state of the first one is kept
    killed.kill()
    killed.wait()
    following = own_project.run(*words)
    assert "gru-1: an earlier run was stopped; training goes on after" in following.stdout
    assert stages_run(following.stdout) == ["train gru-1", "memory gru-1", "evaluate"]
    own_project.run("git", "checkout", "--quiet", "params.yaml")
