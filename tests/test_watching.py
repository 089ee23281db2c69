"""Whoever watches training cannot change it: the same bytes, and no retraining when only what watches has changed."""

import gc
import inspect
import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
import pytest
from conftest import ROOT, TINY_PARAMS, Project, clean_environment, train_params
from small_texts import write_stage_inputs

from pipeline import train as stage
from pipeline.core.command import run
from pipeline.core.hashes import folder_md5
from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.tokens.ragged import from_lists
from pipeline.trained.watching import Harmless, Watcher

EVENTS = ["started", "resumed", "batch", "epoch", "finished"]


class Hostile(Watcher):
    """Reseeds every generator that it can reach at every event, draws from them, and spoils what it is given."""

    def __init__(self) -> None:
        self.heard: set[str] = set()

    def _spoil(self, event: str) -> None:
        self.heard.add(event)
        keras.utils.set_random_seed(len(event))
        random.seed(0)
        np.random.seed(0)
        random.random()
        keras.random.normal((3,))

    def started(self) -> None:
        self._spoil("started")
        keras.config.set_floatx("float16")
        keras.config.set_floatx("float32")
        threading.Thread(target=self._draw, daemon=True).start()

    def _draw(self) -> None:
        """Draw all the time, as a thread of a library may do whenever its server answers."""
        while "finished" not in self.heard:
            random.random()
            time.sleep(0.001)

    def batch(self, batch: int, batches: int) -> None:
        self._spoil("batch")

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self._spoil("epoch")
        for name in list(numbers):
            numbers[name] = 0.0  # type: ignore[index]

    def finished(self, folder: Path) -> None:
        self._spoil("finished")
        raise RuntimeError("a bug in what watches")


class Saboteur(Watcher):
    """Reaches for the network itself, which no watcher is given, to show that the test would see a difference."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        for thing in gc.get_objects():
            if isinstance(thing, keras.layers.Embedding) and thing.built:
                thing.set_weights([weight + 0.01 for weight in thing.get_weights()])


@pytest.fixture
def train_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Watcher | None], str]:
    """Train the tiny LSTM with the command of the stage, watched as told, and give the hash of its whole folder."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(TINY_PARAMS)
    write_stage_inputs()
    words = ["train", "--model", "lstm", "--seed", "1", "--output", "lstm-1"]
    words += ["--tokens", "tokens.npz", "--tokenizer", "tokenizer.json", "--embeddings", "embeddings.npz"]
    monkeypatch.setattr("sys.argv", words)

    def train(watcher: Watcher | None) -> str:
        with monkeypatch.context() as patch:
            if watcher is not None:
                patch.setattr(stage, "watching", lambda *_: _context(Harmless(watcher)))
            run(stage.main)
        return folder_md5(Path("lstm-1"))

    return train


class _context:  # noqa: N801 (a context manager of a given value, as contextlib's are)
    def __init__(self, watcher: Watcher) -> None:
        self._watcher = watcher

    def __enter__(self) -> Watcher:
        return self._watcher

    def __exit__(self, *_: object) -> None:
        pass


def test_the_model_folder_has_the_same_bytes_whoever_watches(
    train_again: Callable[[Watcher | None], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One who does all harm that a watcher can do; MLflow and a dead server are in the slow test below."""
    nobody = train_again(Watcher())
    hostile = Hostile()
    assert train_again(hostile) == nobody
    assert hostile.heard == {*EVENTS} - {"resumed"}
    assert "training goes on unwatched: RuntimeError: a bug in what watches" in capsys.readouterr().err


@pytest.mark.slow
def test_mlflow_and_a_dead_server_change_no_byte_and_whoever_holds_the_network_does(
    train_again: Callable[[Watcher | None], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody = train_again(Watcher())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert train_again(None) == nobody
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    assert train_again(None) == nobody
    assert train_again(Saboteur()) != nobody


@pytest.mark.slow
def test_neither_home_nor_locale_nor_a_stale_run_change_a_byte(
    train_again: Callable[[Watcher | None], str], tmp_path: Path, empty_store: Path
) -> None:
    nobody = train_again(Watcher())
    home = tmp_path / "home" / ".keras" / "keras.json"
    home.parent.mkdir(parents=True)
    # Keras refuses to start with such an epsilon.
    theirs = {"backend": "jax", "floatx": "float16", "epsilon": 1, "image_data_format": "channels_first"}
    home.write_text(json.dumps(theirs))
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    environment = clean_environment() | {"HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT), "LC_ALL": "C"}
    environment |= {"MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path / 'mlflow.db'}", "MLFLOW_RUN_ID": "0" * 32}
    environment |= {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command = [sys.executable, "-m", "pipeline.train", *sys.argv[1:]]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert folder_md5(Path("lstm-1")) == nobody
    assert "MLFLOW_RUN_ID in the environment names the run" in ended.stderr
    assert home.read_text() == json.dumps(theirs)


@pytest.mark.slow
def test_no_option_lets_a_watcher_in() -> None:
    options = {"averaging": 0.9, "adversarial": 0.4, "word_dropout": 0.1, "output_dropout": 0.3, "decay": 0.9}
    settings = train_params(**options, epochs=2, patience=0)
    rng = np.random.default_rng(1)
    texts = from_lists([rng.integers(1, 20, rng.integers(1, 30)).tolist() for _ in range(60)])
    labels = rng.integers(0, 2, 60).astype(np.int32)

    def weights(watcher: Watcher) -> list[np.ndarray]:
        networks.seed_everything(3)
        model = building.build("gru", 20, 2, settings)
        fit(model, (texts, labels), (texts, labels), settings, 8, 3, watcher)
        return list(model.get_weights())

    hostile = Hostile()
    expected, found = weights(Watcher()), weights(hostile)
    hostile.heard.add("finished")
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_watcher_returns_nothing() -> None:
    methods = {name: method for name, method in inspect.getmembers(Watcher, inspect.isfunction) if name[0] != "_"}
    assert sorted(methods) == sorted(EVENTS)
    assert {inspect.signature(method).return_annotation for method in methods.values()} == {None}


def stale(project: Project) -> set[str]:
    """Name the stages of models that DVC would run because of what they depend on."""
    told = json.loads(project.run("dvc", "status", "--json").stdout)
    return {name for name in told if name.partition("@")[0] in ("train", "memory", "baseline", "embed", "preprocess")}


NETWORKS = ["lstm-1", "lstm-2", "gru-1", "gru-2"]


@pytest.mark.parametrize(
    ("changed", "trained_anew"),
    [
        (["tracking/tracker.py", "reporting/figures.py", "comparison/verdict.py", "serving/registry.py"], set()),
        (["packaging/modelcard.py", "tools/promote.py", "explaining/gatepage.py", "cells/new.py"], set()),
        (["inside/memory.py"], {f"memory@{name}" for name in NETWORKS}),
        (["cells/gru.py"], {"train@gru-1", "train@gru-2", "memory@gru-1", "memory@gru-2"}),
        (["networks/fitting.py"], {f"{stage}@{name}" for stage in ("train", "memory") for name in NETWORKS}),
        (["linear/ngrams.py"], {"baseline"}),
    ],
)
def test_only_what_can_change_a_model_trains_it_anew(
    own_project: Project, changed: list[str], trained_anew: set[str]
) -> None:
    files = [own_project.root / "pipeline" / name for name in changed]
    before = {file: file.read_text() if file.exists() else None for file in files}
    for file, text in before.items():
        file.write_text(f"{text or ''}\n# changed\n")
    (own_project.root / "pipeline" / "core" / "__pycache__").mkdir(exist_ok=True)
    (own_project.root / "pipeline" / "core" / "__pycache__" / "params.pyc").write_bytes(b"compiled")
    (own_project.root / "pipeline" / "core" / ".killed.part").mkdir(exist_ok=True)
    (own_project.root / "pipeline" / "core" / ".killed.part" / "half").touch()
    assert stale(own_project) == trained_anew
    for file, text in before.items():
        if text is None:
            file.unlink()
        else:
            file.write_text(text)


def test_what_was_changed_back_trains_nothing(own_project: Project) -> None:
    assert stale(own_project) == set()
