"""Fit the linear models that a recurrent network has to beat: n-grams and logistic regression.

They are fitted by scikit-learn and kept as plain arrays: weights, n-grams and a tokenizer, without pickle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn import config_context
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import Binarizer
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers

from pipeline.core.arrays import save_arrays
from pipeline.core.text import LINE_BREAK
from pipeline.linear.counting import Ngrams
from pipeline.tokens.ragged import PAD, UNKNOWN
from pipeline.tokens.tokenizer import SPECIAL_TOKENS, encode, with_words

Weighting = Literal["tfidf", "naive_bayes"]
WEIGHTINGS: tuple[Weighting, ...] = ("tfidf", "naive_bayes")


class LogCountRatio(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Scale each n-gram by how much more often it occurs in one class than in the other.

    r = log((p / |p|) / (q / |q|)) with p and q the smoothed counts of the n-grams in the texts of the class and
    in the rest (Wang & Manning 2012, https://aclanthology.org/P12-2018/).
    """

    def __init__(self, smoothing: float = 1.0) -> None:
        self.smoothing = smoothing

    def fit(self, X: sp.csr_matrix, y: np.ndarray) -> "LogCountRatio":
        """Learn r from presence (0 or 1) of n-grams, (texts, n-grams), and binary labels, (texts,)."""
        p = self.smoothing + np.asarray(X[y == 1].sum(axis=0)).ravel()
        q = self.smoothing + np.asarray(X[y == 0].sum(axis=0)).ravel()
        self.ratio_ = np.log(p / p.sum()) - np.log(q / q.sum())
        return self

    def transform(self, X: sp.csr_matrix) -> sp.csr_matrix:
        """Multiply each column by its r."""
        return sp.csr_matrix(X.multiply(self.ratio_))


def weighter(weighting: Weighting) -> TfidfTransformer | Binarizer:
    """Make what weighs counts: TF-IDF of their logarithms, or presence (0 or 1) for the naive Bayes weighting."""
    return TfidfTransformer(sublinear_tf=True) if weighting == "tfidf" else Binarizer()


def classifier(weighting: Weighting, inverse_regularisation: float) -> Pipeline | OneVsRestClassifier:
    """Make a logistic regression on what `weighter` makes of counts; one model per class if there are more than two."""
    # liblinear is exact and, run on one thread, gives the same bits every time.
    model = LogisticRegression(C=inverse_regularisation, solver="liblinear", random_state=0)
    with config_context(enable_metadata_routing=True):
        model.set_fit_request(sample_weight=True)
    steps = [LogCountRatio(), model] if weighting == "naive_bayes" else [model]
    return OneVsRestClassifier(make_pipeline(*steps))


def fit_weighted(
    model: OneVsRestClassifier, X: sp.csr_matrix, y: np.ndarray, weights: np.ndarray | None
) -> OneVsRestClassifier:
    """Fit what `classifier` made, with a weight for each text, (texts,), or None."""
    if weights is None:
        return model.fit(X, y)
    with config_context(enable_metadata_routing=True):
        return model.fit(X, y, sample_weight=weights)


@dataclass(frozen=True)
class NgramModel:
    """Hold a fitted model of `weighter` and `classifier`, without what only fitting needs.

    K is the number of n-grams.

    Attributes:
        weighting: how the n-grams of a text are weighed.
        ngrams: which ones are counted, and the tokenizer that cuts a text for them.
        idf: weight of every n-gram before the text's vector is scaled to length 1, float32, (K,); empty for the naive
            Bayes weighting, whose ratios are part of `weights`.
        weights: float64, (K, outputs): one output of two classes, the second one's; else one per class.
        intercepts: float64, (outputs,).
    """

    weighting: Weighting
    ngrams: Ngrams
    idf: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray

    @classmethod
    def of(
        cls, weighting: Weighting, ngrams: Ngrams, weights: TfidfTransformer | Binarizer, fitted: OneVsRestClassifier
    ) -> "NgramModel":
        """Take out of scikit-learn's objects what predicting needs."""
        regressions = [pipeline[-1] for pipeline in fitted.estimators_]
        slopes = np.stack([regression.coef_[0] for regression in regressions], axis=1)
        if weighting == "naive_bayes":
            slopes *= np.stack([pipeline[0].ratio_ for pipeline in fitted.estimators_], axis=1)
        return cls(
            weighting,
            ngrams.without_other_words(),
            weights.idf_ if weighting == "tfidf" else np.empty(0, np.float32),
            slopes,
            np.concatenate([regression.intercept_ for regression in regressions]),
        )

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz, the same bytes for the same model."""
        arrays = {
            "weighting": np.array(self.weighting),
            "tokenizer": np.frombuffer(self.ngrams.tokenizer.to_str().encode(), np.uint8),
            "ngrams": self.ngrams.table,
            "idf": self.idf,
            "weights": self.weights,
            "intercepts": self.intercepts,
        }
        save_arrays(path, arrays)

    @classmethod
    def load(cls, path: Path) -> "NgramModel":
        """Read the file that `save` wrote. Arrays that would run code (pickled objects) are refused."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                arrays["weighting"].item(),
                _ngrams_of(arrays),
                *(arrays[name] for name in ("idf", "weights", "intercepts")),
            )

    @cached_property
    def _weighter(self) -> TfidfTransformer | Binarizer:
        weights = weighter(self.weighting)
        if self.weighting == "tfidf":
            weights.idf_ = self.idf
        return weights

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Predict the probabilities of every class, as `classifier` does: float64, (texts, classes)."""
        counts = self._count(texts)
        scores = expit(self._weighter.transform(counts) @ self.weights + self.intercepts)
        if scores.shape[1] == 1:
            return np.hstack([1 - scores, scores])
        probabilities: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
        return probabilities

    def knows(self, texts: Sequence[str]) -> np.ndarray:
        """Tell which texts have an n-gram that is counted: bool, (texts,)."""
        known: np.ndarray = self._count(texts).getnnz(axis=1) > 0
        return known

    def _count(self, texts: Sequence[str]) -> sp.csr_matrix:
        return self.ngrams.count(encode(self.ngrams.tokenizer, texts))


def _ngrams_of(arrays: Mapping[str, np.ndarray]) -> Ngrams:
    if "tokenizer" in arrays:
        return Ngrams(Tokenizer.from_str(arrays["tokenizer"].tobytes().decode()), arrays["ngrams"])
    return _ngrams_in_words(arrays["vocabulary"].tobytes().decode().split("\n"), arrays["longest"].item())


def _ngrams_in_words(vocabulary: list[str], longest: int) -> Ngrams:
    """Make the n-grams of a model that has no tokenizer, as all had once: its words are cut without their marks."""
    cutting = Tokenizer(models.WordLevel({}, unk_token=SPECIAL_TOKENS[UNKNOWN]))
    line_breaks = normalizers.Replace(Regex(LINE_BREAK), "\n")
    cutting.normalizer = normalizers.Sequence([normalizers.Lowercase(), line_breaks])
    cutting.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\p{L}\p{N}_']+"), behavior="removed", invert=True)
    rows = [ngram.split(" ") for ngram in vocabulary]
    tokenizer = with_words(cutting, {word for row in rows for word in row})
    ids = tokenizer.get_vocab()
    table = [[ids[word] for word in row] + [PAD] * (longest - len(row)) for row in rows]
    return Ngrams(tokenizer, np.array(table, np.int32))
