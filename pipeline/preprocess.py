"""Turn the verbatim bytes of a data set into one table, a tokenizer and token ids.

Reads   data/raw
Writes  reviews.parquet   every review with its split; test labels are blank
        test_labels.npy   int32 codes of the test split, in the order of the table: for evaluate alone
        tokenizer.json    Hugging Face tokenizer, trained on the train split alone
        tokens.npz        token ids per split, labels of train and validation
        rejected.parquet  the rows that are not learnt: file, line, kind of problem, what stands there
        data.json         what the data are like: counts, lengths, unknown words, duplicates

    python -m pipeline.preprocess --raw data/raw --output data/processed
"""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import click
import numpy as np
import pandas as pd
from tabulate import tabulate
from tokenizers import Tokenizer

from pipeline.core.arrays import Spool
from pipeline.core.command import PATH, InputError, progress, run
from pipeline.core.folders import filling
from pipeline.core.hashes import sha256
from pipeline.core.params import read_params
from pipeline.core.text import counted
from pipeline.corpus.problems import EMPTY, Problem, Rejected
from pipeline.corpus.reviews import Staging, read_split, write_reviews
from pipeline.corpus.sources import SPLITS, Reviews, Source, read_source
from pipeline.corpus.splits import codes_of, divide
from pipeline.tokens.ragged import UNKNOWN, offsets_of
from pipeline.tokens.tokenized import save_tokens
from pipeline.tokens.tokenizer import TokenizerKind, encode, train_tokenizer, unknown_warning

_MOST_COLUMNS = 6  # labels, in a table with a row for each split
QUANTILES = {"median": 0.5, "90%": 0.9, "99%": 0.99, "max": 1.0}


def preprocess(
    raw: Path,
    test: Literal["given"] | float,
    validation: float,
    seed: int,
    kind: TokenizerKind,
    vocabulary: int,
    output: Path,
    min_occurrences: int = 1,
) -> dict[str, Any]:
    """Write the six files.

    Args:
        raw: the folder that `download` wrote.
        test: share of the labelled reviews to hold out for the test, or `given` by the source.
        validation: share of the rest to hold out for validation.
        seed: decides which groups of reviews are held out.
        kind: what a token is.
        vocabulary: the number of different tokens, at the most (`bpe` keeps every character, though).
        output: the folder to write.
        min_occurrences: words that the train split has less often are unknown.

    Returns:
        The content of data.json.

    Raises:
        InputError: the source's files are damaged or do not fit the settings.
    """
    source = read_source(raw)
    beside = output.resolve().parent
    with filling(output) as folder, Staging(beside) as staging, Rejected(beside) as rejected:
        given = Reviews(source, raw, rejected.add)
        reviews, counts = _read(given, staging, rejected)
        label_names = _label_names(source, reviews)
        reviews, found, split_warnings = divide(reviews, test, validation, seed)
        codes = codes_of(reviews, label_names)
        rejected.write(folder / "rejected.parquet")
        size, encoded = _write(reviews, codes, label_names, staging, (kind, vocabulary, min_occurrences), folder)
        splits = {split: _described(split, reviews, label_names, encoded) for split in SPLITS}
        unknown = unknown_warning(splits["validation"].get("unknown", 0), kind)
        shares = {"test": test, "validation": validation}
        report = {
            "labels": label_names,
            "settings": {**shares, "seed": seed, "tokenizer": kind, "min_occurrences": min_occurrences},
            "vocabulary": size,
            "rows": counts["rows"],
            "splits": splits,
            "set aside": counts["set aside"],
            "without a label": counts["without a label"],
            "notes": given.notes,
            **found,
            "warnings": [*given.warnings, *split_warnings, *filter(None, [unknown])],
        }
        (folder / "data.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return report


def summary(report: dict[str, Any]) -> str:
    """Show data.json as a table for the terminal."""
    rows = [(split, _counts_of(content)) for split, content in report["splits"].items() if content["reviews"]]
    keys = list(dict.fromkeys(key for _, counts in rows for key in counts))
    table = [[split, *(counts.get(key) for key in keys)] for split, counts in rows]
    heads = ["split", *(name for _, name in keys)]
    if len(report["labels"]) > _MOST_COLUMNS:  # as rows, they fit the terminal
        heads, *table = map(list, zip(heads, *table, strict=True))
    lines = [tabulate(table, headers=heads)]
    if count := report["repeats"]["texts"]:
        lines.append(f"repeats: {_repeats(report['repeats'], count)}")
    if any(report["dropped"].values()):
        counts = ", ".join(f"{count:,} ({reason})" for reason, count in report["dropped"].items())
        lines.append(f"dropped: {counts}")
    if report["set aside"]:
        kinds = ", ".join(f"{count:,} ({kind})" for kind, count in report["set aside"].items())
        lines.append(f"set aside, in rejected.parquet: {kinds}, of {counted(report['rows'], 'row')}")
    if report["without a label"]:
        lines.append(f"without a label: {counted(report['without a label'], 'row')}, kept as unlabelled")
    lines += [*report["notes"], *(f"warning: {warning}" for warning in report["warnings"])]
    return "\n".join(lines)


def _counts_of(content: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Write what data.json says of a split under headings; a label may be called as one of ours."""
    counts: dict[tuple[str, str], Any] = {("", "texts"): content["reviews"]}
    counts |= {("label", name): number for name, number in content["labels"].items()}
    counts |= {("", "groups"): content["groups"]}
    counts |= {("", f"tokens {name}"): value for name, value in content.get("tokens", {}).items()}
    if "unknown" in content:
        counts["", "unknown"] = f"{content['unknown']:.1%}"
    return counts


def _repeats(repeats: dict[str, int], count: int) -> str:
    told = f"{counted(count, 'text')} in {counted(repeats['reviews'], 'row')}; equal texts are one group"
    if conflicting := repeats["texts with several labels"]:
        rows = counted(repeats["reviews with several labels"], "row")
        told += f"; {conflicting:,} of them with several labels ({rows})"
    return told


def _read(given: Reviews, staging: Staging, rejected: Rejected) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Read all reviews, and keep their texts in `staging`.

    Returns:
        The rest, as `Staging.write` has it, in the order of their names; and what data.json says of all rows.
    """
    with progress(desc="read", unit=" reviews") as bar:

        def tables() -> Iterator[pd.DataFrame]:
            for table in given:
                bar.update(len(table))
                yield table

        reviews = staging.write(tables())
    reviews["group"] = given.groups(reviews)
    rows = len(reviews) + given.set_aside.total()
    empty = reviews["digest"] == 0  # of an archive: the user's own files do not get so far with them
    for name in reviews.loc[empty, "name"]:
        rejected.add(Problem(name, None, EMPTY, ""))
    set_aside = given.set_aside + Counter({EMPTY: int(empty.sum())})
    if empty.any():  # where not, a copy of all rows would cost memory
        reviews = reviews[~empty]
    # By name from here on: what goes into which split must not depend on the order of the archive.
    if not reviews["name"].is_monotonic_increasing:
        reviews = reviews.sort_values("name", kind="stable")
    is_unlabelled = reviews["split"] == "unlabelled"
    without_label = int((reviews["label"].isna() & ~is_unlabelled).sum())
    reviews["label"] = reviews["label"].mask(is_unlabelled)
    return reviews, {
        "rows": rows,
        "set aside": dict(sorted(set_aside.items())),
        "without a label": without_label,
    }


def _label_names(source: Source, reviews: pd.DataFrame) -> list[str]:
    labels = reviews["label"]
    found = sorted(labels.dropna().unique())
    names = source.label_names or found
    unknown = sorted(set(found) - set(names))
    if unknown:
        where = reviews.loc[labels == unknown[0], "name"].iloc[0]
        raise InputError(
            f"labels must be one of {', '.join(names)}, as source.yaml says (upper and lower case differ)."
            f" Received: {', '.join(unknown[:5])}; the first in {where}"
        )
    if len(found) < 2:
        raise InputError(f"at least two labels are needed to learn from. Received: {', '.join(found) or 'none'}")
    return names


@dataclass(frozen=True)
class Encoded:
    """Hold the counts of the tokens of a split.

    Attributes:
        lengths: tokens per text, int64, (texts,).
        unknown: tokens that are not in the vocabulary.
    """

    lengths: np.ndarray
    unknown: int


def _write(
    reviews: pd.DataFrame,
    codes: pd.Series,
    label_names: list[str],
    staging: Staging,
    wanted: tuple[TokenizerKind, int, int],
    folder: Path,
) -> tuple[int, dict[str, Encoded]]:
    """Write all files but data.json. The table does not get the labels of the test texts.

    Returns:
        The size of the vocabulary, and the counts of every split.
    """
    in_test = reviews["split"] == "test"
    test_labels = folder / "test_labels.npy"
    np.save(test_labels, codes[in_test].to_numpy(np.int32))
    table = reviews.assign(label=codes.mask(in_test))
    write_reviews(folder / "reviews.parquet", table, staging, label_names, sha256(test_labels))
    texts = (text for rows in read_split(folder / "reviews.parquet", "train", ["text"]) for text in rows["text"])
    tokenizer = train_tokenizer(iter(progress(texts, desc="learn words", unit=" reviews")), *wanted)
    # Not `tokenizer.save`, whose errors are of no class that tells a full disk from a bug.
    (folder / "tokenizer.json").write_text(tokenizer.to_str(pretty=True), encoding="utf-8")
    labels = {split: codes[reviews["split"] == split].to_numpy(np.int32) for split in ("train", "validation")}
    encoded, tokens = {}, {}
    with ExitStack() as stack:
        for split in ("train", "validation", "test"):
            ids = stack.enter_context(Spool(folder, np.int32))
            encoded[split] = _encode(tokenizer, folder / "reviews.parquet", split, ids)
            tokens[split] = ids, offsets_of(encoded[split].lengths)
        save_tokens(folder / "tokens.npz", tokens, labels, label_names, tokenizer.get_vocab_size())
    return tokenizer.get_vocab_size(), encoded


def _encode(tokenizer: Tokenizer, reviews: Path, split: str, ids: Spool) -> Encoded:
    """Append the tokens of a split to `ids`."""
    lengths, unknown = [np.zeros(0, np.int64)], 0
    for rows in progress(read_split(reviews, split, ["text"]), desc=f"encode {split}", unit=" tables"):
        tokens = encode(tokenizer, rows["text"].tolist())
        ids.append(tokens.ids)
        lengths.append(tokens.lengths)
        unknown += int((tokens.ids == UNKNOWN).sum())
    return Encoded(np.concatenate(lengths), unknown)


def _described(split: str, reviews: pd.DataFrame, names: list[str], encoded: dict[str, Encoded]) -> dict[str, Any]:
    rows = reviews[reviews["split"] == split]
    counts = rows["label"].value_counts()
    content: dict[str, Any] = {
        "reviews": len(rows),
        "labels": {name: int(counts[name]) for name in names if name in counts},
        "groups": int(rows["group"].nunique()),
    }
    if split in encoded and len(rows):
        lengths = encoded[split].lengths
        content["tokens"] = {name: round(float(np.quantile(lengths, q)), 1) for name, q in QUANTILES.items()}
        content["unknown"] = round(encoded[split].unknown / int(lengths.sum()), 5)
    return content


@click.command(help="Turn a data set into a table, a tokenizer and token ids.")
@click.option("--raw", type=PATH, required=True, help="folder that download wrote")
@click.option("--output", type=PATH, required=True, help="folder to write")
def main(raw: Path, output: Path) -> None:
    params = read_params()
    try:
        report = preprocess(
            raw,
            params.data.test,
            params.data.validation,
            params.preprocess.seed,
            params.data.tokenizer,
            params.data.vocabulary,
            output,
            params.data.min_occurrences,
        )
    except OSError as error:  # a full disk, most likely
        raise InputError(f"{output} could not be written: {error}") from None
    print(summary(report))


if __name__ == "__main__":
    run(main)
