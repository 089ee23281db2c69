"""Fit the linear models that a recurrent network has to beat, and keep the best on validation.

Reads   reviews.parquet (test labels are blank there), tokenizer.json
Writes  a folder as described in pipeline/trained/trained.py: card, linear model, predictions

    python -m pipeline.baseline --reviews data/processed/reviews.parquet \
        --tokenizer data/processed/tokenizer.json --output data/models/baseline
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits
from tokenizers import Tokenizer

from pipeline.core.command import PATH, InputError, progress, run, waiting
from pipeline.core.folders import check_files, check_ours, replacing
from pipeline.core.hashes import md5
from pipeline.core.params import BaselineParams, Metric, must_be_unchanged, read_params
from pipeline.corpus.reviews import read_label_names, read_split
from pipeline.trained.scores import SCORE_OF, TITLES, rank, score
from pipeline.trained.trained import BASELINE, FILES, LINEAR, Trained, without_defaults
from pipeline.trained.weights import class_weights

with waiting("load scikit-learn and MLflow"):  # takes seconds
    from sklearn.feature_extraction.text import TfidfTransformer
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.preprocessing import Binarizer

    from pipeline.linear.counting import Ngrams
    from pipeline.linear.ngrams import WEIGHTINGS, NgramModel, Weighting, classifier, fit_weighted, weighter
    from pipeline.tokens.ragged import Tokens, concatenate
    from pipeline.tokens.tokenizer import encode, has_words, in_characters, spelt, with_all_words
    from pipeline.tracking.watching import watching

_SPLITS = ("train", "validation", "test")
_FITS_AT_A_TIME = 2  # each needs a copy of the features


def fit_baseline(
    reviews: Path,
    tokenizer: Tokenizer,
    settings: BaselineParams,
    output: Path,
    metric: Metric = "accuracy",
    class_weight: str = "none",
) -> Trained:
    """Fit every kind of features with every strength of regularisation, and write the best one into `output`.

    The best has the highest accuracy, or macro F1, on validation; ties go to the lower validation loss.

    Args:
        reviews: reviews.parquet.
        tokenizer: of the networks, which says what a word is.
        settings: the `baseline` block of params.yaml.
        output: the folder to write.
        metric: chooses the best one.
        class_weight: `balanced` makes texts of rare classes count more, as `train.class_weight` does for networks.

    Returns:
        The trained model. Its weights are in `output` already; `save` writes the rest.

    Raises:
        InputError: `reviews` is missing or is no table of reviews. `output` is then as it was.
    """
    names = read_label_names(reviews)
    labels = {split: _labels(reviews, split) for split in ("train", "validation")}
    output.mkdir(parents=True, exist_ok=True)
    weights = _weights(labels["train"]) if class_weight == "balanced" else None
    candidates, best = [], None
    with progress(total=_fits(settings), desc="baseline") as bar:
        for features, matrices in _features(reviews, tokenizer, settings):
            for candidate in _candidates(features, matrices, labels, settings.inverse_regularisation, weights):
                candidates.append({**candidate.settings, **candidate.scores})
                if best is None or rank(candidate.scores, metric) > rank(best.scores, metric):
                    best = candidate
                bar.write(
                    f"baseline {features.tokens}, {features.weighting}, C = {candidate.strength}: validation loss"
                    f" {candidate.scores['log_loss']:.4f}, validation {TITLES[metric]}"
                    f" {candidate.scores[SCORE_OF[metric]]:.4f}"
                )
                bar.update()
    assert best is not None  # there is at least one strength
    model = NgramModel.of(best.features.weighting, best.features.ngrams, best.features.weighter, best.fitted)
    model.save(output / LINEAR)
    longest = settings.characters if best.settings["tokens"] == "characters" else settings.ngrams
    card = {
        "model": BASELINE,
        "seed": None,
        "labels": names,
        "settings": {**best.settings, "ngrams": longest, "min_texts": settings.min_texts}
        | without_defaults({"metric": metric, "class_weight": class_weight}),
        "parameters": (len(model.ngrams) + 1) * (1 if len(names) == 2 else len(names)),
        "validation": best.scores,
        "candidates": candidates,
    }
    return Trained(output, card, best.predictions)


@dataclass(frozen=True)
class _Features:
    """Hold one way to turn texts into numbers.

    Attributes:
        tokens: of what the n-grams are: `words`, `sub-words` or `characters`.
        weighting: how they are weighed.
        ngrams: which ones are counted.
        weighter: fitted on the train split.
    """

    tokens: str
    weighting: Weighting
    ngrams: Ngrams
    weighter: TfidfTransformer | Binarizer


_Matrices = dict[str, sp.csr_matrix]  # split to (texts, n-grams)


@dataclass(frozen=True)
class _Candidate:
    """Hold one fitted model: its features and strength, its predictions, and its scores on validation."""

    features: _Features
    strength: float
    fitted: OneVsRestClassifier
    predictions: dict[str, np.ndarray]
    scores: dict[str, float]

    @property
    def settings(self) -> dict[str, Any]:
        features = self.features
        weighing = {"weighting": features.weighting, "inverse_regularisation": self.strength}
        return {"tokens": features.tokens, **weighing}


def _labels(reviews: Path, split: str) -> np.ndarray:
    return np.concatenate([rows["label"].to_numpy(np.int32) for rows in read_split(reviews, split, ["label"])])


def _weights(labels: np.ndarray) -> np.ndarray:
    """Give every text the weight of its class, (texts,)."""
    of_class = class_weights(labels)
    return np.array([of_class[label] for label in labels.tolist()])


def _texts(reviews: Path, splits: Sequence[str]) -> Iterator[list[str]]:
    for split in splits:
        for rows in read_split(reviews, split, ["text"]):
            yield rows["text"].tolist()


def _fits(settings: BaselineParams) -> int:
    return (len(WEIGHTINGS) + (settings.characters > 0)) * len(settings.inverse_regularisation)


def _features(reviews: Path, tokenizer: Tokenizer, settings: BaselineParams) -> Iterator[tuple[_Features, _Matrices]]:
    """Count the n-grams of the tokens that the networks have, and those of characters.

    Words that are too rare for the networks' vocabulary count here, too.
    """
    words = has_words(tokenizer)
    if words:
        # The words of the held-out texts are there to be spelt. No n-gram is found in those texts.
        tokenizer = with_all_words(tokenizer, (text for texts in _texts(reviews, _SPLITS) for text in texts))
    tokens = {split: concatenate(encode(tokenizer, texts) for texts in _texts(reviews, [split])) for split in _SPLITS}
    yield from _weighed("words" if words else "sub-words", tokenizer, tokens, settings.ngrams, settings, WEIGHTINGS)
    if settings.characters:
        letters = in_characters(tokenizer)
        for split in _SPLITS:
            tokens[split] = spelt(tokens[split], tokenizer, letters)
        # By TF-IDF alone: naive Bayes' ratios were worse on characters, and took three times as long.
        yield from _weighed("characters", letters, tokens, settings.characters, settings, ["tfidf"])


def _weighed(
    name: str,
    tokenizer: Tokenizer,
    tokens: Mapping[str, Tokens],
    longest: int,
    settings: BaselineParams,
    weightings: Sequence[Weighting],
) -> Iterator[tuple[_Features, _Matrices]]:
    ngrams = Ngrams.find(tokenizer, tokens["train"], longest, settings.min_texts)
    if not len(ngrams):
        raise InputError(f"no run of {name} is in {settings.min_texts} texts of the train split (baseline.min_texts)")
    counts = {split: ngrams.count(tokens[split]) for split in _SPLITS}
    for weighting in weightings:
        weights = weighter(weighting).fit(counts["train"])
        weighed = {split: weights.transform(X) for split, X in counts.items()}
        yield _Features(name, weighting, ngrams, weights), weighed


def _candidates(
    features: _Features,
    matrices: _Matrices,
    labels: Mapping[str, np.ndarray],
    strengths: Sequence[float],
    weights: np.ndarray | None,
) -> Iterator[_Candidate]:
    def fit(strength: float) -> _Candidate:
        train, held_out = matrices["train"], {split: matrices[split] for split in ("validation", "test")}
        fitted = fit_weighted(classifier(features.weighting, strength), train, labels["train"], weights)
        predictions = {split: fitted.predict_proba(X).astype(np.float32) for split, X in held_out.items()}
        scores = score(labels["validation"], predictions["validation"])
        return _Candidate(features, strength, fitted, predictions, scores)

    # liblinear lets other threads of Python run, and each fit is alone with its numbers: the bits are the same. BLAS
    # would split its long sums among threads of its own: other last bits on a machine with more cores.
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(_FITS_AT_A_TIME) as pool:
        yield from pool.map(fit, strengths)


@click.command(help="Fit the linear models that a recurrent network has to beat.")
@click.option("--reviews", type=PATH, required=True, help="reviews.parquet that preprocess wrote")
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json that preprocess wrote")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(reviews: Path, tokenizer: Path, output: Path) -> None:
    check_files(reviews, tokenizer)
    check_ours(output, FILES)
    params = read_params()
    asked: dict[str, Any] = {"dataset": params.dataset, "model": BASELINE, "seed": None, "settings": {}}
    with watching(output.name, "baseline", asked) as watcher:
        with replacing(output) as folder:
            watcher.started()
            metric, class_weight = params.metric, params.train.class_weight
            cutting = Tokenizer.from_file(str(tokenizer))
            trained = fit_baseline(reviews, cutting, params.baseline, folder, metric, class_weight)
            must_be_unchanged(
                (params.dataset, params.baseline, metric, class_weight),
                lambda now: (now.dataset, now.baseline, now.metric, now.train.class_weight),
            )
            inputs = {path.as_posix(): md5(path) for path in (reviews, tokenizer)}
            trained.card.update(dataset=params.dataset, inputs=inputs)
            trained.save()
        watcher.finished(output)


if __name__ == "__main__":
    run(main)
