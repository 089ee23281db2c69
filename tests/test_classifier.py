"""Raw text in: the same answer as on the encoded split, and an answer for anything that is a string."""

import json
from pathlib import Path

import numpy as np
import pytest
from conftest import tiny_reviews

from pipeline.parts import networks
from pipeline.parts.classifier import Classifier
from pipeline.parts.params import TrainParams
from pipeline.parts.tokens import clip, encode, train_tokenizer

MAX_TOKENS = 9  # cuts most reviews


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that learnt the tiny reviews, with its tokenizer and card."""
    folder = tmp_path_factory.mktemp("classifier")
    reviews = tiny_reviews()
    tokenizer = train_tokenizer(iter(reviews["text"]), "word", 100)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = TrainParams(
        embedding_dim=8, units=8, dropout=0.0, pooling="max", keep="head", learning_rate=0.05, epochs=6, patience=0
    )
    tokens = clip(encode(tokenizer, reviews["text"].tolist()), MAX_TOKENS, "head")
    labels = (reviews["label"] == "positive").to_numpy(np.int32)
    networks.seed_everything(1)
    network = networks.build("gru", tokenizer.get_vocab_size(), 2, settings)
    networks.fit(network, (tokens, labels), (tokens, labels), settings, 32, 1)
    networks.save(network, folder / "model.keras")
    card = {"labels": ["negative", "positive"], "settings": {"max_tokens": MAX_TOKENS, "keep": "head"}}
    (folder / "card.json").write_text(json.dumps(card))
    np.save(folder / "expected.npy", networks.predict(network, tokens))
    return folder


@pytest.fixture(scope="module")
def classifier(folder: Path) -> Classifier:
    return Classifier(folder / "model.keras", folder / "tokenizer.json", folder / "card.json")


def test_raw_text_gets_the_probabilities_of_the_encoded_split(classifier: Classifier, folder: Path) -> None:
    table = classifier.predict(tiny_reviews()["text"].tolist())
    assert table.columns.tolist() == ["label", "p_negative", "p_positive"]
    assert table.dtypes.iloc[1:].tolist() == [np.float64, np.float64]
    np.testing.assert_allclose(table[["p_negative", "p_positive"]], np.load(folder / "expected.npy"), atol=1e-6)


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
    "100,000 characters": "superb " * 14_286,
    "100,000 letters": "x" * 100_000,
    "a special token": "[PAD] [UNK]",
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_every_string_gets_an_answer(classifier: Classifier, text: str) -> None:
    table = classifier.predict([text])
    assert table["label"][0] in ("negative", "positive")
    assert table["p_negative"][0] + table["p_positive"][0] == pytest.approx(1)


def test_a_text_without_a_known_word_reads_as_one_unknown_word(classifier: Classifier) -> None:
    texts = ["", " \t\n", "😀", "这部电影很好看", "[PAD]", "zyzzyva"]
    np.testing.assert_allclose(np.ptp(classifier.predict(texts)["p_positive"]), 0, atol=1e-6)


def test_odd_texts_do_not_change_their_neighbours(classifier: Classifier) -> None:
    alone = classifier.predict(["the acting is superb"])["p_positive"][0]
    among = classifier.predict([*ODD.values(), "the acting is superb"])["p_positive"].iloc[-1]
    assert among == pytest.approx(alone, abs=1e-6)


def test_no_texts_give_no_rows_under_the_same_columns(classifier: Classifier) -> None:
    table = classifier.predict([])
    assert len(table) == 0
    assert table.columns.tolist() == ["label", "p_negative", "p_positive"]
