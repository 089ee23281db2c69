"""`gatewise run` while it runs: what it says of stages and times, and how a signal ends it."""

import json
import signal
import subprocess
import sys

import pytest
from conftest import Project, clean_environment
from runs import stages_run

from pipeline.tools.stages import Step, to_go

LSTM, GRU = (Step(f"train {name}", (f"tiny train 0 {name}", "tiny train 0")) for name in ("lstm-1", "gru-1"))
EVALUATE = Step("evaluate", ("tiny evaluate 0 ", "tiny evaluate 0"))


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ({}, ""),
        ({"tiny train 0": 0.5}, ""),  # together below two seconds
        ({"tiny train 0 lstm-1": 20}, ", about 60 seconds to go"),  # the others as long
        ({"tiny train 0 lstm-1": 50, "tiny train 0": 20}, ", about 2 minutes to go"),
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
    first, second = errors.splitlines()
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
