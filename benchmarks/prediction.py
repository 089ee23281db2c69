"""How fast raw text is classified: in batches, one at a time layer by layer, and over HTTP with many clients.

    python -m benchmarks.prediction                    # after `make repro`; the test texts of its data set, 4 minutes
    python -m benchmarks.prediction --texts 200 --requests 50 --seconds 5

It runs on nothing but this machine, so clients and server share its cores; keep it free of other work. Of LSTM, GRU and
baseline, the best on validation is taken.

Batches, in texts per second (the median of the rounds, in which the ways take turns):

    padded       Keras `predict` on the same texts, tokenised and padded to one width beforehand
    network      the network alone, on token ids, sorted by length
    classifier   raw text to table, tokenisation included, sorted by length inside
    share        classifier / padded; 80 % is the aim

One text, in milliseconds (the median), each layer with those before it:

    network      token ids to probabilities
    classifier   and tokenisation, and the table of answers: our code
    pyfunc       and MLflow's checks of types
    HTTP         and request, server and response, with one client; its percentiles, too

Load: clients that ask without a pause, each over a connection of its own, for so many seconds. Errors are counted,
other statuses than 200 and broken connections. The memory of the server is what is resident, in MB: before, at a fifth
of the time, at the end, and at most.
"""

import argparse
import http.client
import json
import logging
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from tabulate import tabulate
from tokenizers import Tokenizer

from pipeline.core.command import InputError, clear_errors, progress
from pipeline.core.params import read_params
from pipeline.corpus.reviews import read_split
from pipeline.serving.registry import Registry
from pipeline.serving.selection import open_trained, ranked, served_uri
from pipeline.tokens.batches import pad
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import Tokens
from pipeline.tokens.tokenizer import encode
from pipeline.tracking.paths import MODELS, REVIEWS, TOKENIZER
from pipeline.trained.trained import BASELINE, Trained

_WARM_UP = 10  # texts that are not timed
_PATIENCE = 120  # seconds for a server to start

Way = Callable[[], object]


@dataclass(frozen=True)
class Server:
    """Server of one model that runs.

    Attributes:
        process: its id.
        port: on this machine.
    """

    process: int
    port: int

    def memory(self) -> int:
        """Read the resident memory, in MB."""
        command = ["ps", "-o", "rss=", "-p", str(self.process)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout) // 1024

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)


def seconds_of(way: Way) -> float:
    """Measure the seconds of one call."""
    started = time.perf_counter()
    way()
    return time.perf_counter() - started


def token_ids(trained: Trained, texts: Sequence[str]) -> Tokens:
    """Encode texts as the network of a model gets them."""
    settings = trained.card["settings"]
    tokenizer = Tokenizer.from_file(str(TOKENIZER))
    return clip(encode(tokenizer, texts), settings["max_tokens"], settings["keep"])


def batch_speed(trained: Trained, texts: list[str], rounds: int) -> dict[str, Any]:
    """Measure the texts per second of every way; the baseline has one way only."""
    classifier = open_trained(trained)
    ways: dict[str, Way] = {"classifier": lambda: classifier.predict(texts)}
    if trained.model != BASELINE:
        from pipeline.networks import networks  # five seconds that the baseline need not pay

        tokens, network = token_ids(trained, texts), networks.load(trained.weights)
        padded = pad(tokens, np.arange(len(tokens)))
        ways["padded"] = lambda: network.predict(padded, batch_size=networks.PREDICTION_BATCH, verbose=0)
        ways["network"] = lambda: networks.predict(network, tokens)
    for way in ways.values():
        way()  # compiles
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            seconds[name].append(seconds_of(way))
    speed = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    share = f"{speed['classifier'] / speed['padded']:.0%}" if "padded" in speed else None
    order = ("padded", "network", "classifier")
    return {"model": trained.name, **{name: speed.get(name) for name in order}, "share": share}


def layers(trained: Trained, texts: list[str], server: Server) -> dict[str, Any]:
    """Measure the milliseconds for one text, from the network alone to a request."""
    dataset = trained.card["dataset"]
    classifier, pyfunc = open_trained(trained), Registry(dataset).load(served_uri(trained.name, dataset))
    connection = server.connect()
    calls: dict[str, list[Way]] = {
        "classifier": [partial(classifier.predict, [text]) for text in texts],
        "pyfunc": [partial(pyfunc.predict, [text]) for text in texts],
        "HTTP": [partial(ask, connection, text) for text in texts],
    }
    if trained.model != BASELINE:
        from pipeline.networks import networks

        network = networks.load(trained.weights)
        tokens = [token_ids(trained, [text]) for text in texts]
        calls["network"] = [partial(networks.predict, network, one) for one in tokens]
    times = {}
    for name, ways in calls.items():
        for way in ways[:_WARM_UP]:
            way()
        times[name] = [1000 * seconds_of(way) for way in ways]
    median = {name: statistics.median(of_layer) for name, of_layer in times.items()}
    order = ("network", "classifier", "pyfunc", "HTTP")
    percentiles = {f"HTTP p{p}": float(np.percentile(times["HTTP"], p)) for p in (95, 99)}
    return {"model": trained.name, **{name: median.get(name) for name in order}, **percentiles}


def load(trained: Trained, texts: list[str], server: Server, clients: int, seconds: float) -> dict[str, Any]:
    """Measure the answers that many clients get at once, and the memory of the server."""
    times: list[list[float]] = [[] for _ in range(clients)]
    errors = [0] * clients
    memory = [server.memory()]
    end = time.perf_counter() + seconds

    def client(number: int) -> None:
        connection = server.connect()
        place = number
        while time.perf_counter() < end:
            started = time.perf_counter()
            try:
                ask(connection, texts[place % len(texts)])
                times[number].append(1000 * (time.perf_counter() - started))
            except (OSError, http.client.HTTPException, InputError):
                errors[number] += 1
                connection.close()
            place += clients

    def watch() -> None:
        while time.perf_counter() < end:
            time.sleep(seconds / 60)
            memory.append(server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    watcher.join()
    answered = [time for of_client in times for time in of_client]
    return {
        "model": trained.name,
        "clients": clients,
        "seconds": seconds,
        "answers": len(answered),
        "answers/s": len(answered) / seconds,
        "errors": sum(errors),
        **{f"p{p} ms": float(np.percentile(answered or [np.nan], p)) for p in (50, 95, 99)},
        "MB before": memory[0],
        "at 1/5": memory[len(memory) // 5],
        "at the end": memory[-1],
        "at most": max(memory),
    }


def ask(connection: http.client.HTTPConnection, text: str) -> None:
    """Send one text and wait for its answer.

    Raises:
        InputError: the server refused.
        OSError or HTTPException: the connection broke.
    """
    body = json.dumps({"dataframe_records": [{"text": text}]}).encode()
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise InputError(f"the server answered {response.status}: {answer[:200]!r}")


@contextmanager
def serving(trained: Trained) -> Iterator[Server]:
    """Run `make serve` with a model, for the time of the block.

    Raises:
        InputError: it does not start.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pipeline.tools.serve", "--model", trained.name, "--port", str(port)]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        server = Server(process.pid, port)
        try:
            if not _starts(process, server):
                log.seek(0)
                said = log.read().decode(errors="replace").strip().splitlines()
                raise InputError(
                    f"the server of {trained.name} did not start; it said: {said[-1] if said else 'nothing'}"
                )
            yield server
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def _starts(process: "subprocess.Popen[bytes]", server: Server) -> bool:
    """Wait until the server answers; not for one that has ended, and not for ever."""
    end = time.monotonic() + _PATIENCE
    while time.monotonic() < end and process.poll() is None:
        try:
            connection = server.connect()
            connection.request("GET", "/ping")
            return connection.getresponse().status == 200
        except OSError:
            time.sleep(0.1)
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast raw text is classified.")
    parser.add_argument("--texts", type=int, default=2000, help="largest number of texts in a batch")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=300, help="number of requests, one after the other")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60, help="duration of the load on each of two models")
    given = parser.parse_args()
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # it says that it compiles again for other shapes
    dataset = read_params().dataset
    table = pd.concat(read_split(REVIEWS, "test", ["text"]))
    # Drawn, because films and labels may stand together.
    texts = table["text"].sample(min(given.texts, len(table)), random_state=1).tolist()
    best: dict[str, Trained] = {}
    for trained in ranked(MODELS, dataset):
        best.setdefault(trained.model, trained)
    under_load = {next((model for model in best if model != BASELINE), BASELINE), BASELINE}
    words = statistics.mean(len(text.split()) for text in texts)
    print(f"{dataset}: {len(texts):,} texts of {words:.0f} words on average; {os.cpu_count()} cores")
    in_batches = [batch_speed(one, texts, given.rounds) for one in progress(best.values(), desc="batches")]
    one_by_one, loaded = [], []
    asked = [texts[i % len(texts)] for i in range(given.requests)]
    for model, trained in progress(best.items(), desc="HTTP"):
        with serving(trained) as server:
            one_by_one.append(layers(trained, asked, server))
            if model in under_load:
                loaded.append(load(trained, texts, server, given.clients, given.seconds))
    for title, rows, digits in (
        ("Batches: texts per second", in_batches, ",.0f"),
        ("One text: milliseconds", one_by_one, ".2f"),
        ("Load", loaded, ",.1f"),
    ):
        print(f"\n{title}\n\n{tabulate(rows, headers='keys', floatfmt=digits, tablefmt='pipe')}")


if __name__ == "__main__":
    with clear_errors():
        main()
