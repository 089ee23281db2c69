"""A tokenizer of a few words and networks of random weights, for the tests that look at readings."""

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer

from pipeline.parts.gates import Network
from pipeline.parts.readings import Reading, Words, read, split
from pipeline.parts.tokens import TokenizerKind, train_tokenizer

SENTENCES = ["not good at all", "the acting is wooden but i loved every minute", "isn't it a warm and clever film"]
SETTINGS = {"max_tokens": 100, "keep": "tail"}


def tokenizer(kind: TokenizerKind = "word") -> Tokenizer:
    def texts() -> Iterator[str]:
        yield from SENTENCES * 3

    return train_tokenizer(texts(), kind, 60)


def random_network(cell: str, classes: int = 2, units: int = 20, pooling: str = "max") -> Network:
    """Weights large enough that the gates open and shut. `units` is above the number that is shown."""
    rng = np.random.default_rng(len(cell))
    blocks = {"lstm": 4, "gru": 3}[cell]
    bias = rng.normal(0, 1, blocks * units) if cell == "lstm" else rng.normal(0, 1, (2, blocks * units))
    recurrent = [rng.normal(0, 1, (8, blocks * units)), rng.normal(0, 0.5, (units, blocks * units)), bias]
    return Network(
        cell, pooling, rng.normal(0, 1, (60, 8)), recurrent, (rng.normal(0, 1, (units, classes)), np.zeros(classes))
    )


def readings(
    text: str, cells: tuple[str, ...] = ("lstm", "gru"), classes: int = 2, settings: dict[str, object] | None = None
) -> tuple[Words, list[Reading]]:
    words = split(text, tokenizer(), SETTINGS | (settings or {}))
    return words, [read(random_network(cell, classes), f"{cell}-1", words, classes - 1) for cell in cells]
