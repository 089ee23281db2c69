"""How fast raw text is classified: in batches, against what can be had at best, and over HTTP.

    python -m benchmarks.prediction                    # after `make repro`; the test texts, 3 minutes
    python -m benchmarks.prediction --texts 500 --requests 100

Batches, in texts per second (the median of the rounds, which take turns):

    classifier   raw text to table, tokenisation included, sorted by length inside
    padded       Keras `predict` on the same texts, tokenised and padded to one width beforehand
    sorted       the network alone, on token ids sorted by length: what tokenisation and table cost is the difference

HTTP, in milliseconds: one text per request to `mlflow models serve`, one client, and then --clients at once. "share"
is the part of the median that is not the bare call of the classifier ("bare").
"""

import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from tabulate import tabulate
from tokenizers import Tokenizer

from pipeline.parts.batches import pad
from pipeline.parts.choice import DATA, MODELS, open_trained, ranked
from pipeline.parts.datasets import read_split
from pipeline.parts.params import read_params
from pipeline.parts.tokens import clip, encode
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE, Trained


def timed(action: Callable[[], object]) -> float:
    """Seconds of one call."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def batch_speed(trained: Trained, texts: list[str], rounds: int) -> dict[str, float]:
    """Texts per second of every way."""
    classifier = open_trained(trained)
    ways: dict[str, Callable[[], object]] = {"classifier": lambda: classifier.predict(texts)}
    if trained.model != BASELINE:
        from pipeline.parts import networks  # five seconds that the baseline need not pay

        settings = trained.card["settings"]
        tokenizer = Tokenizer.from_file(str(DATA / "tokenizer.json"))
        tokens = clip(encode(tokenizer, texts), settings["max_tokens"], settings["keep"])
        network = networks.load(trained.weights)
        padded = pad(tokens, np.arange(len(tokens)))
        ways["padded"] = lambda: network.predict(padded, batch_size=networks.PREDICTION_BATCH, verbose=0)
        ways["sorted"] = lambda: networks.predict(network, tokens)
    for way in ways.values():
        way()  # compiles
    seconds = {name: [] for name in ways}  # type: dict[str, list[float]]
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(timed(way))
    return {name: len(texts) / statistics.median(times) for name, times in seconds.items()}


@contextmanager
def server(trained: Trained) -> Iterator[str]:
    """The address of `mlflow models serve` with the model's MLflow run."""
    tracker = Tracker(trained.card["dataset"])
    run = tracker.find(trained.fingerprint)
    if run is None or not run.outputs.model_outputs:
        sys.exit(f"MLflow has no model of {trained.name}; run `dvc repro -f -s evaluate`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    uri = f"models:/{run.outputs.model_outputs[0].model_id}"
    command = [sys.executable, "-m", "pipeline.tools.serve", "--model", uri, "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        try:
            for _ in range(600):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/invocations"
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def request_seconds(address: str, text: str) -> float:
    """How long one text takes over HTTP."""
    body = json.dumps({"dataframe_records": [{"text": text}]}).encode()
    request = urllib.request.Request(address, body, {"Content-Type": "application/json"})

    def send() -> None:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()

    return timed(send)


def latency(trained: Trained, texts: list[str], requests: int, clients: int) -> dict[str, float]:
    """Percentiles over requests, in milliseconds, requests per second of many clients, and our share."""
    asked = [texts[i % len(texts)] for i in range(requests)]
    with server(trained) as address:
        for text in texts[:10]:
            request_seconds(address, text)
        alone = [1000 * request_seconds(address, text) for text in asked]
        with ThreadPoolExecutor(clients) as pool:
            started = time.perf_counter()
            together = [1000 * s for s in pool.map(lambda text: request_seconds(address, text), asked)]
            seconds = time.perf_counter() - started
    classifier = open_trained(trained)
    classifier.predict(texts[:10])
    bare = statistics.median(1000 * timed(partial(classifier.predict, [text])) for text in asked)
    numbers = {f"p{p}": float(np.percentile(alone, p)) for p in (50, 95, 99)}
    numbers |= {f"p{p}, {clients} clients": float(np.percentile(together, p)) for p in (50, 99)}
    return numbers | {"requests/s": requests / seconds, "bare": bare, "share": 1 - bare / numbers["p50"]}


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast raw text is classified.")
    parser.add_argument("--texts", type=int, default=5000, help="in a batch, at the most")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=1000, help="0: no HTTP")
    parser.add_argument("--clients", type=int, default=50)
    arguments = parser.parse_args()
    dataset = read_params().dataset
    texts = pd.concat(read_split(Path(DATA / "reviews.parquet"), "test", ["text"]))["text"].tolist()[: arguments.texts]
    best: dict[str, Trained] = {}
    for trained in ranked(MODELS, dataset):
        best.setdefault(trained.model, trained)
    print(f"{dataset}: {len(texts)} texts, {statistics.mean(len(text.split()) for text in texts):.0f} words on average")
    rows = [{"model": one.name, **batch_speed(one, texts, arguments.rounds)} for one in best.values()]
    print(tabulate(rows, headers="keys", floatfmt=",.0f"))
    if arguments.requests:
        numbers = [
            {"model": n, **latency(one, texts, arguments.requests, arguments.clients)} for n, one in best.items()
        ]
        print(tabulate(numbers, headers="keys", floatfmt=".2f"))


if __name__ == "__main__":
    main()
