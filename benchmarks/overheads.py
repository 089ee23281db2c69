"""Where the time of a run goes that is no work: imports, MLflow and DVC, beside what is left for the work itself.

    make repro                           # once; then, for the parameters of the last commit:
    python -m benchmarks.overheads       # as long as `make repro` from nothing

In a clone of it that is thrown away, `dvc repro` runs every stage, with a clock in each: how long Python and the
imports of the stage take to load, and all calls into `pipeline.tracking.tracker`, which speaks to MLflow. The rest of
the stage is work. What `dvc repro` takes beyond its stages is DVC's: its own start, hashes, the cache.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from pipeline.core.command import InputError, clear_errors
from pipeline.core.folders import project_root
from pipeline.tools.verify import clone_of, environment_for

# What stands for `python` in the clone: `python -m module …` runs the module with a clock in it.
SHIM = """#!/bin/sh
case "$1 $2" in "-m pipeline."*) ;; *) exec "{python}" "$@" ;; esac
shift
STARTED=$(date +%s.%N) "{python}" "{clock}" "$@"
code=$?
echo "{{\\"ended\\": $(date +%s.%N)}}" >> "$CLOCK"
exit $code
"""
CLOCK = '''
import contextlib, json, os, sys, time

sys.path.insert(0, os.getcwd())
started, module, mlflow, depth = float(os.environ["STARTED"]), sys.argv[1], 0.0, 0


def clocked(function):
    def call(*arguments, **options):
        global mlflow, depth
        depth, begun = depth + 1, time.time()
        try:
            found = function(*arguments, **options)
        finally:
            depth -= 1
            mlflow += 0 if depth else time.time() - begun
        return Clocked(found) if isinstance(found, contextlib._GeneratorContextManager) else found

    return call


class Clocked:
    """A context whose beginning and end count, and not what is done inside."""

    def __init__(self, context):
        self._context = context

    def __enter__(self):
        return clocked(self._context.__enter__)()

    def __exit__(self, *problem):
        return clocked(self._context.__exit__)(*problem)


__import__(module)
imported = time.time()
if tracking := sys.modules.get("pipeline.tracking.tracker"):
    for kind in (tracking.Tracker, tracking.TrackedRun):
        for name, value in list(vars(kind).items()):
            if callable(value):
                setattr(kind, name, clocked(value))
stage = sys.modules[module]
del sys.argv[0]
try:
    stage.run(stage.main)
finally:
    with open(os.environ["CLOCK"], "a") as file:
        row = {"stage": module, "started": started, "imports": imported - started, "mlflow": mlflow}
        file.write(json.dumps(row) + "\\n")
'''


def main() -> None:
    argparse.ArgumentParser(
        description="Measure how much of a run is imports, MLflow and DVC, and how much is work."
    ).parse_args()
    root = project_root()
    with tempfile.TemporaryDirectory(prefix="gatewise-overheads-") as name:
        clone, tools, clock = Path(name) / "clone", Path(name) / "bin", Path(name) / "clock.json"
        clone_of(root, "HEAD", clone, [])
        tools.mkdir()
        (tools / "clock.py").write_text(CLOCK)
        (tools / "python").write_text(SHIM.format(python=sys.executable, clock=tools / "clock.py"))
        (tools / "python").chmod(0o755)
        environment = environment_for(root, clone)
        environment |= {"CLOCK": str(clock), "PATH": f"{tools}{os.pathsep}{environment['PATH']}"}
        started = time.perf_counter()
        ran = subprocess.run(["dvc", "repro", "--quiet", "--force"], cwd=clone, env=environment, check=False)
        whole = time.perf_counter() - started
        if ran.returncode:
            raise InputError("dvc repro failed; its output is above")
        lines = [json.loads(line) for line in clock.read_text().splitlines()]
    stages = [
        row | {"seconds": end["ended"] - row["started"]} for row, end in zip(lines[::2], lines[1::2], strict=True)
    ]
    rows = []
    for stage in dict.fromkeys(row["stage"] for row in stages):
        of = [row for row in stages if row["stage"] == stage]
        total, imports, mlflow = (sum(row[key] for row in of) for key in ("seconds", "imports", "mlflow"))
        rows.append(
            [f"{stage.removeprefix('pipeline.')}, {len(of)} ×", total, imports, mlflow, total - imports - mlflow]
        )
    sums = [sum(row[column] for row in rows) for column in range(1, 5)]
    rows += [["all stages", *sums], ["DVC", whole - sums[0]], ["dvc repro", whole, None, None, sums[3]]]
    print(tabulate(rows, ["", "seconds", "imports", "MLflow", "work"], "github", floatfmt=".1f"))
    print(f"{sums[3] / whole:.0%} of the time is work.")


if __name__ == "__main__":
    with clear_errors():
        main()
