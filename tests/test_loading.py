"""Networks are opened as they are on disk, and refused where what would be shown is not what they do."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, train_params

from pipeline.core.command import InputError
from pipeline.core.params import read_params
from pipeline.inside import loading as opening
from pipeline.inside.numpy_network import probabilities
from pipeline.networks import building, networks
from pipeline.tokens.ragged import from_lists
from pipeline.trained.trained import Trained

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
        network = opening.checked_network(models / name / "model.keras", card["settings"], TEXT)
        logits = network.logits_so_far(network.embedding[TEXT])[-1]
        expected = networks.predict(networks.load(models / name / "model.keras"), from_lists([TEXT.tolist()]))[0]
        np.testing.assert_allclose(probabilities(logits), expected, atol=1e-5)


def test_gates_that_did_not_run_are_never_shown(trained_project: Project, tmp_path: Path) -> None:
    copied(trained_project, tmp_path, "lstm-1", pooling="mean")
    (card,) = opening.cards(tmp_path, ["lstm-1"], tokenizer(trained_project))
    with pytest.raises(InputError, match=r"lstm-1/model.keras is not built as its card says .*pooled differs by"):
        opening.checked_network(tmp_path / "lstm-1" / "model.keras", card["settings"], TEXT)


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Saves a network of random weights, changed by a function."""

    def save(change: Callable[[np.ndarray], np.ndarray], **build: object) -> Path:
        networks.seed_everything(1)
        model = building.build("gru", 10, 2, train_params(**build))
        model.set_weights([change(weight) for weight in model.get_weights()])
        networks.save(model, tmp_path / "model.keras")
        return tmp_path / "model.keras"

    return save


SLOW = [pytest.param(pooling, marks=pytest.mark.slow) for pooling in ("last", "max", "mean")]


@pytest.mark.parametrize("pooling", [*SLOW, "max+mean", "attention"])
def test_every_build_is_checked_in_every_layer(saved: Callable[..., Path], pooling: str) -> None:
    path = saved(lambda weight: 3 * weight, pooling=pooling, layers=2, bidirectional=True)
    network = opening.checked_network(path, {"pooling": pooling}, TEXT)
    assert len(network.passes) == 4


def test_another_pooling_does_not_hide_behind_a_verdict_that_is_sure(saved: Callable[..., Path]) -> None:
    def sure(weight: np.ndarray) -> np.ndarray:
        return np.full_like(weight, 100) if weight.shape == (1,) else weight  # the bias of the verdict

    path = saved(sure, pooling="mean")
    assert networks.predict(networks.load(path), from_lists([TEXT.tolist()]))[0, 1] == 1
    opening.checked_network(path, {"pooling": "mean"}, TEXT)
    for wrong in ("max", "last", "max+mean"):
        with pytest.raises(InputError, match="is not built as its card says"):
            opening.checked_network(path, {"pooling": wrong}, TEXT)


@pytest.mark.parametrize(("cell", "layers", "classes"), [("lstm", 1, 2), ("gru", 2, 3), ("rnn", 2, 2)])
def test_a_network_is_opened_without_keras_as_keras_opens_it(
    tmp_path: Path, cell: str, layers: int, classes: int
) -> None:
    build = train_params(pooling="attention", layers=layers, bidirectional=True, word_dropout=0.2)
    networks.seed_everything(1)
    model = building.build(cell, 10, classes, build)
    networks.save(model, tmp_path / "model.keras")
    texts = from_lists([TEXT.tolist(), TEXT[:3].tolist(), []])
    answers = {"validation": networks.predict(model, texts)}
    trained = Trained(tmp_path, {"model": cell, "settings": build.model_dump()}, answers)
    network = opening.network_as_trained(trained, texts)
    for name, arrays in networks.weights(model).items():
        if name.startswith(cell):
            title = name.replace(f"{cell}_", "layer ").replace("_", " ")
            for ours, theirs in zip(network.passes[title], arrays, strict=True):
                np.testing.assert_array_equal(ours, theirs)
    wrong = trained.card | {"settings": trained.card["settings"] | {"pooling": "max+mean"}}
    with pytest.raises(InputError, match="attention"):
        opening.network_as_trained(Trained(tmp_path, wrong, answers), texts)
    with pytest.raises(InputError, match="has answered 3 validation texts, and there are 2"):
        opening.network_as_trained(trained, from_lists([[1], [2]]))
    other = Trained(tmp_path, trained.card, {"validation": answers["validation"] + np.float32(0.01)})
    with pytest.raises(InputError, match=r"is not built as its card says .*a probability differs by 0\.01 "):
        opening.network_as_trained(other, texts)


def test_weights_that_are_no_numbers_are_refused(saved: Callable[..., Path]) -> None:
    path = saved(lambda weight: np.full_like(weight, np.nan))
    with pytest.raises(InputError, match="or its weights are no numbers"):
        opening.checked_network(path, {"pooling": "max"}, TEXT)


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
