"""Classify raw text with a trained model, network or n-grams: label and probabilities come out."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from pipeline.tokens.ragged import Tokens

_LINEAR = ".npz"  # ending of the baseline's file


class _Model(Protocol):
    def predict(self, texts: Sequence[str]) -> np.ndarray: ...

    def knows(self, texts: Sequence[str]) -> np.ndarray: ...


class Classifier:
    """Predicts from raw text exactly what `evaluate` measured, whichever other texts come along.

    Args:
        weights: model.keras of a network, or model.npz of the baseline.
        card: card.json.
        tokenizer: tokenizer.json of a network; the baseline has its own in model.npz.
    """

    def __init__(self, weights: Path, card: Path, tokenizer: Path | None = None) -> None:
        content = json.loads(card.read_text(encoding="utf-8"))
        self.labels: list[str] = content["labels"]
        self._model: _Model = (
            _open_ngrams(weights)
            if tokenizer is None or weights.suffix == _LINEAR
            else _Network(weights, tokenizer, content["settings"])
        )

    @property
    def columns(self) -> list[str]:
        """Name the columns of every answer."""
        return ["label", *(f"p_{label}" for label in self.labels)]

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Classify texts; any string gets an answer, be it empty or 10 MB long.

        Returns:
            One row per text: `label`, and `p_<label>` (float64) for every label.

        Raises:
            TypeError: something is no string.
        """
        check_texts(texts)
        none = np.empty((0, len(self.labels)))
        probabilities = self._model.predict(texts).astype(np.float64) if len(texts) else none
        table = pd.DataFrame(probabilities, columns=self.columns[1:])
        table.insert(0, "label", pd.Series([self.labels[code] for code in probabilities.argmax(axis=1)], dtype="str"))
        return table

    def knows(self, texts: Sequence[str]) -> np.ndarray:
        """Tell which texts have a token that the model has learnt: bool, (texts,). Others are answered all the same.

        Raises:
            TypeError: something is no string.
        """
        check_texts(texts)
        return self._model.knows(texts) if len(texts) else np.zeros(0, bool)


def check_texts(texts: Sequence[Any]) -> None:
    """Refuse what is no list of strings.

    Raises:
        TypeError: with the place, from 0, and what stands there.
    """
    if isinstance(texts, str):
        raise TypeError(f"texts must be a list of strings. Received one string: {texts[:40]!r}")
    for place, text in enumerate(texts):
        if not isinstance(text, str):
            missing = pd.api.types.is_scalar(text) and pd.isna(text)  # None, or NaN as in tables
            received = "nothing" if missing else f"{str(text)[:40]!r} ({type(text).__name__})"
            raise TypeError(f"the text in row {place} must be a string. Received: {received}")


def _open_ngrams(weights: Path) -> _Model:
    from pipeline.linear.ngrams import NgramModel  # scikit-learn, which networks do without

    return NgramModel.load(weights)


class _Network:
    """Reads texts as the settings of a network say, and predicts."""

    def __init__(self, weights: Path, tokenizer: Path, settings: dict[str, Any]) -> None:
        # TensorFlow takes five seconds to import, and is not installed where only the n-grams are served.
        from tokenizers import Tokenizer

        from pipeline.networks import networks

        self._network, self._words = networks.load(weights), Tokenizer.from_file(str(tokenizer))
        self._settings = settings

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        from pipeline.networks import networks

        return networks.predict(self._network, self._read(texts))

    def knows(self, texts: Sequence[str]) -> np.ndarray:
        from pipeline.tokens.ragged import UNKNOWN

        tokens = self._read(texts)
        known = np.concatenate([[0], np.cumsum(tokens.ids != UNKNOWN)])
        some: np.ndarray = known[tokens.offsets[1:]] > known[tokens.offsets[:-1]]
        return some

    def _read(self, texts: Sequence[str]) -> "Tokens":
        from pipeline.tokens.clipping import clip
        from pipeline.tokens.tokenizer import encode

        return clip(encode(self._words, texts), self._settings["max_tokens"], self._settings["keep"])
