"""Choose the model that answers: the one that was asked for, else the champion, else the best on disk.

The best is the one with the highest accuracy (or macro F1, as `metric` in params.yaml says) on validation, ties going
to the lower validation loss. The test split has no say: choosing by it would make its score worthless. A model that
learnt from other data than lies on disk is left out: its score is about other texts.
"""

import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd

from pipeline.core.command import InputError, did_you_mean, whole
from pipeline.core.params import Metric
from pipeline.packaging.classifier import Classifier
from pipeline.packaging.training_data import changed_inputs, input_path, is_file
from pipeline.serving.registry import MLFLOW_SCHEMES, Registry, model_of
from pipeline.tracking.paths import MODELS
from pipeline.tracking.record import known_run_of
from pipeline.tracking.tracker import Tracker
from pipeline.trained.scores import SCORE_OF, rank
from pipeline.trained.trained import BASELINE, CARD, Trained

_ODD = ["\ufffd", "zyzzyva", "电影 😀", ""]  # texts that a damaged tokenizer may fail on
_TOKENIZER = "tokenizer.json"  # among the inputs of a network
_MLFLOW_MODEL = "MLmodel"  # the file that makes a folder a model of MLflow


class TextModel(Protocol):
    """Answers texts: a model from disk or from MLflow."""

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Return one row per text: `label`, and `p_<label>` for every label."""

    def knows(self, texts: Sequence[str]) -> np.ndarray | None:
        """Tell which texts have a token that the model has learnt: bool, (texts,); None: its code cannot tell."""


def ranked(
    models: Path, dataset: str, metric: Metric = "accuracy", names: Collection[str] | None = None
) -> list[Trained]:
    """List the trained models of a data set in a folder of folders, the best on validation first.

    What learnt from other data than lies there now is left out, and standard error says so.

    Args:
        models: the folder.
        dataset: name of the data set.
        metric: what the best one is best in.
        names: of the models that count; None for all.
    """
    found = [card.parent for card in sorted(models.glob(f"*/{CARD}"))]
    trained = [Trained.load(folder) for folder in found if names is None or folder.name in names]
    of_dataset = [one for one in trained if one.card["dataset"] == dataset]
    stale = {one.name: changed for one in of_dataset if (changed := changed_inputs(one))}
    for name, changed in stale.items():
        print(f"left out: {models / name}, because it learnt from another {' and '.join(changed)}", file=sys.stderr)
    current = [one for one in of_dataset if one.name not in stale]
    return sorted(current, key=lambda one: rank(one.card["validation"], metric), reverse=True)


def choose(
    wanted: str | None, dataset: str, models: Path = MODELS, metric: Metric = "accuracy"
) -> tuple[TextModel, str]:
    """Open a model.

    Args:
        wanted: an MLflow URI, a folder of a trained or of an MLflow model, or the name of a folder in `models`; None
            for the champion or the best.
        dataset: the data set that the champion, or the best, is of.
        models: the folder with a folder per trained model.
        metric: what the best one is best in.

    Returns:
        The model, and words that say which one it is and why.

    Raises:
        InputError: there is no such model, or MLflow cannot be asked.
    """
    registry = Registry(dataset)
    if wanted is not None and _is_mlflows(wanted):
        return registry.load(wanted), wanted
    if wanted is not None:
        trained = named(wanted, models)
        return open_trained(trained), f"{trained.folder}, as asked for"
    if champion := registry.champion():
        # The version, and not whatever is champion a moment later.
        return registry.load(registry.version_uri(champion)), f"{registry.model} {champion}, the champion"
    best = best_on_disk(models, dataset, metric)
    value = best.card["validation"][SCORE_OF[metric]]
    return open_trained(best), f"{best.folder}, the best on validation ({value:.1%}); no champion: make promote"


def served_uri(wanted: str | None, dataset: str, models: Path = MODELS) -> str:
    """Name a model as MLflow's own commands do, the very version: who is champion may change meanwhile.

    Args:
        wanted: as for `choose`; None for the champion. Of a trained model, it is the one that its run logged.
        dataset: the data set that the champion is of.
        models: the folder with a folder per trained model.

    Raises:
        InputError: there is no such model, or MLflow cannot be asked.
    """
    registry = Registry(dataset)
    if wanted is not None and _is_mlflows(wanted):
        return registry.resolve(wanted)
    if wanted is not None:
        trained = named(wanted, models)
        run = known_run_of(Tracker(trained.card["dataset"]), trained)
        return registry.resolve(f"models:/{model_of(run)}")
    champion = registry.champion()
    if champion is None:
        raise InputError(f"{registry.model} has no champion; name one with: make promote")
    return registry.resolve(registry.version_uri(champion))


def named(name: str, models: Path) -> Trained:
    """Open the trained model in the folder `name`, or in the folder of that name in `models`.

    Raises:
        InputError: there is none.
    """
    folder = next((path for path in (Path(name), models / name) if path.is_dir()), None)
    if folder is None:
        known = did_you_mean(name, [card.parent.name for card in models.glob(f"*/{CARD}")])
        raise InputError(f"there is no model {name!r}, neither a folder nor a name in {models}; {known}")
    return Trained.load(folder)


def best_on_disk(models: Path, dataset: str, metric: Metric) -> Trained:
    """Return the trained model that is best on validation.

    Raises:
        InputError: there is none.
    """
    found = ranked(models, dataset, metric)
    if not found:
        raise InputError(f"{models} holds no trained model of {dataset}; train with: make repro DATASET={dataset}")
    return found[0]


def open_trained(trained: Trained) -> Classifier:
    """Open a model from its folder, a network with the tokenizer that its card names.

    Raises:
        InputError: that tokenizer is gone, or another one now; or a file is damaged.
    """
    card = trained.folder / CARD
    if trained.model == BASELINE:
        return _answering(trained.weights, card)
    with whole(card):
        name = next((name for name in trained.card["inputs"] if Path(name).name == _TOKENIZER), "")
        tokenizer, digest = input_path(trained, name), trained.card["inputs"][name]
    if not is_file(tokenizer, digest):
        raise InputError(
            f"{tokenizer} is not the tokenizer of {trained.folder}: it is of another data set or run. `make repro"
            f" DATASET={trained.card['dataset']}` brings it back, and MLflow has the whole model (models:/… or runs:/…)"
        )
    return _answering(trained.weights, card, tokenizer)


def _answering(weights: Path, card: Path, tokenizer: Path | None = None) -> Classifier:
    """Open a model and let it answer: some damage shows only then, and no user's file shall be half done."""
    with whole(weights):
        classifier = Classifier(weights, card, tokenizer)
        classifier.predict(_ODD)
    return classifier


def _is_mlflows(wanted: str) -> bool:
    return wanted.startswith(MLFLOW_SCHEMES) or (Path(wanted) / _MLFLOW_MODEL).is_file()
