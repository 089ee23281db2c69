"""The folder of a trained model: written, read back, and refused when it is not complete."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.core.command import InputError
from pipeline.trained.trained import Trained

HISTORY = pd.DataFrame(
    {"train_loss": [0.7, 0.1 + 0.2], "validation_loss": [0.69, 1 / 3]}, index=pd.RangeIndex(1, 3, name="epoch")
)


def network(folder: Path) -> Trained:
    """What a training stage would have left in `folder`, with any bytes for the network."""
    folder.mkdir()
    (folder / "model.keras").write_bytes(b"weights")
    predictions = {"validation": np.array([[0.25, 0.75]], np.float32), "test": np.array([[0.1, 0.9]], np.float32)}
    trained = Trained(folder, {"model": "gru", "seed": 2, "labels": ["schlecht", "großartig"]}, predictions, HISTORY)
    trained.save()
    return trained


def baseline(folder: Path) -> Trained:
    """The same for the linear model."""
    folder.mkdir()
    (folder / "model.npz").write_bytes(b"linear")
    predictions = {"test": np.array([[0.1, 0.9]], np.float32)}
    trained = Trained(folder, {"model": "baseline", "seed": None}, predictions)
    trained.save()
    return trained


def test_what_was_saved_is_what_loads(tmp_path: Path) -> None:
    saved = network(tmp_path / "gru-2")
    loaded = Trained.load(tmp_path / "gru-2")
    assert (loaded.name, loaded.model, loaded.card) == ("gru-2", "gru", saved.card)
    assert list(loaded.predictions) == ["validation", "test"]
    for split, probabilities in loaded.predictions.items():
        assert probabilities.dtype == np.float32
        np.testing.assert_array_equal(probabilities, saved.predictions[split])
    pd.testing.assert_frame_equal(loaded.history, HISTORY, check_exact=True, check_index_type=False)


def test_saving_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        network(tmp_path / name)
    first, second = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("first", "second")
    )
    assert sorted(first) == ["card.json", "history.csv", "model.keras", "predictions.npz"]
    assert first == second


def test_a_baseline_has_neither_history_nor_network(tmp_path: Path) -> None:
    baseline(tmp_path / "baseline")
    written = sorted(path.name for path in (tmp_path / "baseline").iterdir())
    assert written == ["card.json", "model.npz", "predictions.npz"]
    assert Trained.load(tmp_path / "baseline").history.empty


def test_the_fingerprint_is_that_of_the_weights(tmp_path: Path) -> None:
    assert network(tmp_path / "gru-2").fingerprint == hashlib.sha256(b"weights").hexdigest()
    assert baseline(tmp_path / "baseline").fingerprint == hashlib.sha256(b"linear").hexdigest()


def test_a_baseline_without_its_model_says_so(tmp_path: Path) -> None:
    baseline(tmp_path / "baseline").weights.unlink()
    with pytest.raises(InputError, match=r"baseline holds no trained model \(model.npz is missing\)"):
        Trained.load(tmp_path / "baseline")


@pytest.mark.parametrize("missing", ["card.json", "predictions.npz", "model.keras"])
def test_a_folder_that_is_not_complete_says_so(tmp_path: Path, missing: str) -> None:
    network(tmp_path / "gru-2")
    (tmp_path / "gru-2" / missing).unlink()
    with pytest.raises(InputError, match=rf"gru-2 holds no trained model \({missing} is missing\).*dvc repro"):
        Trained.load(tmp_path / "gru-2")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"PK\x03\x04", b"\xff\xfe\x00"])
@pytest.mark.parametrize("name", ["card.json", "predictions.npz", "history.csv"])
def test_a_damaged_file_is_named(tmp_path: Path, name: str, content: bytes) -> None:
    network(tmp_path / "gru-2")
    (tmp_path / "gru-2" / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"gru-2/{name} is damaged \(\w+: .*make repro"):
        Trained.load(tmp_path / "gru-2")


def test_a_folder_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lstm-9 holds no trained model"):
        Trained.load(tmp_path / "lstm-9")
