"""Kill the pipeline at random moments, run it again, and compare all hashes with those of an undisturbed run.

    python -m benchmarks.kills                   # 100 kills: 45 minutes on two cores
    python -m benchmarks.kills --minutes 10      # so many as come
    python -m benchmarks.kills 0                 # only a full disk, and what a checkpoint costs: 3 minutes

A small project with a tiny data set is made in a temporary folder. One run of it is left alone. Then it begins anew
again and again, with `gatewise run` and with `dvc repro` in turn, and is killed until it has come through: at any
moment, after epochs, just after a stage has ended (when DVC hashes and writes dvc.lock), and while mlflow.db is made;
by SIGKILL of the stage, of DVC, of the command or of all, by SIGTERM and by Ctrl-C. After each kill the same command
runs at once. A kill needed help if that run ended with an error of its own; then it is repeated once, and after that
`gatewise run` has to mend what is broken, as docs/reliability.md says. When the pipeline has come through,
dvc.lock, which has the hash of every output, and the outputs are compared. Ctrl-C prints what is known.

Then a network is written to a disk that is too small, if this user may mount one, and to the same disk with room. The
last line is what a checkpoint costs on the tokens in data/processed, if `make repro` has made them.
"""

import itertools
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil
from tabulate import tabulate

from pipeline.core.command import InputError, run
from pipeline.core.hashes import folder_md5
from pipeline.core.params import read_yaml

DATA = Path("data/processed")
COMMANDS = {"gatewise run": [sys.executable, "-m", "pipeline", "run"], "dvc repro": ["dvc", "repro"]}
KINDS = ("the stage", "DVC", "the command", "all", "SIGTERM", "Ctrl-C")
NO_SERVER = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"), "1")
NETWORKS = 2  # of the project
ENDS = 90.0  # seconds after which a process that was asked to stop, or is left over, is told
TRIES = 4  # of a command that fails after a kill
EPOCHS = 12  # so that a share of the time falls into them


@dataclass
class Kill:
    """One kill, and what came of it.

    Attributes:
        command: that was killed.
        kind: one of `KINDS`.
        place: where the pipeline was.
        network: whose checkpoint was there.
        problems: what the next runs said that failed; empty: it needed no help.
        same: all hashes were those of the undisturbed run, when the pipeline had come through.
        resumed: training went on from the checkpoint; None: there was none.
    """

    command: str
    kind: str
    place: str
    network: str = ""
    problems: list[str] = field(default_factory=list)
    same: bool | None = None
    resumed: bool | None = None


class Running:
    """One run of the command, in a session of its own, by which all of its processes are found.

    Args:
        command: to run.
        root: of the project.
        environment: all of it.
    """

    def __init__(self, command: list[str], root: Path, environment: dict[str, str]) -> None:
        self.root, self.command, self._log = root, command, tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            command,
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def printed(self) -> str:
        self._log.seek(0)
        return self._log.read()

    def members(self) -> dict[int, str]:
        """List all processes: number to module, such as `train` or `tools.stages`."""
        found = {}
        for process in psutil.process_iter():
            try:
                if os.getsid(process.pid) == self.process.pid and process.status() != psutil.STATUS_ZOMBIE:
                    words = process.cmdline()
                    module = words[words.index("-m") + 1] if "-m" in words else " ".join(words[1:2])
                    found[process.pid] = module.removeprefix("pipeline.")
            except (psutil.Error, ProcessLookupError, IndexError):
                continue
        return found

    def stages(self) -> dict[int, str]:
        """List the processes of stages."""
        return {pid: name for pid, name in self.members().items() if name in STAGES}

    def place(self) -> str:
        """Say where the pipeline is."""
        for name in self.stages().values():
            if self._makes_store():
                return "mlflow.db is made"
            return f"train, {self._in_training()}" if name == "train" else name
        told = [line for line in self.printed.splitlines() if line.startswith(("[", "Running stage"))]
        if not told:
            return "before the first stage"
        return "after the last stage" if "evaluate" in told[-1] else "between two stages"

    def _makes_store(self) -> bool:
        return any(self.root.glob("mlflow.db.*.part"))

    def _in_training(self) -> str:
        if self.network():
            parts = (self.root / "data/models").glob(".*.part/*/model.keras")
            whole = (self.root / "data/models").glob(f"{self.network()}/card.json")
            return "writing" if any(parts) else "logging to MLflow" if any(whole) else "epochs"
        return "before the first epoch is over"

    def network(self) -> str:
        """Name the network that has a checkpoint, if the stage that runs is its own."""
        kept = [path.stem.rpartition("-")[0] for path in self.root.glob("data/checkpoints/*.npz")]
        for pid, name in self.stages().items():
            try:
                output = Path(psutil.Process(pid).cmdline()[-1]).name
            except (psutil.Error, IndexError):
                continue
            if name == "train" and output in kept:
                return output
        return ""

    def wait_until(self, comes: Callable[[], bool]) -> None:
        """Wait until something comes, or the command ends."""
        while not comes() and self.process.poll() is None:
            time.sleep(0.05)

    def strike(self, kind: str) -> None:
        """Kill, or ask to stop, what `kind` names."""
        members = self.members()
        command = self.process.pid
        stages = [pid for pid, name in members.items() if name in STAGES]
        dvc = [pid for pid, name in members.items() if name == "tools.stages"] or [command]
        if kind == "Ctrl-C":
            os.killpg(command, signal.SIGINT)  # as a terminal does; in `gatewise run`, DVC has a group of its own
        elif kind == "SIGTERM":
            os.kill(command, signal.SIGTERM)
        else:
            which = {"the stage": stages or dvc, "DVC": dvc, "the command": [command], "all": list(members)}
            for pid in which[kind]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def end(self) -> int:
        """Wait until the command ends, and return its code."""
        try:
            return self.process.wait(ENDS)
        except subprocess.TimeoutExpired:
            return 1000

    def clear(self) -> None:
        """Kill whatever is left."""
        for pid in self.members():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()


STAGES = ("download", "preprocess", "embed", "train", "memory", "baseline", "evaluate")


@dataclass
class Trial:
    """The project, and what came of its kills.

    Args:
        root: of the project.
        seed: of the moments.
        last: when to begin no further kills, by the monotonic clock.
    """

    root: Path
    seed: int
    last: float
    kills: list[Kill] = field(default_factory=list)
    notes: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    environment: dict[str, str] = field(default_factory=dict)
    whole: float = 0.0

    def begin(self) -> None:
        """Make the undisturbed run."""
        from conftest import clean_environment

        self.environment = clean_environment() | ONE_THREAD
        self._moments = random.Random(self.seed)
        began = time.monotonic()
        alone = Running(COMMANDS["gatewise run"], self.root, self.environment)
        if alone.process.wait():
            raise InputError(f"the undisturbed run failed: {alone.printed}")
        self.whole = time.monotonic() - began
        self._expected = read_yaml(self.root / "dvc.lock")
        self._files = self._outputs()

    def _anew(self) -> None:
        subprocess.run(["git", "clean", "-ffdxq", "-e", "__pycache__"], cwd=self.root, check=True)
        subprocess.run(["git", "checkout", "-q", "."], cwd=self.root, check=True)

    def _outputs(self) -> dict[str, str]:
        places = [out["path"] for stage in self._expected["stages"].values() for out in stage["outs"]]
        return {
            place: folder_md5(path) if path.is_dir() else path.read_bytes().hex()
            for place in places
            if (path := self.root / place).exists()
        }

    def come_through(self, name: str, most: int) -> None:
        """Begin anew with a command, and kill so often, at most, until the pipeline has come through."""
        self._anew()
        kills: list[Kill] = []  # of this time
        pending: dict[str, Kill] = {}  # networks with a checkpoint
        while True:
            failed = len(kills[-1].problems) if kills else 0
            running = Running(COMMANDS[name if failed < 2 else "gatewise run"], self.root, self.environment)
            try:
                kind = self._moments.choice(KINDS)
                way = self._moments.random()
                share = self._moments.random()
                goes_on = len(kills) < most and time.monotonic() < self.last and not failed
                if goes_on:
                    self._wait(running, way if kills else max(way, 0.3), share)
                if not goes_on or running.process.poll() is not None:
                    code = running.process.wait()
                    self._settle(running.printed, pending)
                    if code == 0:
                        break
                    self._failed(running, kills)
                    continue
                kill = Kill(name, kind, running.place(), running.network())
                running.strike(kind)
                self._struck(running, kill)
                self._settle(running.printed, pending)
                if kill.network:
                    pending[kill.network] = kill
                kills.append(kill)
                self.kills.append(kill)
                print(f"{len(self.kills):4} {name:12} {kind:12} {kill.place}", file=sys.stderr, flush=True)
            finally:
                if running.process.poll() is None:
                    running.clear()
        if "is not complete" in running.printed:
            self.notes["MLflow's record is not complete"] += 1
        same = read_yaml(self.root / "dvc.lock") == self._expected and self._outputs() == self._files
        for kill in kills:
            kill.same = same
        print(f"     through, {'all hashes the same' if same else 'OTHER HASHES'}", file=sys.stderr, flush=True)
        self.left.update(self._left())

    def _wait(self, running: Running, way: float, share: float) -> None:
        """Wait for the moment of a kill: while the store is made, after an epoch or a stage has ended, or any one."""
        if way > 0.9:
            running.wait_until(lambda: any(self.root.glob("mlflow.db.*.part")) or (self.root / "mlflow.db").exists())
            time.sleep(share)
        elif way > 0.65 and len([*self.root.glob("data/models/?*[!e]/card.json")]) < NETWORKS:
            began = time.time()
            kept = self.root / "data/checkpoints"
            running.wait_until(lambda: any(_written(path) > began for path in kept.glob("*.npz")))
            time.sleep(share * 6)
        elif way > 0.35:
            running.wait_until(lambda: bool(running.stages()))
            former = set(running.stages())
            running.wait_until(lambda: former.isdisjoint(running.stages()))
            time.sleep(share / 2)
        else:
            time.sleep(1 + share * self.whole / 8)

    def _struck(self, running: Running, kill: Kill) -> None:
        """Wait for the end of a command that was not killed itself, and note what is not as it should be."""
        if kill.kind in ("the command", "all"):
            running.process.wait()
            return
        began = time.monotonic()
        code = running.end()
        if code == 1000:
            self.notes[f"{kill.kind} in {kill.place}: has not ended after {ENDS:.0f} s"] += 1
            running.clear()
        elif kill.kind in ("SIGTERM", "Ctrl-C") and kill.command == "gatewise run" and code not in (0, 130):
            self.notes[f"{kill.kind} in {kill.place}: exit code {code}: {_last(running.printed)}"] += 1
        elif "Traceback" in running.printed:
            self.notes[f"{kill.kind} in {kill.place}: a traceback\n{running.printed[-1500:]}"] += 1
        if time.monotonic() - began > 15 and kill.kind in ("SIGTERM", "Ctrl-C"):
            self.notes[f"{kill.kind} in {kill.place}: ended after {time.monotonic() - began:.0f} s"] += 1

    def _failed(self, running: Running, kills: list[Kill]) -> None:
        """Note that a run failed by itself, and wait until what earlier ones have left is gone."""
        if not kills or len(kills[-1].problems) == TRIES:
            raise InputError(f"a run fails again and again: {running.printed}")
        kills[-1].problems.append(running.printed[-1500:].strip())
        print(f"     needed help: {_last(running.printed)}", file=sys.stderr, flush=True)
        time.sleep(10)

    def _settle(self, printed: str, pending: dict[str, Kill]) -> None:
        """Find out, of networks that had a checkpoint, if training went on from it."""
        for network in [*pending]:
            if f"{network}: an earlier run was stopped" in printed:
                pending.pop(network).resumed = True
            elif f"{network} epoch 1:" in printed:
                pending.pop(network).resumed = False

    def _left(self) -> Iterator[str]:
        """Name what is left behind by kills."""
        for path in [*self.root.glob("data/**/.*.part"), *self.root.glob("data/checkpoints/*")]:
            yield str(path.relative_to(self.root))
        for path in [*self.root.glob("mlflow.db.*"), *self.root.glob("dvc.lock?*")]:
            if path.suffix != ".lock":
                yield path.name.partition("-2")[0]

    def table(self) -> str:
        """Show all kills by their places."""
        judged = [kill for kill in self.kills if kill.same is not None]
        rows = [_row(place, [kill for kill in judged if kill.place == place]) for place in _places(judged)]
        kinds = [
            _row(f"{command}: {kind}", [kill for kill in judged if (kill.command, kill.kind) == (command, kind)])
            for command in COMMANDS
            for kind in KINDS
        ]
        heads = ["kills", "needed help", "the same hashes", "went on from a checkpoint"]
        parts = [
            tabulate([*rows, _row("all", judged)], headers=["place", *heads], disable_numparse=True),
            tabulate(kinds, headers=["what was killed", *heads], disable_numparse=True),
            f"left behind: {', '.join(f'{name} ({n} times)' for name, n in self.left.items()) or 'nothing'}",
            *(f"{number} times: {note}" for note, number in self.notes.items()),
            *(f"help after {kill.kind} in {kill.place}:\n{kill.problems[0]}" for kill in judged if kill.problems),
        ]
        return "\n\n".join(parts)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _places(kills: list[Kill]) -> list[str]:
    order = ["before the first stage", "mlflow.db is made", *STAGES[:3], "train", *STAGES[4:], "between", "after"]
    return sorted({kill.place for kill in kills}, key=lambda place: next(
        (n for n, name in enumerate(order) if place.startswith(name)), 99
    ))  # fmt: skip


def _row(name: str, kills: list[Kill]) -> tuple[str, ...]:
    resumed = [kill.resumed for kill in kills if kill.resumed is not None]
    went = f"{sum(resumed)} of {len(resumed)}" if resumed else "–"
    helped, same = sum(bool(kill.problems) for kill in kills), sum(bool(kill.same) for kill in kills)
    return name, str(len(kills)), str(helped), str(same), went


def _last(printed: str) -> str:
    lines = [line for line in printed.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def train(root: Path, output: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Train one network of the project into a folder, and return the exit code and what was printed."""
    inputs = {"tokens": "tokens.npz", "tokenizer": "tokenizer.json", "embeddings": "embeddings.npz"}
    words = [word for name, file in inputs.items() for word in (f"--{name}", str(DATA / file))]
    command = [sys.executable, "-m", "pipeline.train", "--model", "lstm", "--seed", "1", *words]
    command += ["--checkpoints", "data/checkpoints", "--output", str(output)]
    done = subprocess.run(command, cwd=root, env=environment | NO_SERVER, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def full_disk(root: Path, environment: dict[str, str]) -> str:
    """Write a network of the project to a full disk, and once more when there is room."""
    disk = root / "data/disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return "full disk: not tried, since nothing may be mounted here"
    try:
        code, refused = train(root, disk / "lstm-1", environment)
        there = [path.name for path in disk.iterdir()]
        subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
        _, printed = train(root, disk / "lstm-1", environment)
        same = folder_md5(disk / "lstm-1") == folder_md5(root / "data/models/lstm-1")
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()
    found = [line.rpartition("after ")[2] for line in printed.splitlines() if "training goes on after" in line]
    how = f"went on after {found[0]}" if found else "began again"
    return (
        f"full disk: {_last(refused)} (exit code {code})\n  left there: {', '.join(there) or 'nothing'}; then training"
        f" {how}, and the bytes are {'the same' if same else 'others'}"
    )


def overhead(cell: str) -> str:
    """Measure, in this process, how much time of the processor the checkpoints of one training take."""
    if not (DATA / "tokens.npz").is_file():
        return f"what a checkpoint costs: not measured, since {DATA}/tokens.npz is missing (`make repro` makes it)"
    from pipeline.core.params import read_params
    from pipeline.networks import building, networks
    from pipeline.networks.checkpoints import Checkpoint
    from pipeline.networks.fitting import GoingOn, fit
    from pipeline.tokens.clipping import clip
    from pipeline.tokens.tokenized import TokenizedSplits

    seconds: list[float] = []
    keep = GoingOn.on_epoch_end

    def timed(self: GoingOn, epoch: int, logs: dict[str, float] | None = None) -> None:
        began = time.thread_time()  # of this thread: those of TensorFlow may still tidy up after the epoch
        keep(self, epoch, logs)
        seconds.append(time.thread_time() - began)

    GoingOn.on_epoch_end = timed  # type: ignore[method-assign]
    params = read_params()
    splits = TokenizedSplits.load(DATA / "tokens.npz")
    train, validation = (
        (clip(splits.tokens[split], params.data.max_tokens, params.train.keep), splits.labels[split])
        for split in ("train", "validation")
    )
    networks.seed_everything(1)
    model = building.build(cell, splits.vocabulary_size, len(splits.label_names), params.train)
    with tempfile.TemporaryDirectory(dir="data") as folder:
        checkpoint = Checkpoint.of(Path(folder).resolve(), cell, {})
        began = time.process_time()
        fit(model, train, validation, params.train, params.data.batch_size, 1, checkpoint=checkpoint)
        all_seconds = time.process_time() - began
        size = checkpoint.path.stat().st_size / 1e6
    return (
        f"a checkpoint has {size:.1f} MB and takes {1000 * sum(seconds) / len(seconds):.0f} ms of processor time"
        f" (mean of {len(seconds)}), {sum(seconds) / (all_seconds - sum(seconds)):.2%} of that of training"
    )


def small_project(root: Path) -> None:
    """Make the tiny project of the tests with one seed and more epochs."""
    sys.path.insert(0, "tests")
    from conftest import commit_all, make_project

    project = make_project(root)
    settings = root / "params.yaml"
    text = settings.read_text(encoding="utf-8").replace("seeds: [1, 2]", "seeds: [1]")
    text = text.replace("epochs: 4", f"epochs: {EPOCHS}").replace("patience: 2", f"patience: {EPOCHS}")
    settings.write_text(text, encoding="utf-8")
    commit_all(project, "one seed")


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.argument("kills", type=click.IntRange(0), default=100)
@click.option("--seed", type=int, default=1, show_default=True, help="of the moments")
@click.option("--minutes", type=float, default=1e9, help="kill no longer than so many minutes")
@click.option("--cell", type=click.Choice(["lstm", "gru"]), default="lstm", help="for the cost of a checkpoint")
def main(kills: int, seed: int, minutes: float, cell: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve() / "project"
        small_project(root)
        trial = Trial(root, seed, time.monotonic() + 60 * minutes)
        trial.begin()
        print(f"an undisturbed run takes {trial.whole:.0f} s", file=sys.stderr, flush=True)
        failed = ""
        try:
            for name in itertools.cycle(COMMANDS):
                if len(trial.kills) >= kills or time.monotonic() > trial.last:
                    break
                trial.come_through(name, kills - len(trial.kills))
        except KeyboardInterrupt:
            print("stopped", file=sys.stderr)
        except InputError as error:  # the table tells of those before
            failed = str(error)
        if trial.kills:
            print(trial.table())
        if failed:
            raise InputError(failed)
        if all(kill.same is not None for kill in trial.kills):  # it has come through
            print(full_disk(root, trial.environment))
    print(overhead(cell))


if __name__ == "__main__":
    run(main)
