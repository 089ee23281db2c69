"""Runs in MLflow: written, found by content, completed afterwards, and served as models that take raw text.

Every store here is a real one: SQLite files, copied from one that MLflow made, and one real server.
"""

import base64
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import TINY_PARAMS, WITHOUT_PROJECT, clean_environment, tiny_reviews, train_params
from linear_models import fitted
from matplotlib.figure import Figure
from mlflow.entities import LoggedModel, Run
from mlflow.exceptions import MlflowException
from proxies import proxy_before
from sqlalchemy import make_url

from pipeline.core.command import InputError
from pipeline.networks import building, networks
from pipeline.packaging.classifier import Classifier
from pipeline.reporting.stamp import fingerprint
from pipeline.serving.registry import Registry
from pipeline.serving.selection import served_uri
from pipeline.tokens.clipping import clip
from pipeline.tokens.tokenizer import encode, train_tokenizer
from pipeline.tools.lineage import Origin, commands
from pipeline.tools.promote import HeldOut, promote
from pipeline.tracking import patience
from pipeline.tracking.address import in_short, login, split_login, without_login
from pipeline.tracking.git import PATCH
from pipeline.tracking.headline import headline
from pipeline.tracking.machine import MACHINE, environment
from pipeline.tracking.metric_names import curve
from pipeline.tracking.record import finish, record_comparison, record_machine, restore, run_of, run_params
from pipeline.tracking.run_record import COMPARISON, name_of
from pipeline.tracking.store import asked_directly, comparisons, sqlite_file, sqlite_uri, store_uri
from pipeline.tracking.tracked_run import TrackedRun
from pipeline.tracking.tracker import DEPENDENCIES, Tracker
from pipeline.trained.trained import CARD, HISTORY, Trained

REPOSITORY = Path(__file__).parent.parent
TEXTS = ["the acting is superb", "i hated every minute", ""]
ACCURACY = "validation/accuracy"
SCORES = {"test/accuracy": 0.75, "test/log_loss": 0.5}
CHANGED = (
    *("DVC_ROOT", "DVC_EXP_NAME", "MLFLOW_RUN_ID", "MLFLOW_TRACKING_URI"),
    *("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "GATEWISE_MLFLOW_SECONDS"),
)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A network with random weights: what it predicts does not matter, only that all agree on it."""
    folder = tmp_path_factory.mktemp("models") / "gru-1"
    folder.mkdir()
    tokenizer = train_tokenizer(iter(tiny_reviews()["text"]), "word", 100)
    tokenizer.save(str(folder.parent / "tokenizer.json"))
    settings = train_params(units=4, dropout=0.0, learning_rate=0.1, epochs=2, patience=0)
    networks.seed_everything(1)
    network = building.build("gru", tokenizer.get_vocab_size(), 2, settings)
    network.set_weights([8 * weight for weight in network.get_weights()])  # far from 0.5
    networks.save(network, folder / "model.keras")
    card = {
        **{"dataset": "tiny", "model": "gru", "seed": 1, "labels": ["negative", "positive"]},
        "settings": settings.model_dump() | {"max_tokens": 16, "batch_size": 8, "vocabulary": 100},
        **{"parameters": 900, "recurrent_parameters": 168, "best_epoch": 2, "validation": {"accuracy": 0.8}},
        "inputs": {"data/processed/tokens.npz": "0" * 32},
    }
    history = pd.DataFrame(
        {"train_loss": [0.7, 0.6], "validation_loss": [0.69, 0.65], "train_accuracy": 0.5, "validation_accuracy": 0.8},
        index=pd.RangeIndex(1, 3, name="epoch"),
    )
    probabilities = networks.predict(network, clip(encode(tokenizer, TEXTS), 16, "tail"))
    predictions = {"validation": probabilities, "test": probabilities}
    trained = Trained(folder, card, predictions, history)
    trained.save()
    return trained


@pytest.fixture(scope="session")
def tokenizer(trained: Trained) -> Path:
    return trained.folder.parent / "tokenizer.json"


@pytest.fixture(scope="module", autouse=True)
def starting_server(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[tuple[str, Path]]:
    """A real MLflow server with light settings, started early because it takes seconds: its address and its log."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copyfile(empty_store, folder / "server.db")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = {"backend-store-uri": "sqlite:///server.db", "artifacts-destination": "artifacts", "port": port}
    command = [sys.executable, "-m", "mlflow", "server", "--workers", "1"]
    command += [f"--{name}={value}" for name, value in options.items()]
    environment = clean_environment() | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True)
    yield f"http://127.0.0.1:{port}", folder / "log"
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


@pytest.fixture
def server(starting_server: tuple[str, Path]) -> str:
    """The address of the server, which answers."""
    address, log = starting_server
    for _ in range(600):
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5)
        except OSError:
            time.sleep(0.1)
        else:
            return address
    pytest.fail(log.read_text())


@pytest.fixture(autouse=True)
def root(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own for every test, without what the environment says about stores and runs."""
    for name in CHANGED:
        monkeypatch.setenv(name, "")  # so that what a tracker sets is undone, too
        monkeypatch.delenv(name)
    root = tmp_path / "root"
    root.mkdir()
    shutil.copyfile(empty_store, root / "mlflow.db")
    monkeypatch.setenv("DVC_ROOT", str(root))
    monkeypatch.chdir(root)
    return root


@pytest.fixture(scope="session")
def restored_root(
    tmp_path_factory: pytest.TempPathFactory, empty_store: Path, trained: Trained, tokenizer: Path
) -> Path:
    """A store into which `evaluate` wrote the run of the network from its files."""
    root = tmp_path_factory.mktemp("restored")
    shutil.copyfile(empty_store, root / "mlflow.db")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
        monkeypatch.delenv("MLFLOW_TRACKING_URI")
        monkeypatch.setenv("DVC_ROOT", str(root))
        monkeypatch.chdir(root)  # which is not in git
        Path("data/processed").mkdir(parents=True)
        Path("data/processed/data.json").write_text(json.dumps({"settings": {"seed": 5, "tokenizer": "word"}}))
        restore(Tracker("tiny"), trained, tokenizer)
    return root


@pytest.fixture
def restored(restored_root: Path, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> tuple[Tracker, Run]:
    monkeypatch.setenv("DVC_ROOT", str(restored_root))
    tracker = Tracker("tiny")
    return tracker, found(tracker, trained.fingerprint)


def found(tracker: Tracker, fingerprint: str) -> Run:
    run = tracker.find(fingerprint)
    assert run is not None
    return run


def logged_model(run: Run) -> LoggedModel:
    return mlflow.get_logged_model(run.outputs.model_outputs[0].model_id)


def table_of(run: Run, name: str) -> pd.DataFrame:
    table: pd.DataFrame = mlflow.MlflowClient().load_table(run.info.experiment_id, name, [run.info.run_id])
    return table


def values(uri: str, run: Run, metric: str) -> list[tuple[int, float]]:
    return [(entry.step, entry.value) for entry in mlflow.MlflowClient(uri).get_metric_history(run.info.run_id, metric)]


def test_the_store_is_a_file_in_the_repository_unless_the_environment_names_another(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert store_uri() == f"sqlite:///{root}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://tracking.invalid")
    assert store_uri() == "http://tracking.invalid"


@pytest.mark.parametrize("name", ["my clone", "100%20 #1? ü"])
def test_the_folder_of_a_store_may_have_any_name(name: str) -> None:
    file = Path("/") / name / "mlflow.db"
    assert make_url(sqlite_uri(file)).database == str(file)  # this is how MLflow reads it
    assert sqlite_file(sqlite_uri(file)) == file


def test_a_store_is_found_where_mlflow_run_names_it() -> None:
    assert sqlite_file("sqlite:////new%20project/mlflow.db") == Path("/new project/mlflow.db")


def test_a_run_is_found_by_its_fingerprint_once_it_is_finished() -> None:
    tracker = Tracker("tiny")
    with tracker.run("gru-1", "train") as tracked:
        tracked.tags({"fingerprint": "abc"})
        assert tracker.find("abc") is None
    assert found(tracker, "abc").info.run_id == tracked.run_id
    assert tracker.find("ab") is None
    assert Tracker("other").find("abc") is None
    with tracker.run("gru-1", "train") as again:
        again.tags({"fingerprint": "abc"})
    assert found(Tracker("tiny"), "abc").info.run_id == again.run_id != tracked.run_id


def test_a_run_is_found_with_the_settings_that_it_had() -> None:
    """Other epochs may give the same model, after an early stop."""
    tracker = Tracker("tiny")
    runs = {}
    for epochs in (50, 40):
        with tracker.run("gru-1", "train") as tracked:
            tracked.params({"epochs": epochs})
            tracked.tags({"fingerprint": "abc"})
        runs[epochs] = tracked.run_id
    for epochs, run_id in runs.items():
        run = tracker.find("abc", {"epochs": epochs})
        assert run is not None
        assert run.info.run_id == run_id
    assert tracker.find("abc", {"epochs": 30}) is None


def test_the_run_of_a_model_is_the_one_with_the_settings_of_its_card(trained: Trained, tokenizer: Path) -> None:
    tracker = Tracker("tiny")
    restore(tracker, trained, tokenizer)
    with tracker.run("gru-1", "train") as later:
        later.params(run_params(trained.card) | {"epochs": 50})
        later.tags({"fingerprint": trained.fingerprint})
    run = run_of(tracker, trained)
    assert run is not None
    assert found(tracker, trained.fingerprint).info.run_id == later.run_id != run.info.run_id
    assert served_uri(str(trained.folder), "tiny") == f"models:/{logged_model(run).model_id}"


def test_a_run_is_named_by_its_whole_id_from_any_data_set_and_by_the_beginning_of_it() -> None:
    with Tracker("tiny").run("gru-1", "train") as tracked:
        pass
    other = Tracker("other")
    run = other.named(tracked.run_id)
    assert (run.info.run_id, other.record_of(run).experiment) == (tracked.run_id, "gatewise-tiny")
    assert Tracker("tiny").named(tracked.run_id[:8]).info.run_id == tracked.run_id
    for unknown in (tracked.run_id[:8], "it's", "0" * 32):
        with pytest.raises(InputError, match="gatewise-other has no run"):
            other.named(unknown)


@pytest.mark.slow
def test_the_run_of_a_killed_process_ends_as_failed() -> None:
    code = (
        "import os, signal\nfrom pipeline.tracking.tracker import Tracker\n"
        "with Tracker('tiny').run('gru-1', 'train') as tracked:\n"
        "    print(tracked.run_id, flush=True)\n    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = clean_environment() | {"DVC_ROOT": os.environ["DVC_ROOT"], "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, check=False
    ).stdout.strip()
    tracker = Tracker("tiny")
    assert mlflow.get_run(killed).info.status == "RUNNING"
    with tracker.run("gru-2", "train") as tracked:
        tracker.end_stale()
        assert mlflow.get_run(tracked.run_id).info.status == "RUNNING"
    assert mlflow.get_run(killed).info.status == "FAILED"


def test_a_run_that_mlflow_did_not_take_whole_ends_as_failed(capfd: pytest.CaptureFixture[str]) -> None:
    tracker = Tracker("tiny")
    with tracker.run("gru-1", "train") as tracked:
        tracked.params({"seed": 1})
        tracked.params({"seed": 2})  # which MLflow refuses to change
        tracked.tags({"fingerprint": "abc"})
    assert mlflow.get_run(tracked.run_id).info.status == "FAILED"
    assert mlflow.active_run() is None
    assert "did not take this" in capfd.readouterr().err


@pytest.mark.parametrize(
    "uri", ["sqlite:///damaged.db", "postgresql://localhost/nowhere", "nonsense://somewhere"], ids=lambda uri: uri[:6]
)
def test_a_store_that_cannot_be_opened_costs_no_result(
    uri: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("damaged.db").write_bytes(b"no database " * 1000)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    tracker = Tracker("tiny")
    with tracker.run("gru-1", "train") as tracked:
        tracked.params({"seed": 1})
    assert tracker.problem
    assert f"warning: MLflow ({uri}) did not take this" in capfd.readouterr().err
    assert tracker.comparisons("abc") is None
    with pytest.raises(InputError, match="cannot be asked"):
        tracker.named("gru-1")


def test_an_error_is_shown_in_one_short_line() -> None:
    autoflush = "(raised as a result of Query-invoked autoflush)\n(sqlite3.OperationalError) readonly database\n[SQL: …"
    assert in_short(autoflush) == "(sqlite3.OperationalError) readonly database"
    assert in_short("\x1b[31m\x07no") == "[31mno"
    assert in_short("A" * 200_000) == f"{'A' * 500} …"
    assert in_short(ValueError()) == ""


def test_a_server_that_says_nothing_is_given_up_after_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        assert Tracker("tiny").problem
        assert time.monotonic() - started < 15  # 5 on a quiet machine


@pytest.mark.parametrize("answer", [b"[]", b"null", b"{}", b'{"experiment": null}', b"<html>", b"\xff"])
def test_a_server_that_is_none_of_mlflow_s_is_no_error(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(answer) as address:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert comparisons("tiny", "abc") is None


def test_an_answer_that_drips_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    try:
        with serving(b" " * 1000, over) as address:
            monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
            assert comparisons("tiny", "abc") is None
            assert not over.is_set()  # it is dripping still
    finally:
        over.set()


@contextmanager
def serving(answer: bytes, over: threading.Event | None = None) -> Iterator[str]:
    """A server that gives one answer to all: at once, or a byte each second until it is over."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            with suppress(OSError):
                if over is None:
                    self.wfile.write(answer)
                for _ in answer if over else b"":
                    self.wfile.write(b" ")
                    self.wfile.flush()
                    if over is None or over.wait(1):
                        return

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        if over is not None:
            over.set()
        server.shutdown()
        server.server_close()


def test_what_a_store_misses_is_known_without_mlflow(root: Path) -> None:
    with Tracker("tiny").run("comparison", "evaluate") as tracked:
        assert comparisons("tiny", "abc") == []
        tracked.tags({"fingerprint": "abc"})
        assert comparisons("tiny", "abc") == []  # it is not finished
    assert comparisons("tiny", "abc") == [True]
    assert comparisons("other", "abc") == []
    (root / "mlflow.db").write_bytes(b"no database " * 1000)
    assert comparisons("tiny", "abc") is None
    (root / "mlflow.db").write_bytes(b"")
    assert comparisons("tiny", "abc") == []
    (root / "mlflow.db").unlink()
    assert comparisons("tiny", "abc") == []
    assert not (root / "mlflow.db").exists()


def test_what_a_store_of_another_kind_misses_is_known_from_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Path("folder").absolute().as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    assert not asked_directly()
    tracker = Tracker("tiny")
    with tracker.run("comparison", "evaluate") as tracked:
        tracked.tags({"fingerprint": "abc"})
        assert tracker.comparisons("abc") == []
    assert tracker.comparisons("abc") == [True]
    tracker.arrange("another")
    assert tracker.comparisons("abc") == [False]


def test_what_a_server_misses_is_known_without_mlflow(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    assert comparisons("asked", "abc") == []  # there is no such experiment
    tracker = Tracker("asked")
    with tracker.run("comparison", "evaluate") as tracked:
        tracked.tags({"fingerprint": "abc"})
        assert comparisons("asked", "abc") == []
    assert comparisons("asked", "abc") == [True]
    tracker.arrange("another")
    assert comparisons("asked", "abc") == [False]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert comparisons("asked", "abc") is None  # it cannot be asked


def test_a_block_that_raises_leaves_a_failed_run_that_is_not_found() -> None:
    tracker = Tracker("tiny")

    def break_after_the_fingerprint(tracked: TrackedRun) -> None:
        tracked.tags({"fingerprint": "abc"})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), tracker.run("gru-1", "train") as tracked:
        break_after_the_fingerprint(tracked)
    assert mlflow.get_run(tracked.run_id).info.status == "FAILED"
    assert tracker.find("abc") is None
    assert mlflow.active_run() is None


def test_a_run_says_where_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@gatewise.invalid", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], [*identity, "commit", "--quiet", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    Path(".gitignore").write_text("mlflow.db*\nmlartifacts\n")
    Path("params.yaml").write_text(TINY_PARAMS)
    subprocess.run(["git", "add", "params.yaml"], check=True)
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "parameters"], check=True)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    changed = {"units: 8": "units: 16", "ngrams: 2": "ngrams: 1", "  seed: 1": "  seed: 2", "layers: 1": "layers: 2"}
    for old, new in changed.items():
        Path("params.yaml").write_text(Path("params.yaml").read_text().replace(old, new))
    Path("new.py").write_text("x = 1\n")
    monkeypatch.setenv("DVC_EXP_NAME", "solid-gum")
    with Tracker("tiny").run("gru-1", "train", {"fold": "3"}) as tracked:
        pass
    tags = mlflow.get_run(tracked.run_id).data.tags
    expected = {"stage": "train", "dataset": "tiny", "fold": "3", "git_commit": commit, "git_dirty": "true"}
    assert {key: tags[f"gatewise.{key}"] for key in expected} == expected
    assert tags["gatewise.dvc_experiment"] == "solid-gum"
    assert tags["gatewise.version.numpy"] == np.__version__
    assert tags["mlflow.source.git.commit"] == commit
    assert tags["mlflow.source.name"] == "pipeline.train"
    assert tags["gatewise.differs"] == "seed=2, units=16, layers=2"
    assert tags["mlflow.runName"] == "gru-1 seed=2 units=16 +1"
    run = Tracker("tiny").named("gru-1")
    assert (run.info.run_id, Tracker("tiny").record_of(run).stage) == (tracked.run_id, "train@gru-1")
    assert "+x = 1" in mlflow.artifacts.load_text(f"runs:/{tracked.run_id}/{PATCH}")


def test_under_a_project_run_every_run_is_its_child(monkeypatch: pytest.MonkeyPatch) -> None:
    client = mlflow.MlflowClient(store_uri())
    project = client.create_run("0").info.run_id
    monkeypatch.setenv("MLFLOW_RUN_ID", project)
    tracker = Tracker("tiny")
    assert "MLFLOW_RUN_ID" not in os.environ
    for name in ("gru-1", "gru-2"):
        with tracker.run(name, "train") as tracked:
            tracked.params({"seed": 1})
        assert tracked.run_id != project
        assert client.get_run(tracked.run_id).data.tags["mlflow.parentRunId"] == project
    assert client.get_run(project).info.run_name == "gru-2"
    tracker.project_params({"seeds": "1, 2"})
    client.update_run(project, name="mine")
    with tracker.run("gru-3", "train"):
        pass
    named = client.get_run(project)
    assert (named.info.run_name, named.info.status, named.data.params) == ("mine", "RUNNING", {"seeds": "1, 2"})


@pytest.mark.parametrize(("stale", "why"), [("0" * 32, "the store does not have"), ("ended", "has ended")])
def test_a_stale_run_of_a_project_is_named_and_takes_no_children(
    stale: str, why: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    client = mlflow.MlflowClient(store_uri())
    if stale == "ended":
        stale = client.create_run("0").info.run_id
        client.set_terminated(stale)
    monkeypatch.setenv("MLFLOW_RUN_ID", stale)
    tracker = Tracker("tiny")
    with tracker.run("gru-1", "train") as tracked:
        pass
    assert "mlflow.parentRunId" not in client.get_run(tracked.run_id).data.tags
    assert tracker.problem is None
    told = capsys.readouterr().err
    assert f"MLFLOW_RUN_ID in the environment names the run {stale}, which {why}" in told


def test_restoring_writes_all_that_training_would_have_written(
    restored: tuple[Tracker, Run], restored_root: Path, trained: Trained
) -> None:
    tracker, run = restored
    assert (run.info.run_name, run.info.status) == ("gru-1", "FINISHED")
    params = {"dataset": "tiny", "model": "gru", "seed": 1, **trained.card["settings"]}
    params |= {"preprocess.seed": 5, "tokenizer": "word"}
    assert run.data.params == {name: str(value) for name, value in params.items()}
    for name, by_epoch in trained.history.items():
        assert values(tracker.uri, run, curve(str(name))) == list(by_epoch.items())
    assert values(tracker.uri, run, "validation/accuracy") == [(0, 0.8)]
    expected = {"restored": "true", "stage": "train", "model": "gru", "seed": "1"}
    expected |= {"fingerprint": trained.fingerprint}
    assert {key: run.data.tags[f"gatewise.{key}"] for key in expected} == expected
    assert run.data.tags["mlflow.note.content"] == "GRU on **tiny**, seed 1: validation accuracy 80.0% at epoch 2 of 2."
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest, data.tags[0].value) == ("tiny tokens", "0" * 32, "training")
    artifacts = restored_root / "mlartifacts" / "gatewise-tiny" / run.info.run_id / "artifacts"
    assert {path.name for path in artifacts.iterdir()} == {CARD, DEPENDENCIES, HISTORY, "learning_curves.png"}


def test_all_of_a_sqlite_store_lies_in_the_top_folder(restored: tuple[Tracker, Run], restored_root: Path) -> None:
    _, run = restored
    assert {path.name for path in restored_root.iterdir()} - {"mlflow.db.lock", "data"} == {"mlartifacts", "mlflow.db"}
    assert Path(logged_model(run).artifact_location.removeprefix("file://")).is_relative_to(restored_root)


@pytest.fixture(scope="session")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("linear") / "baseline"
    folder.mkdir()
    reviews = tiny_reviews()
    model, *_ = fitted("tfidf", reviews["text"].tolist(), (reviews["label"] == "positive").to_numpy())
    model.save(folder / "model.npz")
    probabilities = model.predict(TEXTS).astype(np.float32)
    card = {
        **{"dataset": "tiny", "model": "baseline", "seed": None, "settings": {"ngrams": 2}, "parameters": 9},
        **{"validation": {"accuracy": 0.9}, "inputs": {"reviews.parquet": "1" * 32}},
        "labels": ["negative", "positive"],
    }
    trained = Trained(folder, card, {"validation": probabilities, "test": probabilities})
    trained.save()
    return trained


@pytest.mark.slow
def test_a_baseline_is_restored_with_a_model_that_opens_without_keras(baseline: Trained, tmp_path: Path) -> None:
    tracker = Tracker("tiny")
    restore(tracker, baseline, Path())
    tracker.record_scores(found(tracker, baseline.fingerprint), SCORES, ("tiny", "2" * 32))
    run = found(tracker, baseline.fingerprint)
    assert run.data.tags["gatewise.stage"] == "baseline"
    assert run.data.params == {"dataset": "tiny", "model": "baseline", "seed": "None", "ngrams": "2"}
    assert run.data.metrics == {"validation/accuracy": 0.9, "trained/parameters": 9, **SCORES}
    model = shutil.copytree(logged_model(run).artifact_location.removeprefix("file://"), tmp_path / "model")
    requirements = {line.partition("==")[0] for line in (model / "requirements.txt").read_text().splitlines()}
    assert requirements == {"mlflow", "numpy", "pandas", "scikit-learn", "scipy", "tokenizers"}
    rows = predict_elsewhere(model, "assert not {'keras', 'tensorflow'} & set(sys.modules)")
    np.testing.assert_allclose([row[1:] for row in rows], baseline.predictions["test"], atol=1e-6)


def test_scores_go_to_the_run_and_its_model_once(restored: tuple[Tracker, Run], trained: Trained) -> None:
    tracker, run = restored
    scores = {**SCORES, "test/roc_auc": float("nan")}
    for _ in range(3):
        tracker.record_scores(found(tracker, trained.fingerprint), scores, ("tiny", "2" * 32))
    assert {name: len(values(tracker.uri, run, name)) for name in scores} == dict.fromkeys(scores, 1)
    assert found(tracker, trained.fingerprint).data.metrics.items() >= SCORES.items()
    of_model = {metric.key: metric for metric in logged_model(run).metrics}
    assert {name: of_model[name].value for name in SCORES} == SCORES
    assert (of_model["test/accuracy"].dataset_name, of_model["test/accuracy"].dataset_digest) == ("tiny", "2" * 32)


def test_the_same_scores_on_other_data_are_not_the_same(trained: Trained, tokenizer: Path) -> None:
    """Or else the models tested on these data are not all found."""
    tracker = Tracker("tiny")
    restore(tracker, trained, tokenizer)
    for digest in ("2" * 32, "3" * 32):
        tracker.record_scores(found(tracker, trained.fingerprint), SCORES, ("tiny", digest))
    run = found(tracker, trained.fingerprint)
    for digest, expected in (("2" * 32, 1), ("3" * 32, 1), ("4" * 32, 0)):
        models = mlflow.search_logged_models(
            experiment_ids=[run.info.experiment_id],
            filter_string="metrics.`test/accuracy` > 0",
            datasets=[{"dataset_name": "tiny", "dataset_digest": digest}],
            output_format="list",
        )
        assert len(models) == expected


def test_a_comparison_links_its_runs_and_holds_numbers_and_results(tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    difference = {
        "first": "gru",
        "second": "baseline",
        "mean": -0.05,
        "low": -0.1,
        "high": 0.01,
        "p_value": 0.1,
        "seeds": [2, 1],
    }
    statistics = {
        "dataset": "tiny",
        "models": {"gru": {"seeds": [1, 2], "settings": {"units": 8}}, "baseline": {"seeds": [], "settings": {}}},
        "runs": {"gru-1": "1", "gru-2": "2", "baseline": "3"},
        "metric": "accuracy",
        "majority": None,
        "differences": [difference | {"holm_p_value": 0.2, "seeds": [2, 1]}],
        "over_seeds": {
            "gru": {"accuracy": {"mean": 0.75, "std": 0.01}, "parameters": 900, "runs": 2},
            "baseline": {"accuracy": {"mean": 0.8, "std": None}, "parameters": 9, "runs": 1},
        },
    }
    (results / "examples.json").write_text("{}")
    (results / "memory.json").write_text(json.dumps({"metrics": {"memory/gru half_life median": 2.5}, "models": {}}))
    (results / "statistics.json").write_text(json.dumps(statistics))
    (results / "metrics.json").write_text("{}")
    (results / "roc.png").write_bytes(b"\x89PNG")
    run_ids = {"gru-1": "a1", "gru-2": "b2", "baseline": "c3"}
    labels = tmp_path / "test_labels.npy"
    table = pd.DataFrame({"time/training_seconds": [2.5, np.nan], "times": [(2.5,), ()]}, index=["gru", "baseline"])
    record_comparison(Tracker("tiny"), table, run_ids, ("tiny", "2" * 32), labels, results, "| model |")
    (run,) = mlflow.search_runs(experiment_names=["gatewise-tiny"], output_format="list")
    assert (run.info.run_name, name_of(run), run.info.status) == ("GRU = n-grams", COMPARISON, "FINISHED")
    assert {name: run.data.tags[f"gatewise.run.{name}"] for name in run_ids} == run_ids
    settings = {"settings/gru": "units 8", "settings/baseline": ""}
    assert run.data.params == {"dataset": "tiny", "models": "gru, baseline", "seeds": "1, 2", "runs": "3", **settings}
    assert run.data.metrics == {
        "verdict/gru accuracy": 0.75,
        "verdict/baseline accuracy": 0.8,
        "verdict/baseline - gru mean": 0.05,
        "verdict/baseline - gru low": -0.01,
        "verdict/baseline - gru high": 0.1,
    }
    numbers = table_of(run, "models.json").set_index("number")
    assert numbers["gru"].to_dict() == {
        "test/accuracy mean": 0.75,
        "test/accuracy std": 0.01,
        "parameters": 900,
        "runs": 2,
        "time/training_seconds": 2.5,
        "memory half_life median": 2.5,
    }
    assert numbers["baseline"]["parameters"] == 9
    assert table_of(run, "differences.json")["holm_p_value"].tolist() == [0.2]
    page = f"#/experiments/{run.info.experiment_id}/runs"
    links = [f"[{name}]({page}/{run_id}?workflowType=machine_learning)" for name, run_id in run_ids.items()]
    assert run.data.tags["mlflow.note.content"] == f"| model |\n\nRuns compared: {', '.join(links)}."
    files = mlflow.artifacts.list_artifacts(run_id=run.info.run_id)
    expected = [
        DEPENDENCIES,
        "differences.json",
        "models.json",
        "examples.json",
        "memory.json",
        "metrics.json",
        "roc.png",
        "statistics.json",
    ]
    assert sorted(file.path for file in files) == sorted(expected)
    # By which the report is connected with the run.
    assert found(Tracker("tiny"), fingerprint(results)).info.run_id == run.info.run_id


def view_of(tags: dict[str, str], key: str) -> dict[str, Any]:
    """The state of a saved view, as MLflow's page reads it."""
    packed = json.loads(tags[f"mlflow.sharedViewState.{key}"])["state"].removeprefix("deflate;")
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


def test_what_people_wrote_changed_or_deleted_in_an_experiment_stays() -> None:
    client = mlflow.MlflowClient(store_uri())
    experiment = client.create_experiment("gatewise-tiny", tags={"mlflow.note.content": "mine"})
    tracker = Tracker("tiny")
    with tracker.run("gru-1", "train") as tracked:
        tracked.params({"units": 4})
    with tracker.run("gru-2", "train") as tracked:
        tracked.params({"units": 8})
    with tracker.run("-", "evaluate", {"run.gru-1": "", "run.gru-2": tracked.run_id}) as comparison:
        pass
    client.set_experiment_tag(experiment, "mlflow.sharedViewState.all-seeds", "{}")
    client.delete_experiment_tag(experiment, "mlflow.sharedViewState.lstm-against-gru")
    Tracker("tiny").arrange(comparison.run_id)
    tags = client.get_experiment(experiment).tags
    assert tags["mlflow.note.content"] == "mine"
    assert tags["mlflow.sharedViewState.all-seeds"] == "{}"
    assert "mlflow.sharedViewState.lstm-against-gru" not in tags
    assert "viewStateShareKey" not in Tracker("tiny").page
    assert "params.`units`" not in view_of(tags, "what-differs")["selectedColumns"]  # gru-1 is not compared
    with tracker.run("-", "evaluate", {"run.gru-1": tracker.named("gru-1").info.run_id}) as comparison:
        pass
    tracker.arrange(comparison.run_id)
    assert "params.`units`" in view_of(client.get_experiment(experiment).tags, "what-differs")["selectedColumns"]


def test_runs_that_no_longer_stand_are_marked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = Tracker("tiny")
    ids = {}
    for name, run, units in (
        ("old", "gru-1", 4), ("other", "gru-1", 8), ("new", "gru-1", 4), ("alone", "gru-2", 4),
    ):  # fmt: skip
        with tracker.run(run, "train") as tracked:
            tracked.params({"units": units})
        ids[name] = tracked.run_id
    with pytest.raises(RuntimeError, match="stop"), tracker.run("gru-3", "train") as tracked:
        raise RuntimeError("stop")
    ids["failed"] = tracked.run_id
    experiment = mlflow.get_run(tracked.run_id).info.experiment_id
    mlflow.MlflowClient(store_uri()).create_run(experiment)  # as `mlflow run` does
    for links in (["old", "other"], ["new"]):
        with tracker.run("-", "evaluate", {f"run.{name}": ids[name] for name in links}) as comparison:
            comparison.params({"runs": len(links)})
        tracker.arrange(comparison.run_id)
    names = ("gatewise.outdated", "gatewise.earlier")
    marks = {name: [mlflow.get_run(run_id).data.tags.get(tag) for tag in names] for name, run_id in ids.items()}
    assert marks == {
        "old": ["superseded", None],
        "other": [None, "true"],
        "new": [None, None],
        "alone": ["not compared", None],
        "failed": ["not finished", None],
    }
    assert tracker.problem is None
    # An experiment in a copy of the project does not displace what lies in the project.
    (copy := root / ".dvc/tmp/exps/x").mkdir(parents=True)
    monkeypatch.chdir(copy)
    with tracker.run("-", "evaluate", {"run.gru-1": ids["other"]}) as in_copy:
        in_copy.params({"runs": 3})
    tracker.arrange(in_copy.run_id)
    monkeypatch.chdir(root)
    assert [mlflow.get_run(one.run_id).data.tags.get("gatewise.earlier") for one in (comparison, in_copy)] == [
        None,
        "true",
    ]
    # Compared after all.
    with tracker.run("-", "evaluate", {"run.gru-2": ids["alone"]}) as comparison:
        pass
    tracker.arrange(comparison.run_id)
    assert "gatewise.outdated" not in mlflow.get_run(ids["alone"]).data.tags


@pytest.mark.parametrize(
    ("accuracies", "p_values", "seeds", "line"),
    [
        ([0.7241, 0.7273, 0.7536], [0.37, 0.03, 0.03], 3, "LSTM = GRU < n-grams (+2.6)"),
        ([0.93, 0.92, 0.90], [0.01, 0.01, 0.01], 3, "n-grams < GRU (+2.0) < LSTM (+1.0)"),
        ([0.70, 0.71, 0.72], [0.2, 0.01, 0.3], 3, "LSTM = GRU = n-grams, LSTM < n-grams"),
        ([0.70, 0.71, 0.72], [0.01, 0.01, 0.01], 1, "LSTM ? GRU ? n-grams"),
    ],
)
def test_a_comparison_is_named_by_its_verdict(
    accuracies: list[float], p_values: list[float], seeds: int, line: str
) -> None:
    models = ("lstm", "gru", "baseline")
    differences = [
        {
            "first": first,
            "second": second,
            "holm_p_value": p_value,
            "seeds": [seeds, 1 if second == "baseline" else seeds],
        }
        for (first, second), p_value in zip(itertools.combinations(models, 2), p_values, strict=True)
    ]
    scores = dict(zip(models, accuracies, strict=True))
    assert headline(scores, differences) == line
    assert headline(scores, differences, ["lstm", "baseline"]) == f"{line}; nothing learnt: LSTM, n-grams"
    assert headline(scores, differences, models) == "nothing learnt"


def test_the_machine_is_written_where_it_is_known_of_all_models(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").write_text("{}")
    (tmp_path / "verdict.json").write_text(json.dumps({"sentences": ["A tie.", "B wins."], "warnings": []}))
    tracker = Tracker("tiny")
    runs = {}
    for name, made_from in (("gru-1", None), ("gru-2", None), ("gru-3", {})):
        with tracker.run(name, "train", made_from=made_from) as tracked:
            pass
        runs[name] = mlflow.get_run(tracked.run_id)
    record_machine(runs, tmp_path)
    assert not (tmp_path / MACHINE).exists()
    del runs["gru-3"]
    record_machine(runs, tmp_path)
    content = {"metrics.json": "99914b932bd37a50b983c5e7c90ae93b", **environment(), "verdict": "A tie. B wins."}
    assert json.loads((tmp_path / MACHINE).read_text()) == content


def test_the_logged_model_takes_raw_text_and_answers_as_the_classifier(
    restored: tuple[Tracker, Run], trained: Trained, tokenizer: Path
) -> None:
    model = mlflow.pyfunc.load_model(logged_model(restored[1]).model_uri)
    assert model.metadata.signature.inputs.to_dict() == [{"type": "string", "name": "text", "required": True}]
    table = model.predict(pd.DataFrame({"text": TEXTS}))
    assert table.columns.tolist() == ["label", "p_negative", "p_positive"]
    np.testing.assert_allclose(table[["p_negative", "p_positive"]], trained.predictions["test"], atol=1e-6)
    folder = trained.folder
    ours = Classifier(folder / "model.keras", folder / "card.json", tokenizer)
    pd.testing.assert_frame_equal(table, ours.predict(TEXTS))


def test_the_logged_model_holds_what_it_needs_and_no_pickle(restored: tuple[Tracker, Run]) -> None:
    folder = Path(logged_model(restored[1]).artifact_location.removeprefix("file://"))
    # Whoever has loaded the model from here may have left bytecode beside its code.
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    files = {path.as_posix() for path in found if path.parent.name != "__pycache__"}
    assert not {name for name in files if name.endswith((".pkl", ".pickle", ".pyc"))}
    assert files >= {"textmodel.py", "code/pipeline/packaging/classifier.py"}
    assert files >= {f"artifacts/{name}" for name in ("model.keras", "card.json", "tokenizer.json", "model_card.md")}
    requirements = (folder / "requirements.txt").read_text().splitlines()
    assert all("==" in line for line in requirements)
    assert {"mlflow", "keras", "tokenizers", "numpy", "pandas"} <= {line.partition("==")[0] for line in requirements}


def test_the_logged_model_loads_where_this_project_is_not(
    restored: tuple[Tracker, Run], trained: Trained, tmp_path: Path
) -> None:
    model = shutil.copytree(logged_model(restored[1]).artifact_location.removeprefix("file://"), tmp_path / "model")
    rows = predict_elsewhere(model)
    np.testing.assert_allclose([row[1:] for row in rows], trained.predictions["test"], atol=1e-6)


def predict_elsewhere(model: Path, afterwards: str = "pass") -> list[list[Any]]:
    """What a logged model answers to `TEXTS` in a process that cannot import this project: label, probabilities."""
    code = (
        f"{WITHOUT_PROJECT}import mlflow, pandas\n"
        f"model = mlflow.pyfunc.load_model({str(model)!r})\n"
        f"print(model.predict(pandas.DataFrame({{'text': {TEXTS!r}}})).to_json(orient='values'))\n{afterwards}\n"
    )
    environment = {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=model.parent, env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    rows: list[list[Any]] = json.loads(result.stdout.splitlines()[-1])
    return rows


def test_the_logged_model_carries_its_card(restored: tuple[Tracker, Run]) -> None:
    model = logged_model(restored[1])
    card = Path(model.artifact_location.removeprefix("file://"), "artifacts", "model_card.md").read_text()
    assert card.startswith("# GRU on tiny, seed 1\n")
    assert "| validation accuracy | 80.0% (95 % interval" in card
    assert "the last 16 tokens" in card
    assert model.tags["mlflow.note.content"] == card


@pytest.mark.parametrize("text", [None, 3, 2.5, ["nested"], b"bytes"], ids=repr)
def test_what_is_no_text_is_a_bad_request(restored: tuple[Tracker, Run], text: object) -> None:
    model = mlflow.pyfunc.load_model(logged_model(restored[1]).model_uri)
    with pytest.raises(MlflowException) as refused:
        model.predict(pd.DataFrame({"text": ["fine", text]}, dtype=object))
    assert refused.value.get_http_status_code() == 400
    assert "row 1 must be a string" in str(refused.value)


@pytest.mark.slow
def test_two_processes_can_open_a_fresh_store_at_once(tmp_path: Path) -> None:
    code = "from pipeline.tracking.tracker import Tracker\nprint(Tracker('tiny').problem)"
    environment = clean_environment() | {"DVC_ROOT": str(tmp_path / "fresh"), "PYTHONPATH": str(REPOSITORY)}
    (tmp_path / "fresh").mkdir()
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    assert [process.communicate()[0] for process in processes] == ["None\n", "None\n"]


def test_an_unreachable_server_is_told_once_and_then_left_alone(
    trained: Trained,
    tokenizer: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    tracker = Tracker("tiny")
    told = capfd.readouterr().err
    assert told.startswith("warning: MLflow (http://127.0.0.1:")
    assert "gatewise run" in told
    assert len(told.splitlines()) == 2
    with tracker.run("gru-1", "train") as tracked:
        tracked.params({"seed": 1})
        tracked.metrics({"loss": 0.5}, 1)
        tracked.figure(Figure(), "figure.png")
        tracked.files(tmp_path)
        finish(tracked, trained, tokenizer)
    restore(tracker, trained, tokenizer)
    assert tracker.find(trained.fingerprint) is None
    assert capfd.readouterr() == ("", "")
    assert "record of these results is not complete (http://127.0.0.1:" in tracker.where_to_look()


@pytest.mark.parametrize(
    "place",
    [
        pytest.param("experiments/get-by-name", marks=pytest.mark.slow),
        "runs/create",
        "runs/log-batch",
        pytest.param("logged-models", marks=pytest.mark.slow),
        "PUT",
    ],
)
def test_a_server_that_hangs_gets_no_second_chance_whenever_that_happens(
    place: str,
    server: str,
    trained: Trained,
    tokenizer: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    with proxy_before(server) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
        proxy.hangs_at = place.replace("PUT", "mlflow-artifacts")
        tracker = Tracker("tiny")
        restore(tracker, trained, tokenizer)
        told = capfd.readouterr().err
        assert told.count("warning") == told.count("did not take this") == 1
        assert proxy.hangs
        hung = [call for call in proxy.calls if proxy.hangs_at in call]
        assert proxy.calls[-1:] == hung  # one request, and none after it, not even for the end of the run
        assert tracker.problem is not None
        assert tracker.problem in tracker.where_to_look()


def test_no_request_waits_ten_seconds_and_a_server_known_to_be_away_gets_one(root: Path) -> None:
    for limit in (patience.ORDINARY, patience.UPLOAD, patience.FIRST):
        retries, seconds = int(limit["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]), int(limit["MLFLOW_HTTP_REQUEST_TIMEOUT"])
        assert (retries + 1) * seconds + retries < 10  # MLflow waits for a second at most before it tries again
    (root / ".dvc/tmp").mkdir(parents=True)
    patience.tell_away("http://one.invalid")
    assert patience.found_away("http://one.invalid/")
    assert not patience.found_away("http://other.invalid")
    Tracker("tiny")  # of a store that answers
    assert not patience.found_away("http://one.invalid")


def test_a_slow_server_is_given_up_at_a_stated_time_and_not_waited_for_by_epochs(
    server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with proxy_before(server) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
        with Tracker("tiny").run("gru-1", "train") as tracked:
            proxy.calls.clear()
            proxy.seconds = 0.1
            for epoch in range(1, 4):
                tracked.epoch(epoch, {"train_loss": 1.0, "validation_loss": 1 / epoch}, {"time/epoch_seconds": 1.0})
            assert len(proxy.calls) < 3
        assert [call.rpartition("/")[2] for call in proxy.calls[:3]] == ["log-batch"] * 3
        steps = [step for step, _ in values(server, mlflow.get_run(tracked.run_id), curve("validation_loss"))]
        assert steps == [1, 2, 3]
        assert mlflow.get_run(tracked.run_id).data.metrics["time/epoch_seconds"] == 1
        monkeypatch.setenv("GATEWISE_MLFLOW_SECONDS", "0.3")
        tracker = Tracker("tiny")
        for _ in range(9):
            tracker.find("abc")
        assert "too slow" in (tracker.problem or "")
        assert "GATEWISE_MLFLOW_SECONDS=600" in capfd.readouterr().err
    monkeypatch.setenv("GATEWISE_MLFLOW_SECONDS", "soon")
    with pytest.raises(InputError, match=r"GATEWISE_MLFLOW_SECONDS .* Received: soon"):
        Tracker("tiny")


@pytest.mark.parametrize(("failures", "taken"), [(1, True), (9, False)])
@pytest.mark.parametrize("status", [500, 503])
def test_a_server_that_fails_once_is_asked_again_and_one_that_goes_on_is_told(
    failures: int, status: int, taken: bool, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy_before(server) as proxy:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.address)
        tracker = Tracker("tiny")
        with tracker.run("gru-1", "train") as tracked:
            proxy.failures, proxy.status = failures, status
            tracked.params({"seed": 1})
            proxy.failures = 0
        assert (tracker.problem is None) == taken
        assert mlflow.get_run(tracked.run_id).info.status == ("FINISHED" if taken else "FAILED")


def test_a_login_in_the_address_works_and_is_never_shown(
    server: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with proxy_before(server) as proxy:
        proxy.login = ("me@home", "h/dd:n@x")
        host = proxy.address.removeprefix("http://")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me%40home:h%2Fdd%3An%40x@{host}/")
        assert comparisons("login", "abc") == []
        tracker = Tracker("login")
        with tracker.run("comparison", "evaluate") as tracked:
            tracked.text("{}", "numbers.json")
            tracked.tags({"fingerprint": "abc"})
        assert tracker.problem is None
        assert comparisons("login", "abc") == [True]
        run = found(tracker, "abc")
        record = tracker.record_of(run)
        assert record.store == f"{proxy.address}/"
        lines = commands(replace(record, dirty=True, commit="1"), Origin("here", False))
        assert any("MLFLOW_TRACKING_USERNAME" in line for line in lines)
        # What a process below inherits has the login, and so has one that is given it in the two ways at once.
        assert login() == proxy.login
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://me%40home:wr0ng@{host}")
        assert comparisons("login", "abc") is None
        problem = Tracker("login").problem
        assert problem is not None
        streams = capfd.readouterr()
        shown = [*lines, str(run.to_dictionary()), problem, tracker.where_to_look(), *streams]
        kept = mlflow.MlflowClient(server).search_runs([run.info.experiment_id])
        shown += [str(one.data.to_dictionary()) for one in kept]
        for secret in ("h/dd", "h%2Fdd", "n@x", "wr0ng", "me%40home"):
            assert [text for text in shown if secret in text] == []


@pytest.mark.parametrize(
    ("address", "shown", "found_in_it"),
    [
        ("http://me:hidden@host", "http://host", ("me", "hidden")),
        ("https://me:h%2Fi@host:5000/mlflow", "https://host:5000/mlflow", ("me", "h/i")),
        ("https://me:a@b@host/x@y", "https://host/x@y", ("me", "a@b")),
        ("https://[::1]:5000", "https://[::1]:5000", ("", "")),
        ("http://host:5000", "http://host:5000", ("", "")),
        ("sqlite:////home/me@work/mlflow.db", "sqlite:////home/me@work/mlflow.db", ("", "")),
    ],
)
def test_the_address_of_a_store_is_shown_without_the_login(
    address: str, shown: str, found_in_it: tuple[str, str]
) -> None:
    assert split_login(address) == (shown, found_in_it)
    assert without_login(f"no answer from '{address}' or {address}") == f"no answer from '{shown}' or {shown}"


def test_an_address_of_a_database_is_shown_without_the_login_and_an_unclear_one_not_at_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    database = "postgresql+psycopg2://me:hidden@host/runs"
    assert without_login(database) == "postgresql+psycopg2://host/runs"
    assert split_login(database) == (database, ("", ""))
    for unclear in ("http://me:hid/den@host", "https://me:hid?den@host:5000", "http://"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", unclear)
        with pytest.raises(InputError) as refused:
            store_uri()
        assert "%2F" in str(refused.value)
        assert "den" not in str(refused.value)


def test_mlflow_is_given_up_after_seconds_unless_the_environment_has_more_patience(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Tracker("tiny")
    assert int(os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"]) <= 3  # MLflow's own 7 block for four minutes
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    Tracker("tiny")
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "5"


def test_an_error_of_the_stage_stays_what_it_is_without_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://somewhere")
    with pytest.raises(ZeroDivisionError), Tracker("tiny").run("gru-1", "train"):
        raise ZeroDivisionError


def test_a_deleted_experiment_says_how_to_bring_it_back(capsys: pytest.CaptureFixture[str]) -> None:
    client = mlflow.MlflowClient(store_uri())
    Tracker("tiny")
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    client.delete_experiment(experiment.experiment_id)
    assert Tracker("tiny").problem is not None
    assert f"mlflow experiments restore -x {experiment.experiment_id}" in capsys.readouterr().err


def test_a_server_takes_the_run_the_model_and_the_scores(
    server: str, trained: Trained, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker = Tracker("tiny")
    restore(tracker, trained, tokenizer)
    assert tracker.problem is None
    run = found(tracker, trained.fingerprint)
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    for _ in range(2):
        tracker.record_scores(found(tracker, trained.fingerprint), SCORES, ("tiny", "2" * 32))
    assert values(server, run, "test/accuracy") == [(0, 0.75)]
    files = mlflow.artifacts.list_artifacts(artifact_uri=f"{logged_model(run).artifact_location}/artifacts")
    assert sorted(Path(file.path).name for file in files) == [
        *("card.json", "model.keras", "model_card.md", "tokenizer.json")
    ]
    assert tracker.where_to_look().startswith(f"runs: {server}/#/experiments/")


@pytest.mark.slow
def test_a_server_takes_promotions_and_the_way_back(
    server: str, trained: Trained, baseline: Trained, tokenizer: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)
    tracker, registry = Tracker("promoted"), Registry("promoted")
    labels = baseline.predictions["test"].argmax(axis=1)
    split = HeldOut(TEXTS, labels, np.arange(len(TEXTS)), baseline.card["labels"], None, "accuracy")
    for number, one in enumerate((trained, baseline), start=1):
        restore(tracker, one, tokenizer)
        assert promote(registry, tracker, one, split, beat_baseline=False, compared=True)[0]
        champion = registry.champion()
        assert champion is not None
        assert (champion.number, champion.name) == (number, one.name)
    with registry.locked():
        restored, deposed = registry.roll_back()
    assert (restored.name, deposed.name) == ("gru-1", "baseline")
    answers = registry.load(registry.version_uri(restored)).predict(TEXTS)
    np.testing.assert_allclose(answers[["p_negative", "p_positive"]], trained.predictions["test"], atol=1e-6)
