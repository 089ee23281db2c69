"""The networks: padding changes no prediction, the best epoch stays, files are repeatable and open without us."""

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pytest
from small_texts import VOCABULARY, log_loss, praising_texts, random_texts, settings

from pipeline.core.params import CELLS
from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.tokens.batches import pad
from pipeline.tokens.ragged import Tokens, from_lists


@dataclass(frozen=True)
class Learnt:
    """A network after twelve epochs without patience, trained on sense and validated on nonsense."""

    model: keras.Model
    train: tuple[Tokens, np.ndarray]
    validation: tuple[Tokens, np.ndarray]
    history: list[dict[str, float]]


def learn(cell: str, longest: int, seed: int) -> Learnt:
    train, validation = praising_texts(longest), random_texts(17, longest)
    networks.seed_everything(seed)
    model = building.build(cell, VOCABULARY, 2, settings(dropout=0.1))
    return Learnt(model, train, validation, fit(model, train, validation, settings(), 16, seed))


# One cell sees batches of five widths, the other of a single one.
@pytest.fixture(
    scope="module",
    params=[pytest.param(("lstm", 40), marks=pytest.mark.slow), ("gru", 8)],
    ids=["lstm, many widths", "gru, one width"],
)
def learnt(request: pytest.FixtureRequest) -> Learnt:
    cell, longest = request.param
    return learn(cell, longest, seed=1)


def test_a_network_learns_to_find_a_word_without_a_mistake(learnt: Learnt) -> None:
    tokens, labels = learnt.train
    assert networks.predict(learnt.model, tokens).argmax(axis=1).tolist() == labels.tolist()


def test_without_patience_every_epoch_runs_and_the_last_weights_stay(learnt: Learnt) -> None:
    losses = [epoch["validation_loss"] for epoch in learnt.history]
    assert len(losses) == 12
    assert int(np.argmin(losses)) < 8
    assert log_loss(learnt.model, *learnt.validation) == pytest.approx(losses[-1], abs=1e-5)


def test_a_saved_network_opens_with_keras_alone(learnt: Learnt, tmp_path: Path) -> None:
    networks.save(learnt.model, tmp_path / "model.keras")
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]
    opened = keras.models.load_model(tmp_path / "model.keras", custom_objects={}, compile=False, safe_mode=True)
    tokens, _ = learnt.train
    np.testing.assert_array_equal(networks.predict(opened, tokens), networks.predict(learnt.model, tokens))
    with zipfile.ZipFile(tmp_path / "model.keras") as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert json.loads(archive.read("metadata.json")) == {"keras_version": keras.__version__}
        assert "pipeline" not in archive.read("config.json").decode()
        assert b"optimizer" not in archive.read("model.weights.h5")


@pytest.mark.parametrize("learnt", [("gru", 8)], indirect=True)
def test_the_seed_alone_decides_the_bytes_of_a_trained_network(learnt: Learnt, tmp_path: Path) -> None:
    def saved(model: keras.Model) -> bytes:
        networks.save(model, tmp_path / "model.keras")
        return (tmp_path / "model.keras").read_bytes()

    assert saved(learn("gru", 8, seed=1).model) == saved(learnt.model)


@pytest.mark.parametrize(
    ("cell", "build"),
    [
        pytest.param("lstm", {"pooling": "last"}, marks=pytest.mark.slow),
        pytest.param("gru", {"pooling": "max"}, marks=pytest.mark.slow),
        ("lstm", {"pooling": "max+mean", "bidirectional": True, "layers": 2}),
        pytest.param("gru", {"pooling": "last", "bidirectional": True, "layers": 2}, marks=pytest.mark.slow),
        ("gru", {"pooling": "attention", "bidirectional": True}),
    ],
)
def test_a_text_gets_the_same_prediction_alone_and_among_longer_texts(cell: str, build: dict[str, object]) -> None:
    networks.seed_everything(1)
    model = building.build(cell, VOCABULARY, 2, settings(**build))
    model.set_weights([8 * weight for weight in model.get_weights()])  # far from 0.5
    tokens, _ = random_texts(300, 40)  # more than one batch, several widths
    together = networks.predict(model, tokens)
    assert together.std(axis=0).min() > 0.05
    for text in (0, 1):
        assert tokens.lengths[text] < 24  # padded to 40
        alone = networks.predict(model, from_lists([tokens[text].tolist()]))
        np.testing.assert_allclose(alone[0], together[text], atol=1e-6)


def test_a_last_batch_of_another_width_is_predicted_as_well() -> None:
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, settings())
    batch = networks.PREDICTION_BATCH
    probabilities = networks.predict(model, from_lists([[3] * 9] * (2 * batch) + [[2, 3]]))  # 16, 16 and 8 wide
    alone = networks.predict(model, from_lists([[2, 3], [3] * 9]))
    np.testing.assert_allclose(probabilities[[-1, 0]], alone, atol=1e-6)
    assert abs(alone[0, 1] - alone[1, 1]) > 1e-4


@pytest.mark.parametrize("pooling", ["last", "max", "mean", "max+mean", "attention"])
def test_pooling_sees_the_states_of_words_and_never_of_padding(pooling: str) -> None:
    networks.seed_everything(2)
    model = building.build("gru", VOCABULARY, 2, settings(pooling=pooling))
    texts = [[2, 3, 4], [5], [6, 7, 8, 9, 2, 3, 4, 5, 6]]
    batch = pad(from_lists(texts), np.arange(3))
    assert batch.shape == (3, 16)
    recurrent = keras.Model(model.input, model.get_layer("gru_1").output)
    states = [words[: len(text)] for words, text in zip(recurrent.predict_on_batch(batch), texts, strict=True)]
    pooled = {
        "last": [words[-1] for words in states],
        "max": [words.max(axis=0) for words in states],
        "mean": [words.mean(axis=0) for words in states],
        "max+mean": [np.concatenate([words.max(axis=0), words.mean(axis=0)]) for words in states],
        "attention": [_attended(words, model) for words in states],
    }[pooling]
    kernel, bias = model.get_layer("probability").get_weights()
    expected = 1 / (1 + np.exp(-(np.stack(pooled) @ kernel + bias)))
    np.testing.assert_allclose(model.predict_on_batch(batch), expected, atol=1e-6)


def _attended(words: np.ndarray, model: keras.Model) -> np.ndarray:
    if not any(layer.name == "attention" for layer in model.layers):
        return np.zeros(0)
    (question,) = model.get_layer("attention").get_weights()
    powers = np.exp(np.tanh(words) @ question)
    return np.asarray((powers / powers.sum() * words).sum(axis=0), np.float32)


@pytest.mark.parametrize("cell", CELLS)
def test_the_backward_layer_reads_every_text_from_its_own_end(cell: str) -> None:
    networks.seed_everything(3)
    model = building.build(cell, VOCABULARY, 2, settings(bidirectional=True))
    embedding, backward = (model.get_layer(name) for name in ("embedding", f"{cell}_1_backward"))
    reversed_states = np.asarray(backward(embedding(np.array([[4, 3, 2]]))))[0]
    states = keras.Model(model.input, backward.output).predict_on_batch(
        pad(from_lists([[2, 3, 4], [5] * 9]), np.arange(2))
    )
    np.testing.assert_allclose(states[0, :3], reversed_states, atol=1e-6)


def test_layers_lie_on_top_of_each_other() -> None:
    model = building.build("gru", VOCABULARY, 3, settings(bidirectional=True, layers=2, output_dropout=0.5))
    sizes = {name: arrays[0].shape for name, arrays in networks.weights(model).items()}
    # The second layer reads both directions of the first, 2 x 8 states; three gates of 8 units each.
    assert sizes["gru_2"] == sizes["gru_2_backward"] == (16, 24)
    assert building.recurrent_parameters(model) == 2 * (3 * 8 * (6 + 8 + 2)) + 2 * (3 * 8 * (16 + 8 + 2))


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3)])
def test_probabilities_have_a_column_per_class_and_sum_to_one(classes: int, outputs: int) -> None:
    model = building.build("lstm", VOCABULARY, classes, settings())
    tokens, _ = random_texts(7, 20)
    probabilities = networks.predict(model, tokens)
    assert model.output_shape == (None, outputs)
    assert probabilities.shape == (7, classes)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
