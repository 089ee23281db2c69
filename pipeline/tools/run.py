"""Set parameters, then run the pipeline.

All names and values are checked before any work. DVC then runs what is not up to date (pipeline/tools/stages.py).
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType

import click
from click.shell_completion import CompletionItem
from filelock import FileLock, Timeout

from pipeline.core.command import HELP_OPTIONS, INTERRUPTED, InputError, run, search_path, waiting
from pipeline.core.folders import STAGES_LOCK
from pipeline.core.params import (
    PARAMS_FILE,
    DatasetParams,
    move_blocks,
    parameter_names,
    read_params,
    read_preset,
    set_params,
    settings_files,
)
from pipeline.reporting.stamp import REPORT, VERDICT, fingerprint, is_current
from pipeline.tokens.wordvectors import find
from pipeline.tracking.address import without_login
from pipeline.tracking.committed import compared_with_head
from pipeline.tracking.git import is_committed
from pipeline.tracking.mending import left_running, mend
from pipeline.tracking.paths import RESULTS, SUMMARY, VECTORS
from pipeline.tracking.patience import tell_back
from pipeline.tracking.store import asked_directly, comparisons, store_uri

LOCK = Path(".dvc/tmp/gatewise.lock")  # a second run would change the parameters under the first one
_ENDING = 60.0  # seconds that the stages of a killed run may take to end


def parse(words: Sequence[str]) -> dict[str, str]:
    """Read `name=value`, `--name value` or `--name=value`, any number of times.

    A name in capitals stands for the one in small letters. `mlflow run` hands on an option that nobody gave as an empty
    one, so an empty `--name` leaves the parameter as it is.

    Raises:
        click.UsageError: something else stands there.
    """
    assignments = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        is_option = word.startswith("--")
        if not name or name.startswith("-") or not (equals or (is_option and rest)):
            raise click.UsageError(f"expected name=value, such as units=32. Received: {' '.join([word, *rest])}")
        value = value if equals else rest.pop(0)
        if not value and not is_option:
            raise click.UsageError(f"{word} has no value.")
        if value:
            assignments[name.lower() if name.isupper() else name] = value
    return assignments


def reproduce(given: dict[str, str]) -> int:
    """Write parameters, run the pipeline, and make sure that MLflow and the report know what came out.

    Args:
        given: name to value; `preset` stands for those in presets.yaml, and `jobs` is how many stages run at once.

    Returns:
        The exit code: 0, 1, or 130 where a signal has ended it.
    """
    tell_back()  # whatever an earlier run has found
    for mended in mend():
        print(mended, flush=True)
    if left_running():
        _end_stale()
    jobs = _jobs(given.pop("jobs", None))
    wanted = asked(given)
    preset = None if "preset" in given else brought(given.get("dataset"))
    vectors = wanted.get("embeddings.vectors", wanted.get("vectors", "none"))
    if vectors not in ("none", "word2vec"):
        find(vectors, VECTORS)  # or `embed` would say so, when DVC has taken away the vectors from before
    for moved in move_blocks():
        print(moved, flush=True)
    files = [PARAMS_FILE, *settings_files().values()]
    before = {file: (file.read_bytes(), is_committed(file)) for file in files}
    changes = set_params(wanted)
    if preset:
        print(f"{given['dataset']} brings the network of the preset {preset}", flush=True)
    for change in changes:
        print(f"set {change}", flush=True)
    code = _reproduce(jobs)
    if code == 0:
        print(f"\nresults: {RESULTS / REPORT} (data set {read_params().dataset}); MLflow UI: make ui")
        if differs := compared_with_head():
            print(differs)
        if missing := _missing_in_mlflow():
            print(missing)
        return 0
    if code == INTERRUPTED:
        print("interrupted; finished stages stay. Run the same command to go on", file=sys.stderr)
    if changes:
        changed = [file for file, (content, _) in before.items() if file.read_bytes() != content]
        # What is not committed would go, too: a data set that somebody has just added, for one.
        undo = f"`git checkout {' '.join(map(str, changed))}` undoes them"
        if not all(before[file][1] for file in changed):
            undo = "Write the old values back to undo them"
        print(f"These changes stay: {'; '.join(changes)}. {undo}", file=sys.stderr)
    return code


def asked(given: Mapping[str, str]) -> dict[str, str]:
    """List the parameters that are to be set: those of a preset, and over them what is given by name.

    A data set that is not the selected one brings the preset that its settings name, less what stands in them itself:
    the network of another data set need not fit it.

    Args:
        given: name to value; `preset` names a preset, which goes before that of the data set.

    Raises:
        InputError: there is no such preset.
    """
    named = {name: value for name, value in given.items() if name != "preset"}
    if preset := given.get("preset"):
        return read_preset(preset) | named
    if (preset := brought(given.get("dataset"))) is None:
        return named
    try:
        parameters = read_preset(preset)
    except InputError as error:
        raise InputError(f"{settings_files()[given['dataset']]} names a preset, and {error}") from None
    of_network = {name: value for name, value in parameters.items() if name not in DatasetParams.model_fields}
    return {"dataset": given["dataset"]} | of_network | named


def brought(dataset: str | None) -> str | None:
    """Name the preset that a data set brings, if it is to be selected in place of another one."""
    params = read_params()
    if dataset is None or dataset == params.dataset or dataset not in params.datasets:
        return None
    return params.datasets[dataset].preset


def _jobs(given: str | None) -> list[str]:
    """Read how many stages are to run at once, as words for `stages`.

    Raises:
        InputError: it is no whole number above 0.
    """
    if given is None:
        return []
    if not given.isdecimal() or int(given) == 0:
        raise InputError(f"jobs must be a whole number above 0: so many stages run at once. Received: {given}")
    return ["--jobs", given]


def _reproduce(jobs: Sequence[str]) -> int:
    """Run what is not up to date, and show the verdict whether or not it is new.

    Returns:
        The exit code.
    """
    before = _written()
    code = run_stages(*jobs)
    code = code or _complete_mlflow(evaluated=_written() != before)
    if code == 0 and not is_current(RESULTS):
        # `evaluate` did not run, and DVC keeps neither what it prints nor the report.
        print(SUMMARY.read_text(encoding="utf-8"), flush=True)
        with waiting("make the report"):
            code = subprocess.run([sys.executable, "-m", "pipeline.tools.report"], check=False).returncode
    elif code == 0 and _written() == before:
        verdict = json.loads((RESULTS / VERDICT).read_text(encoding="utf-8"))
        print("", *verdict["sentences"], *verdict["warnings"], sep="\n")
    return code


def _complete_mlflow(evaluated: bool) -> int:
    """Have MLflow show the results on disk, where DVC brought them back without running anything, or MLflow was away.

    Args:
        evaluated: `evaluate` has just run, and written what MLflow took.

    Returns:
        The exit code.
    """
    known = _known_comparisons()
    if known == [] and not evaluated:
        print("MLflow has no run of these results. evaluate runs again, to write what is missing", flush=True)
        return run_stages("evaluate")
    if known and not any(known):
        with waiting("have MLflow's views show these results again"):
            from pipeline.tracking.tracker import Tracker  # slow, and seldom needed

            Tracker(read_params().dataset).arrange_found(fingerprint(RESULTS))
    return 0


def _end_stale() -> None:
    """Let the runs of killed processes end as failed in MLflow."""
    with waiting("end the runs of processes that were killed"):
        from pipeline.tracking.tracker import Tracker  # slow, and seldom needed

        ended = Tracker(read_params().dataset).end_stale()
    if ended:
        print(f"mended: {ended} runs of killed processes went on in MLflow; they have ended as failed", flush=True)


def _known_comparisons() -> list[bool] | None:
    """Ask MLflow for the comparisons of the results on disk, as `store.comparisons` does."""
    dataset, results = read_params().dataset, fingerprint(RESULTS)
    if asked_directly():
        return comparisons(dataset, results)
    with waiting("ask MLflow for these results"):
        from pipeline.tracking.tracker import Tracker  # slow, and seldom needed

        return Tracker(dataset).comparisons(results)


def _missing_in_mlflow() -> str:
    """Say that MLflow's record of the results on disk is not complete; empty where it is."""
    known = _known_comparisons()
    if known:
        return ""
    why = "has no run of them" if known is not None else "does not answer, or not to this login"
    return (
        f"MLflow's record of these results is not complete: {without_login(store_uri())} {why}."
        " `gatewise run` completes it, once MLflow takes it"
    )


def wait_for_stages() -> None:
    """Wait until the stages of a run that was killed have ended, as they do by themselves.

    Raises:
        InputError: they go on.
    """
    lock = FileLock(STAGES_LOCK)
    try:
        with lock.acquire(timeout=0):
            return
    except Timeout:
        print("an earlier run was killed; this one waits until its stage has ended", flush=True)
    try:
        with lock.acquire(timeout=_ENDING):
            return
    except Timeout:
        raise InputError(
            "stages go on that an earlier run has begun. Wait until they end, or stop them: `pgrep -f"
            " pipeline.tools.stages` finds them"
        ) from None


def _written() -> int:
    """Tell when the report was written, in nanoseconds; 0 where there is none."""
    report = RESULTS / REPORT
    return report.stat().st_mtime_ns if report.exists() else 0


def run_stages(*words: str) -> int:
    """Run stages, as `stages.main` reads it, in a group of processes that a signal to stop reaches as a whole.

    Ctrl-C and `kill` end the stage at once, and DVC after it has written what it is writing: otherwise it would leave
    locks, or half a dvc.lock. Ctrl-Z halts all of them. Where this process or DVC is killed for good, the others end:
    the standard input of DVC ends with this process, and what DVC leaves of its group is told to stop.

    Returns:
        The exit code.
    """
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # who is not in front may write to the terminal
    command = [sys.executable, "-m", "pipeline.tools.stages", "--tied", *words]
    # The stages start `python3`: it has to be this one.
    environment = {**os.environ, "PATH": search_path()}
    group = subprocess.Popen(command, env=environment, process_group=0, stdin=subprocess.PIPE)
    stopped = False

    def stop(_: int, __: FrameType | None) -> None:
        nonlocal stopped
        stopped = True
        os.killpg(group.pid, signal.SIGTERM)

    def halt(_: int, __: FrameType | None) -> None:
        os.killpg(group.pid, signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        os.killpg(group.pid, signal.SIGCONT)

    actions = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: stop, signal.SIGTSTP: halt}
    # What is ignored stays so: `nohup` asks for it.
    heard = {number: act for number, act in actions.items() if signal.getsignal(number) != signal.SIG_IGN}
    former = {number: signal.signal(number, act) for number, act in heard.items()}
    try:
        code = group.wait()
        with suppress(ProcessLookupError):  # DVC waits for its stages: there is one only where DVC was killed
            os.killpg(group.pid, signal.SIGTERM)
    finally:
        for number, act in former.items():
            signal.signal(number, act)
    return INTERRUPTED if stopped or code == INTERRUPTED else int(code != 0)


def complete(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of a parameter: its full name after a dot, and its last name before."""
    full = parameter_names()
    names = (
        full if "." in incomplete else [*dict.fromkeys(["preset", "jobs", *(name.rpartition(".")[2] for name in full)])]
    )
    return [CompletionItem(f"{name}=") for name in names if name.startswith(incomplete)]


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": HELP_OPTIONS})
@click.argument("words", metavar="[NAME=VALUE]...", nargs=-1, type=click.UNPROCESSED, shell_complete=complete)
def main(words: tuple[str, ...]) -> None:
    """Set parameters in params.yaml and in the settings of the data set, then run the pipeline.

    NAME is a parameter, by its full name (train.units) or its last one (units). `preset=strong` sets all parameters of
    the preset `strong` in presets.yaml. Another data set brings the network of the preset that its settings name: imdb
    brings that of `tutorial`. All names and values are checked before any work.

    Each stage is told when it begins, with the time that the rest may take, if earlier runs tell it. Stages that do not
    wait for each other run side by side, as many as there are cores; jobs=1 runs one after the other. The models are
    the same. Ctrl-C ends the run. Finished stages stay, and the same command goes on from there.

    \b
    Examples:
      gatewise run                                # params.yaml as it is
      gatewise run dataset=imdb seeds=1,2
      gatewise run train.units=64 epochs=1
      gatewise run dataset=imdb preset=strong
      gatewise run jobs=1                         # one stage at a time
    """
    given = parse(words)
    LOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(LOCK, timeout=0):
            wait_for_stages()
            sys.exit(reproduce(given))
    except Timeout:
        raise InputError("a pipeline runs in this folder already. Wait until it ends, or use another clone") from None


if __name__ == "__main__":
    run(main)
