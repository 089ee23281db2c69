"""Kill the training of a network at random moments, go on with it, and compare the bytes with an undisturbed one.

    python -m benchmarks.kills              # after `make repro`, on the tokens in data/processed; 10 kills, 5 minutes
    python -m benchmarks.kills 40 gru       # so many kills, of this cell

SIGKILL comes at moments spread evenly at random over the time that an undisturbed training takes, starting the process
included. Then the same command runs until it ends. After that, the network is written to a disk that is too small, if
this user may mount one, and then to the same disk with room. The last line is what a checkpoint costs: the time that it
takes in every epoch, as a share of the rest of the time.
"""

import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

from pipeline.core.hashes import folder_md5

KILLS = 10
DATA = Path("data/processed")
NO_SERVER = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}


def command(cell: str, folder: Path, checkpoints: Path) -> list[str]:
    """Name the stage, with its output in `folder`."""
    inputs = {"tokens": "tokens.npz", "tokenizer": "tokenizer.json", "embeddings": "embeddings.npz"}
    words = [word for name, file in inputs.items() for word in (f"--{name}", str(DATA / file))]
    words += ["--checkpoints", str(checkpoints), "--output", str(folder / f"{cell}-1")]
    return [sys.executable, "-m", "pipeline.train", "--model", cell, "--seed", "1", *words]


def train(
    cell: str, folder: Path, kill_after: float | None = None, checkpoints: Path | None = None, may_fail: bool = False
) -> tuple[bool, str]:
    """Run the stage, and kill it after so many seconds.

    Returns:
        Whether it was killed, and what it printed.
    """
    words = command(cell, folder, checkpoints or folder / "checkpoints")
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": os.environ | NO_SERVER}
    with subprocess.Popen(words, **options) as process:  # type: ignore[call-overload]
        try:
            printed, _ = process.communicate(timeout=kill_after)
        except subprocess.TimeoutExpired:
            process.kill()
            printed, _ = process.communicate()
            return True, printed
    if process.returncode and not may_fail:
        sys.exit(f"the stage failed:\n{printed}")
    return False, printed


def full_disk(cell: str, folder: Path, expected: str) -> str:
    """Write the network to a full disk, and once more when there is room."""
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        return "full disk: not tried, since nothing may be mounted here"
    try:
        _, refused = train(cell, disk, checkpoints=folder / "checkpoints", may_fail=True)
        there = [path.name for path in disk.iterdir()]
        subprocess.run(["mount", "-o", "remount,size=1g", disk], check=True)
        _, printed = train(cell, disk, checkpoints=folder / "checkpoints")
        same = folder_md5(disk / f"{cell}-1") == expected
    finally:
        subprocess.run(["umount", disk], check=True)
        disk.rmdir()
    return (
        f"full disk: {refused.splitlines()[-1]}\n  left there: {', '.join(there) or 'nothing'}; then"
        f" training went on after {went_on(printed)}, and the bytes are {'the same' if same else 'others'}"
    )


def went_on(printed: str) -> str:
    """Find after which epoch a training went on."""
    found = [line.rpartition("after ")[2] for line in printed.splitlines() if "training goes on after" in line]
    return found[0] if found else "began again"


def overhead(cell: str) -> str:
    """Measure, in this process, what the checkpoints of one training cost."""
    from pipeline.core.params import read_params
    from pipeline.networks import building, networks
    from pipeline.networks.checkpoints import Checkpoint
    from pipeline.networks.fitting import GoingOn, fit
    from pipeline.tokens.clipping import clip
    from pipeline.tokens.tokenized import TokenizedSplits

    seconds: list[float] = []
    keep = GoingOn.on_epoch_end

    def timed(self: GoingOn, epoch: int, logs: dict[str, float] | None = None) -> None:
        began = time.perf_counter()
        keep(self, epoch, logs)
        seconds.append(time.perf_counter() - began)

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
        began = time.perf_counter()
        fit(model, train, validation, params.train, params.data.batch_size, 1, checkpoint=checkpoint)
        all_seconds = time.perf_counter() - began
        size = checkpoint.path.stat().st_size / 1e6
    return (
        f"a checkpoint has {size:.1f} MB and takes {1000 * sum(seconds) / len(seconds):.0f} ms"
        f" (mean of {len(seconds)}), {sum(seconds) / (all_seconds - sum(seconds)):.2%} of the time of training"
    )


def main() -> None:
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    cell = sys.argv[2] if len(sys.argv) > 2 else "lstm"
    moments = random.Random(1)
    with tempfile.TemporaryDirectory(dir="data") as temporary:
        folder = Path(temporary).resolve()
        began = time.perf_counter()
        train(cell, folder)
        whole = time.perf_counter() - began
        expected = folder_md5(folder / f"{cell}-1")
        rows, done = [], 0
        while done < kills:
            shutil.rmtree(folder / f"{cell}-1")
            struck: list[float] = []
            killed = True
            while killed:
                moment = moments.uniform(0, whole) if done < kills else None
                killed, printed = train(cell, folder, moment)
                if killed and moment is not None:
                    struck.append(moment)
                    done += 1
            came = folder_md5(folder / f"{cell}-1")
            told = ", ".join(f"{moment:.1f}" for moment in struck) or "none"
            rows.append((told, went_on(printed), "the same" if came == expected else came))
            print(f"{done} of {kills} kills", file=sys.stderr)
        disk = full_disk(cell, folder, expected)
        left = [path.name for path in folder.iterdir() if path.name != f"{cell}-1"]
    print(tabulate(rows, headers=["killed after (s)", "the last run went on after", "bytes"], disable_numparse=True))
    same = sum(row[-1] == "the same" for row in rows)
    print(f"{done} kills of {cell}-1 ({whole:.1f} s undisturbed): {same} of {len(rows)} networks have the same bytes")
    print(f"left behind: {', '.join(left) or 'nothing'}")
    print(disk)
    print(overhead(cell))


if __name__ == "__main__":
    main()
