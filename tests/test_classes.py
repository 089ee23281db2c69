"""Classes one by one, the constant answer, and what a comparison then says, with answers made up for the purpose."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.comparison.classes import ClassScores, Confusion, class_scores, most_frequent_confusions, never_given
from pipeline.comparison.comparison import Findings, compare
from pipeline.comparison.majority import Majority, majority_of
from pipeline.comparison.verdict import Verdict, tell
from pipeline.core.params import Metric
from pipeline.trained.trained import Trained

# Two seeds, true class by row: 4, 2 and 1 texts. No seed gives the last class.
MATRICES = np.array([[[3, 1, 0], [0, 2, 0], [1, 0, 0]], [[4, 0, 0], [1, 1, 0], [1, 0, 0]]])
NAMES = ["a", "b", "c"]


def test_every_class_has_its_scores_over_the_seeds() -> None:
    a, b, c = class_scores(MATRICES, NAMES)
    assert (a.texts, a.given, a.precision, a.recall) == (4, 5, 7 / 10, 7 / 8)
    assert a.f1 == pytest.approx((6 / 8 + 8 / 10) / 2)
    assert (b.texts, b.given, b.precision, b.recall) == (2, 2, 3 / 4, 3 / 4)
    assert b.f1 == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert c == ClassScores("c", 1, 0, None, 0, 0)
    assert class_scores(np.zeros((1, 3, 3), int), NAMES)[2] == ClassScores("c", 0, 0, None, None, None)


def test_a_class_that_no_seed_gives_is_named_with_its_texts() -> None:
    rows = class_scores(MATRICES, NAMES)
    assert never_given({"lstm": rows, "gru": rows, "baseline": rows[:2]}) == {("c", 1): ["lstm", "gru"]}


def test_the_most_frequent_confusions_come_first() -> None:
    assert most_frequent_confusions(MATRICES, NAMES, shown=2) == [
        Confusion("c", "a", 1, 1),
        Confusion("a", "b", 0.5, 1 / 8),
    ]
    assert most_frequent_confusions(np.eye(3, dtype=int)[None], NAMES) == []


def test_the_majority_is_that_of_the_train_split() -> None:
    described = {"labels": NAMES, "splits": {"train": {"labels": {"b": 5, "c": 5}}, "test": {"labels": {"a": 9}}}}
    assert majority_of(described) == 1
    assert majority_of({"labels": NAMES, "splits": {}}) is None


def told(
    labels: np.ndarray, answers: dict[str, np.ndarray], names: list[str], metric: Metric = "accuracy"
) -> tuple[Findings, Verdict]:
    """What is found and said of models that give these answers, (seeds, texts); class 0 is the most frequent."""
    runs = []
    for model, of_model in answers.items():
        for seed, of_run in enumerate(of_model):
            card: dict[str, object] = {
                "model": model,
                "seed": seed if model != "baseline" else None,
                "parameters": 1,
                "settings": {},
            }
            name = f"{model}-{seed}" if model != "baseline" else model
            runs.append(Trained(Path(name), card, {"test": np.eye(len(names))[of_run]}, pd.DataFrame()))
    findings = Findings.of(compare(runs, labels, names, None, metric, 0))
    return findings, tell("news", findings)


def mostly_right(labels: np.ndarray, seeds: int, share: float, classes: int, seed: int) -> np.ndarray:
    """Answers, (seeds, texts), of which this share is right, whatever the class."""
    rng = np.random.default_rng(seed)
    wrong = (labels + rng.integers(1, classes, (seeds, len(labels)))) % classes
    return np.where(rng.random((seeds, len(labels))) < share, labels, wrong)


@pytest.fixture(scope="module")
def eight() -> tuple[np.ndarray, dict[str, np.ndarray], list[str]]:
    """Eight classes, the last one of five texts, which two networks never give and the baseline finds."""
    labels = np.repeat(np.arange(8), [150, *[140] * 6, 5])
    networks = {model: mostly_right(labels, 3, 0.945, 7, seed) for seed, model in enumerate(("lstm", "gru"))}
    networks = {model: np.where(of == 7, 0, np.where(labels == 7, 3, of)) for model, of in networks.items()}
    baseline = np.where(labels == 7, 7, mostly_right(labels, 1, 0.95, 7, 5))
    return labels, networks | {"baseline": baseline}, [f"topic {i}" for i in range(7)] + ["grain"]


def test_eight_classes_of_which_networks_never_give_one(
    eight: tuple[np.ndarray, dict[str, np.ndarray], list[str]],
) -> None:
    findings, said = told(*eight)
    assert "cannot be told apart from either" in said.sentences[-1]
    assert said.warnings[0] == "LSTM and GRU never give “grain” (5 test texts)."
    assert said.warnings[1].startswith("In macro F1, in which every class counts the same, the n-gram baseline is 1")
    assert said.warnings[1].endswith("points ahead of LSTM and GRU: with `metric: macro_f1`, that decides.")
    assert findings.nothing == []


def test_by_macro_f1_the_model_that_finds_all_classes_wins(
    eight: tuple[np.ndarray, dict[str, np.ndarray], list[str]],
) -> None:
    findings, said = told(*eight, metric="macro_f1")
    (sentence,) = said.sentences
    assert " on news in macro F1 (" in sentence
    assert "The n-gram baseline beats both by 1" in sentence
    assert findings.differences["gru", "baseline"].mean < -0.12
    assert said.warnings == ["LSTM and GRU never give “grain” (5 test texts)."]


RARE = (np.random.default_rng(1).random(1500) < 0.04).astype(int)  # labels at random, 4 % of them 1


def test_constant_models_have_learnt_nothing_and_are_no_tie() -> None:
    constant = {model: np.zeros((seeds, 1500), int) for model, seeds in (("lstm", 3), ("gru", 3), ("baseline", 1))}
    findings, said = told(RARE, constant, ["no", "yes"])
    share = f"{100 * (RARE == 0).mean():.1f} %"
    assert said.sentences == [
        f"Nothing was learnt on news: no model is better than the constant answer “no” (accuracy {share})."
    ]
    assert said.warnings == []
    assert findings.nothing == ["lstm", "gru", "baseline"]
    assert findings.majority is not None
    assert findings.majority.scores == pytest.approx({"accuracy": (RARE == 0).mean(), "f1": 0.489}, abs=0.002)


def test_models_that_learnt_nothing_are_not_compared_with_each_other() -> None:
    labels = np.arange(600) % 3 % 2  # class 0 is the most frequent one
    constant = {model: np.zeros((3, 600), int) for model in ("lstm", "gru")}
    _, said = told(labels, constant | {"baseline": mostly_right(labels, 1, 0.9, 2, 3)}, ["no", "yes"])
    first, second = said.sentences
    assert first == (
        "LSTM and GRU have learnt nothing on news: they are not better than the constant answer “no” (accuracy 66.7 %)."
    )
    assert second.startswith("On news, the n-gram baseline beats both by 2")
    _, said = told(labels, {"lstm": constant["lstm"], "gru": mostly_right(labels, 3, 0.9, 2, 3)}, ["no", "yes"])
    assert said.sentences[0].startswith("LSTM has learnt nothing on news: it is not better than")
    assert said.sentences[1].startswith("GRU beats LSTM on news by 2")


def test_what_few_texts_do_not_show_is_not_called_nothing() -> None:
    labels = np.array([0] * 24 + [1] * 12)
    ahead = np.array([[*[0] * 23, 1, *[0] * 10, *[1] * 2]] * 2)  # 25 right, where a constant has 24
    findings, said = told(labels, {"lstm": ahead, "gru": np.zeros((2, 36), int)}, ["no", "yes"])
    assert findings.majority is not None
    assert (findings.majority.nothing, findings.majority.undecided) == (["lstm", "gru"], ["lstm"])
    assert said.sentences[0].startswith(
        "It is not shown that LSTM learnt anything on news: being ahead of the constant answer “no” (accuracy 66.7 %)"
        " by 2.8 points may be chance (95 % interval "
    )
    assert "36 independent texts are too few to tell. GRU has learnt nothing on news" in said.sentences[0]


@pytest.mark.parametrize("share", [0.04, 0.5])
def test_guesses_have_learnt_nothing_in_either_metric(share: float) -> None:
    """Of 100,000 texts, the few hits of a guess that says `yes` now and then make its macro F1 surely higher."""
    labels = (np.random.default_rng(1).random(100_000) < 0.04).astype(int)
    guesses = (np.random.default_rng(2).random((1, 100_000)) < share).astype(int)
    for metric in ("accuracy", "macro_f1"):
        found = Majority.of(metric, ["no", "yes"], 0, labels, {"gru": guesses}, None)
        assert (found.nothing, found.elsewhere, found.undecided) == (["gru"], {}, [])
    assert (found.differences["gru"].low > 0) == (share < 0.1)


def test_what_accuracy_does_not_show_may_be_learnt_all_the_same() -> None:
    """Half of the rare texts are found, and as many others are taken for them: as right as a constant."""
    rare, others = np.flatnonzero(RARE), np.flatnonzero(RARE == 0)
    answers = np.zeros((1, 1500), int)
    answers[0, [*rare[: len(rare) // 2], *others[: len(rare) // 2]]] = 1
    findings, said = told(
        RARE, {"lstm": answers.repeat(3, axis=0), "baseline": np.zeros((1, 1500), int)}, ["no", "yes"]
    )
    assert findings.majority is not None
    assert [*findings.majority.elsewhere] == ["lstm"]
    assert said.sentences[0].startswith(
        "The n-gram baseline has learnt nothing on news: it is not better than the constant answer “no” (accuracy 9"
    )
    assert "LSTM is not better than the constant answer “no” in accuracy (9" in said.sentences[0]
    assert "but in macro F1, by 2" in said.sentences[0]
    findings, _ = told(
        RARE, {"lstm": answers.repeat(3, axis=0), "baseline": np.zeros((1, 1500), int)}, ["no", "yes"], "macro_f1"
    )
    assert findings.nothing == ["baseline"]


def test_a_large_difference_that_is_a_tie_has_its_reason() -> None:
    labels = np.arange(400) % 2
    apart = {"lstm": 0.75, "gru": 0.60}
    two = {
        model: np.stack([mostly_right(labels, 1, share + by, 2, seed)[0] for seed, by in enumerate((-0.06, 0.06))])
        for model, share in apart.items()
    }
    _, said = told(labels, two, ["bad", "good"])
    assert "cannot be told apart" in said.sentences[0]
    assert said.sentences[0].endswith(" 69.3; only 2 seeds are too few to tell).")
    few = {"lstm": mostly_right(labels[:40], 1, 0.9, 2, 1), "baseline": mostly_right(labels[:40], 1, 0.8, 2, 2)}
    _, said = told(labels[:40], few, ["bad", "good"])
    assert said.sentences[0].endswith("; only 1 seed; 40 independent texts are too few to tell).")
