"""Trained models behave as people expect of them: simple texts, changes that must not matter, changes that must.

The three kinds of tests are those of Ribeiro et al. 2020, https://aclanthology.org/2020.acl-main.442/ (CheckList). They
ask the models of the tiny data set, and those of rotten_tomatoes if `make repro` has left them in this checkout.
"""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Project

from pipeline.packaging.classifier import Classifier
from pipeline.serving.selection import open_trained
from pipeline.tracking.paths import MODELS
from pipeline.trained.trained import Trained

NAMES = ["lstm-1", "gru-1", "baseline"]


@cache
def opened(folder: Path) -> Classifier:
    return open_trained(Trained.load(folder))


def praised(folder: Path, texts: Sequence[str]) -> np.ndarray:
    """The probability of the positive class, (texts,)."""
    model = opened(folder)
    probabilities: np.ndarray = model.predict(texts)[f"p_{model.labels[1]}"].to_numpy()
    return probabilities


@pytest.fixture(params=["tiny", "rotten_tomatoes"])
def models(request: pytest.FixtureRequest, trained_project: Project) -> Path:
    """The folder of the models of a data set."""
    if request.param == "tiny":
        return trained_project.root / MODELS
    folder = ROOT / MODELS
    card = folder / "baseline" / "card.json"
    if not card.is_file() or Trained.load(card.parent).card["dataset"] != request.param:
        pytest.skip("make repro has not left the default models here")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_plain_praise_and_plain_blame_are_told_apart(models: Path, name: str) -> None:
    """Minimum functionality: words that stand for one side alone."""
    praise = ["a warm and clever story, i loved every minute", "the acting is superb and the story is warm"]
    blame = ["a cold and clumsy story, i hated every minute", "the acting is wooden and the story is clumsy"]
    assert praised(models / name, praise).min() > praised(models / name, blame).max()


@pytest.mark.parametrize("name", NAMES)
def test_what_changes_no_word_changes_no_answer(models: Path, name: str) -> None:
    """Invariance: case, line breaks, white space, punctuation, and the company of other texts."""
    text = "the acting is superb, i loved every minute"
    same = [text.upper(), text.replace(" ", "  "), text.replace(", ", "<br /><br />"), text.replace(",", " ...") + "!"]
    alone = praised(models / name, [text])
    np.testing.assert_allclose(praised(models / name, same), np.repeat(alone, len(same)), atol=1e-6)
    in_company = praised(models / name, ["dull", text, " ".join(["a long text"] * 30)])[1]
    assert in_company == pytest.approx(alone[0], abs=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_that_goes_on_with_praise_is_above_the_same_with_blame(models: Path, name: str) -> None:
    """Direction: the mean over several beginnings, since one text may have its own mind."""
    beginnings = ["a story about a family.", "the second film of the year.", "it is long.", "the music fits."]
    better, worse = (
        praised(models / name, [f"{beginning} {end}" for beginning in beginnings]).mean()
        for end in ("i loved every minute, a warm and clever story", "i hated every minute, a cold and clumsy story")
    )
    assert worse < better - 0.1
