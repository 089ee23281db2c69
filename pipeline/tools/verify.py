"""Prove that a commit gives the results that its dvc.lock records: run it again, elsewhere, and compare the bytes.

    python -m pipeline.tools.verify                        # the whole pipeline at HEAD
    python -m pipeline.tools.verify --stage train@lstm-1   # one stage and what leads to it
    python -m pipeline.tools.verify --revision v1 --keep   # another commit; leave the clone for a look

The commit is cloned into a temporary folder and run there without DVC's cache and with an MLflow store of its own:
nothing of yours is read but the archive of the data set, and nothing is written. Each output is then

    identical bytes   its hash is the one in dvc.lock
    equal numbers     every metric of its stage is within the tolerance: what another kind of processor gives
    different         neither
    nothing recorded  other bytes, and neither the cache nor a remote nor git has the numbers to compare with

The exit code is 0 when all outputs are identical or equal. Data and tokens have no rounding: they are identical or
different.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from dvc.api import DVCFileSystem
from dvc.utils.serialize import parse_yaml
from dvc_data.index import DataIndexError
from tabulate import tabulate

from pipeline.core.command import InputError, did_you_mean, run, search_path
from pipeline.core.folders import SOURCES, project_root
from pipeline.core.params import PARAMS_FILE, read_yaml
from pipeline.corpus.fetching import MIRROR_VARIABLE
from pipeline.tools.arguments import Tool
from pipeline.tracking.committed import ROUNDING_STAGES
from pipeline.tracking.machine import MACHINE, environment
from pipeline.tracking.paths import METRICS, RAW, RESULTS, STATISTICS
from pipeline.tracking.revisions import RecordedParams, value_of
from pipeline.tracking.store import sqlite_uri
from pipeline.trained.trained import CARD

IDENTICAL, EQUAL, DIFFERENT, UNKNOWN = "identical bytes", "equal numbers", "different", "nothing recorded"
_METRICS = METRICS.as_posix()  # as dvc.lock has it


@dataclass(frozen=True)
class Verdict:
    """Result for one output of one stage. `expected` and `came` are hashes as in dvc.lock."""

    stage: str
    output: str
    expected: str
    came: str
    verdict: str


def verify(root: Path, revision: str, stage: str | None, tolerance: float, clone: Path) -> list[Verdict]:
    """Run `revision` in `clone` and compare with the dvc.lock of that revision.

    Args:
        root: the user's repository.
        revision: a commit.
        stage: a stage of dvc.yaml to run with all that leads to it, or None for all.
        tolerance: the largest absolute difference between metrics that counts as equal.
        clone: an empty folder.

    Returns:
        One verdict per output, in the order of the pipeline.

    Raises:
        InputError: the revision does not exist or records no results, or the pipeline fails there.
    """
    lock = _lock_at(root, revision)
    stages = list(lock["stages"])
    if stage and not any(name == stage or name.startswith(f"{stage}@") for name in stages):
        raise InputError(f"dvc.lock at {revision} has no stage {stage!r}; {did_you_mean(stage, stages)}")
    clone_of(root, revision, clone, [output for _, output in _outputs(lock)])
    _check_params(lock, clone, revision)
    _reproduce(root, clone, stage)
    came = _outputs(read_yaml(clone / "dvc.lock"))
    ran = {name for name, _ in came}
    expected = {key: digest for key, digest in _outputs(lock).items() if key[0] in ran}
    missing = sorted(ran - {name for name, _ in expected})
    if missing:
        raise InputError(
            f"dvc.lock at {revision} records no results of {', '.join(missing)}: run `make repro` and commit"
        )
    reference = DVCFileSystem(str(root), rev=revision)
    changed = {name for (name, output), digest in came.items() if expected.get((name, output)) != digest}
    judged = {name: _judge(name, came, clone, reference, tolerance) for name in changed}
    for name in changed:  # the memory of the very same network is not another one by rounding
        if name.startswith("memory@") and name.replace("memory@", "train@") not in changed:
            judged[name] = DIFFERENT
    verdicts = []
    for key in {**came, **expected}:  # what is no longer made is different, too
        wanted, digest = expected.get(key, "none"), came.get(key, "none")
        verdict = IDENTICAL if digest == wanted else DIFFERENT if "none" in (digest, wanted) else judged[key[0]]
        verdicts.append(Verdict(*key, wanted, digest, verdict))
    return verdicts


def _check_params(lock: Any, clone: Path, revision: str) -> None:
    """Find out before any work whether the parameters at the revision are those that dvc.lock there was made with.

    Raises:
        InputError: they are others.
    """
    params = RecordedParams.read(clone / PARAMS_FILE, revision)
    values = {PARAMS_FILE.name: params.values}
    for stage, content in lock["stages"].items():
        if "@" in stage and stage.partition("@")[2] not in params.networks:
            continue  # of a seed or model that is no longer asked for
        for file, name, recorded in _params_of(content):
            if file not in values:
                values[file] = read_yaml(clone / file) if (clone / file).is_file() else {}
            now = value_of(values[file], name)
            if now != recorded:
                raise InputError(
                    f"dvc.lock at {revision} was made with other parameters: {name} was {recorded} for {stage}, and"
                    f" it is {now} in {file} there; run `make repro` and commit all changes"
                )


def _params_of(content: Any) -> Iterator[tuple[str, str, Any]]:
    """List the parameters of a stage in dvc.lock: file, name and value of each."""
    for file, params in content.get("params", {}).items():
        for name, value in params.items():
            yield file, name, value


def _lock_at(root: Path, revision: str) -> Any:
    shown = _shown(root, revision, "dvc.lock")
    if shown.returncode != 0:
        raise InputError(f"there is no dvc.lock at {revision}: {shown.stderr.strip()}; run `make repro` and commit it")
    return parse_yaml(shown.stdout, f"dvc.lock of {revision}")


def _shown(root: Path, revision: str, path: str) -> subprocess.CompletedProcess[str]:
    command = ["git", "show", f"{revision}:./{path}"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def clone_of(root: Path, revision: str, clone: Path, outputs: list[str]) -> None:
    """Clone a revision with the user's own data, and without results: dvc.lock and `outputs` are taken out."""
    subprocess.run(["git", "clone", "--quiet", "--no-checkout", str(root), str(clone)], check=True)
    commit = subprocess.run(
        ["git", "rev-parse", f"{revision}^{{commit}}"], cwd=root, capture_output=True, text=True, check=True
    ).stdout.strip()
    subprocess.run(["git", "checkout", "--quiet", "--detach", commit], cwd=clone, check=True)
    # The new dvc.lock holds what ran here and nothing else; nor is a result that git has taken for one that came.
    for name in ("dvc.lock", *outputs):
        if (clone / name).is_file():
            (clone / name).unlink()
    # The user's own data are not in git. Where they lie in the working tree, they come along.
    source = Path(SOURCES, RecordedParams.read(clone / PARAMS_FILE, revision).dataset)
    if (root / source).is_dir():
        shutil.copytree(root / source, clone / source, dirs_exist_ok=True, ignore=shutil.ignore_patterns("source.yaml"))


def _reproduce(root: Path, clone: Path, stage: str | None) -> None:
    command = [sys.executable, "-m", "dvc", "repro", "--no-run-cache", "--no-commit", *([stage] if stage else [])]
    result = subprocess.run(command, cwd=clone, env=environment_for(root, clone), check=False)
    if result.returncode != 0:
        raise InputError(f"the pipeline failed in the clone (exit code {result.returncode}); its output is above")


def environment_for(root: Path, clone: Path) -> dict[str, str]:
    """Make the environment for a pipeline in a clone: nothing of it gets into the store that is used here."""
    settings = {"PATH": search_path(), "MLFLOW_TRACKING_URI": sqlite_uri(clone / "mlflow.db")}
    # The archive at hand saves a download; it is checked as any other.
    mirror = _mirror(root)
    settings |= {MIRROR_VARIABLE: mirror} if mirror else {}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
    return inherited | settings


def _mirror(root: Path) -> str | None:
    """Name where to look for archives first: a URL, or a folder by its full path, as the clone lies elsewhere."""
    named = os.environ.get(MIRROR_VARIABLE)
    if named:
        return named if "://" in named else str(Path(named).absolute())
    return str(root / RAW) if (root / RAW).is_dir() else None


def _outputs(lock: Any) -> dict[tuple[str, str], str]:
    """Map (stage, output) to its hash, in the order of dvc.lock."""
    return {
        (stage, out["path"]): str(out["md5"])
        for stage, content in lock["stages"].items()
        for out in content.get("outs", [])
    }


def _judge(
    stage: str, came: Collection[tuple[str, str]], clone: Path, reference: DVCFileSystem, tolerance: float
) -> str:
    """Tell if all metrics of a stage, whose bytes are others, are those of the reference within the tolerance.

    The memory of a network is what it is for that very network: it follows from training, and is judged like it.
    Where neither the cache nor a remote has the files of the stage, the metrics of all models decide, which git has;
    unless only a part of the pipeline ran, which makes none.
    """
    if stage.partition("@")[0] not in ROUNDING_STAGES:
        return DIFFERENT
    measured = stage.replace("memory@", "train@")
    outputs = [clone / output for name, output in came if name == measured]
    files = [file for output in outputs for file in ([output] if output.is_file() else output.rglob("*.json"))]
    # Not other JSON: the last bits of a probability decide which texts are shown.
    judged = (CARD, METRICS.name, STATISTICS.name)
    names = [file.relative_to(clone).as_posix() for file in files if file.name in judged]
    recorded = {name: _recorded(reference, name) for name in names}
    if None in recorded.values():
        recorded = {_METRICS: _recorded(reference, _METRICS)} if ("evaluate", _METRICS) in came else {}
    if not recorded or None in recorded.values():
        return UNKNOWN
    close = (
        _close(json.loads((clone / name).read_bytes()), json.loads(old or b""), tolerance)
        for name, old in recorded.items()
    )
    return EQUAL if all(close) else DIFFERENT


def _close(ours: Any, theirs: Any, tolerance: float) -> bool:
    # Of statistics.json the scores over seeds count, which older commits have in metrics.json: p-values lie close to
    # edges.
    one, other = (
        dict(_floats(side.get("over_seeds", {}) if "differences" in side else side)) for side in (ours, theirs)
    )
    return one.keys() == other.keys() and all(abs(one[name] - other[name]) <= tolerance for name in one)


def _recorded(reference: DVCFileSystem, path: str) -> bytes | None:
    """Read the bytes that dvc.lock names; None where neither the cache nor a remote has them."""
    try:
        content: bytes = reference.read_bytes(path)
    except (FileNotFoundError, DataIndexError):
        return None
    return content


def _floats(content: Any, name: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(content, float):
        yield name, content
    elif isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from _floats(value, f"{name}/{key}")


def _sides(root: Path, revision: str) -> str:
    """Set the hardware and versions of the recorded results beside those of this machine, as a table."""
    here = environment()
    there = _recorded_environment(root, revision)
    rows = [(name, there.get(name, "not known"), value) for name, value in here.items()]
    return tabulate(rows, headers=["", "recorded", "here"])


def _recorded_environment(root: Path, revision: str) -> dict[str, str]:
    """Read what the results of a revision were made with, if git has that beside them."""
    shown = _shown(root, revision, (RESULTS / MACHINE).as_posix())
    recorded: dict[str, str] = json.loads(shown.stdout) if shown.returncode == 0 else {}
    metrics = _outputs(_lock_at(root, revision)).get(("evaluate", _METRICS))
    return recorded if recorded.pop(METRICS.name, None) == metrics else {}


@click.command(cls=Tool)
@click.option("--stage", help="A stage of dvc.yaml, such as train@lstm-1. Default: all.")
@click.option("--revision", default="HEAD", show_default=True, help="The commit to verify.")
@click.option(
    "--tolerance", default=0.005, show_default=True, help="Largest difference of a metric that counts as equal."
)
@click.option("--keep", is_flag=True, help="Keep the clone.")
def main(stage: str | None, revision: str, tolerance: float, keep: bool) -> None:
    """Prove that a commit gives the results that its dvc.lock records.

    The commit runs again in a clone, without DVC's cache. Each output then has identical bytes, has equal numbers, or
    is different. The exit code is 0 if all outputs are identical or equal.

    \b
    Examples:
      gatewise verify
      gatewise verify --stage train@lstm-1
      gatewise verify --revision v1 --keep
    """
    root = project_root()
    folder = Path(tempfile.mkdtemp(prefix="gatewise-verify-"))
    try:
        verdicts = verify(root, revision, stage, tolerance, folder / "clone")
    finally:
        if not keep:
            shutil.rmtree(folder)
    rows = [(v.stage, v.output, v.expected[:8], v.came[:8], v.verdict) for v in verdicts]
    table = tabulate(rows, headers=["stage", "output", "in dvc.lock", "here", "result"], disable_numparse=True)
    print(f"\n{table}\n\n{_sides(root, revision)}")
    counts = {kind: sum(v.verdict == kind for v in verdicts) for kind in (IDENTICAL, EQUAL, DIFFERENT, UNKNOWN)}
    summary = ", ".join(f"{kind}: {count}" for kind, count in counts.items() if count)
    print(f"\n{revision}: {len(verdicts)} outputs ({summary}; tolerance {tolerance})")
    if keep:
        print(f"the clone: {folder / 'clone'}")
    sys.exit(1 if counts[DIFFERENT] or counts[UNKNOWN] else 0)


if __name__ == "__main__":
    run(main)
