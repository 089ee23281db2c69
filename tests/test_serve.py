"""The champion behind HTTP: one real server for all tests, raw text in, answers or a sentence out."""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from conftest import Project, clean_environment

COMMAND = ("python", "-m", "pipeline.tools.serve")
JSON, CSV = "application/json", "text/csv"


@pytest.fixture(scope="module")
def address(own_project: Project) -> Iterator[str]:
    """Of a server that has the baseline, which takes the shortest time to start."""
    refused = own_project.run(*COMMAND, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "error: gatewise-tiny has no champion; name one with: make promote\n"
    own_project.run("python", "-m", "pipeline.tools.promote", "--model", "baseline")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    log = own_project.root.parent / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*COMMAND, "--port", port],
            cwd=own_project.root,
            env=clean_environment(),
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    for _ in range(600):
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
            break
        except OSError:
            time.sleep(0.1)
    else:
        pytest.fail(log.read_text())
    assert f"serving models:/gatewise-tiny/1 on http://127.0.0.1:{port} (stop it with Ctrl-C)" in log.read_text()
    yield f"http://127.0.0.1:{port}"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


def post(address: str, body: str | bytes, kind: str = JSON) -> tuple[int, Any]:
    data = body if isinstance(body, bytes) else body.encode()
    request = urllib.request.Request(f"{address}/invocations", data, {"Content-Type": kind})
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, json.load(response)["predictions"]
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)["message"]


def records(*texts: Any) -> str:
    return json.dumps({"dataframe_records": [{"text": text} for text in texts]})


def test_the_server_answers_as_predict_does(address: str, own_project: Project) -> None:
    texts = ["the acting is superb", "i hated every minute", "<b>film</b> 😀 这部电影 \0"]
    status, answers = post(address, records(*texts))
    assert status == 200
    printed = own_project.run("python", "-m", "pipeline.tools.predict", *texts[:2]).stdout
    for line, answer in zip(printed.splitlines(), answers, strict=False):
        label, probability, _ = line.split("\t")
        assert (answer["label"], f"{answer[f'p_{label}']:.4f}") == (label, probability)
    with np.load(own_project.root / "data/models/baseline/predictions.npz") as arrays:
        assert arrays["test"].shape[1] == len(answers[0]) - 1
    for other in (
        post(address, json.dumps({"inputs": texts})),
        post(address, json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text] for text in texts]}})),
    ):
        assert other == (200, answers)


def test_csv_goes_in_too(address: str) -> None:
    assert post(address, "text\nthe acting is superb\n", CSV) == post(address, records("the acting is superb"))


@pytest.mark.parametrize("text", ["", " \n", "x" * 10_000_000], ids=["empty", "space", "10 MB"])
def test_any_text_gets_an_answer(address: str, text: str) -> None:
    status, (answer,) = post(address, records(text))
    assert status == 200
    assert answer["p_negative"] + answer["p_positive"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("body", "kind", "problem"),
    [
        ('{"dataframe_records": [{"review": "x"}]}', JSON, "Model is missing inputs ['text']"),
        (records(3), JSON, "the text in row 0 must be a string. Received: '3' (int)"),
        (records("fine", 3), JSON, "the text in row 1 must be a string. Received: '3' (int)"),
        (records(None), JSON, "the text in row 0 must be a string. Received: nothing"),
        (records("fine", None), JSON, "the text in row 1 must be a string. Received: nothing"),
        (records(["nested"]), JSON, "the text in row 0 must be a string."),
        (records({"a": 1}), JSON, "the text in row 0 must be a string."),
        ('{"dataframe_records": "x"}', JSON, "must be a list of records"),
        ('{"dataframe_records": [{"te', JSON, "Ensure that input is a valid JSON"),
        ('["x"]', JSON, "The input must be a JSON dictionary"),
        ('{"text": "x"}', JSON, "The input must be a JSON dictionary"),
        (b'{"inputs": ["\xff"]}', JSON, "Ensure that input is a valid JSON"),
        ("review\nx\n", CSV, "Model is missing inputs ['text']"),
        ("text\nNA\nx\n", CSV, "the text in row 0 must be a string. Received: nothing"),
    ],
)
def test_what_is_no_list_of_texts_gets_400_and_a_sentence(
    address: str, body: str | bytes, kind: str, problem: str
) -> None:
    status, message = post(address, body, kind)
    assert status == 400
    assert problem in message
    assert "Traceback" not in message


def test_twenty_clients_at_once_get_their_own_answers(address: str) -> None:
    texts = [f"film number {i} is {'superb' if i % 3 else 'wooden'}" for i in range(200)]
    _, together = post(address, records(*texts))
    with ThreadPoolExecutor(20) as clients:
        alone = list(clients.map(lambda text: post(address, records(text)), texts))
    assert alone == [(200, [answer]) for answer in together]


def test_a_port_that_is_taken_is_one_line(address: str, own_project: Project) -> None:
    port = address.rpartition(":")[2]
    result = own_project.run(*COMMAND, "--port", port, check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be used")


@pytest.mark.parametrize(
    ("model", "problem"),
    [("gru-2", "--model must be models:/ or runs:/…. Received: gru-2"), ("models:/m-1", "m-1' not found")],
)
def test_a_model_that_is_not_there_is_one_line(own_project: Project, model: str, problem: str) -> None:
    result = own_project.run(*COMMAND, "--port", "0", "--model", model, check=False)
    assert result.returncode == 1
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
