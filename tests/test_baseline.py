"""The baseline stage: it chooses on the validation split, repeats itself and leaves what an evaluation needs."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import TINY_PARAMS
from threadpoolctl import threadpool_limits

from pipeline import baseline as stage
from pipeline.baseline import fit_baseline
from pipeline.core.command import InputError
from pipeline.core.hashes import folder_md5
from pipeline.core.params import BaselineParams, Metric
from pipeline.corpus.reviews import Staging, write_reviews
from pipeline.linear.ngrams import NgramModel
from pipeline.tokens.tokenizer import TokenizerKind, train_tokenizer
from pipeline.trained.trained import Trained

# With this little freedom, a model can only say what most of the training texts are.
WEAK, STRONG = 1e-6, 100.0
TRAIN = [("good", 1)] * 4 + [("bad", 0)] * 12
CHOSEN = ("weighting", "inverse_regularisation")
TEST = [("good", None), ("bad", None), ("what else", None)]


def reviews(path: Path, validation: list[tuple[str, int]], train: list[tuple[str, int]] = TRAIN) -> Path:
    """Write reviews.parquet as `preprocess` does, with the labels of the test split left out."""
    rows: list[tuple[str, int | None, str]] = [(text, label, "train") for text, label in train]
    rows += [(text, label, "validation") for text, label in validation]
    rows += [(text, label, "test") for text, label in TEST]
    table = pd.DataFrame(rows, columns=["text", "label", "split"]).astype({"label": "Int32"})
    table = table.assign(name=[f"{i:03}" for i in range(len(table))], group=None)
    names = ["negative", "positive", "neither"][: max(label for _, label in train) + 1]
    with Staging(path.parent) as staging:
        staging.write([table.assign(label=table["label"].astype("string"))])
        write_reviews(path, table, staging, names, "5" * 64)
    return path


def settings(*strengths: float, characters: int = 0) -> BaselineParams:
    return BaselineParams(ngrams=1, characters=characters, min_texts=1, inverse_regularisation=list(strengths))


# The networks know one word: the n-grams are not cut at their vocabulary.
TOKENIZER = train_tokenizer(iter(["bad"]), "word", 3)


def fit(path: Path, settings: BaselineParams, output: Path) -> Trained:
    return fit_baseline(path, TOKENIZER, settings, output)


@pytest.mark.parametrize("strengths", [(WEAK, STRONG), (STRONG, WEAK)])
@pytest.mark.parametrize(
    ("validation", "strength", "accuracy"),
    [
        ([("good", 1), ("bad", 0)], STRONG, 1.0),
        ([("good", 0), ("good", 0), ("bad", 0)], WEAK, 1.0),  # here, what the words say is wrong
    ],
)
def test_the_validation_split_chooses(
    tmp_path: Path,
    validation: list[tuple[str, int]],
    strength: float,
    accuracy: float,
    strengths: tuple[float, float],
) -> None:
    trained = fit(reviews(tmp_path / "reviews.parquet", validation), settings(*strengths), tmp_path / "baseline")
    assert trained.card["settings"]["inverse_regularisation"] == strength
    assert trained.card["validation"]["accuracy"] == accuracy
    assert trained.predictions["test"].argmax(axis=1)[0] == (strength == STRONG)


def test_equal_accuracy_goes_to_the_lower_validation_loss(tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0)])
    trained = fit(path, settings(10.0, STRONG, 50.0), tmp_path / "baseline")
    candidates = trained.card["candidates"]
    assert {candidate["accuracy"] for candidate in candidates} == {1.0}
    assert trained.card["validation"]["log_loss"] == min(candidate["log_loss"] for candidate in candidates)
    assert trained.card["settings"]["inverse_regularisation"] == STRONG


@pytest.mark.parametrize(("metric", "accuracy"), [("accuracy", 0.9), ("macro_f1", 0.8)])
def test_the_metric_chooses(tmp_path: Path, metric: Metric, accuracy: float) -> None:
    """Of ten texts, one is positive: a model that says negative is right nine times, one that finds it errs twice."""
    path = reviews(tmp_path / "reviews.parquet", [("bad", 0)] * 7 + [("good", 0)] * 2 + [("good", 1)])
    card = fit_baseline(path, TOKENIZER, settings(WEAK, STRONG), tmp_path / "baseline", metric).card
    assert card["validation"]["accuracy"] == accuracy
    assert card["settings"].get("metric", "accuracy") == metric


def test_balanced_texts_of_the_rare_class_count_more(tmp_path: Path) -> None:
    """Of 4 and 12 texts: of a text without known words, a model says the more frequent class, or less so."""
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0)])
    positive = {}
    for weight in ("none", "balanced"):
        trained = fit_baseline(path, TOKENIZER, settings(1.0), tmp_path / weight, "accuracy", weight)
        assert trained.card["settings"].get("class_weight", "none") == weight
        positive[weight] = trained.predictions["test"][2, 1]
    assert positive["none"] < 0.42 < positive["balanced"] < 0.5


def test_the_card_lists_every_candidate_and_the_size_of_the_chosen_one(tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0)])
    card = fit(path, settings(WEAK, STRONG, characters=2), tmp_path / "baseline").card
    tried = [tuple(candidate[name] for name in ("tokens", *CHOSEN)) for candidate in card["candidates"]]
    assert tried == [
        *(("words", weighting, strength) for weighting in ("tfidf", "naive_bayes") for strength in (WEAK, STRONG)),
        *(("characters", "tfidf", strength) for strength in (WEAK, STRONG)),
    ]
    assert (card["model"], card["seed"], card["labels"]) == ("baseline", None, ["negative", "positive"])
    assert card["parameters"] == 3  # two words and the intercept
    assert card["settings"].keys() == {"tokens", *CHOSEN, "ngrams", "min_texts"}


CLAUSES = [("这部电影很精彩", 1), ("我说真精彩啊", 1), ("故事无聊得很", 0), ("真的太无聊", 0)]


@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
def test_where_no_blank_parts_words_characters_win(tmp_path: Path, kind: TokenizerKind) -> None:
    path = reviews(tmp_path / "reviews.parquet", [("好无聊", 0), ("好精彩", 1), ("不无聊", 0), ("精彩吗", 1)], CLAUSES)
    tokenizer = train_tokenizer(iter([text for text, _ in CLAUSES]), kind, 60)
    trained = fit_baseline(path, tokenizer, settings(STRONG, characters=3), tmp_path / "baseline")
    assert trained.card["validation"]["accuracy"] == 1
    if kind == "word":
        assert (trained.card["settings"]["tokens"], trained.card["settings"]["ngrams"]) == ("characters", 3)
    assert {candidate["tokens"] for candidate in trained.card["candidates"]} == {
        "words" if kind == "word" else "sub-words",
        "characters",
    }


def test_texts_without_a_common_word_are_said_to_have_none(tmp_path: Path) -> None:
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0)], [("!", 1), ("?", 0)])
    with pytest.raises(InputError, match="no run of words is in 1 texts of the train split"):
        fit(path, settings(STRONG), tmp_path / "baseline")


@pytest.mark.parametrize("classes", [2, 3])
def test_every_text_gets_a_probability_for_every_class_twice_the_same(tmp_path: Path, classes: int) -> None:
    train = TRAIN + [("neutral", 2)] * 5 * (classes - 2)
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0), ("neutral", classes - 1)], train)
    first, second = (fit(path, settings(1.0, STRONG), tmp_path / str(i)) for i in range(2))
    assert {split: array.shape for split, array in first.predictions.items()} == {
        "validation": (3, classes),
        "test": (3, classes),
    }
    for split, probabilities in first.predictions.items():
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
        np.testing.assert_array_equal(second.predictions[split], probabilities)
    assert second.card == first.card
    assert first.card["parameters"] == (3 if classes == 2 else 4 * 3)
    assert first.fingerprint == second.fingerprint


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("strength", [1.0, STRONG])
def test_the_model_on_disk_predicts_what_the_stage_predicted(tmp_path: Path, classes: int, strength: float) -> None:
    train = TRAIN + [("neutral, not good", 2)] * 5 * (classes - 2)
    path = reviews(tmp_path / "reviews.parquet", [("good", 1), ("bad", 0), ("neutral", classes - 1)], train)
    trained = fit(path, settings(strength), tmp_path / "baseline")
    np.testing.assert_allclose(
        NgramModel.load(trained.weights).predict([text for text, _ in TEST]), trained.predictions["test"], atol=1e-6
    )


def test_the_number_of_threads_changes_no_byte(tmp_path: Path) -> None:
    """Sums over more than 10,000 n-grams are split among the threads, unless somebody sees to it."""
    rng = np.random.default_rng(1)
    words = [" ".join(f"w{number}" for number in rng.integers(0, 40_000, 60)) for _ in range(300)]
    train = [(text, number % 2) for number, text in enumerate(words)]
    path = reviews(tmp_path / "reviews.parquet", [("w1 w2", 1), ("w3", 0)], train)
    hashes = []
    for threads in (1, 4):
        with threadpool_limits(threads):
            trained = fit(path, settings(STRONG), tmp_path / str(threads))
        assert trained.card["parameters"] > 10_000
        hashes.append([folder_md5(trained.folder), trained.predictions["test"].tobytes()])
    assert hashes[0] == hashes[1]


def test_a_mistyped_input_does_not_cost_the_model_of_the_last_run(tmp_path: Path) -> None:
    output = tmp_path / "baseline"
    output.mkdir()
    (output / "card.json").touch()
    with pytest.raises(InputError, match=r"typo\.parquet cannot be read"):
        fit(tmp_path / "typo.parquet", settings(STRONG), output)
    assert [path.name for path in output.iterdir()] == ["card.json"]


def test_the_command_refuses_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(TINY_PARAMS)
    Path("reviews.parquet").touch()
    Path("tokenizer.json").touch()
    Path("thesis").mkdir()
    Path("thesis", "chapter.tex").touch()
    for reviews_file, message in (("typo.parquet", "typo.parquet is missing"), ("reviews.parquet", "thesis would be")):
        monkeypatch.setattr(
            sys, "argv", ["baseline", "--reviews", reviews_file, "--tokenizer", "tokenizer.json", "--output", "thesis"]
        )
        with pytest.raises(InputError, match=message):
            stage.main()
    assert [path.name for path in Path("thesis").iterdir()] == ["chapter.tex"]
