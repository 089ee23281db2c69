"""Checkpoints: a killed training goes on and ends with the same bytes, and nothing else is taken for its state."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from conftest import ROOT, TINY_PARAMS, Listener, clean_environment
from small_texts import VOCABULARY, praising_texts, random_texts, settings, write_stage_inputs

from pipeline import train as stage
from pipeline.core.command import run
from pipeline.core.hashes import folder_md5
from pipeline.core.params import Metric
from pipeline.networks import building, networks
from pipeline.networks.checkpoints import Checkpoint, State
from pipeline.networks.fitting import fit
from pipeline.tracking.watching import watching
from pipeline.trained.watching import Watcher

WORDS = [
    "train", "--model", "lstm", "--seed", "1", "--tokens", "tokens.npz", "--tokenizer", "tokenizer.json",
    "--embeddings", "embeddings.npz", "--checkpoints", "checkpoints",
]  # fmt: skip

# The command of the stage; it kills itself in the second epoch.
KILLED = """
import os, signal, sys
from contextlib import nullcontext
from pipeline import train as stage
from pipeline.core.command import run
from pipeline.trained.watching import Harmless, Watcher

class Killer(Watcher):
    over = 0
    def epoch(self, epoch, numbers):
        self.over = epoch
    def batch(self, batch, batches):
        if self.over == 1 and batch == 2:
            os.kill(os.getpid(), signal.SIGKILL)

stage.watching = lambda *_: nullcontext(Harmless(Killer()))
run(stage.main)
"""


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the stage reads, in the working folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    Path("params.yaml").write_text(TINY_PARAMS.replace("averaging: 0.0", "averaging: 0.8"))
    write_stage_inputs()
    return tmp_path


def test_killed_in_the_second_epoch_the_stage_ends_with_the_same_bytes(
    inputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-c", KILLED, *WORDS[1:], "--output", "lstm-1"]
    environment = clean_environment() | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert not Path("lstm-1").exists()
    assert len(list(Path("checkpoints").iterdir())) == 1
    monkeypatch.setattr(sys, "argv", [*WORDS, "--output", "lstm-1"])
    until_the_end: list[Path] = []

    @contextmanager
    def looking(*asked: Any) -> Iterator[Watcher]:
        with watching(*asked) as watcher:
            yield watcher
        until_the_end.extend(Path("checkpoints").iterdir())  # DVC removes the network if MLflow's part is killed

    monkeypatch.setattr(stage, "watching", looking)
    run(stage.main)
    assert "training goes on after epoch 1" in capsys.readouterr().out
    assert len(until_the_end) == 1
    assert not Path("checkpoints").exists()
    monkeypatch.setattr(sys, "argv", [*WORDS, "--output", "undisturbed/lstm-1"])
    run(stage.main)
    assert "training goes on" not in capsys.readouterr().out
    assert folder_md5(Path("lstm-1")) == folder_md5(Path("undisturbed/lstm-1"))
    assert not list(inputs.glob(".*"))


class Interrupting(Listener):
    """Interrupts, as Ctrl-C does, in the second batch after so many epochs."""

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self._after = epochs

    def batch(self, batch: int, batches: int) -> None:
        if len(self.epochs) == self._after and batch == 2:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("changes", "metric"),
    [
        pytest.param({"averaging": 0.9, "patience": 3, "dropout": 0.1, "learning_rate": 0.2}, "accuracy",
                     marks=pytest.mark.slow),
        pytest.param({"layers": 2, "dropout": 0.2, "word_dropout": 0.1, "output_dropout": 0.3, "decay": 0.9},
                     "accuracy", marks=pytest.mark.slow),
        pytest.param({"adversarial": 0.5, "averaging": 0.9, "clip_norm": 1.0, "decay": 0.9, "bidirectional": True,
                      "pooling": "max+mean", "word_dropout": 0.1, "patience": 3, "class_weight": "balanced"},
                     "macro_f1", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_with_every_option_a_training_goes_on_as_if_nothing_had_been(
    changes: dict[str, object], metric: Metric, tmp_path: Path
) -> None:
    if keras.backend.backend() == "jax":  # KERAS_BACKEND=jax pytest -m slow tests/test_checkpoints.py -k every_option
        changes = {**changes, "adversarial": 0.0}
    chosen = settings(**{"epochs": 6, **changes})
    checkpoint = Checkpoint.of(tmp_path, "gru-1", {"settings": chosen.model_dump()})

    def trained(watcher: Listener, kept: Checkpoint | None) -> tuple[list[np.ndarray], list[dict[str, float]]]:
        networks.seed_everything(1)
        model = building.build("gru", VOCABULARY, 2, chosen)
        texts, validation = praising_texts(12), random_texts(17, 12)
        history = fit(model, texts, validation, chosen, 16, 1, watcher, metric, kept)
        return [*model.get_weights(), networks.predict(model, texts[0])], history

    expected, history = trained(Listener(), None)
    with pytest.raises(KeyboardInterrupt):
        trained(Interrupting(2), checkpoint)
    for heard in (len(history) - 2, 0):  # once more, when no epoch is left
        listener = Listener()
        found, again = trained(listener, checkpoint)
        assert len(listener.epochs) == heard
        assert again == history
        for one, other in zip(expected, found, strict=True):
            np.testing.assert_array_equal(one, other)


def state(size: int = 3) -> State:
    return State({"network 000": np.arange(size, dtype=np.float32)}, {"history": [{"loss": 0.1}]})


def test_of_other_code_data_or_settings_or_of_another_name_nothing_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = Checkpoint.of(tmp_path, "lstm-1", {"units": 64})
    ours.save(state())
    others = [Checkpoint.of(tmp_path, "lstm-1", {"units": 65}), Checkpoint.of(tmp_path, "lstm-2", {"units": 64})]
    assert [other.load() for other in others] == [None, None]
    others[0].path.write_bytes(ours.path.read_bytes())  # renamed by hand
    assert others[0].load() is None
    assert f"{others[0].path} is damaged" in capsys.readouterr().err
    assert ours.load() is not None


def test_the_environment_that_changes_numbers_counts_and_threads_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = Checkpoint.of(tmp_path, "lstm-1", {}).path
    monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", "7")
    assert Checkpoint.of(tmp_path, "lstm-1", {}).path == ours
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert Checkpoint.of(tmp_path, "lstm-1", {}).path != ours


def test_the_code_is_all_that_dvc_yaml_names() -> None:
    from house import DVC

    deps = [dep.replace("${item.model}", "gru") for dep in DVC["stages"]["train"]["deps"]]
    assert {f"pipeline/{name}" for name in stage.code("gru")} == {dep for dep in deps if dep.startswith("pipeline/")}


def test_a_damaged_file_is_named_and_not_taken(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoint = Checkpoint.of(tmp_path, "lstm-1", {})
    checkpoint.save(state(500))
    whole = checkpoint.path.read_bytes()
    damaged = [b"", whole[:100], whole[:-1], whole[: len(whole) // 2], b"x" * 100]
    damaged += [whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :] for at in range(0, len(whole), 101)]
    refused = 0
    for content in damaged:
        checkpoint.path.write_bytes(content)
        found = checkpoint.load()
        told = capsys.readouterr().err
        if found is None:
            refused += 1
            assert f"{checkpoint.path} is damaged" in told
            assert not checkpoint.path.exists()
        else:  # a byte that says nothing, such as of a date
            np.testing.assert_array_equal(found.arrays["network 000"], state(500).arrays["network 000"])
    assert refused > 0.8 * len(damaged)


@contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_where_nothing_can_be_written_the_earlier_state_stays_with_one_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = Checkpoint.of(tmp_path, "lstm-1", {})
    checkpoint.save(state())
    with no_file_longer_than(100_000):
        for _ in range(2):
            checkpoint.save(state(1_000_000))
    assert capsys.readouterr().err.count("warning: training goes on, but its state cannot be kept") == 1
    kept = checkpoint.load()
    assert kept
    assert len(kept.arrays["network 000"]) == 3
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.path.name]


def test_when_a_network_is_whole_its_checkpoint_goes_and_what_nobody_has_gone_on_with(tmp_path: Path) -> None:
    ours, theirs, old = (Checkpoint.of(tmp_path, "lstm-1", {"units": units}) for units in (1, 2, 3))
    for checkpoint in (ours, theirs, old):
        checkpoint.save(state())
    eight_days_ago = time.time() - 8 * 24 * 3600
    os.utime(old.path, (eight_days_ago, eight_days_ago))
    ours.finish()
    assert list(tmp_path.iterdir()) == [theirs.path]
    theirs.finish()
    assert not tmp_path.exists()
