"""Which texts are shown, on probabilities made for it."""

import numpy as np

from pipeline.parts.examples import disagreements, errors

LABELS = np.array([0, 0, 1, 1, 0])
# p(class 1) of every text. Both are wrong about texts 2 and 4.
POSITIVE = {"lstm": [0.1, 0.8, 0.3, 0.6, 0.7], "gru": [0.4, 0.1, 0.1, 0.4, 0.9]}
PROBABILITIES = {model: np.stack([1 - np.array(p), np.array(p)], axis=1) for model, p in POSITIVE.items()}


def test_the_clearest_disagreement_comes_first() -> None:
    # Text 1: 0.8 against 0.9; text 3: 0.6 against 0.6. On the others they agree.
    assert disagreements(PROBABILITIES).tolist() == [1, 3]
    assert disagreements(PROBABILITIES, shown=1).tolist() == [1]


def test_of_three_models_any_two_may_disagree() -> None:
    third = np.array([[0.0, 1.0]] * 5)
    assert disagreements(PROBABILITIES | {"baseline": third}).tolist() == [0, 1, 2, 3]


def test_what_all_get_wrong_is_shown_with_the_surest_mistake_first() -> None:
    # Means of p(label): text 2 has 0.2, and so has text 4; of equal ones the first comes first.
    assert errors(PROBABILITIES, LABELS).tolist() == [2, 4]
    assert errors({"lstm": PROBABILITIES["lstm"]}, LABELS).tolist() == [1, 2, 4]


def test_models_that_agree_and_are_right_leave_nothing_to_show() -> None:
    right = {"lstm": np.eye(2)[LABELS], "gru": np.eye(2)[LABELS]}
    assert disagreements(right).tolist() == []
    assert errors(right, LABELS).tolist() == []
