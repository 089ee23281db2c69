"""A tokenizer of a few words and networks of random weights, for the tests that look at readings."""

from collections.abc import Iterator

import numpy as np
from tokenizers import Tokenizer

from pipeline import cells
from pipeline.explaining.readings import Reading, Words, read, split
from pipeline.inside.numpy_network import Network
from pipeline.tokens.tokenizer import TokenizerKind, train_tokenizer

SENTENCES = ["not good at all", "the acting is wooden but i loved every minute", "isn't it a warm and clever film"]
SETTINGS = {"max_tokens": 100, "keep": "tail"}


def tokenizer(kind: TokenizerKind = "word") -> Tokenizer:
    def texts() -> Iterator[str]:
        yield from SENTENCES * 3

    return train_tokenizer(texts(), kind, 60)


def random_network(
    cell: str, classes: int = 2, units: int = 20, pooling: str = "max", layers: int = 1, bidirectional: bool = False
) -> Network:
    """Weights large enough that the gates open and shut. `units` is above the number that is shown."""
    rng = np.random.default_rng(len(cell))
    kind = cells.find(cell)
    blocks, biases = kind.blocks, kind.biases
    wide = units * (1 + bidirectional)

    def a_pass(inputs: int) -> list[np.ndarray]:
        bias = rng.normal(0, 1, (biases, blocks * units) if biases > 1 else blocks * units)
        return [rng.normal(0, 1, (inputs, blocks * units)), rng.normal(0, 0.5, (units, blocks * units)), bias]

    passes = {}
    for layer in range(1, layers + 1):
        for direction in ("", " backward")[: 1 + bidirectional]:
            passes[f"layer {layer}{direction}"] = a_pass(8 if layer == 1 else wide)
    pooled = wide * (2 if pooling == "max+mean" else 1)
    head = rng.normal(0, 1, (pooled, classes)), np.zeros(classes)
    attention = rng.normal(0, 1, wide) if pooling == "attention" else None
    return Network(kind, pooling, rng.normal(0, 1, (60, 8)), passes, head, attention)


def readings(
    text: str,
    cells: tuple[str, ...] = ("lstm", "gru"),
    classes: int = 2,
    settings: dict[str, object] | None = None,
    kind: TokenizerKind = "word",
    layers: int = 1,
    bidirectional: bool = False,
) -> tuple[Words, list[Reading]]:
    words = split(text, tokenizer(kind), SETTINGS | (settings or {}))
    networks = {cell: random_network(cell, classes, layers=layers, bidirectional=bidirectional) for cell in cells}
    return words, [read(networks[cell], f"{cell}-1", words, classes - 1) for cell in cells]
