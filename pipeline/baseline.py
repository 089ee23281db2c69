"""Fit the linear models that a recurrent network has to beat, and keep the best on validation.

Reads   reviews.parquet (test labels are blank there)
Writes  a folder as described in pipeline/parts/trained.py: card and predictions

    python -m pipeline.baseline --reviews data/processed/reviews.parquet --output data/models/baseline
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.parts.command import progress, run
from pipeline.parts.datasets import read_label_names, read_split
from pipeline.parts.lineage import md5
from pipeline.parts.ngrams import WEIGHTINGS, classifier, vectorizer
from pipeline.parts.params import BaselineParams, read_params
from pipeline.parts.record import finish, run_params
from pipeline.parts.scores import score
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import BASELINE, Trained


def fit_baseline(reviews: Path, settings: BaselineParams, output: Path) -> Trained:
    """Fit every weighting with every strength of regularisation, and choose by validation accuracy.

    Ties go to the lower validation loss.

    Args:
        reviews: reviews.parquet.
        settings: the `baseline` block of params.yaml.
        output: the folder that the result names; nothing is written.
    """
    texts, labels = {}, {}
    for split in ("train", "validation", "test"):
        rows = pd.concat(read_split(reviews, split, ["text", "label"]))
        texts[split], labels[split] = rows["text"], rows["label"].to_numpy()
    names = read_label_names(reviews)
    validation = labels["validation"].astype(np.int32)
    candidates = []
    best: tuple[tuple[float, float], dict[str, np.ndarray], int] | None = None
    with progress(total=len(WEIGHTINGS) * len(settings.inverse_regularisation), desc="baseline") as bar:
        for weighting in WEIGHTINGS:
            features = vectorizer(weighting, settings.ngrams, settings.min_texts)
            matrices = {"train": features.fit_transform(texts["train"])}
            matrices |= {split: features.transform(texts[split]) for split in ("validation", "test")}
            for strength in settings.inverse_regularisation:
                model = classifier(weighting, strength).fit(matrices["train"], labels["train"].astype(np.int32))
                predictions = {
                    split: model.predict_proba(matrices[split]).astype(np.float32) for split in ("validation", "test")
                }
                scores = score(validation, predictions["validation"])
                candidates.append({"weighting": weighting, "inverse_regularisation": strength, **scores})
                rank = (scores["accuracy"], -scores["log_loss"])
                if best is None or rank > best[0]:
                    best = rank, predictions, matrices["train"].shape[1]
                    chosen = candidates[-1]
                bar.update()
    assert best is not None  # settings hold at least one strength
    card = {
        "model": BASELINE,
        "seed": None,
        "labels": names,
        "settings": {
            "weighting": chosen["weighting"],
            "inverse_regularisation": chosen["inverse_regularisation"],
            "ngrams": settings.ngrams,
            "min_texts": settings.min_texts,
        },
        "parameters": (best[2] + 1) * (1 if len(names) == 2 else len(names)),
        "validation": {name: chosen[name] for name in scores},
        "candidates": candidates,
    }
    return Trained(output, card, best[1])


def main() -> None:
    parser = argparse.ArgumentParser(description="Fit the linear models that a recurrent network has to beat.")
    parser.add_argument("--reviews", type=Path, required=True, help="reviews.parquet that preprocess wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    params = read_params()
    with Tracker(params.dataset).run(arguments.output.name, "baseline") as tracked:
        started = time.perf_counter()
        trained = fit_baseline(arguments.reviews, params.baseline, arguments.output)
        seconds = time.perf_counter() - started
        trained.card.update(dataset=params.dataset, inputs={arguments.reviews.as_posix(): md5(arguments.reviews)})
        trained.save()
        tracked.params(run_params(trained.card))
        tracked.metrics({"time/training_seconds": seconds})
        finish(tracked, trained, tokenizer=Path())
        for candidate in trained.card["candidates"]:
            print(
                f"baseline {candidate['weighting']}, C = {candidate['inverse_regularisation']}: "
                f"validation accuracy {candidate['accuracy']:.4f}, loss {candidate['log_loss']:.4f}"
            )


if __name__ == "__main__":
    run(main)
