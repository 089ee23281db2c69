"""Fit the linear models that a recurrent network has to beat, and keep the best on validation.

Reads   reviews.parquet (test labels are blank there)
Writes  a folder as described in pipeline/trained/trained.py: card, linear model, predictions

    python -m pipeline.baseline --reviews data/processed/reviews.parquet --output data/models/baseline
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import pandas as pd

from pipeline.core.command import PATH, progress, run, waiting
from pipeline.core.folders import check_files, check_ours
from pipeline.core.hashes import md5
from pipeline.core.params import BaselineParams, must_be_unchanged, read_params
from pipeline.corpus.reviews import read_label_names, read_split
from pipeline.trained.scores import score
from pipeline.trained.trained import BASELINE, FILES, LINEAR, Trained

with waiting("load scikit-learn and MLflow"):  # takes seconds
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.multiclass import OneVsRestClassifier

    from pipeline.linear.ngrams import WEIGHTINGS, NgramModel, classifier, vectorizer
    from pipeline.tracking.watching import watching

_SPLITS = ("train", "validation", "test")


def fit_baseline(reviews: Path, settings: BaselineParams, output: Path) -> Trained:
    """Fit every weighting with every strength of regularisation, and write the best one into `output`.

    The best has the highest validation accuracy; ties go to the lower validation loss.

    Args:
        reviews: reviews.parquet.
        settings: the `baseline` block of params.yaml.
        output: the folder to write.

    Returns:
        The trained model. Its weights are in `output` already; `save` writes the rest.

    Raises:
        InputError: `reviews` is missing or is no table of reviews. `output` is then as it was.
    """
    names = read_label_names(reviews)
    splits = {split: pd.concat(read_split(reviews, split, ["text", "label"])) for split in _SPLITS}
    shutil.rmtree(output, ignore_errors=True)  # an interrupted run must not leave old files beside new ones
    output.mkdir(parents=True)
    candidates = list(_candidates(splits, settings))
    best = max(candidates, key=lambda candidate: (candidate.scores["accuracy"], -candidate.scores["log_loss"]))
    model = NgramModel.of(best.settings["weighting"], best.features, best.fitted)
    model.save(output / LINEAR)
    card = {
        "model": BASELINE,
        "seed": None,
        "labels": names,
        "settings": {**best.settings, "ngrams": settings.ngrams, "min_texts": settings.min_texts},
        "parameters": (len(model.vocabulary) + 1) * (1 if len(names) == 2 else len(names)),
        "validation": best.scores,
        "candidates": [{**candidate.settings, **candidate.scores} for candidate in candidates],
    }
    return Trained(output, card, best.predictions)


@dataclass(frozen=True)
class _Candidate:
    """Hold one fitted model: its settings, features and weights, its predictions, and its scores on validation."""

    settings: dict[str, Any]
    features: CountVectorizer
    fitted: OneVsRestClassifier
    predictions: dict[str, np.ndarray]
    scores: dict[str, float]


def _candidates(splits: dict[str, pd.DataFrame], settings: BaselineParams) -> Iterator[_Candidate]:
    labels = {split: splits[split]["label"].to_numpy(np.int32) for split in ("train", "validation")}
    with progress(total=len(WEIGHTINGS) * len(settings.inverse_regularisation), unit=" fits") as bar:
        for weighting in WEIGHTINGS:
            bar.set_description(f"baseline {weighting}: count n-grams")
            features = vectorizer(weighting, settings.ngrams, settings.min_texts)
            train = features.fit_transform(splits["train"]["text"])
            held_out = {split: features.transform(splits[split]["text"]) for split in ("validation", "test")}
            for strength in settings.inverse_regularisation:
                bar.set_description(f"baseline {weighting}, C = {strength}: fit")
                began = time.perf_counter()
                fitted = classifier(weighting, strength).fit(train, labels["train"])
                seconds = time.perf_counter() - began
                predictions = {split: fitted.predict_proba(X).astype(np.float32) for split, X in held_out.items()}
                scores = score(labels["validation"], predictions["validation"])
                bar.write(
                    f"baseline {weighting}, C = {strength}: validation loss {scores['log_loss']:.4f},"
                    f" validation accuracy {scores['accuracy']:.4f} ({seconds:.1f} s)"
                )
                bar.update()
                chosen = {"weighting": weighting, "inverse_regularisation": strength}
                yield _Candidate(chosen, features, fitted, predictions, scores)


@click.command(help="Fit the linear models that a recurrent network has to beat.")
@click.option("--reviews", type=PATH, required=True, help="reviews.parquet that preprocess wrote")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(reviews: Path, output: Path) -> None:
    check_files(reviews)
    check_ours(output, FILES)
    params = read_params()
    asked: dict[str, Any] = {"dataset": params.dataset, "model": BASELINE, "seed": None, "settings": {}}
    with watching(output.name, "baseline", asked) as watcher:
        watcher.started()
        trained = fit_baseline(reviews, params.baseline, output)
        must_be_unchanged((params.dataset, params.baseline), lambda now: (now.dataset, now.baseline))
        trained.card.update(dataset=params.dataset, inputs={reviews.as_posix(): md5(reviews)})
        trained.save()
        watcher.finished(output)


if __name__ == "__main__":
    run(main)
