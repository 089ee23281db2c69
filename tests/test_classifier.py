"""Raw text in: the same answer as on the encoded split, and an answer for anything that is a string."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, clean_environment, tiny_reviews, train_params
from linear_models import fitted

from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.packaging.classifier import Classifier
from pipeline.tokens.clipping import clip
from pipeline.tokens.tokenizer import encode, train_tokenizer

MAX_TOKENS = 9  # cuts most reviews


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that learnt the tiny reviews, with its tokenizer and card."""
    folder = tmp_path_factory.mktemp("classifier")
    reviews = tiny_reviews()
    tokenizer = train_tokenizer(iter(reviews["text"]), "word", 100)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = train_params(dropout=0.0, keep="head", learning_rate=0.05, epochs=6, patience=0)
    tokens = clip(encode(tokenizer, reviews["text"].tolist()), MAX_TOKENS, "head")
    labels = (reviews["label"] == "positive").to_numpy(np.int32)
    networks.seed_everything(1)
    network = building.build("gru", tokenizer.get_vocab_size(), 2, settings)
    fit(network, (tokens, labels), (tokens, labels), settings, 32, 1)
    networks.save(network, folder / "model.keras")
    card = {"model": "gru", "labels": ["negative", "positive"], "settings": {"max_tokens": MAX_TOKENS, "keep": "head"}}
    (folder / "card.json").write_text(json.dumps(card))
    np.save(folder / "expected.npy", networks.predict(network, tokens))
    return folder


@pytest.fixture(scope="module")
def linear_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same of the baseline."""
    folder = tmp_path_factory.mktemp("linear")
    reviews = tiny_reviews()
    labels = (reviews["label"] == "positive").to_numpy(np.int32)
    model, _, probabilities = fitted("tfidf", reviews["text"].tolist(), labels)
    model.save(folder / "model.npz")
    (folder / "card.json").write_text(json.dumps({"model": "baseline", "labels": ["negative", "positive"]}))
    np.save(folder / "expected.npy", probabilities)
    return folder


@pytest.fixture(scope="module", params=["network", "baseline"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def classifier(kind: str, folder: Path, linear_folder: Path) -> Classifier:
    if kind == "network":
        return Classifier(folder / "model.keras", folder / "card.json", folder / "tokenizer.json")
    return Classifier(linear_folder / "model.npz", linear_folder / "card.json")


@pytest.fixture(scope="module")
def expected(kind: str, folder: Path, linear_folder: Path) -> np.ndarray:
    """What the training code itself gave for the tiny reviews, (texts, classes)."""
    array: np.ndarray = np.load((folder if kind == "network" else linear_folder) / "expected.npy")
    return array


def test_raw_text_gets_the_probabilities_of_the_encoded_split(classifier: Classifier, expected: np.ndarray) -> None:
    table = classifier.predict(tiny_reviews()["text"].tolist())
    assert table.columns.tolist() == ["label", "p_negative", "p_positive"]
    assert table.dtypes.iloc[1:].tolist() == [np.float64, np.float64]
    np.testing.assert_allclose(table[["p_negative", "p_positive"]], expected, atol=1e-6)


def test_the_answer_does_not_depend_on_the_batch(classifier: Classifier) -> None:
    texts = tiny_reviews()["text"].tolist()
    alone = pd.concat([classifier.predict([text]) for text in texts[:20]], ignore_index=True)
    together = classifier.predict(texts[::-1]).iloc[::-1].reset_index(drop=True).head(20)
    pd.testing.assert_frame_equal(alone, together, atol=1e-6, rtol=0)


def test_the_label_is_the_more_probable_one(classifier: Classifier) -> None:
    table = classifier.predict(["the acting is superb", "the acting is wooden", "i hated every minute"])
    assert table["label"].tolist() == ["positive", "negative", "negative"]
    assert (table["p_positive"] > 0.5).tolist() == [True, False, False]


def test_case_and_punctuation_do_not_matter(classifier: Classifier) -> None:
    table = classifier.predict(["I LOVED every minute!!!", "i loved every minute"])
    assert table["p_positive"][0] == pytest.approx(table["p_positive"][1], abs=1e-6)


ODD = {
    "empty": "",
    "spaces": " \t\n",
    "emoji": "😀👩‍👩‍👧",
    "half an emoji": "\ud83d",
    "Chinese": "这部电影很好看",
    "HTML": "<br /><b>superb</b>&nbsp;",
    "NUL": "a\0b",
    "a special token": "[PAD] [UNK]",
}


@pytest.mark.parametrize(
    "text",
    [
        *ODD.values(),
        "superb " * 1_430_000,
        pytest.param("x" * 10_000_000, marks=pytest.mark.slow),
    ],
    ids=[*ODD, "10 MB", "10 MB without a space"],
)
def test_every_string_gets_an_answer(classifier: Classifier, text: str) -> None:
    table = classifier.predict([text])
    assert table["label"][0] in ("negative", "positive")
    assert table["p_negative"][0] + table["p_positive"][0] == pytest.approx(1)


def test_a_text_without_a_known_word_reads_as_any_other_such_text(classifier: Classifier) -> None:
    texts = ["", " \t\n", "😀", "这部电影很好看", "[PAD]", "zyzzyva"]
    np.testing.assert_allclose(np.ptp(classifier.predict(texts)["p_positive"]), 0, atol=1e-6)


@pytest.mark.parametrize(
    ("texts", "problem"),
    [
        (["fine", None], "row 1 must be a string. Received: nothing"),
        ([float("nan")], "row 0 must be a string. Received: nothing"),
        ([3], r"row 0 must be a string. Received: '3' \(int\)"),
        ([["nested"]], r"Received: \"\['nested'\]\" \(list\)"),
        ([b"bytes"], r"\(bytes\)"),
        ("one string", "a list of strings. Received one string: 'one string'"),
    ],
)
def test_what_is_no_text_is_refused(classifier: Classifier, texts: Any, problem: str) -> None:
    with pytest.raises(TypeError, match=problem):
        classifier.predict(texts)


def test_odd_texts_do_not_change_their_neighbours(classifier: Classifier) -> None:
    alone = classifier.predict(["the acting is superb"])["p_positive"][0]
    among = classifier.predict([*ODD.values(), "the acting is superb"])["p_positive"].iloc[-1]
    assert among == pytest.approx(alone, abs=1e-6)


def test_no_texts_give_no_rows_under_the_same_columns(classifier: Classifier) -> None:
    table = classifier.predict([])
    assert len(table) == 0
    assert table.dtypes.to_dict() == classifier.predict([""]).dtypes.to_dict()


def test_code_in_a_network_is_refused(folder: Path, tmp_path: Path) -> None:
    """Keras's safe mode: the function of a Lambda layer is bytecode in the file."""
    network = keras.Sequential([keras.Input((None,)), keras.layers.Lambda(lambda x: x)])
    network.save(tmp_path / "lambda.keras")
    with pytest.raises(ValueError, match="unsafe"):
        Classifier(tmp_path / "lambda.keras", folder / "card.json", folder / "tokenizer.json")


def test_the_baseline_opens_without_keras(linear_folder: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.packaging.classifier import Classifier\n"
        f"folder = Path({str(linear_folder)!r})\n"
        "table = Classifier(folder / 'model.npz', folder / 'card.json').predict(['superb'])\n"
        "print(table['label'][0], {'keras', 'tensorflow'} & set(sys.modules))\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert result.stdout == "positive set()\n", result.stderr
