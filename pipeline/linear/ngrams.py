"""Fit the linear models that a recurrent network has to beat: n-grams and logistic regression.

They are fitted by scikit-learn and kept as plain arrays: weights and a vocabulary, without pickle.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import scipy.sparse as sp
from scipy.special import expit
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

from pipeline.core.arrays import save_arrays
from pipeline.core.text import LINE_BREAK, WORD

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


def vectorizer(weighting: Weighting, ngrams: int, min_texts: int) -> CountVectorizer:
    """Make the n-gram features: TF-IDF with sublinear counts, or presence for the naive Bayes weighting."""
    options = {
        "preprocessor": _normalised,
        "token_pattern": WORD,
        "ngram_range": (1, ngrams),
        "min_df": min_texts,
        "dtype": np.float32,
    }
    if weighting == "tfidf":
        return TfidfVectorizer(sublinear_tf=True, **options)
    return CountVectorizer(binary=True, **options)


def _normalised(text: str) -> str:
    return re.sub(LINE_BREAK, "\n", text.lower())


def classifier(weighting: Weighting, inverse_regularisation: float) -> Pipeline | OneVsRestClassifier:
    """Make a logistic regression on the features of `vectorizer`; one model per class if there are more than two."""
    # liblinear is exact and, run on one thread, gives the same bits every time.
    model = LogisticRegression(C=inverse_regularisation, solver="liblinear", random_state=0)
    steps = [LogCountRatio(), model] if weighting == "naive_bayes" else [model]
    return OneVsRestClassifier(make_pipeline(*steps))


@dataclass(frozen=True)
class NgramModel:
    """Hold a fitted model of `vectorizer` and `classifier`, without what only fitting needs.

    Attributes:
        weighting: how the n-grams of a text are counted.
        longest: words in the longest n-gram.
        vocabulary: n-grams in the order of the columns.
        idf: weight of every n-gram before the text's vector is scaled to length 1, float32, (n-grams,); empty for
            the naive Bayes weighting, whose ratios are part of `weights`.
        weights: float64, (n-grams, outputs): one output of two classes, the second one's; else one per class.
        intercepts: float64, (outputs,).
    """

    weighting: Weighting
    longest: int
    vocabulary: list[str]
    idf: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray

    @classmethod
    def of(cls, weighting: Weighting, features: CountVectorizer, fitted: OneVsRestClassifier) -> "NgramModel":
        """Take out of scikit-learn's objects what predicting needs."""
        regressions = [pipeline[-1] for pipeline in fitted.estimators_]
        weights = np.stack([regression.coef_[0] for regression in regressions], axis=1)
        if weighting == "naive_bayes":
            weights *= np.stack([pipeline[0].ratio_ for pipeline in fitted.estimators_], axis=1)
        return cls(
            weighting,
            features.ngram_range[1],
            features.get_feature_names_out().tolist(),
            features.idf_ if weighting == "tfidf" else np.empty(0, np.float32),
            weights,
            np.concatenate([regression.intercept_ for regression in regressions]),
        )

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz, the same bytes for the same model."""
        # One array of strings would give every n-gram the room of the longest one. None holds a line break.
        lines = "\n".join(self.vocabulary).encode()
        arrays = {
            "weighting": np.array(self.weighting),
            "longest": np.array(self.longest),
            "vocabulary": np.frombuffer(lines, np.uint8),
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
                arrays["longest"].item(),
                arrays["vocabulary"].tobytes().decode().split("\n"),
                *(arrays[name] for name in ("idf", "weights", "intercepts")),
            )

    @cached_property
    def _features(self) -> CountVectorizer:
        features = vectorizer(self.weighting, self.longest, 1).set_params(vocabulary=self.vocabulary)
        if self.weighting == "tfidf":
            features.idf_ = self.idf
        return features

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Predict the probabilities of every class, as `classifier` does: float64, (texts, classes)."""
        scores = expit(self._features.transform(texts) @ self.weights + self.intercepts)
        if scores.shape[1] == 1:
            return np.hstack([1 - scores, scores])
        probabilities: np.ndarray = scores / scores.sum(axis=1, keepdims=True)
        return probabilities
