"""The texts that tell models apart: where two of them disagree with confidence, and what all of them get wrong."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.corpus.reviews import read_split

SHOWN = 5  # texts on which two models disagree
ERRORS_SHOWN = 10  # texts that all get wrong
_REPEATED = 4  # times as many texts are looked at, of which some may be equal


@dataclass(frozen=True)
class Answer:
    """The answer of one model to a text.

    Attributes:
        predicted: the class that is the most probable one over all seeds; the first of equal ones.
        probability: of that class, the mean over the seeds.
        of_label: probability of the true class, the mean over the seeds.
        right: seeds whose own prediction is the true class.
        seeds: how many there are.
    """

    predicted: str
    probability: float
    of_label: float
    right: int
    seeds: int


@dataclass(frozen=True)
class Example:
    """One text and the answers of the models.

    Attributes:
        text: the text itself.
        label: the true class.
        place: of the text in the test split, from 0.
        answers: model to its answer.
    """

    text: str
    label: str
    place: int
    answers: dict[str, Answer]


@dataclass(frozen=True)
class Disagreement:
    """Two models and the texts on which they disagree most confidently."""

    models: tuple[str, str]
    texts: list[Example]


@dataclass(frozen=True)
class Examples:
    """The texts that are shown.

    Attributes:
        disagreements: of every two models compared.
        errors: the texts that no seed of any model gets right.
    """

    disagreements: list[Disagreement]
    errors: list[Example]


def disagreements(first: np.ndarray, second: np.ndarray, shown: int = SHOWN) -> np.ndarray:
    """Find the texts on which two models disagree most confidently, the clearest first.

    The confidence of a disagreement is that of the less confident model of the two.

    Args:
        first: probabilities of one model, (texts, classes).
        second: of the other.
        shown: how many, at the most.

    Returns:
        Places of texts, int64, (at most `shown`,).
    """
    differ = first.argmax(axis=1) != second.argmax(axis=1)
    return _highest(differ * np.minimum(first.max(axis=1), second.max(axis=1)), shown)


def errors(
    probabilities: Mapping[str, np.ndarray],
    correct: Mapping[str, np.ndarray],
    labels: np.ndarray,
    shown: int = ERRORS_SHOWN,
) -> np.ndarray:
    """Find the texts that every seed of every model gets wrong, those first whose label gets the least probability.

    Args:
        probabilities: model to (texts, classes).
        correct: model to whether its runs are right, bool, (seeds, texts).
        labels: int codes, (texts,).
        shown: how many, at the most.

    Returns:
        Places of texts, int64, (at most `shown`,).
    """
    all_wrong = ~np.concatenate(list(correct.values())).any(axis=0)
    of_label = [of_model[np.arange(len(labels)), labels] for of_model in probabilities.values()]
    return _highest(all_wrong * (1 - np.mean(of_label, axis=0)), shown)


def find_examples(
    probabilities: Mapping[str, np.ndarray],
    correct: Mapping[str, np.ndarray],
    labels: np.ndarray,
    names: list[str],
    pairs: Iterable[tuple[str, str]],
    reviews: Path,
) -> Examples:
    """Collect the texts of both kinds, `disagreements` and `errors`, with the answers of the models.

    Args:
        probabilities: model to the mean over its runs, (texts, classes).
        correct: model to whether its runs are right, bool, (seeds, texts).
        labels: int codes of the test texts, (texts,).
        names: the class of code i.
        pairs: of models whose disagreements are shown.
        reviews: reviews.parquet, which has the texts.
    """
    differ = {
        (first, second): disagreements(probabilities[first], probabilities[second], SHOWN * _REPEATED).tolist()
        for first, second in pairs
    }
    wrong = errors(probabilities, correct, labels, ERRORS_SHOWN * _REPEATED).tolist()
    texts = _texts(reviews, {*wrong, *(place for places in differ.values() for place in places)})

    def answer(model: str, place: int) -> Answer:
        of_model, right = probabilities[model][place], correct[model][:, place]
        best = int(of_model.argmax())
        probability, of_label = float(of_model[best]), float(of_model[labels[place]])
        return Answer(names[best], probability, of_label, int(right.sum()), len(right))

    def example(place: int) -> Example:
        answers = {model: answer(model, place) for model in probabilities}
        return Example(texts[place], names[labels[place]], place, answers)

    def shown(places: list[int], number: int) -> list[Example]:
        first = {texts[place]: place for place in reversed(places)}  # equal texts say nothing new
        return [example(place) for place in places if first[texts[place]] == place][:number]

    differing = [Disagreement(pair, shown(places, SHOWN)) for pair, places in differ.items()]
    return Examples(differing, shown(wrong, ERRORS_SHOWN))


def _texts(reviews: Path, places: set[int]) -> dict[int, str]:
    """Read some of the test texts by their place, without holding the others."""
    found: dict[int, str] = {}
    start = 0
    for rows in read_split(reviews, "test", ["text"]):
        texts = rows["text"].to_numpy()
        found |= {place: str(texts[place - start]) for place in places if start <= place < start + len(texts)}
        start += len(texts)
    return found


def _highest(values: np.ndarray, shown: int) -> np.ndarray:
    """Find the places of the highest values above 0; of equal ones the first."""
    order = np.argsort(-values, kind="stable")[:shown]
    return order[values[order] > 0]
