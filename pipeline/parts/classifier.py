"""A trained network with its tokenizer: raw text in, label and probabilities out."""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from tokenizers import Tokenizer

from pipeline.parts import networks
from pipeline.parts.tokens import clip, encode


class Classifier:
    """Predicts from raw text exactly what `evaluate` measured."""

    def __init__(self, network: Path, tokenizer: Path, card: Path) -> None:
        self._network = networks.load(network)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._card = json.loads(card.read_text(encoding="utf-8"))

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Classify texts.

        Returns:
            One row per text: `label`, and `p_<label>` (float64) for every label.
        """
        names, settings = self._card["labels"], self._card["settings"]
        columns = [f"p_{name}" for name in names]
        if not len(texts):
            return pd.DataFrame(columns=["label", *columns])
        tokens = clip(encode(self._tokenizer, texts), settings["max_tokens"], settings["keep"])
        probabilities = networks.predict(self._network, tokens).astype("float64")
        table = pd.DataFrame(probabilities, columns=columns)
        table.insert(0, "label", [names[code] for code in probabilities.argmax(axis=1)])
        return table
