"""How long `explain` takes and how much memory, by the length of the text, and what threads of the BLAS do to it.

    python -m benchmarks.explain --vocabulary 10000 --max-tokens 500    # IMDB's sizes; 3 minutes

Networks of random weights, an LSTM and a GRU as params.yaml builds them (time does not depend on what they learnt),
explain a text of each length in a process of its own: seconds from the start of Python to the files on disk, the part
of them in the NumPy passes alone, with one thread of the BLAS and with as many as it takes, and the process' peak of
memory. A text of 2,473 words is the longest review of IMDB.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from tabulate import tabulate
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from pipeline.core.hashes import md5
from pipeline.core.params import CELLS, read_params
from pipeline.explaining.readings import read, split
from pipeline.inside.numpy_network import Network
from pipeline.networks import building, networks
from pipeline.tokens.tokenizer import train_tokenizer

WORDS = 200  # different ones in the texts
MODELS, TOKENIZER = "models", "tokenizer.json"


def make(folder: Path, vocabulary: int, max_tokens: int) -> None:
    """Leave a tokenizer and two networks as training would, of random weights."""
    settings = read_params().train
    train_tokenizer(iter([text(WORDS)]), "word", WORDS + 2).save(str(folder / TOKENIZER))
    for cell in CELLS:
        networks.seed_everything(1)
        model = building.build(cell, vocabulary, 2, settings)
        (folder / MODELS / f"{cell}-1").mkdir(parents=True)
        networks.save(model, folder / MODELS / f"{cell}-1" / "model.keras")
        card = {
            **{"model": cell, "labels": ["bad", "good"], "dataset": "random"},
            "settings": settings.model_dump() | {"max_tokens": max_tokens},
            "inputs": {TOKENIZER: md5(folder / TOKENIZER)},
        }
        (folder / MODELS / f"{cell}-1" / "card.json").write_text(json.dumps(card))


def text(words: int) -> str:
    return " ".join(f"word{number % WORDS}" for number in range(words))


def whole(folder: Path, words: int) -> tuple[float, float]:
    """Measure processor seconds and MB of `explain` in this process; its caller measures the time from its start."""
    from pipeline.tools import explain

    vars(explain).update(MODELS=folder / MODELS, TOKENIZER=folder / TOKENIZER)
    explain.explain(text(words), [f"{cell}-1" for cell in CELLS], folder / "out")
    return time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def passes(folder: Path, words: int, threads: int | None) -> float:
    """Measure the seconds of the NumPy passes of both networks."""
    settings = json.loads((folder / MODELS / "lstm-1" / "card.json").read_text())["settings"]
    seen = split(text(words), Tokenizer.from_file(str(folder / TOKENIZER)), settings)
    models = [networks.load(folder / MODELS / f"{cell}-1" / "model.keras") for cell in CELLS]
    inside = [Network.from_weights(networks.weights(model), settings["pooling"]) for model in models]
    with threadpool_limits(threads, user_api="blas") if threads else nullcontext():
        started = time.perf_counter()
        for network in inside:
            read(network, "random", seen, 1)
        return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the time and the memory of `explain`.")
    parser.add_argument("--vocabulary", type=int, default=10_000)
    parser.add_argument("--max-tokens", type=int, default=500)
    parser.add_argument("--words", type=int, nargs="+", default=[10, 100, 2473], help="lengths of the texts")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)  # a process of its own: the folder
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(whole(arguments.one, arguments.words[0])))
        return
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        make(folder, arguments.vocabulary, arguments.max_tokens)
        for words in arguments.words:
            command = [sys.executable, "-m", "benchmarks.explain", "--one", str(folder), "--words", str(words)]
            started = time.perf_counter()
            shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            seconds = time.perf_counter() - started
            processor, memory = json.loads(shown.splitlines()[-1])
            row = [words, min(words, arguments.max_tokens), seconds, processor, memory]
            rows.append([*row, passes(folder, words, 1), passes(folder, words, None)])
    heads = ["words", "tokens read", "seconds", "of processors", "MB", "passes, 1 thread", "passes, all threads"]
    print(tabulate(np.round(rows, 1).tolist(), headers=heads))


if __name__ == "__main__":
    main()
