"""Small linear models, fitted as the baseline's are."""

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.multiclass import OneVsRestClassifier

from pipeline.linear.counting import Ngrams
from pipeline.linear.ngrams import NgramModel, Weighting, classifier, weighter
from pipeline.tokens.tokenizer import TokenizerKind, encode, train_tokenizer, with_all_words


def counted(
    texts: Sequence[str], longest: int = 2, min_texts: int = 1, kind: TokenizerKind = "word"
) -> tuple[Ngrams, sp.csr_matrix]:
    """The n-grams of some texts, and how often each text has them."""
    tokenizer = train_tokenizer(iter(texts), kind, 100)
    if kind == "word":
        tokenizer = with_all_words(tokenizer, iter(texts))
    tokens = encode(tokenizer, texts)
    ngrams = Ngrams.find(tokenizer, tokens, longest, min_texts)
    return ngrams, ngrams.count(tokens)


def fitted(
    weighting: Weighting, texts: Sequence[str], labels: np.ndarray, longest: int = 2, kind: TokenizerKind = "word"
) -> tuple[NgramModel, OneVsRestClassifier, np.ndarray]:
    """A model, the classifier of scikit-learn that it was taken out of, and what that one says of `texts`."""
    ngrams, counts = counted(texts, longest, kind=kind)
    weights = weighter(weighting)
    matrix = weights.fit_transform(counts)
    model = classifier(weighting, 10.0).fit(matrix, labels)
    return NgramModel.of(weighting, ngrams, weights, model), model, model.predict_proba(matrix)
