"""Training: which weights stay, averages, schedules, adversarial texts."""

import keras
import numpy as np
import pytest
from conftest import Listener
from small_texts import VOCABULARY, log_loss, praising_texts, random_texts, settings

from pipeline.core.command import InputError
from pipeline.networks import building, networks
from pipeline.networks.fitting import best_epoch, fit
from pipeline.tokens.batches import pad
from pipeline.tokens.ragged import from_lists
from pipeline.trained.scores import score


@pytest.mark.parametrize(
    ("epochs", "patience"),
    [pytest.param(40, 2, id="stopped early"), pytest.param(6, 20, id="out of epochs", marks=pytest.mark.slow)],
)
def test_the_weights_of_the_best_epoch_are_kept(epochs: int, patience: int) -> None:
    train, validation = random_texts(16, 8), random_texts(17, 8)  # noise: the validation loss has to rise
    chosen = settings(epochs=epochs, patience=patience, learning_rate=0.1)
    listener = Listener()
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, chosen)
    history = fit(model, train, validation, chosen, 8, 1, listener)
    losses = [epoch["validation_loss"] for epoch in history]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert len(history) == (best + 1 + patience if epochs == 40 else epochs)
    assert log_loss(model, *validation) == pytest.approx(losses[best], abs=1e-5)
    assert listener.epochs == list(enumerate(history, start=1))
    assert list(history[0]) == ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]


def trained(cell: str = "gru", **changes: object) -> tuple[keras.Model, list[dict[str, float]]]:
    chosen = settings(**{"epochs": 3, **changes})
    networks.seed_everything(1)
    model = building.build(cell, VOCABULARY, 2, chosen)
    return model, fit(model, praising_texts(12), random_texts(17, 12), chosen, 16, 1)


@pytest.fixture(scope="module")
def plain() -> tuple[keras.Model, list[dict[str, float]]]:
    return trained(pooling="mean")


def test_with_averaging_the_average_is_validated_and_kept(plain: tuple[keras.Model, list[dict[str, float]]]) -> None:
    model, history = trained(pooling="mean", averaging=0.9)
    losses = [epoch["validation_loss"] for epoch in history]
    assert log_loss(model, *random_texts(17, 12)) == pytest.approx(losses[-1], abs=1e-5)
    # The weights themselves take the same way; only what is looked at differs.
    _, other = plain
    assert [e["train_loss"] for e in history] == pytest.approx([e["train_loss"] for e in other], abs=1e-4)
    assert losses != pytest.approx([epoch["validation_loss"] for epoch in other], abs=1e-3)


@pytest.mark.slow
def test_the_learning_rate_decays_from_epoch_to_epoch_and_long_gradients_are_cut() -> None:
    train, validation = praising_texts(8), random_texts(17, 8)
    slow = settings(learning_rate=0.1, decay=0.001, clip_norm=1e-9, epochs=2)
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, slow)
    fit(model, train, validation, slow, 16, 1)
    assert float(model.optimizer.learning_rate) == pytest.approx(0.1 * 0.001**2, rel=1e-3)
    assert model.optimizer.global_clipnorm == 1e-9


@pytest.mark.slow
def test_texts_moved_by_nothing_train_as_if_there_were_none(plain: tuple[keras.Model, list[dict[str, float]]]) -> None:
    moved, _ = trained(adversarial=1e-9, pooling="mean")
    for expected, weights in zip(plain[0].get_weights(), moved.get_weights(), strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-4)


@pytest.mark.slow
def test_a_network_trained_on_moved_texts_withstands_them() -> None:
    """Each is moved the way that is worst for it, as far as the one was trained on."""
    import tensorflow as tf

    tokens, labels = praising_texts(12)
    texts, answers = pad(tokens, np.arange(len(tokens))), labels[:, None].astype(np.float32)
    losses = []
    for size in (0.0, 2.0):
        model, _ = trained("lstm", adversarial=size, epochs=12)
        embedding = model.get_layer("embedding")
        rest = keras.Model([embedding.output, model.input], model.output)
        vectors = embedding(texts)
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            loss = keras.losses.binary_crossentropy(answers, rest([vectors, tf.constant(texts)]))
        slope = tape.gradient(loss, vectors)
        steepest = slope / (tf.norm(slope, axis=[1, 2], keepdims=True) + 1e-12)
        moved = vectors + 2.0 * tf.reduce_mean(tf.norm(vectors, axis=2)) * steepest
        worst = keras.losses.binary_crossentropy(answers, rest([moved, tf.constant(texts)]))
        losses.append(float(np.mean(worst)))
    assert losses[1] < 0.5 * losses[0], losses


@pytest.mark.slow
def test_what_is_reported_is_the_loss_on_the_texts_as_they_are() -> None:
    chosen = settings(adversarial=5.0, epochs=1, learning_rate=1e-9)
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, chosen)
    train = praising_texts(12)
    (epoch,) = fit(model, train, train, chosen, 24, 1)  # the last batch is smaller
    assert epoch["train_loss"] == pytest.approx(epoch["validation_loss"], abs=1e-5)


@pytest.mark.slow
def test_adversarial_texts_go_with_averages_and_all_the_rest() -> None:
    train, validation = praising_texts(12), random_texts(17, 12)
    chosen = settings(
        adversarial=0.5, averaging=0.9, clip_norm=1.0, decay=0.9, bidirectional=True, pooling="max+mean",
        epochs=8, patience=2, learning_rate=0.2,
    )  # fmt: skip
    networks.seed_everything(1)
    model = building.build("lstm", VOCABULARY, 2, chosen)
    history = fit(model, train, validation, chosen, 16, 1)
    losses = [epoch["validation_loss"] for epoch in history]
    assert min(losses) < losses[-1]
    # Whose average a variable got would show here: what was validated is what is kept.
    assert log_loss(model, *validation) == pytest.approx(min(losses), abs=1e-5)


def test_macro_f1_chooses_the_epoch_where_that_decides() -> None:
    train, validation = praising_texts(12), random_texts(17, 12)
    chosen = settings(epochs=8, patience=3, learning_rate=0.2)
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, chosen)
    history = fit(model, train, validation, chosen, 16, 1, metric="macro_f1")
    found = [epoch["validation_f1"] for epoch in history]
    assert score(validation[1], networks.predict(model, validation[0]))["f1"] == max(found)
    assert best_epoch(history) == found.index(max(found)) + 1
    losses = [epoch["validation_loss"] for epoch in history]
    assert best_epoch([{**epoch, "validation_f1": 0.5} for epoch in history]) == losses.index(min(losses)) + 1


@pytest.mark.parametrize("adversarial", [0.0, pytest.param(0.5, marks=pytest.mark.slow)])
def test_balanced_classes_count_the_same(adversarial: float) -> None:
    """One text comes three times with one label and once with the other: weighed, neither is more probable."""
    tokens, labels = from_lists([[2, 3]] * 4), np.array([0, 0, 0, 1], np.int32)
    chosen = settings(epochs=8, learning_rate=0.2, class_weight="balanced", adversarial=adversarial)
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, chosen)
    model.layers[-1].bias.assign([-1.0])  # as if one of four texts had the second label, which is so without weights
    fit(model, (tokens, labels), (tokens, labels), chosen, 4, 1)
    assert networks.predict(model, tokens)[0, 1] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("rate", "patience", "said"),
    [
        (1e38, 0, ["in epoch 1: the mean loss is nan after", "train.learning_rate 1e+38", "train.clip_norm 0"]),
        pytest.param(
            1e38, 1, ["in epoch 1: the mean loss is nan after", "Try train.learning_rate 1e+37"], marks=pytest.mark.slow
        ),
        pytest.param(
            10.0,
            0,
            ["after all of its steps", "equal probability for each class has 0.69", "Try train.learning_rate 1,"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_network_that_diverges_stops_and_says_what_to_try(rate: float, patience: int, said: list[str]) -> None:
    # Beyond what is sensible, so that a few texts are enough.
    chosen = settings(epochs=30, patience=patience).model_copy(update={"learning_rate": rate})
    networks.seed_everything(1)
    model = building.build("gru", VOCABULARY, 2, chosen)
    with pytest.raises(InputError) as caught:
        fit(model, random_texts(64, 12), random_texts(17, 12), chosen, 16, 1)
    assert [phrase for phrase in said if phrase not in str(caught.value)] == [], caught.value
