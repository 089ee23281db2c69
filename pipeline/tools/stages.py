"""Run the stages that are not up to date, and say which one runs and how long the rest may take.

    [7/13] train gru-2, about 3 minutes to go

This is `dvc repro` in other words: DVC decides what runs, and what it says of lock files and of git is left out. Its
warnings and errors stay. `gatewise run` starts it as a process of its own:

    python -m pipeline.tools.stages --jobs 2         so many at once of those that do not wait for each other
    python -m pipeline.tools.stages STAGE...         these alone run, up to date or not

Where several run at once, side_by_side.py starts it once more for each of them:

    python -m pipeline.tools.stages STAGE... --of 13
"""

import json
import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from types import FrameType
from typing import Any

import click
import yaml
from filelock import FileLock

from pipeline.core.command import INTERRUPTED, run, waiting
from pipeline.core.folders import STAGES_LOCK
from pipeline.core.params import read_params
from pipeline.tools.side_by_side import NUMBERED, SideBySide, default_jobs

_PLANNING = "look what has to run"

with waiting(_PLANNING):
    from dvc.dependency import ParamsDependency
    from dvc.dvcfile import PROJECT_FILE
    from dvc.exceptions import DvcException, ReproductionError
    from dvc.repo import Repo
    from dvc.repo.reproduce import collect_stages, get_active_graph, plan_repro
    from dvc.stage import PipelineStage
    from dvc.stage.exceptions import StageCmdFailedError
    from dvc.utils.serialize import modify_yaml

_LOCK = Path("dvc.lock")
TIMES = "gatewise-times.json"  # in DVC's folder for temporary files: seconds that stages took on this machine

_KEPT = 300  # times, of which the latest stay
_START = 1.0  # seconds before a stage is told again to stop that has just begun,
_PATIENCE = 6.0  # and before one is that may be tidying up
_SHORT = 2  # seconds that are not worth telling
_LONGEST = "train"  # the kind of stage that takes most of a run
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
            other models and seeds that have the same data set, parameters and stage; the third one with other
            parameters, too.
        needs: what has to run before it, by the names of dvc.yaml.
    """

    name: str
    keys: tuple[str, str, str]
    needs: frozenset[str] = frozenset()

    @classmethod
    def of(cls, stage: PipelineStage, dataset: str, needs: Iterable[PipelineStage] = ()) -> "Step":
        """Describe a stage of dvc.yaml."""
        kind, _, item = stage.addressing.partition("@")
        params = [dep.read_params() for dep in stage.deps if isinstance(dep, ParamsDependency)]
        settings = md5(json.dumps(params, sort_keys=True, default=str).encode(), usedforsecurity=False).hexdigest()[:8]
        key = f"{dataset} {kind} {settings}"
        return cls(
            f"{kind} {item}".strip(),
            (f"{key} {item}", key, f"{dataset} {kind}"),
            frozenset(one.addressing for one in needs),
        )


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
    steps = [stage for stage in stale if stage.cmd]
    needs = {stage: [one for one in graph.successors(stage) if one in stale and one.cmd] for stage in steps}
    return {stage.addressing: Step.of(stage, dataset, needs[stage]) for stage in steps}


def read_times(file: Path) -> dict[str, float]:
    """Read the seconds that stages took on this machine, by `Step.keys`."""
    try:
        times: dict[str, float] = json.loads(file.read_text(encoding="utf-8"))
        return times
    except (OSError, ValueError):  # there is none yet, or a kill cut it off
        return {}


def _keep_time(file: Path, step: Step, seconds: float) -> None:
    with FileLock(f"{file}.lock"):  # other stages may end at the same moment
        times = {key: time for key, time in read_times(file).items() if key not in step.keys}
        times |= dict.fromkeys(step.keys, round(seconds, 1))  # the latest stand last
        file.write_text(json.dumps(dict([*times.items()][-_KEPT:]), indent=1), encoding="utf-8")


def to_go(steps: Sequence[Step], times: Mapping[str, float], jobs: int = 1) -> str:
    """Say how long some steps may take, so many at once, by the times of earlier ones; empty where none tell it.

    Networks take most of a run: where one of them has no time, nothing is said. Another stage without one counts as 0.
    """
    found = {step: next((times[key] for key in step.keys if key in times), None) for step in steps}
    if any(seconds is None and step.name.startswith(_LONGEST) for step, seconds in found.items()):
        return ""
    seconds = sum(filter(None, found.values())) / jobs
    if seconds < _SHORT:
        return ""
    amount = f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
    return f", about {amount} to go"


@dataclass(frozen=True)
class Place:
    """Say where some stages stand among all those of a run.

    Attributes:
        of: stages of the run.
        before: those that were told before; None: others run beside, and who has started them numbers them.
        rest: how long the rest may take from the first one on.
    """

    of: int
    before: int | None = None
    rest: str = ""


class Teller(logging.Handler):
    """Says what DVC does with the stages of a plan, and keeps the times that they take.

    Args:
        plan: what `planned` gave, or a part of it.
        file: where the times are kept.
        place: of that part; None: it is all.
    """

    def __init__(self, plan: Mapping[str, Step], file: Path, place: Place | None = None) -> None:
        super().__init__(logging.INFO)
        self.stopping = False
        self.current = ""
        self._steps, self._file, self._place = dict(plan), file, place
        self._number, self._began = 0, 0.0
        self._running: Step | None = None
        self._times = read_times(file)

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
        print(f"{self._numbered()} {step.name}{note or self._rest()}", flush=True)
        self.current, self._began = step.name, time.monotonic()
        self._running = None if note else step

    def _numbered(self) -> str:
        if self._place is None:
            return f"[{self._number}/{len(self._steps)}]"
        if self._place.before is None:
            return f"{NUMBERED}{self._place.of}]"
        return f"[{self._place.before + self._number}/{self._place.of}]"

    def _rest(self) -> str:
        if self._place is None:
            return to_go([*self._steps.values()][self._number - 1 :], self._times)
        return self._place.rest if self._number == 1 else ""

    def finished(self) -> None:
        """Keep the time of the stage that has run last."""
        if self._running is not None:
            _keep_time(self._file, self._running, time.monotonic() - self._began)
        self._running = None


def reproduce(jobs: int) -> int:
    """Have DVC run what is not up to date.

    Args:
        jobs: how many stages run at once, at the most.

    Returns:
        The exit code.

    Raises:
        DvcException: DVC cannot, and the reason is not a stage that failed.
    """
    with Repo(_wait_for_lock=jobs > 1) as repo:
        with waiting(_PLANNING):
            plan = planned(repo, read_params().dataset)
        if not plan:
            print("up to date: no stage has to run")
            return 0
        times = Path(repo.tmp_dir) / TIMES
        if jobs == 1:
            return _run(repo, Teller(plan, times))
    known = _locked_stages()
    stages = SideBySide(
        {name: step.needs for name, step in plan.items()},
        jobs,
        lambda names: to_go([plan[name] for name in names], read_times(times), jobs),
    )
    signal.signal(signal.SIGTERM, stages.stop)
    code = stages.run()
    _put_in_order([*known, *(name for name in plan if name not in known)])
    return code


def reproduce_only(names: Sequence[str], place: Place | None) -> int:
    """Have DVC run some stages and nothing before them.

    Args:
        names: as dvc.yaml has them.
        place: among those of a run, where only what is not up to date runs; None: they run in any case.

    Returns:
        The exit code.
    """
    dataset = read_params().dataset
    with Repo(_wait_for_lock=True) as repo:
        with repo.lock:  # another stage may be writing dvc.lock at this moment
            plan = {name: Step.of(repo.stage.load_one(name=name), dataset) for name in names}
        teller = Teller(plan, Path(repo.tmp_dir) / TIMES, place)
        return _run(repo, teller, targets=[*names], single_item=True, force=place is None)


def _run(repo: Repo, teller: Teller, **options: Any) -> int:
    """Have DVC run stages, tell of them, and let a signal end them; return the exit code."""
    logging.getLogger("dvc").addHandler(teller)
    signal.signal(signal.SIGTERM, teller.stop)
    try:
        repo.reproduce(**options)
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


def _locked_stages() -> list[str]:
    """List the stages of dvc.lock in their order."""
    if not _LOCK.exists():
        return []
    return [*(yaml.load(_LOCK.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader) or {}).get("stages", {})]


def _put_in_order(names: Sequence[str]) -> None:
    """Bring dvc.lock into the order of stages that run one after the other: DVC appends what is new as it comes."""
    now = _locked_stages()
    wanted = [name for name in names if name in now]
    if now in (wanted, []):
        return
    with Repo(_wait_for_lock=True) as repo, repo.lock, modify_yaml(_LOCK) as lock:
        stages = lock["stages"]
        for name in [*wanted, *(name for name in now if name not in wanted)]:
            stages[name] = stages.pop(name)


def _stop_with_input() -> None:
    """Stop this group of processes when the standard input ends: nobody is left who would tell how it came out."""
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGTERM)


@click.command()
@click.argument("stages", metavar="[STAGE]...", nargs=-1)
@click.option("--jobs", type=click.IntRange(min=1), default=None, help="How many at once. Default: what is fastest.")
@click.option("--tied", is_flag=True, help="Stop when the standard input ends, as it does with who has begun this.")
@click.option("--of", type=int, hidden=True)
@click.option("--before", type=int, hidden=True)
@click.option("--rest", default="", hidden=True)
def main(
    stages: tuple[str, ...],
    jobs: int | None,
    tied: bool,
    of: int | None,
    before: int | None,
    rest: str,
) -> None:
    """Run the stages that are not up to date, or some stages alone."""
    if tied:
        threading.Thread(target=_stop_with_input, daemon=True).start()
    log = logging.getLogger("dvc")
    for handler in [handler for handler in log.handlers if handler.level < logging.WARNING]:
        log.removeHandler(handler)
    try:
        if of is not None:  # side_by_side.py has begun this one, and whoever has begun that has the lock
            sys.exit(reproduce_only(stages, Place(of, before, rest)))
        with FileLock(STAGES_LOCK):
            sys.exit(reproduce_only(stages, None) if stages else reproduce(jobs or default_jobs()))
    except KeyboardInterrupt:  # which `gatewise run` tells
        sys.exit(INTERRUPTED)
    except DvcException:
        log.exception("")  # in the words of DVC
        sys.exit(1)


if __name__ == "__main__":
    run(main)
