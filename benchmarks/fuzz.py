"""Give damaged and hostile bytes to all that reads what others wrote, and count what comes.

    python -m benchmarks.fuzz                    # 100,000 inputs: about 20 minutes on two cores
    python -m benchmarks.fuzz --inputs 2000      # so many
    python -m benchmarks.fuzz --only server      # one reader
    python -m benchmarks.fuzz --seed 2           # other inputs

Valid files and requests are made, and each input is one of them with bytes changed, cut out, doubled, repeated,
or mixed with another one, and with what means something to a parser put between. An input must be read, or refused with
the error that the reader promises. Everything else counts as a failure: another exception, a crash of the process, more
than 20 seconds, or more than 4 GB. Failures are kept with their traceback in a folder that is named, and the exit code
is 1.
"""

import gzip
import io
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import NamedTuple

import click
import numpy as np
import pandas as pd
from tabulate import tabulate
from tqdm import tqdm

from pipeline.adding.gathering import gathered
from pipeline.adding.looking import look
from pipeline.core.command import InputError, run
from pipeline.corpus.sources import Reviews, checked_source
from pipeline.linear.counting import Ngrams
from pipeline.linear.ngrams import NgramModel
from pipeline.serving import payloads
from pipeline.serving.selection import open_trained
from pipeline.tokens.tokenizer import encode, train_tokenizer
from pipeline.tools import predict
from pipeline.trained.trained import Trained

PROCESSES = multiprocessing.get_context("forkserver")  # copies of a process without threads
SECONDS = 20  # for one input
MEMORY = 4 << 30  # bytes of address space beyond those of the idle process
BATCH = 250  # inputs of one process
LONGEST = 1 << 18  # bytes of an input
MEANINGFUL = [
    *(b"\0", b"\r", b"\n", b"\r\n", b'"', b"'", b",", b";", b"\t", b"|", b"\\", b"{", b"}", b"[", b"]", b":", b"=1+1"),
    *(b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"\x1f\x8b", b"PK"),
    *(b"null", b"NaN", b"Infinity", b"-1", b"1e999", b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"true", b"<!ENTITY"),
    *(
        "é".encode(),
        "电影".encode(),
        "😀".encode(),
        "\u202e".encode(),
        "\u2028".encode(),
        "ﷺ".encode(),
        b"text",
        b"label",
    ),
]
MODELS = Path("data/models")
TEXTS = ["warm and clever", "", "电影 😀", "x" * 1000]


class Came(NamedTuple):
    """Sum up what came of inputs: `read`, `refused` or what failed, to their number; and bytes that memory grew by."""

    counts: Counter[str]
    grown: int


def changed(chance: random.Random, seeds: list[bytes]) -> bytes:
    """Take one of the seeds and spoil it in one to six places."""
    content = bytearray(chance.choice(seeds))
    for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
        start = chance.randrange(len(content) + 1)
        end = min(start + chance.choice((1, 2, 8, 64, 1024)), len(content))
        match chance.randrange(7):
            case 0:
                content[start:end] = chance.randbytes(end - start)
            case 1:
                del content[start:end]
            case 2:
                content[start:start] = chance.choice(MEANINGFUL)
            case 3:
                content[start:end] = content[start:end] * chance.choice((2, 3, 100))
            case 4:
                other = chance.choice(seeds)
                content[start:end] = other[chance.randrange(len(other) + 1) :][: chance.choice((4, 64, 4096))]
            case 5:
                del content[start:]
            case 6 if content:
                content[start % len(content)] ^= 1 << chance.randrange(8)
    return bytes(content[:LONGEST])


def tables() -> dict[str, list[bytes]]:
    """Write one small table in many forms: ending to contents."""
    table = pd.DataFrame(
        {"text": [f"Film {i} is {'warm, “clever”' if i % 3 else 'dull; cold'}" for i in range(40)],
         "label": ["good" if i % 3 else "bad" for i in range(40)], "film": [i // 4 for i in range(40)]}
    )  # fmt: skip
    parquet, excel = io.BytesIO(), io.BytesIO()
    table.to_parquet(parquet)
    table.to_excel(excel, index=False)
    csv = table.to_csv(index=False)
    encoded = [csv.encode("utf-8"), csv.encode("utf-16"), csv.encode("cp1252"), csv.replace('"', "'").encode()]
    encoded += [table.to_csv(index=False, sep=mark).encode() for mark in ";|"]
    lines = table.to_json(orient="records", lines=True).encode()
    return {
        ".csv": encoded,
        ".tsv": [table.to_csv(index=False, sep="\t").encode()],
        ".jsonl": [lines],
        ".json": [table.to_json(orient="records").encode(), json.dumps(table.to_dict("list")).encode()],
        ".parquet": [parquet.getvalue()],
        ".xlsx": [excel.getvalue()],
        ".csv.gz": [gzip.compress(encoded[0])],
        ".txt": ["\n".join(table["text"]).encode()],
    }


FORMS = tables()


def of_file(chance: random.Random, folder: Path) -> Path:
    """Write a spoilt table into a folder."""
    ending = chance.choice([*FORMS])
    content = changed(chance, FORMS[ending])
    if ending == ".csv.gz" and chance.random() < 0.5:  # what is packed is spoilt, not the packing
        content = gzip.compress(changed(chance, FORMS[".csv"]))
    path = folder / f"films{ending}"
    path.write_bytes(content)
    return path


def add(chance: random.Random, folder: Path) -> None:
    """Look at a file as `gatewise add` does, and read it as it says."""
    with gathered([of_file(chance, folder)], {}, "films") as files:
        seen = look(files, {}, {})
        for _ in Reviews(checked_source(seen.source, "source.yaml"), files.view, lambda _: None):
            pass


def preprocess(chance: random.Random, folder: Path) -> None:
    """Read a file whose form source.yaml states."""
    of_file(chance, folder)
    stated = {"format": "files", "text": "text", "label": "label", "bad_rows": chance.choice(["set aside", "refuse"])}
    for _ in Reviews(checked_source(stated, "source.yaml"), folder, lambda _: None):
        pass


def classify(chance: random.Random, folder: Path) -> None:
    """Read a file as `gatewise predict --file` does."""
    path, keep = of_file(chance, folder), chance.choice([[], ["film"]])
    keep = keep if path.suffix != ".txt" else []
    predict.check(str(path), "text", keep, predict.PLAIN)
    for _ in predict.read_texts(str(path), "text", keep, predict.PLAIN):
        pass


BODIES = [
    json.dumps(body, ensure_ascii=chance).encode()
    for chance in (True, False)
    for body in (
        {"dataframe_records": [{"text": "warm and 电影 😀"}, {"text": "dull", "film": 3}]},
        {"dataframe_split": {"columns": ["film", "text"], "data": [[1, "warm"], [2, "dull"]]}},
        {"instances": ["warm", "dull"]},
        {"inputs": {"text": ["warm", "dull"]}},
    )
]
TYPES = [b"application/json", b"text/csv", b"application/json; charset=utf-8", b"text/csv; header=absent", b"x/y;"]


def serve(chance: random.Random, _: Path) -> None:
    """Read the body of a request."""
    kind, bodies = chance.choice(((b"application/json", BODIES), (b"text/csv", FORMS[".csv"])))
    if chance.random() < 0.1:
        kind = changed(chance, TYPES)
    payloads.read_texts(changed(chance, bodies), kind.decode("latin-1"))


def small_baseline() -> dict[str, bytes]:
    """Make an n-gram model whose weights are chance: the files of its folder."""
    texts = ["a warm and clever film", "the plot is dull", "电影"]
    words = train_tokenizer(iter(texts), "word", 60)
    ngrams = Ngrams.find(words, encode(words, texts), 2, 1)
    weights = np.random.default_rng(1).normal(size=(len(ngrams), 1))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        NgramModel("naive_bayes", ngrams, np.empty(0, np.float32), weights, np.zeros(1)).save(folder / "model.npz")
        (folder / "card.json").write_text(json.dumps({"model": "baseline", "seed": None, "labels": ["bad", "good"]}))
        np.savez(folder / "predictions.npz", validation=np.ones((2, 2)) / 2, test=np.ones((2, 2)) / 2)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


BASELINE = small_baseline()


def tokenizer(chance: random.Random, folder: Path) -> None:
    """Open a baseline whose file is whole and has a spoilt tokenizer, and let it answer."""
    with np.load(io.BytesIO(BASELINE["model.npz"])) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    content["tokenizer"] = np.frombuffer(changed(chance, [content["tokenizer"].tobytes()]), np.uint8)
    packed = io.BytesIO()
    np.savez(packed, **content)
    _answer(folder, BASELINE | {"model.npz": packed.getvalue()})


def baseline(chance: random.Random, folder: Path) -> None:
    """Open a baseline of which one file is spoilt, and let it answer."""
    name = chance.choice(sorted(BASELINE))
    _answer(folder, BASELINE | {name: changed(chance, [BASELINE[name]])})


def _answer(folder: Path, files: Mapping[str, bytes]) -> None:
    model = folder / "baseline"
    model.mkdir()
    for name, content in files.items():
        (model / name).write_bytes(content)
    open_trained(Trained.load(model)).predict(TEXTS)


def network(chance: random.Random, folder: Path) -> None:
    """Open a network of data/models of which one file is spoilt, and let it answer."""
    source = next(path for path in sorted(MODELS.iterdir()) if path.name != "baseline")
    copy = folder / "data" / "models" / source.name
    shutil.copytree(source, copy)
    (folder / "data" / "processed").symlink_to((MODELS.parent / "processed").absolute())
    spoilt = chance.choice(sorted(path for path in copy.iterdir() if path.is_file()))
    spoilt.write_bytes(changed(chance, [spoilt.read_bytes()]))
    open_trained(Trained.load(copy)).predict(TEXTS)


class Reader(NamedTuple):
    """Say what reads, what it may refuse with, and how many of a hundred inputs it gets."""

    read: Callable[[random.Random, Path], None]
    refuses: type[Exception]
    share: int
    needs_models: bool = False


READERS = {
    "add": Reader(add, InputError, 15),
    "preprocess": Reader(preprocess, InputError, 20),
    "predict": Reader(classify, InputError, 20),
    "server": Reader(serve, payloads.RefusedError, 30),
    "tokenizer": Reader(tokenizer, InputError, 7),
    "baseline": Reader(baseline, InputError, 7),
    "network": Reader(network, InputError, 1, needs_models=True),
}


class TooLateError(BaseException):
    """Report an input that takes too long; no reader may take it for an error of the file, as it would an OSError."""


def late(_: int, __: FrameType | None) -> None:
    """Stop an input that takes too long."""
    raise TooLateError


def read_one(name: str, seed: int, number: int, failures: Path) -> str:
    """Give one input to a reader: `read`, `refused` or what failed. Its number and the seed make the input again."""
    reader = READERS[name]
    with tempfile.TemporaryDirectory() as folder:
        signal.setitimer(signal.ITIMER_REAL, SECONDS)
        try:
            reader.read(random.Random(f"{seed} {name} {number}"), Path(folder))
        except reader.refuses:
            return "refused"
        except BaseException as error:
            (failures / f"{name}-{number}.txt").write_text(traceback.format_exc(), encoding="utf-8")
            return type(error).__name__
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return "read"


def read_batch(name: str, seed: int, numbers: range, failures: Path, ended: Connection) -> None:
    """Be the process that reads some inputs, and say of each what came."""
    signal.signal(signal.SIGALRM, late)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # of progress bars, and of libraries
    if not READERS[name].needs_models:  # TensorFlow reserves more than it takes
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in numbers:
        ended.send(read_one(name, seed, number, failures))
    ended.send(1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))


def came_of(name: str, seed: int, numbers: range, failures: Path) -> Came:
    """Give some inputs to a reader in a process of its own; if one ends it, the others go on in another one."""
    counts: Counter[str] = Counter()
    grown = 0
    while numbers:
        receiver, sender = PROCESSES.Pipe(duplex=False)
        process = PROCESSES.Process(target=read_batch, args=(name, seed, numbers, failures, sender))
        process.start()
        sender.close()
        done = 0
        try:
            while receiver.poll(2 * SECONDS + 60):  # the imports, too
                told = receiver.recv()
                if isinstance(told, int):
                    grown = max(grown, told)
                    break
                counts[told] += 1
                done += 1
        except EOFError:  # the process is gone
            pass
        finally:
            process.join(1)
            process.kill()
            process.join()
        if done < len(numbers):
            counts[f"ended by {process.exitcode}"] += 1
            (failures / f"{name}-{numbers[done]}.txt").write_text("the process ended", encoding="utf-8")
        numbers = numbers[done + 1 :]
    return Came(counts, grown)


@click.command(help="Give damaged and hostile bytes to all that reads what others wrote.")
@click.option("--inputs", type=click.IntRange(1), default=100_000, show_default=True, help="how many, altogether")
@click.option("--only", type=click.Choice([*READERS]), multiple=True, help="of these readers alone")
@click.option("--seed", type=int, default=1, show_default=True, help="decides what the inputs are")
@click.option("--number", type=int, help="one input again, here, with its traceback")
def main(inputs: int, only: tuple[str, ...], seed: int, number: int | None) -> None:
    names = [*(only or READERS)]
    if not MODELS.is_dir():
        names = [name for name in names if not READERS[name].needs_models]
        print(f"networks are left out: {MODELS} has none (make repro)")
    if number is not None:
        with tempfile.TemporaryDirectory() as folder:
            READERS[names[0]].read(random.Random(f"{seed} {names[0]} {number}"), Path(folder))
        return
    failures = Path(tempfile.mkdtemp(prefix="fuzz-"))
    shares = {name: READERS[name].share for name in names}
    each = {name: max(1, round(inputs * share / sum(shares.values()))) for name, share in shares.items()}
    parts = [(name, range(start, min(start + BATCH, of))) for name, of in each.items() for start in range(0, of, BATCH)]
    found = {name: Came(Counter(), 0) for name in names}
    total = sum(each.values())
    with ThreadPoolExecutor(os.cpu_count()) as pool, tqdm(total=total, unit=" inputs", disable=None) as bar:
        came_in_parts = pool.map(lambda part: came_of(part[0], seed, part[1], failures), parts)
        for (name, numbers), came in zip(parts, came_in_parts, strict=True):
            found[name] = Came(found[name].counts + came.counts, max(found[name].grown, came.grown))
            bar.update(len(numbers))
    print(tabulate([_row(name, came) for name, came in found.items()], headers="keys", tablefmt="github"))
    if any(failures.iterdir()):
        sys.exit(f"failures, each with its number: {failures}")
    failures.rmdir()


def _row(name: str, came: Came) -> dict[str, str]:
    failed = {kind: number for kind, number in came.counts.items() if kind not in ("read", "refused")}
    return {
        "reader": name,
        "inputs": f"{came.counts.total():,}",
        "read": f"{came.counts['read']:,}",
        "refused": f"{came.counts['refused']:,}",
        "failed": ", ".join(f"{number:,} × {kind}" for kind, number in failed.items()) or "0",
        "memory grew by": f"{came.grown / 1e6:,.0f} MB",
    }


if __name__ == "__main__":
    run(main)
