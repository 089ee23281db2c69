"""Train one network with one seed.

Reads   tokens.npz (which holds no test labels), embeddings.npz, tokenizer.json (logged with the model)
Writes  a folder as described in pipeline/parts/trained.py: card, history, network, memory, predictions

    python -m pipeline.train --model lstm --seed 1 --tokens data/processed/tokens.npz \
        --tokenizer data/processed/tokenizer.json --embeddings data/processed/embeddings.npz \
        --output data/models/lstm-1
"""

import argparse
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from tokenizers import Tokenizer

from pipeline.parts.classifier import Classifier
from pipeline.parts.command import InputError, progress, run, waiting
from pipeline.parts.folders import check_files, check_ours
from pipeline.parts.latency import TRAINING_SECONDS, latency
from pipeline.parts.lineage import md5
from pipeline.parts.memory import TEXTS, Memory, remember, sample
from pipeline.parts.opening import checked_network
from pipeline.parts.params import TrainParams, must_be_unchanged, read_params
from pipeline.parts.record import finish, run_params
from pipeline.parts.scores import score
from pipeline.parts.tokens import TokenizedSplits, Tokens, clip, decode
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import CARD, FILES, MEMORY, NETWORK, Trained
from pipeline.parts.wordvectors import WordVectors

with waiting("load Keras and TensorFlow"):  # takes seconds
    from pipeline.parts import networks
    from pipeline.parts.fitting import fit

AfterEpoch = Callable[[int, dict[str, float]], None]
AfterBatch = Callable[[int, int], None]


def train(
    model: networks.CellName,
    seed: int,
    splits: TokenizedSplits,
    vectors: WordVectors,
    settings: TrainParams,
    max_tokens: int,
    batch_size: int,
    output: Path,
    after_epoch: AfterEpoch | None = None,
    after_batch: AfterBatch | None = None,
) -> Trained:
    """Train, predict the validation and the test texts, and write the network into `output`.

    Args:
        model: the cell.
        seed: of weights, dropout and the order of batches.
        splits: the content of tokens.npz.
        vectors: the content of embeddings.npz.
        settings: the `train` block of params.yaml.
        max_tokens: longer texts are cut.
        batch_size: texts per step of training.
        output: the folder to write.
        after_epoch: called with the epoch, from 1, and its losses and accuracies.
        after_batch: called with the batch, from 1, and the number of batches in the epoch.

    Returns:
        All that belongs into `output`; the network is there already, `save` writes the rest.
    """
    shutil.rmtree(output, ignore_errors=True)  # an interrupted run must not leave old files beside new ones
    output.mkdir(parents=True)
    tokens = {split: clip(texts, max_tokens, settings.keep) for split, texts in splits.tokens.items()}
    train_split, validation_split = ((tokens[split], splits.labels[split]) for split in ("train", "validation"))
    networks.seed_everything(seed)
    network = networks.build(model, splits.vocabulary_size, len(splits.label_names), settings)
    if vectors.known.any():
        networks.start_from(network, vectors.vectors, vectors.known)
    history = fit(network, train_split, validation_split, settings, batch_size, seed, after_epoch, after_batch)
    networks.save(network, output / NETWORK)
    predictions = {split: networks.predict(network, tokens[split]) for split in ("validation", "test")}
    table = pd.DataFrame(history, index=pd.RangeIndex(1, len(history) + 1, name="epoch"))
    card = {
        "model": model,
        "seed": seed,
        "labels": splits.label_names,
        "settings": _settings(settings, max_tokens, batch_size, splits.vocabulary_size),
        "parameters": network.count_params(),
        "recurrent_parameters": networks.recurrent_parameters(network),
        "best_epoch": int(table["validation_loss"].to_numpy().argmin()) + 1 if settings.patience else len(table),
        "validation": score(splits.labels["validation"], predictions["validation"]),
    }
    return Trained(output, card, predictions, table)


def measure_memory(trained: Trained, validation: Tokens, vocabulary: dict[str, int]) -> Memory:
    """What the memory of a trained network does over the validation texts; nothing of a network that is not checked."""
    settings = trained.card["settings"]
    texts = clip(sample(validation, TEXTS), settings["max_tokens"], settings["keep"])
    longest = texts[int(texts.lengths.argmax())]
    try:
        network = checked_network(trained.weights, settings, longest)
    except InputError as problem:  # no reason to lose what was trained
        print(f"{trained.name}: its memory is not measured: {problem}", file=sys.stderr)
        return Memory()
    return remember(network, texts, vocabulary, trained.name)


def _settings(settings: TrainParams, max_tokens: int, batch_size: int, vocabulary: int) -> dict[str, Any]:
    """What shaped the training, by the names of params.yaml; `vocabulary` as it came out."""
    return settings.model_dump() | {"max_tokens": max_tokens, "batch_size": batch_size, "vocabulary": vocabulary}


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one network with one seed.")
    parser.add_argument("--model", choices=list(networks.CELLS), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.npz that preprocess wrote")
    parser.add_argument("--tokenizer", type=Path, required=True, help="tokenizer.json that preprocess wrote")
    parser.add_argument("--embeddings", type=Path, required=True, help="embeddings.npz that embed wrote")
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    arguments = parser.parse_args()
    params = read_params()
    inputs = (arguments.tokens, arguments.tokenizer, arguments.embeddings)
    if not 0 <= arguments.seed < 2**32:
        raise InputError(f"--seed must be from 0 to {2**32 - 1}. Received: {arguments.seed}")
    check_files(*inputs)
    check_ours(arguments.output, FILES)
    splits = TokenizedSplits.load(arguments.tokens)
    identity = {"dataset": params.dataset, "model": arguments.model, "seed": arguments.seed}
    name = arguments.output.name
    with Tracker(params.dataset).run(name, "train") as tracked:
        settings = _settings(params.train, params.data.max_tokens, params.data.batch_size, splits.vocabulary_size)
        tracked.params(run_params({**identity, "settings": settings}))
        bar = progress(desc=name, unit=" batches")
        started = previous = time.perf_counter()

        def after_epoch(epoch: int, numbers: dict[str, float]) -> None:
            nonlocal previous
            seconds, previous = time.perf_counter() - previous, time.perf_counter()
            tracked.epoch(epoch, numbers)
            tracked.metrics({"time/epoch_seconds": seconds}, epoch)
            shown = ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in numbers.items())
            bar.reset()
            bar.write(f"{name} epoch {epoch}: {shown} ({seconds:.1f} s)")

        def after_batch(batch: int, batches: int) -> None:
            bar.total = batches
            bar.update()

        trained = train(
            arguments.model,
            arguments.seed,
            splits,
            WordVectors.load(arguments.embeddings),
            params.train,
            params.data.max_tokens,
            params.data.batch_size,
            arguments.output,
            after_epoch,
            after_batch,
        )
        bar.close()
        must_be_unchanged(
            (params.dataset, params.data.max_tokens, params.data.batch_size, params.train),
            lambda now: (now.dataset, now.data.max_tokens, now.data.batch_size, now.train),
        )
        trained.card.update(
            dataset=params.dataset,
            inputs={path.as_posix(): md5(path) for path in inputs},
        )
        tokenizer, validation = Tokenizer.from_file(str(arguments.tokenizer)), splits.tokens["validation"]
        with waiting(f"measure the memory of {name}"):
            memory = measure_memory(trained, validation, tokenizer.get_vocab())
        (arguments.output / MEMORY).write_text(memory.to_json(), encoding="utf-8")
        trained.save()
        tracked.metrics({TRAINING_SECONDS: previous - started})
        texts = decode(tokenizer, validation)
        classifier = Classifier(trained.weights, arguments.output / CARD, arguments.tokenizer)
        tracked.metrics(latency(classifier.predict, texts))
        with waiting(f"log {name} to MLflow"):
            finish(tracked, trained, arguments.tokenizer)


if __name__ == "__main__":
    run(main)
