"""A champion behind HTTP: one real server for all tests, raw text in, answers or a sentence out."""

import http.client
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uvicorn
from conftest import Project, clean_environment

from pipeline.corpus.reviews import read_split
from pipeline.serving.listening import Impatient
from pipeline.serving.payloads import LONGEST, LONGEST_TEXT

COMMAND = ("python", "-m", "pipeline", "serve")
JSON, CSV = "application/json", "text/csv"
TOO_LONG = f"the body must not be longer than {LONGEST:,} bytes; send the texts in several"


@dataclass(frozen=True)
class Server:
    """One that runs."""

    process: int
    port: int
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def memory(self) -> int:
        """Resident, in MB."""
        shown = subprocess.run(
            ["ps", "-o", "rss=", "-p", str(self.process)], capture_output=True, text=True, check=True
        )
        return int(shown.stdout) // 1024


@pytest.fixture(scope="module")
def server(own_project: Project) -> Iterator[Server]:
    """Of a network."""
    refused = own_project.call(*COMMAND, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "error: gatewise-tiny has no champion; name one with: make promote\n"
    own_project.call("python", "-m", "pipeline", "promote", "--model", "gru-1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = own_project.root.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "--port", str(port)],
            cwd=own_project.root,
            env=clean_environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    server = Server(process.pid, port, log)
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"{server.address}/ping", timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(log.read_text())
        yield server
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def post(server: Server, body: str | bytes, kind: str | None = JSON) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(f"{server.address}/invocations", data)
    # urllib would send a Content-Type of its own where there is none.
    request.add_header("Content-Type", kind or "")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def records(*texts: Any) -> str:
    return json.dumps({"dataframe_records": [{"text": text} for text in texts]})


def test_it_says_what_it_serves(server: Server) -> None:
    expected = f"serving models:/gatewise-tiny/1 on {server.address} (stop it with Ctrl-C)"
    assert expected in server.log.read_text()
    for path in ("ping", "health"):
        with urllib.request.urlopen(f"{server.address}/{path}", timeout=5) as response:
            assert response.status == 200


def test_the_probabilities_are_those_of_evaluate_and_of_predict(server: Server, own_project: Project) -> None:
    root = own_project.root
    texts = pd.concat(read_split(root / "data/processed/reviews.parquet", "test", ["text"]))["text"].tolist()
    _, answers = post(server, json.dumps({"inputs": texts}))
    served = pd.DataFrame(answers)
    with np.load(root / "data/models/gru-1/predictions.npz") as arrays:
        np.testing.assert_allclose(served[["p_negative", "p_positive"]], arrays["test"], rtol=0, atol=1e-6)
    pd.DataFrame({"text": texts}).to_parquet(root / "texts.parquet")
    command = ("python", "-m", "pipeline", "predict", "--file", "texts.parquet", "--output", "answers.parquet")
    own_project.call(*command)
    written = pd.read_parquet(root / "answers.parquet")[list(served)]
    pd.testing.assert_frame_equal(served, written, check_dtype=False, rtol=0, atol=1e-12)
    alone = [post(server, json.dumps({"instances": [text]}))[1][0] for text in texts[:10]]
    assert np.abs(pd.DataFrame(alone).iloc[:, 1:] - served.iloc[:10, 1:]).max(axis=None) < 1e-6


def test_every_form_gets_the_same_answer(server: Server) -> None:
    texts = ["the acting is superb", "", "i hated every minute", "<b>film</b> 😀 这部电影 \0"]
    status, answers = post(server, records(*texts))
    assert (status, len(answers)) == (200, 4)
    for other in (
        {"inputs": texts},
        {"instances": [{"text": text} for text in texts]},
        {"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}},
    ):
        assert post(server, json.dumps(other)) == (200, answers)
    assert post(server, "\n".join(["text", *texts]), CSV) == (200, answers)


@pytest.mark.parametrize(
    "text",
    ["", " \n", pytest.param("x" * 10_000_000, marks=pytest.mark.slow), "电影" * 1_600_000, "\ud83d"],
    ids=["empty", "space", "10 MB", "10 MB of Chinese", "half an emoji"],
)
def test_any_text_gets_an_answer(server: Server, text: str) -> None:
    status, (answer,) = post(server, records(text))
    assert status == 200
    assert answer["p_negative"] + answer["p_positive"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "kind", "status", "problem"),
    [
        ('{"dataframe_records": [{"review": "x"}]}', JSON, 400, "row 0 of dataframe_records has no 'text'"),
        ('{"inputs": ["x", null]}', JSON, 400, "the text in row 1 must be a string. Received: null"),
        ('{"inputs": ["x' * 1_000_000, JSON, 400, "the body is no JSON: Expecting ',' delimiter at character 16"),
        ("[" * 100_000, JSON, 400, "the body is nested too deeply"),
        ('text\n"x', CSV, 400, "the body is no CSV: unexpected end of data in line 2"),
        ("", CSV, 400, "the CSV must have one column 'text'. Received: 0"),
        ('{"inputs": ["x"]}', None, 415, "Content-Type must be application/json or text/csv"),
        (
            b" " * (LONGEST + 1),
            JSON,
            413,
            TOO_LONG,
        ),
        (
            b"text\n" + b"x" * (LONGEST_TEXT + 1),
            CSV,
            413,
            "the text in row 0 must not be longer than 10,000,000 characters",
        ),
    ],
    ids=range(9),
)
def test_what_is_no_list_of_texts_gets_a_sentence(
    server: Server, body: str | bytes, kind: str | None, status: int, problem: str
) -> None:
    assert post(server, body, kind) == (status, problem)
    assert "Traceback" not in server.log.read_text()


def test_a_long_text_does_not_make_the_short_ones_long(server: Server) -> None:
    before, most, done = server.memory(), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, server.memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    status, answers = post(server, json.dumps({"inputs": ["film " * 100_000, *["y"] * 1000]}))
    done.set()
    watcher.join()
    assert (status, len(answers)) == (200, 1001)
    assert most - before < 300


def ask(server: Server, method: str, path: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(method, path, b'{"inputs": ["x"]}', {"Content-Type": JSON} | headers)
    return connection.getresponse().status


def test_only_a_client_that_asks_for_this_machine_is_answered(server: Server) -> None:
    for host, status in (("localhost", 200), (f"127.0.0.1:{server.port}", 200), ("[::1]", 200), ("evil.example", 400)):
        assert ask(server, "POST", "/invocations", {"Host": host}) == status


def test_other_addresses_are_not_found(server: Server) -> None:
    assert ask(server, "GET", "/", {}) == 404
    assert ask(server, "GET", "/invocations", {}) == 405


def test_fifty_clients_at_once_get_their_own_answers(server: Server) -> None:
    texts = [f"film number {i} is {'superb' if i % 3 else 'wooden'}" for i in range(200)]
    _, together = post(server, records(*texts))
    with ThreadPoolExecutor(50) as clients:
        alone = list(clients.map(lambda text: post(server, records(text)), texts))
    for (status, (answer,)), expected in zip(alone, together, strict=True):
        assert (status, answer["label"]) == (200, expected["label"])
        assert answer["p_positive"] == pytest.approx(expected["p_positive"], abs=1e-6)


def test_a_short_request_is_answered_before_a_long_one_that_came_first(server: Server) -> None:
    ended = []

    def ask_for(name: str, texts: list[str]) -> None:
        assert post(server, json.dumps({"inputs": texts}))[0] == 200
        ended.append(name)

    long = threading.Thread(target=ask_for, args=("long", ["a warm and clever story"] * 50_000))
    long.start()
    while "long" not in ended:  # while it is read, worked on, and written
        ask_for("short", ["superb"])
    long.join()
    assert ended.index("long") > 3


class Answering:
    """An application that reads a request and answers."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            while (await receive()).get("more_body"):
                pass
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body"})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a server that waits for half a second."""
    monkeypatch.setattr(Impatient, "patience", 0.5)
    runner = uvicorn.Server(uvicorn.Config(Answering(), port=0, http=Impatient, lifespan="off", log_level="warning"))
    thread = threading.Thread(target=runner.run)
    thread.start()
    while not runner.started:
        time.sleep(0.01)
    yield runner.servers[0].sockets[0].getsockname()[1]
    runner.should_exit = True
    thread.join()


HALF = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nab"


@pytest.mark.parametrize("sent", [b"", HALF[:20], HALF], ids=["nothing", "half a header", "half a body"])
def test_who_sends_half_a_request_is_cut_off(impatient: int, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=30) as client:
        client.sendall(sent)
        assert client.recv(1000) == b""


def test_who_sends_slowly_is_answered(impatient: int) -> None:
    with socket.create_connection(("127.0.0.1", impatient), timeout=30) as client:
        for part in (HALF[:20], HALF[20:], b"c", b"d"):
            client.sendall(part)
            time.sleep(0.3)
        assert client.recv(1000).startswith(b"HTTP/1.1 204")


def test_a_port_that_is_taken_is_one_line(server: Server, own_project: Project) -> None:
    result = own_project.call(*COMMAND, "--port", str(server.port), check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {server.port} of 127.0.0.1 cannot be used")


@pytest.mark.parametrize(
    ("model", "problem"),
    [("gru-9", "there is no model 'gru-9'"), ("models:/m-1", "m-1' not found")],
)
def test_a_model_that_is_not_there_is_one_line(own_project: Project, model: str, problem: str) -> None:
    result = own_project.call(*COMMAND, "--port", "0", "--model", model, check=False)
    assert result.returncode == 1
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
