"""What each change of the network gives on the validation split: the steps of ladder.yaml, one after the other.

    make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1      # once: makes data/processed/reviews.parquet
    python -m benchmarks.ladder                               # every step, an hour; goes on where it stopped
    python -m benchmarks.ladder --steps tutorial "last state" --seeds 1 2
    python -m benchmarks.ladder --table                       # what is in ladder.json, as the table of docs/ladders.md
    python -m benchmarks.ladder --results mine.json --steps "the default" "before the default"   # of any data set

A step starts from another one, or from a preset, and changes some parameters; each is named as in params.yaml, and what
no step names is as in params.yaml. Test texts are not read. Word vectors are kept in data/ladder.
"""

import argparse
import json
import time
from collections.abc import Iterator, Mapping
from itertools import chain, product
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from pipeline.core.command import InputError, clear_errors, did_you_mean
from pipeline.core.hashes import md5
from pipeline.core.params import CELLS, EmbeddingsParams, TrainParams, preset_values, read_params, read_yaml
from pipeline.corpus.reviews import read_label_names, read_split
from pipeline.embed import embed
from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import Tokens, concatenate
from pipeline.tokens.tokenizer import encode, train_tokenizer
from pipeline.tokens.wordvectors import WordVectors
from pipeline.trained.scores import score
from pipeline.trained.watching import Watcher

STEPS = Path("benchmarks/ladder.yaml")
RESULTS = Path("benchmarks/ladder.json")
REVIEWS = Path("data/processed/reviews.parquet")
VECTORS = Path("data/ladder")


class Data:
    """Training and validation split in any tokens, with any word vectors; each made once."""

    def __init__(self, reviews: Path) -> None:
        self._reviews, self.md5 = reviews, md5(reviews)
        self._tokenizers: dict[tuple[str, int], Any] = {}
        self._tokens: dict[tuple[str, int], dict[str, Tokens]] = {}
        self.labels = {split: self._labels(split) for split in ("train", "validation")}
        self.classes = len(read_label_names(reviews))

    def _labels(self, split: str) -> np.ndarray:
        return np.concatenate(
            [rows["label"].to_numpy(np.int32) for rows in read_split(self._reviews, split, ["label"])]
        )

    def _texts(self, split: str) -> Iterator[list[str]]:
        return (rows["text"].tolist() for rows in read_split(self._reviews, split, ["text"]))

    def tokens(self, settings: dict[str, Any]) -> tuple[dict[str, Tokens], int]:
        """Encode the splits as tokens, and tell the size of the vocabulary."""
        key = (settings["tokenizer"], settings["vocabulary"])
        if key not in self._tokens:
            tokenizer = train_tokenizer(chain.from_iterable(self._texts("train")), *key)
            self._tokenizers[key] = tokenizer
            self._tokens[key] = {
                split: concatenate(encode(tokenizer, texts) for texts in self._texts(split)) for split in self.labels
            }
        return self._tokens[key], self._tokenizers[key].get_vocab_size()

    def vectors(self, settings: dict[str, Any]) -> WordVectors:
        """Make word vectors as the stage `embed` does; they take minutes, so a file keeps them."""
        self.tokens(settings)
        wanted = EmbeddingsParams(**{name: settings[name] for name in EmbeddingsParams.model_fields})
        key = [settings[name] for name in ("tokenizer", "vocabulary", "embedding_dim")]
        path = VECTORS / f"{'-'.join(map(str, [self.md5[:8], *key, *wanted.model_dump().values()]))}.npz"
        if not path.exists():
            vectors, told = embed(
                wanted,
                settings["embedding_dim"],
                self._tokenizers[key[0], key[1]],
                lambda: self._tokens[key[0], key[1]]["train"],
                self._reviews,
                Path("data/vectors"),
            )
            print(told, flush=True)
            VECTORS.mkdir(exist_ok=True)
            vectors.save(path.with_suffix(".part"))  # half a file must not be taken for a whole one
            path.with_suffix(".part").replace(path)
        return WordVectors.load(path)


def settings_of(name: str, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Collect all parameters of a step, by their last names.

    Raises:
        InputError: there is no such step, or it changes what is no parameter.
    """
    if name not in steps:
        raise InputError(f"{STEPS} has no step {name!r}; {did_you_mean(name, steps)}")
    step = dict(steps[name])
    start, preset = step.pop("from", None), step.pop("preset", None)
    if start is None:
        params = read_params()
        every = [params.data, params.preprocess, params.embeddings, params.train]
        before = {key: value for block in every for key, value in block.model_dump().items()}
        before |= preset_values(str(preset))
    else:
        before = settings_of(start, steps)
    for key in step:
        if key not in before:
            raise InputError(f"{STEPS}: the step {name!r} changes {key!r}; {did_you_mean(key, before)}")
    return before | step


def climb(model: str, seed: int, settings: dict[str, Any], data: Data) -> dict[str, Any]:
    """Train one network as `train` does, and score it on the validation split."""
    train = TrainParams(**{name: settings[name] for name in TrainParams.model_fields})
    whole, vocabulary = data.tokens(settings)
    tokens = {split: clip(texts, settings["max_tokens"], train.keep) for split, texts in whole.items()}
    vectors = data.vectors(settings)
    networks.seed_everything(seed)
    network = building.build(model, vocabulary, data.classes, train)
    if vectors.known.any():
        building.start_from(network, vectors.vectors, vectors.known)

    class Printing(Watcher):
        def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
            seconds = time.perf_counter() - started
            print(f"  {model}-{seed} epoch {epoch}: " + ", ".join(f"{k} {v:.4f}" for k, v in numbers.items()), end="")
            print(f" ({seconds:.0f} s)", flush=True)

    train_split, validation = ((tokens[split], data.labels[split]) for split in ("train", "validation"))
    started = time.perf_counter()
    history = fit(network, train_split, validation, train, settings["batch_size"], seed, Printing())
    seconds = time.perf_counter() - started
    losses = [epoch["validation_loss"] for epoch in history]
    found = score(validation[1], networks.predict(network, validation[0]))
    return {
        "accuracy": round(found["accuracy"], 4),
        "loss": round(min(losses) if train.patience else losses[-1], 4),
        "best_epoch": int(np.argmin(losses)) + 1 if train.patience else len(losses),
        "epochs": len(losses),
        "seconds": round(seconds),
        "parameters": network.count_params(),
    }


def table(results: list[dict[str, Any]], steps: dict[str, dict[str, Any]]) -> str:
    """Make a row per step: its changes, and for each cell the validation accuracies, losses and training times."""
    shown = [cell for cell in CELLS if any(result["model"] == cell for result in results)]
    rows = []
    for name, step in steps.items():
        row = [name, step.get("from", f"preset {step.get('preset')}")]
        row.append(", ".join(f"`{key}` {value}" for key, value in step.items() if key not in ("from", "preset")))
        for cell in shown:
            of = [result for result in results if (result["step"], result["model"]) == (name, cell)]
            row.append(", ".join(f"{100 * result['accuracy']:.1f}" for result in of))
            row.append(", ".join(f"{result['loss']:.3f}" for result in of))
            row.append(", ".join(f"{result['seconds'] / 60:.1f}" for result in of))
        if any(row[3:]):
            rows.append(row)
    heads = [f"{cell.upper()}: {what}" for cell in shown for what in ("accuracy, %", "loss", "minutes")]
    return tabulate(rows, ["step", "from", "changes", *heads], "github", disable_numparse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure each change of the network on the validation split.")
    parser.add_argument("--reviews", type=Path, default=REVIEWS, help="reviews.parquet that preprocess wrote")
    parser.add_argument("--results", type=Path, default=RESULTS, help="file to add results to (default: that of IMDB)")
    parser.add_argument("--steps", nargs="+", help="names in ladder.yaml (default: all)")
    parser.add_argument("--models", nargs="+", choices=CELLS, default=["lstm"])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1])
    parser.add_argument("--table", action="store_true", help="print what was measured, and measure nothing")
    arguments = parser.parse_args()
    steps = read_yaml(STEPS)
    results: list[dict[str, Any]] = (
        json.loads(arguments.results.read_text(encoding="utf-8")) if arguments.results.exists() else []
    )
    if arguments.table:
        print(table(results, steps))
        return
    # All of them before the first one trains: a wrong name must not show after hours.
    wanted = {name: settings_of(name, steps) for name in arguments.steps or steps}
    data = Data(arguments.reviews)
    if any(result["reviews"] != data.md5 for result in results):
        raise InputError(
            f"{arguments.results} has steps that were measured on other texts than {arguments.reviews} holds:"
            " make those of IMDB (make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1),"
            " or name another file with --results"
        )
    for (name, settings), model, seed in product(wanted.items(), arguments.models, arguments.seeds):
        what = {"step": name, "model": model, "seed": seed, "settings": settings, "reviews": data.md5}
        if any({key: result.get(key) for key in what} == what for result in results):
            continue  # measured before
        print(f"{name}, {model}, seed {seed}", flush=True)
        found = what | climb(model, seed, settings, data)
        results = [r for r in results if (r["step"], r["model"], r["seed"]) != (name, model, seed)] + [found]
        temporary = arguments.results.with_suffix(".part")
        temporary.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        temporary.replace(arguments.results)
    print(table(results, steps))


if __name__ == "__main__":
    with clear_errors():
        main()
