"""Training: batches, Adam, averaged weights, adversarial texts, and the weights of the best epoch."""

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.core.command import InputError
from pipeline.core.params import Metric, TrainParams
from pipeline.networks.backend import keras
from pipeline.networks.checkpoints import Checkpoint, State
from pipeline.networks.networks import PREDICTION_BATCH, predict
from pipeline.tokens.batches import pad, shuffled
from pipeline.tokens.ragged import Tokens
from pipeline.trained.scores import score
from pipeline.trained.watching import Harmless, Watcher
from pipeline.trained.weights import class_weights

HISTORY = ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]
_DIVERGED = 5  # times the loss of equal probabilities, over a whole epoch: no network that learns has as much
VALIDATION_F1 = "validation_f1"  # beside these, where it chooses the epoch


def fit(
    model: keras.Model,
    train: tuple[Tokens, np.ndarray],
    validation: tuple[Tokens, np.ndarray],
    settings: TrainParams,
    batch_size: int,
    seed: int,
    watcher: Watcher | None = None,
    metric: Metric = "accuracy",
    checkpoint: Checkpoint | None = None,
) -> list[dict[str, float]]:
    """Train with Adam (Kingma & Ba 2015, arXiv:1412.6980) and keep the weights of the best epoch, by `KeepBest`.

    With `settings.patience` 0, all epochs run and the last weights stay. With `settings.averaging`, both are about the
    exponential average of the weights over the steps (Polyak & Juditsky 1992), and so is what is validated; training
    goes on from the weights themselves.

    Args:
        model: what `build` made.
        train, validation: clipped tokens and int32 labels, (texts,).
        settings: the `train` block of params.yaml.
        batch_size: B.
        seed: decides the order of the batches.
        watcher: is told when it begins, and of every batch and epoch.
        metric: chooses the best epoch.
        checkpoint: where the state is kept after every epoch. If there is one already, training goes on from there, and
            ends with the same bytes as without a break.

    Returns:
        Per epoch, the numbers named in `HISTORY`, and `VALIDATION_F1` where that chooses the epoch.

    Raises:
        InputError: a loss is no number, or so large that the network learns nothing more.
    """
    epochs = Epochs(*train, batch_size, np.random.default_rng(seed))
    validated = Epochs(*validation, PREDICTION_BATCH, np.random.default_rng(seed))
    trained = compiled(model, settings, len(epochs))
    watcher = Harmless(watcher or Watcher())
    keep = KeepBest(settings.patience, _macro_f1(model, *validation) if metric == "macro_f1" else None)
    told = _Told(watcher, epochs, keep, settings, model.output_shape[-1])
    callbacks = [told, keep] if settings.patience else [told]
    if settings.averaging:
        callbacks.append(keras.callbacks.SwapEMAWeights())  # for validation; below KeepBest, which looks in between
    going_on = GoingOn(model, trained, told, keep, epochs, validated)
    if checkpoint:
        going_on.take(checkpoint)
        callbacks.append(going_on)  # the last one: the others have done with the epoch
    epochs.take_generator()
    watcher.started()  # nothing that draws from a generator of all is left to make: a thread of the watcher may do so
    trained.fit(
        epochs,
        validation_data=validated,
        initial_epoch=settings.epochs if going_on.over else len(told.history),
        epochs=settings.epochs,
        callbacks=callbacks,
        class_weight=class_weights(train[1]) if settings.class_weight == "balanced" else None,
        shuffle=False,  # `epochs` does it, from a generator of its own
        verbose=0,
    )
    return told.history


def best_epoch(history: list[dict[str, float]]) -> int:
    """Find the epoch, from 1, whose weights `KeepBest` keeps."""
    ranks = [(epoch.get(VALIDATION_F1, 0.0), -epoch["validation_loss"]) for epoch in history]
    return ranks.index(max(ranks)) + 1


def _macro_f1(model: keras.Model, tokens: Tokens, labels: np.ndarray) -> Callable[[], float]:
    """Make what asks a network, as it is at that moment, for its macro F1."""
    return lambda: score(labels, predict(model, tokens))["f1"]


class _Told(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the history, and tells a watcher."""

    def __init__(
        self, watcher: Watcher, epochs: "Epochs", keep: "KeepBest", settings: TrainParams, outputs: int
    ) -> None:
        super().__init__()
        self.history: list[dict[str, float]] = []
        self.watcher, self._epochs, self._keep = watcher, epochs, keep
        self._settings, self._guessing = settings, float(np.log(max(outputs, 2)))

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._epochs.begin()

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        self._check((logs or {})["loss"], np.inf, f"step {batch + 1:,} of {len(self._epochs):,}")
        self.watcher.batch(batch + 1, len(self._epochs))

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        of_epoch = logs or {}
        self._check(of_epoch["loss"], _DIVERGED * self._guessing, "all of its steps")
        self._check(of_epoch["val_loss"], np.inf, "the validation texts")
        values = (of_epoch[name] for name in ("loss", "accuracy", "val_loss", "val_accuracy"))
        self.history.append(dict(zip(HISTORY, map(float, values), strict=True)))
        if self._keep.f1 is not None:
            self.history[-1][VALIDATION_F1] = self._keep.f1
        self.watcher.epoch(epoch + 1, self.history[-1])

    def _check(self, loss: float, most: float, place: str) -> None:
        """Stop where a network cannot recover: weights that are no numbers stay so.

        Raises:
            InputError: the loss is no number, or above `most`.
        """
        if loss < most:
            return
        settings = {name: getattr(self._settings, name) for name in ("learning_rate", "clip_norm", "adversarial")}
        raise InputError(
            f"training diverged in epoch {len(self.history) + 1:,}: the mean loss is {loss:.4g} after {place}, where an"
            f" equal probability for each class has {self._guessing:.2f}."
            f" Received: {', '.join(f'train.{name} {value:g}' for name, value in settings.items())}."
            f" Try train.learning_rate {self._settings.learning_rate / 10:g}, or train.clip_norm 1"
        )


def compiled(model: keras.Model, settings: TrainParams, steps: int) -> keras.Model:
    """Compile a network, or `Adversarial` around it, for `fit`.

    Args:
        model: what `build` made.
        settings: the `train` block of params.yaml.
        steps: batches in an epoch.

    Raises:
        InputError: Keras runs on a backend that the settings do not fit.
    """
    if settings.adversarial and keras.backend.backend() != "tensorflow":
        raise InputError(
            "train.adversarial must be 0 where Keras runs on another backend than tensorflow."
            f" Received: {settings.adversarial} on {keras.backend.backend()}"
        )
    trained = Adversarial(model, settings.adversarial) if settings.adversarial else model
    trained.compile(
        optimizer=_adam(settings, steps),
        loss="binary_crossentropy" if model.output_shape[-1] == 1 else "sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    # Variables that are made in the first step have TensorFlow trace the step twice, a second for a small network.
    trained.optimizer.build(model.trainable_variables)  # in this order, as `Adversarial` has them
    trained.compute_metrics(None, np.zeros(1, np.int32), np.full((1, model.output_shape[-1]), 0.5, np.float32))
    trained.reset_metrics()
    return trained


def _adam(settings: TrainParams, steps: int) -> keras.optimizers.Optimizer:
    """Make the optimizer for epochs of so many steps."""
    rate: Any = settings.learning_rate
    if settings.decay < 1:
        rate = keras.optimizers.schedules.ExponentialDecay(rate, steps, settings.decay)
    return keras.optimizers.Adam(
        rate,
        global_clipnorm=settings.clip_norm or None,
        use_ema=settings.averaging > 0,
        ema_momentum=settings.averaging,
    )


class Adversarial(keras.Model):  # type: ignore[misc]
    """Trains a network on every text twice: as it is, and moved the way that raises its loss most.

    Adversarial training on word vectors (Miyato, Dai & Goodfellow 2017, arXiv:1605.07725), with the loss of both
    texts weighing the same. The vectors of a text move together, by a length of `size` typical lengths of a word's
    vector: a multiple, so that the network cannot escape by making its vectors longer. That length is the mean over
    the places of the batch, the few that are padding included.

    Args:
        network: what `networks.build` made; it is this that is trained.
        size: without a unit.
    """

    def __init__(self, network: keras.Model, size: float) -> None:
        super().__init__()
        self.network, self._size = network, size
        self._embedding = network.get_layer("embedding")
        self._rest = keras.Model([self._embedding.output, network.input], network.output)

    def call(self, tokens: Any, training: bool = False) -> Any:
        return self.network(tokens, training=training)

    def train_step(self, data: Any) -> Any:
        import tensorflow as tf

        tokens, labels, counting = keras.utils.unpack_x_y_sample_weight(data)
        words = tf.reshape(tokens, [tf.shape(tokens)[0], -1])
        weights = [variable.value for variable in self._rest.trainable_variables]
        table = self._embedding.trainable_variables[0]

        def slopes(vectors: Any) -> tuple[Any, Any, Any, list[Any]]:
            with tf.GradientTape() as tape:
                tape.watch(vectors)
                answers = self._rest([vectors, tokens], training=True)
                loss = self.compute_loss(x=tokens, y=labels, y_pred=answers, sample_weight=counting)
            by_vectors, *by_weights = tape.gradient(loss, [vectors, *weights])
            return loss, answers, by_vectors, by_weights

        with tf.GradientTape() as tape:
            vectors = self._embedding(words)
        loss, answers, by_vectors, by_weights = slopes(vectors)
        steepest = by_vectors / (tf.norm(by_vectors, axis=[1, 2], keepdims=True) + 1e-12)
        typical = tf.reduce_mean(tf.norm(vectors, axis=2))
        _, _, by_moved, by_weights_moved = slopes(vectors + self._size * typical * steepest)
        by_table = tape.gradient(vectors, table.value, output_gradients=(by_vectors + by_moved) / 2)
        by_weights = [(one + other) / 2 for one, other in zip(by_weights, by_weights_moved, strict=True)]
        # In the order of the network's variables, by which Keras puts their averages into their places.
        slopes_of = dict(zip(map(id, [table, *self._rest.trainable_variables]), [by_table, *by_weights], strict=True))
        variables = self.network.trainable_variables
        self.optimizer.apply([slopes_of[id(variable)] for variable in variables], variables)
        self._loss_tracker.update_state(loss, sample_weight=tf.shape(tokens)[0])
        return self.compute_metrics(tokens, labels, answers)


class KeepBest(keras.callbacks.Callback):  # type: ignore[misc]
    """Stop when no epoch has been better for some epochs, and put back the weights of the best one.

    The better epoch has the lower validation loss; with `macro_f1`, the higher macro F1, and the loss decides ties.

    Not Keras' EarlyStopping, which looks at the weights when the epoch has ended: by then the averaged weights, that
    were validated, are no longer in the model.
    """

    def __init__(self, patience: int, macro_f1: Callable[[], float] | None = None) -> None:
        super().__init__()
        self._patience, self._macro_f1 = patience, macro_f1
        self.f1: float | None = None  # after the latest epoch, where that is asked for
        self.best: tuple[float, ...] = ()  # its F1 and its loss, as they are compared
        self.waited = 0
        self.weights: list[np.ndarray] = []

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:
        loss = (logs or {})["loss"]
        if self._macro_f1:
            self.f1 = self._macro_f1()
        rank = (0.0 if self.f1 is None else self.f1, -loss)
        if loss < np.inf and rank > self.best:
            self.best, self.waited, self.weights = rank, 0, self.model.get_weights()
        else:
            self.waited += 1

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        if self.waited >= self._patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, float] | None = None) -> None:
        self.model.set_weights(self.weights)


class GoingOn(keras.callbacks.Callback):  # type: ignore[misc]
    """Keeps the state of training after every epoch, and puts it back.

    The state are the variables (weights, what dropout has drawn, the optimizer with its averages), the weights of the
    best epoch, and the history. The order of the batches is a function of the seed and of the epochs over. Nothing else
    of what training draws from lasts from one epoch to the next.

    Args:
        network: what `build` made.
        trained: what is trained, the network or `Adversarial` around it, compiled.
        told: has the history.
        keep: has the best epoch.
        epochs: the batches of training.
        validated: those of validation.
    """

    def __init__(
        self,
        network: keras.Model,
        trained: keras.Model,
        told: _Told,
        keep: KeepBest,
        epochs: "Epochs",
        validated: "Epochs",
    ) -> None:
        super().__init__()
        self._network, self._trained, self._told, self._keep = network, trained, told, keep
        self._epochs, self._validated = epochs, validated
        self._ended: list[int] = []
        self._checkpoint: Checkpoint
        self._began = time.monotonic()
        self.over = False  # no epoch is left
        self.seconds = 0.0  # that the epochs up to the checkpoint took

    def take(self, checkpoint: Checkpoint) -> None:
        """Keep the state there from now on, and put back the one that is there already."""
        self._checkpoint = checkpoint
        state = checkpoint.load()
        if state is None:
            return
        variables = self._variables()
        if {name: _form(array) for name, array in state.arrays.items() if not name.startswith("best")} != {
            name: _form(variable) for name, variable in variables.items()
        }:
            checkpoint.refuse("it has other arrays than the network")
            return
        for name, variable in variables.items():
            variable.assign(state.arrays[name])
        facts, keep = state.facts, self._keep
        self._told.history, self._ended, self.over, self.seconds = (
            facts[name] for name in ("history", "ended", "over", "seconds")
        )
        keep.best, keep.waited, keep.f1 = tuple(facts["best"]), facts["waited"], facts["f1"]
        best = [name for name in state.arrays if name.startswith("best")]
        keep.weights = [state.arrays[name] for name in sorted(best)]

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        self._began = time.monotonic()
        if self._ended:
            for batches, ended in zip((self._epochs, self._validated), self._ended, strict=True):
                batches.catch_up(ended)
            self._told.watcher.resumed(self._told.history, self.seconds)

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        keep = self._keep
        arrays = {name: np.asarray(variable) for name, variable in self._variables().items()}
        arrays |= {f"best {number:03}": weights for number, weights in enumerate(keep.weights)}
        facts = {
            "history": self._told.history,
            "ended": [self._epochs.ended, self._validated.ended],
            "over": bool(self._trained.stop_training),
            "seconds": self.seconds + time.monotonic() - self._began,
            "best": keep.best,
            "waited": keep.waited,
            "f1": keep.f1,
        }
        self._checkpoint.save(State(arrays, facts))

    def _variables(self) -> dict[str, Any]:
        """Name the variables of the network and of the optimizer, in their order."""
        kinds = {"network": self._network.variables, "optimizer": self._trained.optimizer.variables}
        return {f"{kind} {n:03}": variable for kind, of_kind in kinds.items() for n, variable in enumerate(of_kind)}


def _form(array: Any) -> tuple[tuple[int, ...], str]:
    return tuple(array.shape), str(array.dtype)


class Epochs(keras.utils.PyDataset):  # type: ignore[misc]
    """Padded batches for `fit`, put together anew for each epoch.

    No generator that others can reach decides their order. Keras' own shuffling draws from Python's `random`, as does
    the retry of an HTTP request: a server that failed between two epochs gave another network.
    """

    def __init__(self, tokens: Tokens, labels: np.ndarray, batch_size: int, rng: np.random.Generator) -> None:
        # On TensorFlow, with one worker, Keras leaves prefetching to tf.data, whose autotuning is asked to stop at the
        # end of an epoch and goes on until its next look, at 10, 30, 70, … ms: an epoch of 1.7 s may take 2.55 s. On
        # JAX, several workers put the first batches together before `begin` has given them their order.
        super().__init__(workers=2 if keras.backend.backend() == "tensorflow" else 1)
        self._tokens, self._labels, self._batch_size, self._rng = tokens, labels, batch_size, rng
        self._generator = random.Random()
        self._begun = False
        self.ended = 0  # so often have the batches been put together; it decides them, with the generators at the start
        self.on_epoch_end()

    def take_generator(self) -> None:
        """Copy Python's generator as it stands, to order the batches by the copy from `begin` on.

        It stands where `seed_everything` and the building of the network left it. A copy, and no new generator of our
        own: so the order is the one that Keras' shuffling gave before it was done here, and old results still hold.
        """
        self._generator.setstate(random.getstate())

    def begin(self) -> None:
        """Order the batches from now on. Before, Keras has taken the shape of all batches from the first two."""
        self._begun = True
        self._mix()

    def catch_up(self, ended: int) -> None:
        """Order the batches as they were ordered after they had been put together so often."""
        while self.ended < ended:
            self.on_epoch_end()

    def _mix(self) -> None:
        self._order = list(range(len(self._batches)))
        if self._begun:
            self._generator.shuffle(self._order)

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        texts = self._batches[self._order[index]]
        return pad(self._tokens, texts), self._labels[texts]

    def on_epoch_end(self) -> None:
        self.ended += 1
        self._batches = shuffled(self._tokens.lengths, self._batch_size, self._rng)
        self._mix()
