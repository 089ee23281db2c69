"""Which model answers: the one that was asked for, else the champion, else the best on disk.

The best is the one with the highest validation accuracy, ties going to the lower validation loss. The test split has
no say: choosing by it would make its score worthless.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import pandas as pd

from pipeline.parts.classifier import Classifier
from pipeline.parts.command import InputError, did_you_mean
from pipeline.parts.lineage import md5
from pipeline.parts.registry import MLFLOW_SCHEMES, Registry
from pipeline.parts.trained import CARD, Trained

MODELS, DATA = Path("data/models"), Path("data/processed")  # where dvc.yaml puts them


class TextModel(Protocol):
    """What answers."""

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """One row per text: `label`, and `p_<label>` for every label."""


def ranked(models: Path, dataset: str) -> list[Trained]:
    """The trained models of a data set in a folder of folders, the best on validation first."""
    trained = [Trained.load(card.parent) for card in sorted(models.glob(f"*/{CARD}"))]
    return sorted((one for one in trained if one.card["dataset"] == dataset), key=_rank)


def choose(wanted: str | None, dataset: str, models: Path = MODELS) -> tuple[TextModel, str]:
    """Open a model.

    Args:
        wanted: an MLflow URI, a folder, or the name of a folder in `models`; None for the champion or the best.
        dataset: the data set that the champion, or the best, is of.
        models: the folder with a folder per trained model.

    Returns:
        The model, and words that say which one it is and why.

    Raises:
        InputError: there is no such model, or MLflow cannot be asked.
    """
    if wanted is not None and wanted.startswith(MLFLOW_SCHEMES):
        return Registry(dataset).load(wanted), wanted
    if wanted is not None:
        trained = named(wanted, models)
        return open_trained(trained), f"{trained.folder}, as asked for"
    registry = Registry(dataset)
    if champion := registry.champion():
        return registry.load(registry.champion_uri), f"{registry.model} {champion}, the champion"
    best = best_on_disk(models, dataset)
    accuracy = best.card["validation"]["accuracy"]
    return open_trained(best), f"{best.folder}, the best on validation ({accuracy:.1%}); no champion: make promote"


def named(name: str, models: Path) -> Trained:
    """The trained model in the folder `name`, or in the folder of that name in `models`.

    Raises:
        InputError: there is none.
    """
    folder = next((path for path in (Path(name), models / name) if path.is_dir()), None)
    if folder is None:
        known = did_you_mean(name, [card.parent.name for card in models.glob(f"*/{CARD}")])
        raise InputError(f"there is no model {name!r}, neither a folder nor a name in {models}; {known}")
    return Trained.load(folder)


def best_on_disk(models: Path, dataset: str) -> Trained:
    """The first of `ranked`.

    Raises:
        InputError: there is none.
    """
    found = ranked(models, dataset)
    if not found:
        raise InputError(f"{models} holds no trained model of {dataset}; train with: make repro DATASET={dataset}")
    return found[0]


def open_trained(trained: Trained) -> Classifier:
    """Open a model from its folder, with the tokenizer that its card names, where it has one.

    Raises:
        InputError: that tokenizer is gone, or another one now.
    """
    tokenizers = {Path(path): digest for path, digest in trained.card["inputs"].items() if path.endswith(".json")}
    for path, digest in tokenizers.items():
        if not path.is_file() or md5(path) != digest:
            raise InputError(
                f"{path} is not the tokenizer of {trained.folder}: run `dvc repro`, or use its model in MLflow"
            )
    return Classifier(trained.weights, trained.folder / CARD, next(iter(tokenizers), None))


def _rank(trained: Trained) -> tuple[float, float]:
    scores = trained.card["validation"]
    return -scores["accuracy"], scores["log_loss"]
