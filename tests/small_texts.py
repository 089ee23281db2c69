"""Texts of a few words, what they can be trained with, and how well that went."""

from pathlib import Path

import keras
import numpy as np
from conftest import train_params

from pipeline.core.params import TrainParams
from pipeline.networks import networks
from pipeline.tokens.ragged import Tokens, from_lists
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import train_tokenizer
from pipeline.tokens.wordvectors import WordVectors

VOCABULARY = 10


def settings(**changes: object) -> TrainParams:
    values = {"embedding_dim": 6, "dropout": 0.0, "learning_rate": 0.05, "epochs": 12, "patience": 0}
    return train_params(**{**values, **changes})


def random_texts(count: int, longest: int) -> tuple[Tokens, np.ndarray]:
    """Words and labels that have nothing to do with each other."""
    rng = np.random.default_rng(count)
    texts = [rng.integers(1, VOCABULARY, rng.integers(1, longest + 1)).tolist() for _ in range(count)]
    return from_lists(texts), rng.integers(0, 2, count).astype(np.int32)


def praising_texts(longest: int) -> tuple[Tokens, np.ndarray]:
    """Word 2 is in every text of class 1 and in no other, once and anywhere."""
    rng = np.random.default_rng(longest)
    texts = [rng.integers(3, VOCABULARY, rng.integers(1, longest + 1)) for _ in range(64)]
    for text in texts[1::2]:
        text[rng.integers(len(text))] = 2
    return from_lists([text.tolist() for text in texts]), np.array([0, 1] * 32, np.int32)


def log_loss(model: keras.Model, tokens: Tokens, labels: np.ndarray) -> float:
    return float(-np.log(networks.predict(model, tokens)[np.arange(len(labels)), labels]).mean())


def write_stage_inputs() -> None:
    """What `train` reads, in the working folder: 90 texts of three classes, which their last word tells."""
    train_tokenizer(iter(["good bad film"]), "word", 10).save("tokenizer.json")
    tokens = from_lists([[4] * (i % 9) + [1 + i % 3] for i in range(90)])
    labels = {split: np.array([i % 3 for i in range(90)], np.int32) for split in ("train", "validation")}
    splits = dict.fromkeys(("train", "validation", "test"), tokens)
    TokenizedSplits(splits, labels, ["bad", "fair", "good"], 5).save(Path("tokens.npz"))
    WordVectors.none(5).save(Path("embeddings.npz"))
