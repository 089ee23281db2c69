"""Kill promotions at random moments, promote again, and compare the registry with that of an undisturbed promotion.

    python -m benchmarks.promotions              # 20 kills: 8 minutes on two cores
    python -m benchmarks.promotions 5 --seed 2

The pipeline of a tiny data set is run once, and its LSTM promoted. Then its GRU is promoted, and every process of that
is killed (SIGKILL). After each kill there must be a champion, one of the two. The same command again must end as an
undisturbed one does: with the same champion, and each model registered once. At last, a rollback must bring back the
LSTM. Then MLflow's store is put back, for the next kill.
"""

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import click
from tabulate import tabulate

from benchmarks.kills import COMMANDS, ONE_THREAD, Running, small_project
from pipeline.core.command import InputError, run

PROMOTE = [sys.executable, "-m", "pipeline", "promote", "--without-comparison", "--without-learning", "--model"]
ROLL_BACK = [sys.executable, "-m", "pipeline", "rollback"]
REGISTRY = (
    "SELECT alias, run_id FROM registered_model_aliases JOIN model_versions USING (name, version)",
    "SELECT run_id FROM model_versions ORDER BY run_id",
)


def registry(root: Path) -> tuple[dict[str, str], list[str]]:
    """Read the registry of MLflow's store: alias to the run of the model that has it, and the runs of all versions."""
    with closing(sqlite3.connect(root / "mlflow.db")) as store:
        aliases, versions = (store.execute(query).fetchall() for query in REGISTRY)
    return dict(aliases), [run_id for (run_id,) in versions]


def done(command: list[str], root: Path, environment: dict[str, str]) -> None:
    """Run a command of the project to its end.

    Raises:
        InputError: it failed.
    """
    running = Running(command, root, environment)
    if running.process.wait():
        raise InputError(f"{' '.join(command[2:])} failed: {running.printed}")


def try_once(root: Path, environment: dict[str, str], after: float, allowed: list[str], expected: object) -> list[str]:
    """Kill a promotion so many seconds after its start, and go on; name all that is not as it should be."""
    running = Running([*PROMOTE, "gru-1"], root, environment)
    time.sleep(after)
    for pid in running.members():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    running.process.wait()
    problems = []
    if registry(root)[0].get("champion") not in allowed:
        problems.append("there is no champion, or a third one")
    again = Running([*PROMOTE, "gru-1"], root, environment)
    if again.process.wait():
        problems.append(f"the next promotion failed: {again.printed[-500:]}")
    if registry(root) != expected:
        problems.append("the registry is not that of an undisturbed promotion")
    back = Running(ROLL_BACK, root, environment)
    if back.process.wait() or registry(root)[0].get("champion") != allowed[0]:
        problems.append(f"the rollback failed: {back.printed[-500:]}")
    return problems


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.argument("kills", type=click.IntRange(1), default=20)
@click.option("--seed", type=int, default=1, show_default=True, help="of the moments")
def main(kills: int, seed: int) -> None:
    moments = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        small_project(root)
        from conftest import clean_environment  # which small_project has made known

        environment = clean_environment() | ONE_THREAD
        done(COMMANDS["gatewise run"], root, environment)
        done([*PROMOTE, "lstm-1"], root, environment)
        former = registry(root)[0]["champion"]
        shutil.copyfile(root / "mlflow.db", root / "before.db")
        began = time.monotonic()
        done([*PROMOTE, "gru-1"], root, environment)
        whole = time.monotonic() - began
        expected = registry(root)
        found: Counter[str] = Counter()
        for number in range(1, kills + 1):
            shutil.copyfile(root / "before.db", root / "mlflow.db")
            after = whole * moments.uniform(0.3, 1.0)  # before that, Python imports
            problems = try_once(root, environment, after, [former, expected[0]["champion"]], expected)
            print(
                f"{number:4} after {after:.1f} s: {'; '.join(problems) or 'as undisturbed'}",
                file=sys.stderr,
                flush=True,
            )
            found.update(problems or ["as undisturbed"])
        print(f"an undisturbed promotion takes {whole:.1f} s")
        print(tabulate(found.most_common(), headers=["after the kill", "promotions"]))


if __name__ == "__main__":
    run(main)
