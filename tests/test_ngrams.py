"""The n-gram features and weights against cases worked out by hand, and against scikit-learn's own."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from linear_models import counted, fitted
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer

from pipeline.core.arrays import save_arrays
from pipeline.linear import counting
from pipeline.linear.counting import Ngrams
from pipeline.linear.ngrams import WEIGHTINGS, LogCountRatio, NgramModel, Weighting, classifier, fit_weighted, weighter
from pipeline.tokens.tokenizer import TokenizerKind, encode, in_characters, spelt, train_tokenizer, with_all_words
from pipeline.trained.weights import class_weights

TEXTS = ["good film", "good story", "bad film", "bad story"] * 3
LABELS = np.array([1, 1, 0, 0] * 3)


def test_the_log_count_ratio_of_a_case_worked_out_by_hand() -> None:
    presence = sp.csr_matrix(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    weights = LogCountRatio().fit(presence, np.array([1, 1, 0]))
    # Counts plus one: 3 and 2 in the class, 1 and 2 in the rest.
    film, story = np.log((3 / 5) / (1 / 3)), np.log((2 / 5) / (2 / 3))
    np.testing.assert_allclose(weights.ratio_, [film, story], rtol=1e-6)
    scaled = weights.transform(presence)
    assert sp.issparse(scaled)
    np.testing.assert_allclose(scaled.toarray(), np.array([[film, 0], [film, story], [0, story]]), rtol=1e-6)


def test_smoothing_decides_how_much_a_rare_word_counts() -> None:
    presence = sp.csr_matrix(np.array([[1, 0], [0, 1]], np.float32))
    weights = LogCountRatio(smoothing=0.5).fit(presence, np.array([1, 0]))
    np.testing.assert_allclose(weights.ratio_, [np.log(3), -np.log(3)], rtol=1e-6)


@pytest.mark.parametrize(
    ("longest", "min_texts", "expected"),
    [
        (1, 1, ["a", "don't", "film", "go", "good"]),
        (2, 1, ["a", "a film", "don't", "don't go", "film", "go", "good", "good film"]),
        (2, 2, ["film"]),
        (2, 4, []),
    ],
)
def test_an_ngram_is_a_run_of_words_found_in_enough_texts(longest: int, min_texts: int, expected: list[str]) -> None:
    ngrams, counts = counted(["Don't go!", "A FILM", "good, film"], longest, min_texts)
    assert ngrams.names == expected
    assert counts.shape == (3, len(expected))


@pytest.mark.parametrize("line_break", ["<br />", "<BR>", "<br/><br />"])
def test_a_web_page_s_line_break_is_one_of_a_text(line_break: str) -> None:
    assert counted([f"Fine.{line_break}A film"])[0].names == ["a", "a film", "film", "fine", "fine a"]


def random_texts() -> list[str]:
    """Words that repeat inside a text and across texts; some texts have none."""
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(list("abcdefg"), rng.integers(0, 30))) for _ in range(60)]


@pytest.mark.parametrize("at_a_time", [1, 50, 1 << 21])
@pytest.mark.parametrize(("longest", "min_texts"), [(1, 1), (2, 3), (3, 2), (4, 1)])
def test_counts_are_those_of_scikit_learn(
    monkeypatch: pytest.MonkeyPatch, longest: int, min_texts: int, at_a_time: int
) -> None:
    monkeypatch.setattr(counting, "_TOKENS_AT_A_TIME", at_a_time)
    texts = random_texts()
    theirs = CountVectorizer(ngram_range=(1, longest), min_df=min_texts, token_pattern=r"\w+", dtype=np.float32)
    expected = theirs.fit_transform(texts)
    ngrams, counts = counted(texts, longest, min_texts)
    assert ngrams.names == theirs.get_feature_names_out().tolist()
    assert counts.dtype == np.float32
    assert (counts != expected).nnz == 0
    unseen = ["g z a b a b", "", "a a a a a a"]
    assert (ngrams.count(encode(ngrams.tokenizer, unseen)) != theirs.transform(unseen)).nnz == 0


def test_a_model_forgets_the_words_that_are_in_no_ngram() -> None:
    ngrams, counts = counted(["zebra film", "a film", "film b"], 2, 2)
    small = ngrams.without_other_words()
    assert (ngrams.tokenizer.get_vocab_size(), small.tokenizer.get_vocab_size()) == (6, 3)
    assert small.names == ["film"]
    assert (small.count(encode(small.tokenizer, ["zebra film", "a film", "film b"])) != counts).nnz == 0


@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
def test_texts_that_are_tokens_are_spelt_as_the_texts_are(kind: TokenizerKind) -> None:
    texts = ["The film 😀😀!", "", "सूखा सुख", "x" * 250, "电影很好", "the filming"]
    tokenizer = train_tokenizer(iter(texts), kind, 60)
    if kind == "word":
        tokenizer = with_all_words(tokenizer, iter(texts))
    letters = in_characters(tokenizer)
    expected, found = encode(letters, texts), spelt(encode(tokenizer, texts), tokenizer, letters)
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert {"t h e", "e ▁ f", "ू"} <= set(Ngrams.find(letters, found, 3, 1).names)


def test_naive_bayes_counts_a_repeated_word_once_and_tfidf_by_its_logarithm() -> None:
    _, counts = counted(["good good good film"], 1)
    assert weighter("naive_bayes").fit_transform(counts).toarray().tolist() == [[1, 1]]
    film, good = weighter("tfidf").fit_transform(counts).toarray()[0]
    assert good / film == pytest.approx(1 + np.log(3))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_both_weightings_learn_what_two_classes_differ_in(weighting: Weighting) -> None:
    probabilities = fitted(weighting, TEXTS, LABELS)[0].predict(["a good one", "a bad one", "a film"])
    assert probabilities.shape == (3, 2)
    assert probabilities[0, 1] > 0.8
    assert probabilities[1, 1] < 0.2
    assert probabilities[2, 1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_both_weightings_learn_three_classes(weighting: Weighting) -> None:
    texts, labels = [*TEXTS, *["dull film", "dull story"] * 3], np.array([*LABELS, *[2] * 6])
    probabilities = fitted(weighting, texts, labels)[0].predict(["bad", "good", "dull"])
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


# Words that differ in their vowel signs alone; as letters, they are the same.
DEVANAGARI = ["यह फिल्म सूखा है", "यह फिल्म सुख है", "वह सूखा", "वह सुख"] * 3


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_words_that_differ_in_their_marks_are_different_words(weighting: Weighting) -> None:
    probabilities = fitted(weighting, DEVANAGARI, np.array([0, 1] * 6), 1)[0].predict(["सूखा", "सुख"])
    assert probabilities.argmax(axis=1).tolist() == [0, 1]
    assert probabilities[1, 1] > 0.8


CHINESE = ["这部电影很精彩", "这部电影很无聊", "我看很精彩", "我看很无聊"] * 3


def test_texts_without_blanks_are_told_apart_by_their_characters() -> None:
    model, *_ = fitted("tfidf", CHINESE, np.array([1, 0] * 6), 3, "char")
    assert model.predict(["精彩的故事", "故事无聊"]).argmax(axis=1).tolist() == [1, 0]


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
def test_the_saved_model_predicts_as_scikit_learn_does(
    tmp_path: Path, weighting: Weighting, classes: int, kind: TokenizerKind
) -> None:
    texts = [*TEXTS, *["ein träger film", "ünd œuvre 电影"] * 3]
    model, theirs, _ = fitted(weighting, texts, np.array([*LABELS, *[classes - 1] * 6]), kind=kind)
    model.save(tmp_path / "model.npz")
    loaded = NgramModel.load(tmp_path / "model.npz")
    unseen = ["", "a bad bad story", "GOOD film", "电影", "none of it", "\ud83d good\0film"]
    weights = weighter(weighting).fit(counted(texts, kind=kind)[1])
    expected = theirs.predict_proba(weights.transform(model.ngrams.count(encode(model.ngrams.tokenizer, unseen))))
    assert loaded.predict(unseen).dtype == np.float64
    np.testing.assert_allclose(loaded.predict(unseen), expected, atol=1e-9)


def test_saving_twice_gives_the_same_bytes_and_no_pickle(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        fitted("tfidf", TEXTS, LABELS)[0].save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_a_model_of_the_time_when_ngrams_were_kept_by_name_answers_as_it_did(
    tmp_path: Path, weighting: Weighting
) -> None:
    texts = ["Good film", "don't go", "सूखा 8½ film", "a  film<br />good"]
    options = {
        "preprocessor": lambda text: re.sub("<br */?>", "\n", text.lower()),
        "token_pattern": r"[\w']+",
        "ngram_range": (1, 2),
        "dtype": np.float32,
    }
    tfidf = weighting == "tfidf"
    theirs = TfidfVectorizer(sublinear_tf=True, **options) if tfidf else CountVectorizer(binary=True, **options)
    theirs.fit(texts)
    names = theirs.get_feature_names_out().tolist()
    weights = np.random.default_rng(0).normal(size=(len(names), 1))
    arrays = {
        "weighting": np.array(weighting),
        "longest": np.array(2),
        "vocabulary": np.frombuffer("\n".join(names).encode(), np.uint8),
        "idf": theirs.idf_ if tfidf else np.empty(0, np.float32),
        "weights": weights,
        "intercepts": np.array([0.5]),
    }
    save_arrays(tmp_path / "model.npz", arrays)
    scores = theirs.transform([*texts, "", "½ film"]) @ weights + 0.5
    found = NgramModel.load(tmp_path / "model.npz").predict([*texts, "", "½ film"])
    np.testing.assert_allclose(found[:, [1]], 1 / (1 + np.exp(-scores)), atol=1e-6)


def test_a_pickled_object_in_the_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", weighting=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        NgramModel.load(tmp_path / "model.npz")


@pytest.mark.parametrize("classes", [2, 3])
def test_balanced_texts_count_as_if_every_class_had_as_many(classes: int) -> None:
    """Classes of 4, 12 and 6 texts: with 12 of each, at the same regularisation per text, the model is the same."""
    rng, counts = np.random.default_rng(1), [4, 12, 6][:classes]
    y = np.repeat(np.arange(classes), counts)
    X = sp.csr_matrix(rng.random((len(y), 3)) + np.eye(3)[y])
    of_class = class_weights(y)
    weighed = fit_weighted(classifier("tfidf", 10 / len(y)), X, y, np.array([of_class[label] for label in y.tolist()]))
    often = np.concatenate([np.repeat(np.flatnonzero(y == label), 12 // counts[label]) for label in range(classes)])
    repeated = classifier("tfidf", 10 / len(often)).fit(X[often], y[often])
    np.testing.assert_allclose(weighed.predict_proba(X), repeated.predict_proba(X), atol=1e-3)
