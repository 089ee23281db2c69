"""The n-gram features and weights against a case worked out by hand."""

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from pipeline.linear.ngrams import WEIGHTINGS, LogCountRatio, NgramModel, Weighting, classifier, vectorizer

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
    ("ngrams", "min_texts", "expected"),
    [
        (1, 1, ["a", "don't", "film", "go", "good"]),
        (2, 1, ["a", "a film", "don't", "don't go", "film", "go", "good", "good film"]),
        (2, 2, ["film"]),
    ],
)
def test_an_ngram_is_a_run_of_words_found_in_enough_texts(ngrams: int, min_texts: int, expected: list[str]) -> None:
    features = vectorizer("naive_bayes", ngrams, min_texts).fit(["Don't go!", "A FILM", "good, film"])
    assert features.get_feature_names_out().tolist() == expected


@pytest.mark.parametrize("line_break", ["<br />", "<BR>", "<br/><br />"])
def test_a_web_page_s_line_break_is_one_of_a_text(line_break: str) -> None:
    features = vectorizer("naive_bayes", 2, 1).fit([f"Fine.{line_break}A film"])
    assert features.get_feature_names_out().tolist() == ["a", "a film", "film", "fine", "fine a"]


def test_naive_bayes_counts_a_repeated_word_once_and_tfidf_by_its_logarithm() -> None:
    texts = ["good good good film"]
    assert vectorizer("naive_bayes", 1, 1).fit_transform(texts).toarray().tolist() == [[1, 1]]
    film, good = vectorizer("tfidf", 1, 1).fit_transform(texts).toarray()[0]
    assert good / film == pytest.approx(1 + np.log(3))


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_both_weightings_learn_what_two_classes_differ_in(weighting: Weighting) -> None:
    features = vectorizer(weighting, 2, 1)
    model = classifier(weighting, 10.0).fit(features.fit_transform(TEXTS), LABELS)
    probabilities = model.predict_proba(features.transform(["a good one", "a bad one", "a film"]))
    assert probabilities.shape == (3, 2)
    assert probabilities[0, 1] > 0.8
    assert probabilities[1, 1] < 0.2
    assert probabilities[2, 1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
def test_both_weightings_learn_three_classes(weighting: Weighting) -> None:
    texts, labels = [*TEXTS, *["dull film", "dull story"] * 3], np.array([*LABELS, *[2] * 6])
    features = vectorizer(weighting, 1, 1)
    model = classifier(weighting, 10.0).fit(features.fit_transform(texts), labels)
    probabilities = model.predict_proba(features.transform(["bad", "good", "dull"]))
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)


@pytest.mark.parametrize("weighting", WEIGHTINGS)
@pytest.mark.parametrize("classes", [2, 3])
def test_the_saved_model_predicts_as_scikit_learn_does(tmp_path: Path, weighting: Weighting, classes: int) -> None:
    texts = [*TEXTS, *["ein träger film", "ünd œuvre 电影"] * 3]
    labels = np.array([*LABELS, *[classes - 1] * 6])
    features = vectorizer(weighting, 2, 1)
    fitted = classifier(weighting, 10.0).fit(features.fit_transform(texts), labels)
    NgramModel.of(weighting, features, fitted).save(tmp_path / "model.npz")
    model = NgramModel.load(tmp_path / "model.npz")
    unseen = ["", "a bad bad story", "GOOD film", "电影", "none of it", "\ud83d good\0film"]
    expected = fitted.predict_proba(features.transform(unseen))
    assert model.predict(unseen).dtype == np.float64
    np.testing.assert_allclose(model.predict(unseen), expected, atol=1e-9)


def test_saving_twice_gives_the_same_bytes_and_no_pickle(tmp_path: Path) -> None:
    features = vectorizer("tfidf", 2, 1)
    model = NgramModel.of("tfidf", features, classifier("tfidf", 1.0).fit(features.fit_transform(TEXTS), LABELS))
    for name in ("one.npz", "two.npz"):
        model.save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    with np.load(tmp_path / "one.npz", allow_pickle=False) as arrays:
        assert all(arrays[name].dtype != object for name in arrays.files)


def test_a_pickled_object_in_the_file_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "model.npz", weighting=np.array([print], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle"):
        NgramModel.load(tmp_path / "model.npz")
