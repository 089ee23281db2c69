"""Run the stages that are not up to date, and say which one runs and how long the rest may take.

    [7/13] train gru-2, about 3 minutes to go

This is `dvc repro` in other words: DVC decides what runs, and what it says of lock files and of git is left out. Its
warnings and errors stay. `gatewise run` starts it as a process of its own:

    python -m pipeline.tools.stages [STAGE]     STAGE alone runs, up to date or not
"""

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from types import FrameType

import click
from filelock import FileLock

from pipeline.core.command import INTERRUPTED, run, waiting
from pipeline.core.folders import STAGES_LOCK
from pipeline.core.params import read_params

_PLANNING = "look what has to run"

with waiting(_PLANNING):
    from dvc.dependency import ParamsDependency
    from dvc.dvcfile import PROJECT_FILE
    from dvc.exceptions import DvcException, ReproductionError
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
    from dvc.stage import PipelineStage
    from dvc.stage.exceptions import StageCmdFailedError

TIMES = "gatewise-times.json"  # in DVC's folder for temporary files: seconds that stages took on this machine

_KEPT = 300  # times, of which the latest stay
_START = 1.0  # seconds before a stage is told again to stop that has just begun,
_PATIENCE = 6.0  # and before one is that may be tidying up
_SHORT = 2  # seconds that are not worth telling
_KILLED = re.compile(rf"exited with (-{signal.SIGKILL}|{128 + signal.SIGKILL})")
# What DVC logs of a stage, and what is said of it.
_EVENTS = {
    "Running stage '%s':": "",
    "Stage '%s' is cached - skipping run, checking out outputs": ": the result comes from DVC's cache",
    "Stage '%s' didn't change, skipping": ": nothing to do, since what it reads came out the same",
}


@dataclass(frozen=True)
class Step:
    """One stage that is to run.

    Attributes:
        name: for people: `train lstm-1`.
        keys: by which the time that it took is found again. The first one is its own; the second one it shares with the
            other models and seeds that have the same data set, parameters and stage.
    """

    name: str
    keys: tuple[str, str]

    @classmethod
    def of(cls, stage: PipelineStage, dataset: str) -> "Step":
        """Describe a stage of dvc.yaml."""
        kind, _, item = stage.addressing.partition("@")
        params = [dep.read_params() for dep in stage.deps if isinstance(dep, ParamsDependency)]
        settings = md5(json.dumps(params, sort_keys=True, default=str).encode(), usedforsecurity=False).hexdigest()[:8]
        key = f"{dataset} {kind} {settings}"
        return cls(f"{kind} {item}".strip(), (f"{key} {item}", key))


def planned(repo: Repo, dataset: str) -> dict[str, Step]:
    """List what is not up to date, and all that depends on it, in the order of DVC.

    Returns:
        The name of each stage in DVC to its step.
    """
    with repo.lock:
        graph = get_active_graph(repo.index.graph)
        stale: dict[PipelineStage, None] = {}
        for stage in plan_repro(graph, collect_stages(repo, [PROJECT_FILE])):
            if not stale.keys().isdisjoint(graph.successors(stage)) or stage.changed():
                stale[stage] = None
    return {stage.addressing: Step.of(stage, dataset) for stage in stale if stage.cmd}


def to_go(steps: list[Step], times: Mapping[str, float]) -> str:
    """Say how long some steps may take, by the times of earlier ones; empty where no step has any.

    A step that has never run counts as the mean of the others: without it, the number would be far too low.
    """
    known = [times[key] for step in steps if (key := next((key for key in step.keys if key in times), None))]
    seconds = sum(known) / len(known) * len(steps) if known else 0.0
    if seconds < _SHORT:
        return ""
    amount = f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    return f", about {amount} to go"


class Teller(logging.Handler):
    """Says what DVC does with the stages of a plan, and keeps the times that they take.

    Args:
        plan: what `planned` gave.
        file: where the times are kept.
    """

    def __init__(self, plan: Mapping[str, Step], file: Path) -> None:
        super().__init__(logging.INFO)
        self.stopping = False
        self.current = ""
        self._steps, self._file = dict(plan), file
        self._number, self._began = 0, 0.0
        self._running: Step | None = None
        try:
            self._times: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # there is none yet, or a kill cut it off
            self._times = {}

    def stop(self, _: int, __: FrameType | None) -> None:
        """Let DVC finish what it writes, and begin no further stage; say it again to a stage that goes on.

        A stage may have missed the signal: its process was not there yet, or the signal met a callback of TensorFlow
        that swallows what is raised in it. All of the group hears it, this
        process too: so it is said until the stage ends.
        """
        self.stopping = True
        early = time.monotonic() - self._began < _START
        again = threading.Timer(_START if early else _PATIENCE, os.killpg, (0, signal.SIGTERM))
        again.daemon = True
        again.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Tell of a stage that DVC takes up.

        Raises:
            KeyboardInterrupt: somebody has asked to stop.
        """
        if record.msg not in _EVENTS or not record.args:
            return
        (name,) = record.args
        if name not in self._steps:
            return
        self.finished()
        if self.stopping:
            raise KeyboardInterrupt
        self._number += 1
        step, note = self._steps[str(name)], _EVENTS[str(record.msg)]
        rest = "" if note else to_go(list(self._steps.values())[self._number - 1 :], self._times)
        print(f"[{self._number}/{len(self._steps)}] {step.name}{note or rest}", flush=True)
        self.current, self._began = step.name, time.monotonic()
        self._running = None if note else step

    def finished(self) -> None:
        """Keep the time of the stage that has run last."""
        if self._running is None:
            return
        seconds = round(time.monotonic() - self._began, 1)
        for key in self._running.keys:
            self._times.pop(key, None)  # so that the latest stand last
            self._times[key] = seconds
        self._running = None
        self._file.write_text(json.dumps(dict([*self._times.items()][-_KEPT:]), indent=1), encoding="utf-8")


def reproduce(alone: str | None) -> int:
    """Have DVC run what is not up to date.

    Args:
        alone: the one stage to run instead, up to date or not.

    Returns:
        The exit code.

    Raises:
        DvcException: DVC cannot, and the reason is not a stage that failed.
    """
    dataset = read_params().dataset
    with Repo() as repo:
        with waiting(_PLANNING):
            lone = {alone: Step.of(repo.stage.load_one(name=alone), dataset)} if alone else {}
            plan = lone or planned(repo, dataset)
        if not plan:
            print("up to date: no stage has to run")
            return 0
        teller = Teller(plan, Path(repo.tmp_dir) / TIMES)
        logging.getLogger("dvc").addHandler(teller)
        signal.signal(signal.SIGTERM, teller.stop)
        try:
            repo.reproduce(targets=alone, single_item=bool(alone), force=bool(alone))
            teller.finished()
        except ReproductionError as error:
            if teller.stopping:
                return INTERRUPTED
            if not isinstance(error.__cause__, StageCmdFailedError):
                raise
            killed = _KILLED.search(str(error.__cause__))
            why = "was killed: most likely, memory ran out" if killed else "failed, and said why above"
            print(f"error: {teller.current} {why}", file=sys.stderr)
            return 1
    return INTERRUPTED if teller.stopping else 0


def _stop_with_input() -> None:
    """Stop this group of processes when the standard input ends: nobody is left who would tell how it came out."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)


@click.command()
@click.option("--tied", is_flag=True, help="stop when the standard input ends, as it does with who has begun this")
@click.argument("alone", metavar="[STAGE]", required=False)
def main(alone: str | None, tied: bool) -> None:
    """Run the stages that are not up to date."""
    if tied:
        threading.Thread(target=_stop_with_input, daemon=True).start()
    log = logging.getLogger("dvc")
    for handler in [handler for handler in log.handlers if handler.level < logging.WARNING]:
        log.removeHandler(handler)
    try:
        with FileLock(STAGES_LOCK):
            sys.exit(reproduce(alone))
    except KeyboardInterrupt:  # which `gatewise run` tells
        sys.exit(INTERRUPTED)
    except DvcException:
        log.exception("")  # in the words of DVC
        sys.exit(1)


if __name__ == "__main__":
    run(main)
