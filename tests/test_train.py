"""The train stage: what it leaves in its folder, that it repeats itself, and that it does not need MLflow."""

import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, TINY_PARAMS, Listener, clean_environment, train_params

from pipeline import train as stage
from pipeline.core.command import run
from pipeline.core.hashes import md5
from pipeline.core.params import CELLS
from pipeline.networks import networks
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import from_lists
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import train_tokenizer
from pipeline.tokens.wordvectors import WordVectors
from pipeline.trained.scores import score
from pipeline.trained.trained import Trained

# Those of TINY_PARAMS, with 16 tokens at most and 16 texts in a batch.
SETTINGS = train_params()


def splits() -> TokenizedSplits:
    """Three classes, told apart by the last word of texts of 1 to 20 words."""
    texts = {split: [[4] * (i % 20) + [1 + i % 3] for i in range(30)] for split in ("train", "validation")}
    labels = {split: np.array([i % 3 for i in range(30)], np.int32) for split in texts}
    tokens = {split: from_lists(words) for split, words in texts.items()}
    return TokenizedSplits(tokens | {"test": from_lists([[1], [4] * 19 + [2]])}, labels, ["bad", "fair", "good"], 5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models") / "lstm-1"


@pytest.fixture(scope="module")
def listener() -> Listener:
    return Listener()


@pytest.fixture(scope="module")
def trained(folder: Path, listener: Listener) -> Trained:
    none = WordVectors.none(5)
    return stage.train("lstm", 1, splits(), none, SETTINGS, 16, 16, folder, listener)


FILES = {"tokens": "tokens.npz", "tokenizer": "tokenizer.json", "embeddings": "embeddings.npz"}


def write_inputs() -> None:
    """What the command reads, into the working folder."""
    Path("params.yaml").write_text(TINY_PARAMS)
    train_tokenizer(iter(["good bad film"]), "word", 10).save("tokenizer.json")
    splits().save(Path("tokens.npz"))
    WordVectors.none(5).save(Path("embeddings.npz"))


def run_main(monkeypatch: pytest.MonkeyPatch, **changes: str) -> None:
    options = {"model": "lstm", "seed": "1", **FILES, "output": "again"}
    words = [word for name, value in {**options, **changes}.items() for word in (f"--{name}", value)]
    monkeypatch.setattr(sys, "argv", ["train", *words])
    run(stage.main)


def test_the_card_says_what_was_trained_and_how(trained: Trained) -> None:
    expected = {
        "model": "lstm",
        "seed": 1,
        "labels": ["bad", "fair", "good"],
        # With the default, weights of classes stay off the card: models of before have none there.
        "settings": SETTINGS.model_dump(exclude={"class_weight"})
        | {"max_tokens": 16, "batch_size": 16, "vocabulary": 5},
        "parameters": 40 + 544 + 27,  # 5 words of 8 numbers; 4 gates of (8 + 8 + 1) by 8; (8 + 1) by 3 classes
        "recurrent_parameters": 544,
        "best_epoch": int(trained.history["validation_loss"].to_numpy().argmin()) + 1,
        "validation": score(splits().labels["validation"], trained.predictions["validation"]),
    }
    assert trained.card == expected


def test_every_epoch_is_told_and_kept(trained: Trained, listener: Listener) -> None:
    assert [epoch for epoch, _ in listener.epochs] == trained.history.index.tolist()
    assert [numbers for _, numbers in listener.epochs] == trained.history.to_dict("records")
    assert trained.history.index.name == "epoch"


def test_predictions_are_those_of_the_network_on_clipped_texts(trained: Trained, folder: Path) -> None:
    network = networks.load(folder / "model.keras")
    for split in ("validation", "test"):
        expected = networks.predict(network, clip(splits().tokens[split], 16, "tail"))
        np.testing.assert_allclose(trained.predictions[split], expected, atol=1e-6)
    assert trained.predictions["test"].shape == (2, 3)


def test_the_command_trains_the_same_network_again_without_mlflow(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{closed.getsockname()[1]}")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
    write_inputs()
    run_main(monkeypatch)
    again = Trained.load(Path("again"))
    assert again.fingerprint == trained.fingerprint
    np.testing.assert_array_equal(again.predictions["test"], trained.predictions["test"])
    inputs = {name: md5(Path(name)) for name in FILES.values()}
    assert again.card == {**trained.card, "dataset": "tiny", "inputs": inputs}
    told, warned = capfd.readouterr()
    assert warned.count("warning: MLflow") == 1
    assert told.startswith("again epoch 1: train loss ")
    assert len(told.splitlines()) == len(again.history)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"tokens": "typo.npz"}, r"typo\.npz is missing"),
        ({"tokenizer": "typo.json"}, r"typo\.json is missing"),
        ({"seed": "-1"}, "--seed must be from 0 to 4294967295. Received: -1"),
        ({"seed": "4294967296"}, "--seed must be from 0 to 4294967295. Received: 4294967296"),
        ({"output": "thesis"}, r"thesis would be replaced.*Received: chapter\.tex"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_inputs()
    for folder, file in (("again", "card.json"), ("thesis", "chapter.tex")):
        Path(folder).mkdir()
        Path(folder, file).touch()
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    with pytest.raises(SystemExit):
        run_main(monkeypatch, **changes)
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def trained_elsewhere(threads: int) -> list[str]:
    """The hashes of both cells from a process of its own, with so many threads for each kind of work."""
    limits = dict.fromkeys(("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS"), str(threads))
    command = [sys.executable, "-m", "tests.full_size"]
    result = subprocess.run(
        command, cwd=ROOT, env=clean_environment() | limits, capture_output=True, text=True, check=True
    )
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def on_two_threads() -> list[str]:
    return trained_elsewhere(2)


@pytest.mark.slow
def test_another_process_trains_the_same_full_size_networks(on_two_threads: list[str]) -> None:
    assert [line.split()[0] for line in on_two_threads] == CELLS
    assert trained_elsewhere(2) == on_two_threads


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 5])
def test_another_number_of_threads_trains_the_same_full_size_networks(on_two_threads: list[str], threads: int) -> None:
    assert trained_elsewhere(threads) == on_two_threads
