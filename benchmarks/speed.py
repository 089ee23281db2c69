"""How fast a network trains here: against the tutorial's way, against PyTorch, and against the hardware.

    make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1     # once: the tokens to train on
    make bench                                               # installs PyTorch, then: python -m benchmarks.speed

Every way of training is a process of its own that waits while another one measures; they take turns, in another order
in every round, on the same texts. Compared are the rates of the same round, so that what slows the machine for a while
slows both. The model is the tutorial's in all of them (embedding 64, 64 units, binary cross-entropy, Adam):

    ours      preset `fast`: large batches of texts of about one length, both ends of long ones, averaged weights
    tutorial  all texts padded to 500 tokens, batches of 32, model.fit
    pytorch   nn.LSTM or nn.GRU on the same batches as ours
    layer     forward and backward of the bare Keras layer on random vectors, in the shapes of ours
    products  the matrix products of a step of ours and nothing else, as many tokens at once as can be: the ceiling

Each of these has all cores for itself. A comparison trains an LSTM and a GRU, though, so ours and PyTorch are measured
once more as `gatewise run` trains on two cores: both networks at the same time, each in one thread.

Writes benchmarks/results.json, where every processor has results of its own, and docs/images/speed.png.
"""

import argparse
import json
import multiprocessing
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from pipeline import cells
from pipeline.core.command import InputError, clear_errors
from pipeline.core.hashes import md5
from pipeline.core.params import TrainParams, preset_values, read_params
from pipeline.tokens.batches import pad, shuffled
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import Tokens, from_lists
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tools.side_by_side import THREADS
from pipeline.tracking.machine import environment
from pipeline.trained.watching import Watcher

RESULTS, FIGURE = Path("benchmarks/results.json"), Path("docs/images/speed.png")
CELLS = ("lstm", "gru")
TOKENS = Path("data/processed/tokens.npz")
PREPARE = "make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1"
TUTORIAL_TOKENS, TUTORIAL_BATCH, TUTORIAL_EPOCHS = 500, 32, 50
_TOGETHER = 8  # products in one call; the width of a batch is a multiple
TEXTS, ROUNDS = 10240, 5
# What is varied, and how far, to see how the time of an epoch grows with it.
REVIEWS, LENGTHS, UNITS = (1280, 2560, 5120, 10240, 20480), (50, 100, 200, 400, 800), (32, 64, 128, 256)
GROWTH_TEXTS = 2560

Work = Callable[[], float]  # trains on some texts, and says when (`time.perf_counter`) the last batch was done


def preset() -> tuple[TrainParams, int, int]:
    """Read the network of the preset `fast`, the longest text and the size of a batch."""
    fast = preset_values("fast")
    train = read_params().train.model_dump()
    settings = TrainParams(**{key: fast.get(key, value) for key, value in train.items()})
    plain = {
        "bidirectional": False,
        "layers": 1,
        "word_dropout": 0,
        "pooling": "max",
    }
    plain |= {"clip_norm": 0, "adversarial": 0, "decay": 1}
    if other := [key for key, value in plain.items() if getattr(settings, key) != value]:
        raise InputError(f"the preset fast has a network that is built here for Keras alone: {', '.join(other)}")
    return settings, fast["max_tokens"], fast["batch_size"]


def texts(count: int, seed: int = 1) -> tuple[Tokens, np.ndarray, int]:
    """Draw so many training texts with their labels, whole; and read the size of the vocabulary."""
    splits = TokenizedSplits.load(TOKENS)
    whole, labels = splits.tokens["train"], splits.labels["train"]
    if len(whole) < count:
        raise InputError(f"{TOKENS} must hold {count:,} training texts; make it with: {PREPARE}")
    chosen = np.random.default_rng(seed).choice(len(whole), count, replace=False)
    return from_lists([whole[text].tolist() for text in chosen]), labels[chosen], splits.vocabulary_size


def ours(
    cell: str,
    tokens: Tokens,
    labels: np.ndarray,
    vocabulary: int,
    max_tokens: int | None = None,
    units: int | None = None,
) -> Work:
    """Prepare a pass over the texts as `train` makes it, with a network that is ready."""
    from pipeline.networks import building, networks
    from pipeline.networks.fitting import Epochs, compiled

    settings, longest, batch = preset()
    settings = settings.model_copy(update={"units": units or settings.units})
    networks.seed_everything(1)
    model = compiled(building.build(cell, vocabulary, 2, settings), settings, 1)
    kept = clip(tokens, max_tokens or longest, settings.keep)
    epochs = Epochs(kept, labels, batch, np.random.default_rng(1))

    return lambda: _fit(model, epochs)


def _fit(model: Any, *data: Any, **options: Any) -> float:
    """Train for an epoch, and return when its last batch was done.

    The epoch can end much later, as far as the times tell because tf.data's autotuning looks up at 10, 20, 40, … ms
    only: one of 17 s lasts 20.5 s. That is waiting and no training, and how long it is depends on luck.
    """
    import keras

    done = 0.0

    def after_batch(batch: int, logs: Any) -> None:
        nonlocal done
        done = time.perf_counter()

    clock = keras.callbacks.LambdaCallback(on_train_batch_end=after_batch)
    model.fit(*data, epochs=1, verbose=0, callbacks=[clock], **options)
    return done


def tutorials(cell: str, vocabulary: int) -> Any:
    """Build the tutorial's network, with the one repair that makes it run: one answer per text."""
    from pipeline.networks.backend import keras, layers

    model = keras.Sequential(
        [
            layers.Embedding(vocabulary, 64),
            layers.Dropout(0.2),
            getattr(layers, cells.find(cell).layer)(64),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    return model


def padded(tokens: Tokens) -> np.ndarray:
    """Pad texts as pad_sequences(maxlen=500) does: the last 500 tokens, zeros before them; int32, (texts, 500)."""
    kept = clip(tokens, TUTORIAL_TOKENS, "tail")
    filled = np.arange(TUTORIAL_TOKENS) >= TUTORIAL_TOKENS - kept.lengths[:, None]
    batch = np.zeros(filled.shape, np.int32)
    batch[filled] = kept.ids
    return batch


def tutorial(cell: str, tokens: Tokens, labels: np.ndarray, vocabulary: int) -> Work:
    """Prepare a pass over the texts as the tutorial makes it."""
    model, batch = tutorials(cell, vocabulary), padded(tokens)

    return lambda: _fit(model, batch, labels, batch_size=TUTORIAL_BATCH)


def pytorch(cell: str, tokens: Tokens, labels: np.ndarray, vocabulary: int) -> Work:
    """Prepare a pass over the texts with the network of ours in PyTorch."""
    import torch
    from torch import nn
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    settings, longest, size = preset()
    kept, rng = clip(tokens, longest, settings.keep), np.random.default_rng(1)
    embedding = nn.Embedding(vocabulary, settings.embedding_dim)
    recurrent = {"lstm": nn.LSTM, "gru": nn.GRU}[cell](settings.embedding_dim, settings.units, batch_first=True)
    head = nn.Sequential(nn.Dropout(settings.output_dropout), nn.Linear(settings.units, 1))
    dropout, parts = nn.Dropout(settings.dropout), nn.ModuleList([embedding, recurrent, head])
    averages = AveragedModel(parts, multi_avg_fn=get_ema_multi_avg_fn(settings.averaging))
    optimizer, loss_of = torch.optim.Adam(parts.parameters(), settings.learning_rate), nn.BCEWithLogitsLoss()

    def work() -> float:
        for batch in shuffled(kept.lengths, size, rng):
            ids = torch.from_numpy(pad(kept, batch)).long()
            # One mask for all tokens of a text, as in ours.
            vectors = embedding(ids) * dropout(torch.ones(len(batch), 1, settings.embedding_dim))
            states, _ = recurrent(vectors)
            highest = states.masked_fill((ids == 0)[..., None], -1.0).amax(dim=1)
            loss = loss_of(head(highest)[:, 0], torch.from_numpy(labels[batch]).float())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if settings.averaging:
                averages.update_parameters(parts)
        return time.perf_counter()

    return work


def layer(cell: str, tokens: Tokens, labels: np.ndarray, vocabulary: int) -> Work:
    """Prepare forward and backward of the recurrent layer alone, on random vectors in the shapes of ours."""
    import tensorflow as tf

    settings, _, _ = preset()
    recurrent = cells.find(cell).make_layer(settings.units, cell)
    recurrent.build((None, None, settings.embedding_dim))

    @tf.function(input_signature=[tf.TensorSpec((None, None, settings.embedding_dim), tf.float32)])  # type: ignore[untyped-decorator]
    def step(vectors: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(vectors)
            states = recurrent(vectors)
        return tape.gradient(states, [vectors, *(weight.value for weight in recurrent.weights)])

    every = [tf.random.normal([*shape, settings.embedding_dim]) for shape in shapes(tokens)]

    def work() -> float:
        for vectors in every:
            step(vectors)
        return time.perf_counter()

    return work


def products(cell: str, tokens: Tokens, labels: np.ndarray, vocabulary: int) -> Work:
    """Prepare the matrix products of the recurrent layer of ours, forward and backward, each in its shape.

    The product of all vectors with the kernel, and the three that give the slopes of vectors, kernel and recurrent
    kernel, take all tokens of a batch at once; the products of the states before and of the slopes by the states
    take one token of each text at a time, one after the other.
    """
    import tensorflow as tf

    tf.config.threading.set_inter_op_parallelism_threads(1)  # no two of them at a time

    settings, _, _ = preset()
    U, E, G = settings.units, settings.embedding_dim, cells.find(cell).blocks * settings.units
    kernel = tf.random.normal((E, G))
    steps = _steps(tf, U, G)

    @tf.function(input_signature=[tf.TensorSpec((None, n), tf.float32) for n in (E, U, G)])  # type: ignore[untyped-decorator]
    def at_once(vectors: Any, states: Any, slopes: Any) -> Any:
        given, by_vectors = tf.matmul(vectors, kernel), tf.matmul(slopes, kernel, transpose_b=True)
        by_kernels = [tf.matmul(values, slopes, transpose_a=True) for values in (vectors, states)]
        return given[0, 0] + by_vectors[0, 0] + by_kernels[0][0, 0] + by_kernels[1][0, 0]

    every = shapes(tokens)
    vectors, states, slopes = (tf.random.normal([max(P * T for P, T in every), n]) for n in (E, U, G))

    def work() -> float:
        for P, T in every:
            at_once(vectors[: P * T], states[: P * T], slopes[: P * T])
            of_one, by_one = states[:P], slopes[:P]
            for _ in range(T // _TOGETHER):
                steps(of_one, by_one)
        return time.perf_counter()

    return work


def _steps(tf: Any, U: int, G: int) -> Any:
    """Make a function of so many products, forward and backward, that the time of the call itself does not count.

    No loop, whose steps would; and every product with weights of its own, so that none is left out as known.
    """
    forth, back = ([tf.random.normal(shape) for _ in range(_TOGETHER)] for shape in ((U, G), (G, U)))

    @tf.function(input_signature=[tf.TensorSpec((None, n), tf.float32) for n in (U, G)])  # type: ignore[untyped-decorator]
    def steps(states: Any, slopes: Any) -> Any:
        forward = [tf.matmul(states, weights)[0, 0] for weights in forth]
        backward = [tf.matmul(slopes, weights)[0, 0] for weights in back]
        return tf.add_n(forward + backward)

    return steps


def shapes(tokens: Tokens) -> list[tuple[int, int]]:
    """List the (sequences, tokens) that the recurrent layer of ours reads, batch by batch."""
    settings, longest, size = preset()
    kept = clip(tokens, longest, settings.keep)
    batches = [pad(kept, b) for b in shuffled(kept.lengths, size, np.random.default_rng(1))]
    return [(int(np.prod(batch.shape[:-1])), batch.shape[-1]) for batch in batches]


WAYS: "dict[str, Callable[[str, Tokens, np.ndarray, int], Work]]" = {
    "ours": ours,
    "tutorial": tutorial,
    "pytorch": pytorch,
    "layer": layer,
    "products": products,
}


SIDE_BY_SIDE = ("ours", "pytorch")


RATIOS = {  # of ours to another way
    "ratio_to_tutorial": "tutorial",
    "ratio_to_pytorch": "pytorch",
    "ratio_to_layer": "layer",
    "share_of_ceiling": "products",
}


def wait_and_measure(way: str, cell: str, asked: Connection) -> None:
    """Make everything ready, then measure on each request; it runs in a process of its own."""
    work = WAYS[way](cell, *texts(TEXTS))
    work()  # compiles
    while asked.recv():
        started = time.perf_counter()
        asked.send(TEXTS / (work() - started))


def rates(cell: str) -> dict[str, list[float]]:
    """Measure the texts per second of every way, round by round."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    asking = {way: _waiting(way, cell) for way in WAYS}
    for number, way in _turns(list(WAYS)):
        (rate,) = _asked(way, [asking[way]])
        if number:
            found[way].append(round(rate, 1))
            print(f"{cell}, round {number}, {way}: {rate:,.0f} texts/s", flush=True)
    for asked in asking.values():
        asked.send(False)
    return found


def side_by_side() -> dict[str, dict[str, list[float]]]:
    """Measure two ways again, the networks of all cells at once, in one thread each.

    Returns:
        Way to what was measured, round by round: the texts per second of each cell, and those of all together, which
        end with the slowest.
    """
    names = [*CELLS, "together"]
    found: dict[str, dict[str, list[float]]] = {way: {name: [] for name in names} for way in SIDE_BY_SIDE}
    asking = {way: [_waiting(way, cell, threads=1) for cell in CELLS] for way in SIDE_BY_SIDE}
    for number, way in _turns(SIDE_BY_SIDE):
        each = _asked(way, asking[way])
        if number:
            for name, rate in zip(names, [*each, len(each) * min(each)], strict=True):
                found[way][name].append(round(rate, 1))
                print(f"side by side, round {number}, {way}, {name}: {rate:,.0f} texts/s", flush=True)
    for asked in asking.values():
        for one in asked:
            one.send(False)
    return found


def _turns(ways: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Let ways take turns; round 0 waits until all are ready, and does not count."""
    for number in range(ROUNDS + 1):
        for way in random.Random(number).sample(list(ways), len(ways)):
            yield number, way


def _waiting(way: str, cell: str, threads: int | None = None) -> Connection:
    """Start a process that measures when it is asked to. Its threads, if not told, are those of the environment."""
    spawn = multiprocessing.get_context("spawn")
    asking, asked = spawn.Pipe()
    before = {name: os.environ.get(name) for name in THREADS}
    os.environ.update({name: str(threads) for name in THREADS if threads})
    try:
        spawn.Process(target=wait_and_measure, args=(way, cell, asked), daemon=True).start()
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            os.environ.update({name: value} if value is not None else {})
    asked.close()
    return asking


def _asked(way: str, processes: Sequence[Connection]) -> list[float]:
    """Let processes measure at the same time."""
    try:
        for process in processes:
            process.send(True)
        return [process.recv() for process in processes]
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise InputError(f"the process that measures {way!r} has ended; its output is above") from None


def ratio(of: list[float], to: list[float]) -> dict[str, float]:
    """Compute the ratio of two ways in the same round: the median of the rounds, the lowest and the highest."""
    each = [one / other for one, other in zip(of, to, strict=True)]
    return {"median": round(statistics.median(each), 3), "low": round(min(each), 3), "high": round(max(each), 3)}


def growth() -> dict[str, dict[str, Any]]:
    """Measure the growth of the time of an epoch of the LSTM: seconds by size, and the exponent of their line."""
    rng = np.random.default_rng(1)
    whole, labels, vocabulary = texts(max(REVIEWS))

    def of_length(tokens: int) -> tuple[Tokens, np.ndarray, int]:
        ids = rng.integers(1, vocabulary, (GROWTH_TEXTS, tokens)).tolist()
        return from_lists(ids), labels[:GROWTH_TEXTS], vocabulary

    some = from_lists([whole[text].tolist() for text in range(GROWTH_TEXTS)]), labels[:GROWTH_TEXTS], vocabulary
    works = {
        "reviews": {n: ours("lstm", *_first(whole, labels, n), vocabulary) for n in REVIEWS},
        "tokens per review": {n: ours("lstm", *of_length(n), max_tokens=n) for n in LENGTHS},
        "units": {n: ours("lstm", *some, units=n) for n in UNITS},
    }
    found = {}
    for varied, by_size in works.items():
        seconds = {}
        for size, work in by_size.items():
            work()
            times = []
            for _ in range(3):
                started = time.perf_counter()
                times.append(work() - started)
            seconds[size] = round(statistics.median(times), 4)
        exponent, _ = np.polyfit(np.log(list(seconds)), np.log(list(seconds.values())), 1)
        found[varied] = {"exponent": round(float(exponent), 3), "seconds": seconds}
        print(f"time ~ {varied}^{exponent:.2f}: {seconds}", flush=True)
    return found


def _first(tokens: Tokens, labels: np.ndarray, count: int) -> tuple[Tokens, np.ndarray]:
    return Tokens(tokens.ids[: tokens.offsets[count]], tokens.offsets[: count + 1]), labels[:count]


def accuracies(cell: str, epochs: int) -> dict[str, Any]:
    """Measure validation accuracy epoch by epoch, ours and the tutorial's, and the seconds of training until then.

    Validation is in the seconds of both. The tutorial trains for 50 epochs, of which all but the first few only
    overfit: what they would take is reckoned from those that run, all but the first, in which TensorFlow compiles.
    """
    from pipeline.networks import building, networks
    from pipeline.networks.fitting import fit

    splits = TokenizedSplits.load(TOKENS)
    settings, longest, batch = preset()
    settings = settings.model_copy(update={"epochs": 2 * epochs, "patience": 0})
    kept = {split: clip(splits.tokens[split], longest, settings.keep) for split in splits.labels}
    of_ours: list[dict[str, float]] = []
    networks.seed_everything(1)
    model = building.build(cell, splits.vocabulary_size, 2, settings)

    class Clock(Watcher):
        def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
            of_ours.append(_reached(started, numbers["validation_accuracy"]))

    train, validation = ((kept[split], splits.labels[split]) for split in ("train", "validation"))
    started = time.perf_counter()
    fit(model, train, validation, settings, batch, 1, Clock())

    of_tutorial: list[dict[str, float]] = []
    networks.seed_everything(1)
    model = tutorials(cell, splits.vocabulary_size)
    texts_of = {split: padded(splits.tokens[split]) for split in splits.labels}
    started = time.perf_counter()
    for _ in range(epochs):
        model.fit(texts_of["train"], splits.labels["train"], batch_size=TUTORIAL_BATCH, epochs=1, verbose=0)
        _, accuracy = model.evaluate(texts_of["validation"], splits.labels["validation"], verbose=0)
        of_tutorial.append(_reached(started, accuracy))

    both = {"ours": of_ours, "tutorial": of_tutorial}
    best = max(epoch["accuracy"] for epoch in of_tutorial)
    reached = next((epoch["seconds"] for epoch in of_ours if epoch["accuracy"] >= best), None)
    per_epoch = {way: (of[-1]["seconds"] - of[0]["seconds"]) / (len(of) - 1) for way, of in both.items()}
    whole = of_tutorial[0]["seconds"] + (TUTORIAL_EPOCHS - 1) * per_epoch["tutorial"]
    found = {
        **both,
        "seconds per epoch": {way: round(seconds, 1) for way, seconds in per_epoch.items()},
        "best of the tutorial": best,
        "seconds until ours has it": reached,
        "seconds of 50 epochs of the tutorial, reckoned": round(whole),
        "share": round(reached / whole, 4) if reached else None,
    }
    print(cell, found, flush=True)
    return found


def _reached(started: float, accuracy: float) -> dict[str, float]:
    return {"seconds": round(time.perf_counter() - started, 1), "accuracy": round(accuracy, 4)}


def draw(results: dict[str, Any]) -> None:
    """Draw the rates as bars with every round on them, and the growth of an epoch."""
    from matplotlib.figure import Figure

    from pipeline.comparison.titles import colour_of
    from pipeline.reporting.figures import save

    figure = Figure(figsize=(11, 4), layout="constrained")
    figure.suptitle(results["machine"])
    left, right = figure.subplots(1, 2)
    for offset, (cell, by_way) in zip((-0.2, 0.2), results["texts_per_second"].items(), strict=True):
        for place, found in enumerate(by_way.values()):
            label = cell.upper() if not place else None
            left.bar(place + offset, statistics.median(found), 0.38, color=colour_of(cell), alpha=0.75, label=label)
            left.plot([place + offset] * len(found), found, ".", color="black", markersize=4)
    left.set_xticks(range(len(WAYS)), WAYS)
    left.set_ylabel("training texts per second")
    left.set_title("Embedding 64, 64 units; a dot per round")
    left.legend(frameon=False)
    for varied, found in results["growth"].items():
        sizes = np.array(list(map(float, found["seconds"])))
        right.loglog(sizes / sizes[0], np.array(list(found["seconds"].values())), ".-",
                     label=f"{varied}, from {sizes[0]:.0f}: exponent {found['exponent']:.2f}")  # fmt: skip
    right.set_xticks([1, 2, 4, 8, 16], ["1", "2", "4", "8", "16"])
    right.set_yticks([0.2, 0.5, 1, 2, 5, 10], ["0.2", "0.5", "1", "2", "5", "10"])
    right.minorticks_off()
    right.set_xlabel("times the smallest")
    right.set_ylabel("seconds per epoch (LSTM)")
    right.set_title("How an epoch grows")
    right.legend(frameon=False, loc="lower right")
    save(figure, FIGURE)


def keep(results: dict[str, Any]) -> None:
    """Write the results measured so far, in place of older ones of the same processor."""
    everywhere = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else {}
    everywhere[results["machine"]] = {key: value for key, value in results.items() if key != "machine"}
    RESULTS.write_text(json.dumps(everywhere, indent=1) + "\n", encoding="utf-8")


def must_be_measurable() -> None:
    """Make sure that nothing is missing before anything is measured.

    Raises:
        InputError: something is.
    """
    if not TOKENS.is_file():
        raise InputError(f"{TOKENS} does not exist; make it with: {PREPARE}")
    preset()
    words, (*_, received) = preset_values("fast")["vocabulary"], texts(max(REVIEWS))
    if received != words:
        raise InputError(f"{TOKENS} must know {words:,} words. Received: {received:,}; make it with: {PREPARE}")
    if find_spec("torch") is None:
        raise InputError("PyTorch is not installed; `make bench` installs it")


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast a network trains here, against other ways.")
    parser.add_argument(
        "--epochs", type=int, default=4, help="epochs of the tutorial's network, to find its best accuracy; 0: none"
    )
    arguments = parser.parse_args()
    must_be_measurable()
    _, longest, batch = preset()
    results: dict[str, Any] = {
        "machine": f"{environment()['cpu']}, {os.cpu_count()} threads",
        "tokens": {"md5": md5(TOKENS), "max_tokens": longest, "batch": batch, "texts": TEXTS},
    }
    results["texts_per_second"] = {cell: rates(cell) for cell in CELLS}
    for name, to in RATIOS.items():
        by_cell = results["texts_per_second"].items()
        results[name] = {cell: ratio(ways["ours"], ways[to]) for cell, ways in by_cell}
    results["side_by_side"] = side_by_side()
    of_ours, of_theirs = (results["side_by_side"][way] for way in SIDE_BY_SIDE)
    results["ratio_side_by_side"] = {name: ratio(found, of_theirs[name]) for name, found in of_ours.items()}
    keep(results)  # whatever happens later
    results["growth"] = growth()
    keep(results)
    draw(results)
    if arguments.epochs > 1:
        results["accuracy"] = {cell: accuracies(cell, arguments.epochs) for cell in CELLS}
        keep(results)
    for name in (*RATIOS, "ratio_side_by_side"):
        for cell, found in results[name].items():
            print(f"{name}, {cell}: {found['median']:.2f} ({found['low']:.2f} to {found['high']:.2f})")


if __name__ == "__main__":
    with clear_errors():
        main()
