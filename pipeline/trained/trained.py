"""Write and read the folder of a trained model: enough to compare, serve and record it without training again.

card.json         what was trained on what: model, seed, data set, settings, labels, hashes of the inputs
history.csv       per epoch, loss and accuracy on train and validation (networks only)
model.keras       the network, or
model.npz         the linear model of the baseline
predictions.npz   probabilities of every class for the validation and the test texts, in the order of the table
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline.core.arrays import save_arrays
from pipeline.core.command import InputError, whole
from pipeline.core.hashes import sha256

BASELINE = "baseline"  # the one model that is no network
CARD, HISTORY, NETWORK, PREDICTIONS = "card.json", "history.csv", "model.keras", "predictions.npz"
LINEAR = "model.npz"
_LATER = {"metric": "accuracy", "class_weight": "none"}  # settings that older cards lack, with what they were
FILES = (CARD, HISTORY, NETWORK, LINEAR, PREDICTIONS)


@dataclass(frozen=True)
class Trained:
    """Hold a trained model as its files tell it.

    Attributes:
        folder: where the files lie; its name is the name of the run.
        card: the content of card.json.
        predictions: `validation` and `test` to probabilities, float32, (texts, classes).
        history: one row per epoch, from 1; empty for the baseline.
    """

    folder: Path
    card: dict[str, Any]
    predictions: dict[str, np.ndarray]
    history: pd.DataFrame = field(default_factory=pd.DataFrame)

    @property
    def name(self) -> str:
        """Get the name of the run, such as `lstm-1`."""
        return self.folder.name

    @property
    def model(self) -> str:
        """Get the kind of the model, such as `lstm`."""
        return str(self.card["model"])

    @property
    def weights(self) -> Path:
        """Get the path of the file with the weights."""
        return self.folder / (LINEAR if self.model == BASELINE else NETWORK)

    @property
    def fingerprint(self) -> str:
        """Hash the file with the weights (SHA-256). MLflow's run of this model is found by it."""
        return sha256(self.weights)

    def save(self) -> None:
        """Write everything but the weights into the folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if len(self.history):
            self.history.to_csv(self.folder / HISTORY)
        save_arrays(self.folder / PREDICTIONS, self.predictions)
        # The card comes last: a folder with a card is complete.
        (self.folder / CARD).write_text(json.dumps(self.card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Trained":
        """Read the folder.

        Raises:
            InputError: the folder is missing or is not complete.
        """
        _must_have(folder, CARD)
        card = read_card(folder)
        _must_have(folder, PREDICTIONS)
        with whole(folder / PREDICTIONS), np.load(folder / PREDICTIONS, allow_pickle=False) as arrays:
            predictions = {split: arrays[split] for split in arrays.files}
        history, table = folder / HISTORY, pd.DataFrame()
        if history.exists():
            with whole(history):
                table = pd.read_csv(history, index_col="epoch")
        trained = cls(folder, card, predictions, table)
        _must_have(folder, trained.weights.name)
        return trained


def read_card(folder: Path) -> dict[str, Any]:
    """Read the card in the folder of a model.

    Raises:
        InputError: it is damaged.
    """
    with whole(folder / CARD):
        card: dict[str, Any] = json.loads((folder / CARD).read_text(encoding="utf-8"))
        card["model"]
    return card


def without_defaults(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out settings that older versions lacked, where they are what those did: equal settings stay equal."""
    return {name: value for name, value in settings.items() if _LATER.get(name) != value}


def _must_have(folder: Path, name: str) -> None:
    if not (folder / name).exists():
        raise InputError(f"{folder} holds no trained model ({name} is missing). Train it with: dvc repro")
