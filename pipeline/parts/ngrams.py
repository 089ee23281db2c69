"""The linear models that a recurrent network has to beat: n-grams and logistic regression."""

from typing import Literal

import numpy as np
import scipy.sparse as sp
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import Pipeline, make_pipeline

Weighting = Literal["tfidf", "naive_bayes"]
WEIGHTINGS: tuple[Weighting, ...] = ("tfidf", "naive_bayes")

_WORDS = r"[\w']+"  # what the tokenizer calls a word


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
    """Texts to n-gram features: TF-IDF with sublinear counts, or presence for the naive Bayes weighting."""
    options = {"ngram_range": (1, ngrams), "min_df": min_texts, "token_pattern": _WORDS, "dtype": np.float32}
    if weighting == "tfidf":
        return TfidfVectorizer(sublinear_tf=True, **options)
    return CountVectorizer(binary=True, **options)


def classifier(weighting: Weighting, inverse_regularisation: float) -> Pipeline | OneVsRestClassifier:
    """Logistic regression on the features of `vectorizer`; one model per class where there are more than two."""
    # liblinear is exact and, run on one thread, gives the same bits every time.
    model = LogisticRegression(C=inverse_regularisation, solver="liblinear", random_state=0)
    steps = [LogCountRatio(), model] if weighting == "naive_bayes" else [model]
    return OneVsRestClassifier(make_pipeline(*steps))
