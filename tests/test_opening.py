"""Networks are opened as they are on disk, and refused where what would be shown is not what they do."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Project

from pipeline.parts import networks, opening
from pipeline.parts.command import InputError
from pipeline.parts.gates import probabilities
from pipeline.parts.params import read_params
from pipeline.parts.tokens import from_lists

TEXT = np.array([2, 3, 4, 5, 6], np.int32)


def copied(project: Project, folder: Path, name: str, **changes: object) -> Path:
    """A models folder with one model more, whose settings on the card are changed."""
    shutil.copytree(project.root / "data/models" / name, folder / name)
    card = folder / name / "card.json"
    content = json.loads(card.read_text())
    content["settings"] |= changes
    card.write_text(json.dumps(content))
    return folder


def tokenizer(project: Project) -> Path:
    return project.root / "data/processed/tokenizer.json"


def test_the_first_seed_of_each_model_is_taken_unless_names_are_typed(trained_project: Project) -> None:
    params = read_params(trained_project.root / "params.yaml")
    assert opening.names(None, params) == ["lstm-1", "gru-1"]
    assert opening.names(" gru-2, lstm-1,gru-2,", params) == ["gru-2", "lstm-1"]
    with pytest.raises(InputError, match="names no model"):
        opening.names(" ,", params)


def test_an_opened_network_says_what_keras_says(trained_project: Project) -> None:
    models = trained_project.root / "data/models"
    for name in ("lstm-2", "gru-1"):
        (card,) = opening.cards(models, [name], tokenizer(trained_project))
        network = opening.open_network(models / name, card, TEXT)
        logits = network.logits_so_far(network.run(network.embedding[TEXT][None])["state"])[0, -1]
        expected = networks.predict(networks.load(models / name / "model.keras"), from_lists([TEXT.tolist()]))[0]
        np.testing.assert_allclose(probabilities(logits), expected, atol=1e-5)


def test_gates_that_did_not_run_are_never_shown(trained_project: Project, tmp_path: Path) -> None:
    copied(trained_project, tmp_path, "lstm-1", pooling="mean")
    (card,) = opening.cards(tmp_path, ["lstm-1"], tokenizer(trained_project))
    with pytest.raises(InputError, match="lstm-1 is not built as its card says"):
        opening.open_network(tmp_path / "lstm-1", card, TEXT)


@pytest.mark.parametrize("change", [{"max_tokens": 4}, {"keep": "head"}])
def test_models_that_read_different_tokens_are_not_set_side_by_side(
    trained_project: Project, tmp_path: Path, change: dict[str, object]
) -> None:
    copied(trained_project, tmp_path, "gru-1", **change)
    copied(trained_project, tmp_path, "lstm-1")
    with pytest.raises(InputError, match="do not read the same tokens"):
        opening.cards(tmp_path, ["lstm-1", "gru-1"], tokenizer(trained_project))


def test_a_model_of_another_tokenizer_is_refused(trained_project: Project, tmp_path: Path) -> None:
    other = tmp_path / "tokenizer.json"
    for content in (None, "{}"):
        if content:
            other.write_text(content)
        with pytest.raises(InputError, match="was not trained with"):
            opening.cards(trained_project.root / "data/models", ["lstm-1"], other)


@pytest.mark.parametrize(
    ("name", "message"), [("lstm1", "did you mean lstm-1?"), ("baseline", "is no network: it has no gates")]
)
def test_a_name_that_is_no_network_is_refused(trained_project: Project, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("?", "[?]")):
        opening.cards(trained_project.root / "data/models", [name], tokenizer(trained_project))


def test_before_any_training_it_is_said_how_to_train(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train some with: dvc repro"):
        opening.cards(tmp_path, ["lstm-1"], tmp_path / "tokenizer.json")
