"""Which texts are shown and what is said of them, on probabilities made for it."""

from pathlib import Path

import numpy as np
import pandas as pd

from pipeline.comparison.examples import Answer, disagreements, errors, find_examples
from pipeline.corpus.reviews import Staging, write_reviews

LABELS = np.array([0, 0, 1, 1, 0])
# p(class 1) of every text. Both are wrong about texts 2 and 4.
POSITIVE = {"lstm": [0.1, 0.8, 0.3, 0.6, 0.7], "gru": [0.4, 0.1, 0.1, 0.4, 0.9]}
PROBABILITIES = {model: np.stack([1 - np.array(p), np.array(p)], axis=1) for model, p in POSITIVE.items()}
CORRECT = {model: (p.argmax(axis=1) == LABELS)[np.newaxis] for model, p in PROBABILITIES.items()}


def test_the_clearest_disagreement_comes_first() -> None:
    # Text 1: 0.8 against 0.9; text 3: 0.6 against 0.6. On the others they agree.
    lstm, gru = PROBABILITIES.values()
    assert disagreements(lstm, gru).tolist() == [1, 3]
    assert disagreements(lstm, gru, shown=1).tolist() == [1]


def test_what_all_get_wrong_is_shown_with_the_surest_mistake_first() -> None:
    # Means of p(label): text 2 has 0.2, and so has text 4; of equal ones the first comes first.
    assert errors(PROBABILITIES, CORRECT, LABELS).tolist() == [2, 4]
    assert errors({"lstm": PROBABILITIES["lstm"]}, {"lstm": CORRECT["lstm"]}, LABELS).tolist() == [1, 2, 4]


def test_a_text_that_one_seed_gets_right_is_no_error_of_all() -> None:
    """Although the mean over the seeds is wrong about it."""
    another_seed = np.array([[False, False, True, False, False]])
    correct = CORRECT | {"gru": np.concatenate([CORRECT["gru"], another_seed])}
    assert errors(PROBABILITIES, correct, LABELS).tolist() == [4]


def test_models_that_agree_and_are_right_leave_nothing_to_show() -> None:
    right = np.eye(2)[LABELS]
    assert disagreements(right, right).tolist() == []
    assert errors({"lstm": right}, {"lstm": np.ones((1, 5), bool)}, LABELS).tolist() == []


def write_test_split(folder: Path, texts: list[str]) -> Path:
    rows = pd.DataFrame({"name": "x", "text": texts, "label": None, "split": None, "group": None})
    table = rows.assign(split="test", label=pd.array([None] * len(texts), "Int32"))
    with Staging(folder) as staging:
        staging.write([rows.astype("str").where(rows.notna())])
        write_reviews(folder / "reviews.parquet", table, staging, ["bad", "good"], "5" * 64)
    return folder / "reviews.parquet"


def test_every_pair_has_its_texts_with_what_each_model_makes_of_them(tmp_path: Path) -> None:
    reviews = write_test_split(tmp_path, [f"text {place}" for place in range(5)])
    # The baseline hangs in the balance on every text: the first class is predicted.
    probabilities = PROBABILITIES | {"baseline": np.full((5, 2), 0.5)}
    correct = {
        "lstm": np.concatenate([CORRECT["lstm"], np.ones((1, 5), bool)]),
        "gru": CORRECT["gru"],
        "baseline": (LABELS == 0)[np.newaxis],
    }
    pairs = [("lstm", "gru"), ("gru", "baseline")]
    found = find_examples(probabilities, correct, LABELS, ["bad", "good"], pairs, reviews)
    shown = {pair.models: [(one.place, one.text, one.label) for one in pair.texts] for pair in found.disagreements}
    assert shown == {
        ("lstm", "gru"): [(1, "text 1", "bad"), (3, "text 3", "good")],
        ("gru", "baseline"): [(4, "text 4", "bad")],
    }
    assert found.errors == []
    assert found.disagreements[0].texts[0].answers == {
        "lstm": Answer("good", 0.8, 1 - 0.8, 1, 2),
        "gru": Answer("bad", 1 - 0.1, 1 - 0.1, 1, 1),
        "baseline": Answer("bad", 0.5, 0.5, 1, 1),
    }


def test_equal_texts_are_shown_once(tmp_path: Path) -> None:
    reviews = write_test_split(tmp_path, ["the same"] * 8 + [f"text {place}" for place in range(4)])
    sure, other = (np.tile([1 - p, p], (12, 1)) for p in (0.9, 0.1))
    correct = {"lstm": np.zeros((1, 12), bool), "gru": np.ones((1, 12), bool)}
    labels, pairs = np.zeros(12, np.int32), [("lstm", "gru")]
    found = find_examples({"lstm": sure, "gru": other}, correct, labels, ["bad", "good"], pairs, reviews)
    assert [one.place for one in found.disagreements[0].texts] == [0, 8, 9, 10, 11]
