"""Run stages side by side that do not wait for each other, each in a process of its own with its share of the cores.

DVC runs one stage after the other. A small network gains little from a second core, because its steps are too short;
two networks beside each other take half of the time. The threads of a network do not change its bytes.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from importlib import metadata
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import IO

from pipeline.core.command import INTERRUPTED
from pipeline.networks.room import free_memory
from pipeline.tracking.machine import SIDE_BY_SIDE

NUMBERED = "[?/"  # how the line begins by which a stage is told that runs beside others: its number is given here

THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
_NEEDED = 2_000_000_000  # bytes that a stage may take; check_room looks again before a network is trained


def default_jobs() -> int:
    """Find how many stages at once are fastest: as many as cores, and as memory allows; one, if a GPU may train.

    JAX takes all cores whatever it is told, so its networks run one after the other.
    """
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow" or _trains_on_gpu():
        return 1
    return max(1, min(_cores(), free_memory() // _NEEDED))


def _trains_on_gpu() -> bool:
    """Tell, without TensorFlow, which takes seconds, if it may find a GPU: its CPU build does not look for one."""
    try:
        metadata.version("tensorflow-cpu")
    except metadata.PackageNotFoundError:
        return Path("/dev/nvidia0").exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != "-1"
    return False


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class SideBySide:
    """Decides which stages run when.

    Args:
        needs: name of each stage to what has to run before it. Those begin first after which most stages follow one
            after the other, and of equal ones, those that stand first.
        jobs: how many run at once, at the most.
        rest: says how long the stages with these names may take.
    """

    def __init__(self, needs: Mapping[str, Iterable[str]], jobs: int, rest: Callable[[Sequence[str]], str]) -> None:
        self._left = {name: set(needed) for name, needed in needs.items()}
        self._jobs, self._rest, self._of = jobs, rest, len(self._left)
        self._way = _ways(self._left)
        self._done: set[str] = set()
        self._over: set[str] = set()  # of a chain that goes on
        self._running: dict[Future[int], list[str]] = {}
        self._told = 0
        self._stopping = False

    def stop(self, _: int, __: FrameType | None) -> None:
        """Begin nothing more; those that run have the same signal, and are waited for."""
        self._stopping = True

    def run(self) -> int:
        """Run all of them. One that fails stops what needs it, and no other.

        Returns:
            The exit code.
        """
        failed = False
        with ThreadPoolExecutor(self._jobs) as pool:
            while True:
                self._begin(pool)
                if not self._running:
                    break
                for ended in wait(self._running, return_when=FIRST_COMPLETED).done:
                    stages, code = self._running.pop(ended), ended.result()
                    if code == 0:
                        self._done.update(stages)
                    elif code < 0 and not self._stopping:
                        print(f"error: the process of {', '.join(stages)} was killed", file=sys.stderr)
                    failed = failed or code not in (0, INTERRUPTED)
                    self._stopping = self._stopping or code == INTERRUPTED
        if self._stopping:
            return INTERRUPTED
        if failed and self._left:
            print(f"error: not run, because they need what failed: {', '.join(self._left)}", file=sys.stderr)
        return int(failed)

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Begin as many stages as may run."""
        while not self._stopping and len(self._running) < self._jobs:
            ready = [name for name, needed in self._left.items() if needed <= self._done]
            if not ready:
                return
            stages = self._chain(max(ready, key=self._way.__getitem__))
            for name in stages:
                del self._left[name]
            lone = len(ready) == 1 and not self._running
            self._running[pool.submit(self._alone if lone else self._beside, stages)] = stages

    def _chain(self, first: str) -> list[str]:
        """Follow a stage as long as one process can run what comes next, and saves its start.

        That is so where exactly one stage waits for these alone. Of several, the one with the longest way goes on if it
        frees enough stages for all processes: the baseline, which only `evaluate` waits for, then begins after the last
        network, in place of leaving it alone at the end.
        """
        stages = [first]
        while True:
            new = self._freed(stages)
            if len(new) > 1:
                longest = max(new, key=self._way.__getitem__)
                new = [longest] if len(self._freed([*stages, longest])) - len(new) + 1 >= self._jobs else []
            if not new:
                return stages
            stages += new

    def _freed(self, stages: Sequence[str]) -> list[str]:
        """List the stages that wait for these, and for nothing else."""
        known = self._done.union(stages)
        return [
            name
            for name, needed in self._left.items()
            if name not in stages and needed <= known and not needed <= self._done
        ]

    def _alone(self, stages: Sequence[str]) -> int:
        """Run stages while no other runs: with all cores, and with the terminal."""
        options = ["--before", str(self._told), "--rest", self._rest([*stages, *self._left])]
        self._told += len(stages)
        return subprocess.run([*_command(stages, self._of), *options], check=False).returncode

    def _beside(self, stages: Sequence[str]) -> int:
        """Run stages beside others, and pass on what they print, line by line."""
        threads = str(max(1, _cores() // self._jobs))
        given = {SIDE_BY_SIDE: str(self._jobs), **{name: os.environ.get(name, threads) for name in THREADS}}
        process = subprocess.Popen(
            _command(stages, self._of),
            env={**os.environ, **given},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        assert process.stdout is not None
        assert process.stderr is not None
        readers = [
            Thread(target=self._pass_on, args=(*streams, stages))
            for streams in ((process.stdout, sys.stdout), (process.stderr, sys.stderr))
        ]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
        return process.wait()

    def _pass_on(self, lines: IO[str], to: IO[str], stages: Sequence[str]) -> None:
        told = 0
        for line in lines:
            if line.startswith(NUMBERED):
                self._over.update(stages[:told])
                told += 1
            to.write(self._numbered(line) if line.startswith(NUMBERED) else line)
            to.flush()

    def _numbered(self, line: str) -> str:
        """Give a stage its number, and say how long the rest may take."""
        self._told += 1
        told = re.sub(rf"^{re.escape(NUMBERED)}", f"[{self._told}/", line.rstrip("\n"))
        running = [name for stages in [*self._running.values()] for name in stages if name not in self._over]
        return f"{told}{'' if ':' in told else self._rest([*running, *self._left])}\n"


def _ways(needs: Mapping[str, set[str]]) -> dict[str, int]:
    """Count, for each stage, how many run one after the other from it to the last one."""
    ways: dict[str, int] = {}

    def way(name: str) -> int:
        if name not in ways:
            ways[name] = 1 + max((way(other) for other, needed in needs.items() if name in needed), default=0)
        return ways[name]

    return {name: way(name) for name in needs}


def _command(stages: Sequence[str], of: int) -> list[str]:
    return [sys.executable, "-m", "pipeline.tools.stages", *stages, "--of", str(of)]
