"""Train one network with one seed.

Reads   tokens.npz (which holds no test labels), embeddings.npz; the hash of tokenizer.json goes onto the card
Writes  a folder as described in pipeline/trained/trained.py: card, history, network, predictions
        until that is whole, a checkpoint after every epoch, from which the next run goes on if this one is killed

    python -m pipeline.train --model lstm --seed 1 --tokens data/processed/tokens.npz \
        --tokenizer data/processed/tokenizer.json --embeddings data/processed/embeddings.npz \
        --checkpoints data/checkpoints --output data/models/lstm-1
"""

from pathlib import Path
from typing import Any

import click
import pandas as pd

from pipeline.core.command import PATH, InputError, run, waiting
from pipeline.core.folders import check_files, check_ours, project_root, replacing
from pipeline.core.hashes import folder_md5, md5
from pipeline.core.params import CELLS, LARGEST_SEED, Metric, TrainParams, must_be_unchanged, read_params
from pipeline.tokens.clipping import clip
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.wordvectors import WordVectors
from pipeline.trained.scores import score
from pipeline.trained.trained import FILES, NETWORK, Trained, without_defaults
from pipeline.trained.watching import Watcher

with waiting("load TensorFlow and MLflow"):  # takes seconds
    from pipeline.networks import building, networks
    from pipeline.networks.checkpoints import Checkpoint
    from pipeline.networks.fitting import best_epoch, fit
    from pipeline.networks.room import check_room
    from pipeline.tracking.watching import watching


# All that `train` depends on in dvc.yaml: a checkpoint of other code is not taken.
CODE = ("train.py", "cells/__init__.py", "cells/{model}.py", "core", "networks", "tokens", "trained")


def train(
    model: str,
    seed: int,
    splits: TokenizedSplits,
    vectors: WordVectors,
    settings: TrainParams,
    max_tokens: int,
    batch_size: int,
    output: Path,
    watcher: Watcher | None = None,
    metric: Metric = "accuracy",
    checkpoint: "Checkpoint | None" = None,
) -> Trained:
    """Train, predict the validation and the test texts, and write the network into `output`.

    Args:
        model: the name of the cell.
        seed: of weights, dropout and the order of batches.
        splits: the content of tokens.npz.
        vectors: the content of embeddings.npz.
        settings: the `train` block of params.yaml.
        max_tokens: longer texts are cut.
        batch_size: texts per step of training.
        output: the folder to write into.
        watcher: is told when it begins, and of every batch and epoch.
        metric: chooses the best epoch.
        checkpoint: where the state is kept after every epoch, and from where training goes on.

    Returns:
        All that belongs into `output`; the network is there already, `save` writes the rest.

    Raises:
        InputError: there is too little memory, or the network diverges.
    """
    longest = min(max_tokens, max(int(texts.lengths.max(initial=1)) for texts in splits.tokens.values()))
    check_room(model, splits.vocabulary_size, settings, batch_size, longest)
    output.mkdir(parents=True, exist_ok=True)
    tokens = {split: clip(texts, max_tokens, settings.keep) for split, texts in splits.tokens.items()}
    train_split, validation_split = ((tokens[split], splits.labels[split]) for split in ("train", "validation"))
    networks.seed_everything(seed)
    network = building.build(model, splits.vocabulary_size, len(splits.label_names), settings)
    if vectors.known.any():
        building.start_from(network, vectors.vectors, vectors.known)
    history = fit(network, train_split, validation_split, settings, batch_size, seed, watcher, metric, checkpoint)
    networks.save(network, output / NETWORK)
    with waiting(f"{output.name}: answer the validation and the test texts"):
        predictions = {split: networks.predict(network, tokens[split]) for split in ("validation", "test")}
    table = pd.DataFrame(history, index=pd.RangeIndex(1, len(history) + 1, name="epoch"))
    card = {
        "model": model,
        "seed": seed,
        "labels": splits.label_names,
        "settings": card_settings(settings, max_tokens, batch_size, splits.vocabulary_size, metric),
        "parameters": network.count_params(),
        "recurrent_parameters": building.recurrent_parameters(network),
        "best_epoch": best_epoch(history) if settings.patience else len(table),
        "validation": score(splits.labels["validation"], predictions["validation"]),
    }
    return Trained(output, card, predictions, table)


def card_settings(
    settings: TrainParams, max_tokens: int, batch_size: int, vocabulary: int, metric: Metric = "accuracy"
) -> dict[str, Any]:
    """Name what shaped the training as params.yaml does; `vocabulary` as it came out.

    Metric and class weight are left out where they are what they always were: so older cards have the same settings.
    """
    shaped = settings.model_dump() | {"max_tokens": max_tokens, "batch_size": batch_size, "vocabulary": vocabulary}
    return without_defaults(shaped | {"metric": metric})


def code(model: str) -> dict[str, str]:
    """Hash the code that can change a network, as dvc.yaml names it: path in the package to hash."""
    here = Path(__file__).parent
    paths = (here / name.format(model=model) for name in CODE)
    return {path.relative_to(here).as_posix(): folder_md5(path) if path.is_dir() else md5(path) for path in paths}


@click.command(help="Train one network with one seed.")
@click.option("--model", type=click.Choice(CELLS), required=True)
@click.option("--seed", type=click.IntRange(0, LARGEST_SEED), required=True)
@click.option("--tokens", type=PATH, required=True, help="tokens.npz that preprocess wrote")
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json that preprocess wrote")
@click.option("--embeddings", type=PATH, required=True, help="embeddings.npz that embed wrote")
@click.option("--checkpoints", type=PATH, help="folder where every epoch is kept until the network is whole")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(
    model: str, seed: int, tokens: Path, tokenizer: Path, embeddings: Path, checkpoints: Path | None, output: Path
) -> None:
    check_files(tokens, tokenizer, embeddings)
    check_ours(output, FILES)
    params = read_params()
    settings, max_tokens, batch_size = params.train, params.data.max_tokens, params.data.batch_size
    inputs = {path.as_posix(): md5(path) for path in (tokens, tokenizer, embeddings)}
    splits, vectors = TokenizedSplits.load(tokens), WordVectors.load(embeddings)
    asked = {"dataset": params.dataset, "model": model, "seed": seed}
    metric = params.metric
    asked["settings"] = card_settings(settings, max_tokens, batch_size, splits.vocabulary_size, metric)
    checkpoint = None
    if checkpoints:
        origin = {"asked": asked, "code": code(model), "inputs": inputs}
        checkpoint = Checkpoint.of(project_root() / checkpoints, output.name, origin)
    with watching(output.name, "train", asked) as watcher:
        try:
            with replacing(output) as folder:
                trained = train(
                    model, seed, splits, vectors, settings, max_tokens, batch_size, folder, watcher, metric, checkpoint
                )
                must_be_unchanged(
                    (params.dataset, max_tokens, batch_size, settings, metric),
                    lambda now: (now.dataset, now.data.max_tokens, now.data.batch_size, now.train, now.metric),
                )
                trained.card.update(dataset=params.dataset, inputs=inputs)
                trained.save()
        except OSError as error:
            kept = " What is trained is kept, and the next run goes on from there" if checkpoint else ""
            raise InputError(f"{output} could not be written: {error}.{kept}") from None
        watcher.finished(output)
    if checkpoint:  # now, and no earlier: DVC removes a whole network, too, where the stage has not ended
        checkpoint.finish()


if __name__ == "__main__":
    run(main)
