"""The texts that tell models apart: where they disagree with confidence, and what all of them get wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pipeline.parts.datasets import read_split

SHOWN = 10  # texts of each kind


@dataclass(frozen=True)
class Example:
    """One text and what the models make of it.

    Attributes:
        text: the text itself.
        label: the true class.
        place: of the text in the test split, from 0.
        probabilities: model to the probability of every class by name, the mean over its seeds.
    """

    text: str
    label: str
    place: int
    probabilities: dict[str, dict[str, float]]


def disagreements(probabilities: Mapping[str, np.ndarray], shown: int = SHOWN) -> np.ndarray:
    """The texts on which two models disagree most confidently, the clearest first.

    How confident a disagreement is, is the confidence of the less confident model of the two; of several pairs of
    models, the most confident one counts.

    Args:
        probabilities: model to (texts, classes).
        shown: how many, at the most.

    Returns:
        Places of texts, int64, (at most `shown`,).
    """
    texts = len(next(iter(probabilities.values())))
    clarity = np.zeros(texts)
    for first, second in combinations(probabilities.values(), 2):
        differ = first.argmax(axis=1) != second.argmax(axis=1)
        clarity = np.maximum(clarity, differ * np.minimum(first.max(axis=1), second.max(axis=1)))
    return _highest(clarity, shown)


def errors(probabilities: Mapping[str, np.ndarray], labels: np.ndarray, shown: int = SHOWN) -> np.ndarray:
    """The texts that every model gets wrong, those first whose label all of them give the least probability.

    Args:
        probabilities: model to (texts, classes).
        labels: int codes, (texts,).
        shown: how many, at the most.

    Returns:
        Places of texts, int64, (at most `shown`,).
    """
    stacked = np.stack(list(probabilities.values()))  # (models, texts, classes)
    all_wrong = (stacked.argmax(axis=2) != labels).all(axis=0)
    doubt = 1 - stacked[:, np.arange(len(labels)), labels].mean(axis=0)
    return _highest(all_wrong * doubt, shown)


def find_examples(
    probabilities: Mapping[str, np.ndarray], labels: np.ndarray, names: list[str], reviews: Path
) -> dict[str, list[Example]]:
    """The texts of both kinds, `disagreements` and `errors`, and what the models make of them.

    Args:
        probabilities: model to (texts, classes).
        labels: int codes of the test texts, (texts,).
        names: the class of code i.
        reviews: reviews.parquet, which has the texts.
    """
    places = {"disagreements": disagreements(probabilities), "errors": errors(probabilities, labels)}
    texts = _texts(reviews, set(np.concatenate(list(places.values())).tolist()))

    def example(place: int) -> Example:
        shown = {
            model: {name: float(p) for name, p in zip(names, of_model[place], strict=True)}
            for model, of_model in probabilities.items()
        }
        return Example(texts[place], names[labels[place]], place, shown)

    return {kind: [example(place) for place in found.tolist()] for kind, found in places.items()}


def _texts(reviews: Path, places: set[int]) -> dict[int, str]:
    """Some of the test texts by their place, read without holding the others."""
    found: dict[int, str] = {}
    start = 0
    for rows in read_split(reviews, "test", ["text"]):
        texts = rows["text"].to_numpy()
        found |= {place: str(texts[place - start]) for place in places if start <= place < start + len(texts)}
        start += len(texts)
    return found


def _highest(values: np.ndarray, shown: int) -> np.ndarray:
    """Places of the highest values above 0; of equal ones the first."""
    order = np.argsort(-values, kind="stable")[:shown]
    return order[values[order] > 0]
