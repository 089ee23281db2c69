"""Set parameters, then run the pipeline: what `make repro` and `mlflow run` do.

    python -m pipeline.tools.reproduce                               # params.yaml as it is
    python -m pipeline.tools.reproduce --dataset imdb --seeds 1,2    # writes these into params.yaml first
    python -m pipeline.tools.reproduce --train.units 32 --epochs 1   # any parameter, by its full or its last name
    python -m pipeline.tools.reproduce --dataset imdb --preset strong  # the parameters that presets.yaml has under it

All names and values are checked before any work. `dvc repro` then runs what is not up to date.
"""

import os
import subprocess
import sys
from pathlib import Path

from filelock import FileLock, Timeout

from pipeline.core.command import InputError, run, search_path
from pipeline.core.params import read_params, read_preset, set_params
from pipeline.embed import find
from pipeline.reporting.stamp import REPORT, fingerprint, is_current
from pipeline.tracking.paths import RESULTS, SUMMARY, VECTORS
from pipeline.tracking.store import is_missing

LOCK = Path(".dvc/tmp/gatewise.lock")  # a second run would change the parameters under the first one


def parse(arguments: list[str]) -> dict[str, str]:
    """`--name value` or `--name=value`, any number of times; an empty value means: as it is.

    Raises:
        InputError: something else stands there.
    """
    assignments = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--") or not name or (not equals and not rest):
            raise InputError(f"expected --<parameter> <value>. Received: {' '.join([word, *rest])}")
        value = value if equals else rest.pop(0)
        if value:
            assignments[name] = value
    return assignments


def main() -> None:
    if {"-h", "--help"} & set(sys.argv[1:]):
        print(__doc__)
        return
    given = parse(sys.argv[1:])
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCK, timeout=0):
            sys.exit(reproduce(given))
    except Timeout:
        raise InputError("a pipeline runs in this folder already; params.yaml is left to it. Wait, or clone") from None


def reproduce(given: dict[str, str]) -> int:
    """Write parameters, run the pipeline, and make sure that MLflow and the report know what came out.

    Args:
        given: name to value; `preset` stands for those in presets.yaml.

    Returns:
        The exit code.
    """
    preset = given.pop("preset", None)
    # What is given by name beside a preset goes before it.
    wanted = (read_preset(preset) if preset else {}) | given
    vectors = wanted.get("embeddings.vectors", wanted.get("vectors", "none"))
    if vectors not in ("none", "word2vec"):
        find(vectors, VECTORS)  # or `embed` would say so, when DVC has taken away the vectors from before
    changes = set_params(wanted)
    for change in changes:
        print(f"params.yaml: {change}", flush=True)
    code = repro()
    dataset = read_params().dataset
    if code == 0 and is_missing(dataset, fingerprint(RESULTS)):
        # DVC brought the results back without running anything, or MLflow was away: runs are written from the files.
        code = repro("--force", "--single-item", "evaluate")
    if code == 0 and not is_current(RESULTS):
        # `evaluate` did not run, and DVC keeps neither what it prints nor the report.
        print(SUMMARY.read_text(encoding="utf-8"), flush=True)
        code = subprocess.run([sys.executable, "-m", "pipeline.tools.report"], check=False).returncode
    if code == 0:
        print(f"\nresults: {RESULTS / REPORT} (data set {dataset}); MLflow UI: make ui")
    elif changes:
        print(f"params.yaml keeps {'; '.join(changes)}; `git checkout params.yaml` takes it back", file=sys.stderr)
    return code


def repro(*options: str) -> int:
    """Run `dvc repro`; its exit code."""
    # The stages start `python`: it has to be this one.
    command = [sys.executable, "-m", "dvc", "repro", *options]
    return subprocess.run(command, env={**os.environ, "PATH": search_path()}, check=False).returncode


if __name__ == "__main__":
    run(main)
