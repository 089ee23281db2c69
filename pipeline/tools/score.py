"""Classify Parquet files with Spark, on all cores of this machine or on a cluster.

The input is a folder of Parquet files (or one file), the output a folder that Spark, pandas and others read as one
table: the texts, the columns named with --keep, `label`, and `p_<label>` for every label, in no order. A text that is
missing has no answer. On a cluster, both folders must be where all its machines see them.

The files are dealt to --partitions, at most one per file, which are scored one after the other. Each is written to a
temporary folder and gets its name when it is complete. A run that was stopped goes on where it was when it is started
again: `_scoring.json` in the output says which model and which files it is about, and anything else is refused.
"""

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from pipeline.core.command import PATH, InputError, did_you_mean, progress, run
from pipeline.core.hashes import sha256
from pipeline.core.params import read_params
from pipeline.corpus.sheets import SHEET_ENDINGS
from pipeline.serving.selection import served_uri
from pipeline.tools.arguments import MODEL, Tool

# Of the form `key=value`, so that readers take the folders for parts of one table.
PARTITION = "gatewise_partition={:05d}"
MANIFEST = "_scoring.json"  # readers pass over what begins with _

_TEMPORARY, _LOCK = "_temporary", "_lock"


def find_files(source: Path) -> list[Path]:
    """Find the Parquet files of the input, in the order of their names.

    Raises:
        InputError: there are none.
    """
    if source.is_file() and source.suffix.lower() in SHEET_ENDINGS:
        raise InputError(f"--input must be Parquet. `gatewise predict --file` reads Excel. Received: {source}")
    if source.is_file():
        return [source]
    found = sorted(path for path in source.rglob("*.parquet") if path.is_file())
    hidden = (".", "_")  # as Spark and pandas see it
    files = [path for path in found if not any(part.startswith(hidden) for part in path.relative_to(source).parts)]
    if not files:
        raise InputError(f"--input must be a folder of .parquet files, or one. Received: {source}")
    return files


def check_columns(files: Sequence[Path], column: str, keep: Sequence[str]) -> None:
    """Look at every file before any is read.

    Raises:
        InputError: one is no Parquet, lacks a column, or has another type in it than text, or than the first file.
    """
    types: dict[str, pa.DataType] = {}
    for path in files:
        try:
            schema = pq.read_schema(path)
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{path} cannot be read as Parquet: {error}") from None
        for name in (column, *keep):
            if schema.names.count(name) != 1:
                raise InputError(f"{path} must have one column {name!r}; {did_you_mean(name, schema.names)}")
            kind = schema.field(name).type
            if name == column and not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
                raise InputError(f"{path}: column {column!r} must be of strings. Received: {kind}")
            if types.setdefault(name, kind) != kind:
                raise InputError(f"{path}: column {name!r} must be {types[name]}, as in {files[0]}. Received: {kind}")


def deal(files: Sequence[Path], partitions: int | None) -> list[Sequence[Path]]:
    """Put neighbours together, as many in one partition as in another, and at least one.

    Raises:
        InputError: there are to be no partitions.
    """
    if partitions is not None and partitions < 1:
        raise InputError(f"--partitions must be at least 1. Received: {partitions}")
    number = min(partitions or len(files), len(files))
    return [files[len(files) * i // number : len(files) * (i + 1) // number] for i in range(number)]


def begin(output: Path, manifest: dict[str, Any]) -> None:
    """Write down what the output is about, or make sure that it is about the same.

    Raises:
        InputError: it is about something else.
    """
    path = output / MANIFEST
    if path.is_file():
        before = json.loads(path.read_text(encoding="utf-8"))
        changed = [name for name, value in manifest.items() if before.get(name) != value]
        if changed:
            raise InputError(
                f"{output} was begun with other settings ({', '.join(changed)}). Choose another --output, or remove it"
            )
    elif any(entry.name != _LOCK for entry in output.iterdir()):
        raise InputError(f"--output must be a new or empty folder, or the output of a stopped run. Received: {output}")
    else:
        unfinished = output / f"{_TEMPORARY}.json"
        unfinished.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        unfinished.replace(path)


def check_spark() -> None:
    """Find out whether there is a Spark to start.

    Raises:
        InputError: it, or Java, is not there.
    """
    if find_spec("pyspark") is None:
        raise InputError("Spark is not installed; `make score` installs it, from requirements-spark.lock")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        raise InputError("Spark needs Java 17 or newer, and there is no java on the path")


def score(
    source: Path, output: Path, column: str, keep: Sequence[str], partitions: int | None, uri: str, master: str
) -> tuple[int, int]:
    """Answer all partitions that have no answer yet.

    Returns:
        How many partitions there are, and how many of them had been done before.

    Raises:
        InputError: the input does not fit, the output is about something else, or Spark fails.
    """
    # pyspark is an extra, and need not be there to be told so.
    from pipeline.serving.sparkmodel import answering, fetch, spark

    files = find_files(source)
    check_columns(files, column, keep)
    dealt = deal(files, partitions)
    model, hashes = fetch(uri)
    manifest = {"model": hashes, "column": column, "keep": list(keep), "partitions": _hashes(dealt, source)}
    with _alone(output):
        begin(output, manifest)
        done = [output / PARTITION.format(number) for number in range(len(dealt))]
        missing = [number for number, folder in enumerate(done) if not folder.exists()]
        if missing:
            with spark(master) as session:
                answered = answering(session, model, column, keep)
                for number in progress(missing, desc="score", unit=" partitions"):
                    temporary = output / f"{_TEMPORARY}-{number}"
                    table = answered([str(path.resolve()) for path in dealt[number]])
                    table.write.mode("overwrite").parquet(str(temporary.resolve()))
                    temporary.replace(done[number])
    return len(dealt), len(dealt) - len(missing)


def _hashes(dealt: Sequence[Sequence[Path]], source: Path) -> list[dict[str, str]]:
    top = source if source.is_dir() else source.parent
    return [{path.relative_to(top).as_posix(): sha256(path) for path in group} for group in dealt]


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    try:
        output.mkdir(parents=True, exist_ok=True)
        with FileLock(output / _LOCK, blocking=False):
            yield
    except Timeout:
        raise InputError(f"another run writes to {output}") from None
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror or error}") from None


@click.command(cls=Tool)
@click.option("--input", "source", type=PATH, required=True, help="A folder of .parquet files, or one file.")
@click.option("--output", type=PATH, required=True, help="A new folder, or that of a stopped run.")
@click.option("--column", default="text", show_default=True, help="The column with the texts.")
@click.option("--keep", multiple=True, metavar="COLUMN...", help="Columns of the input to copy to the output.")
@click.option("--partitions", type=int, help="Number of parts, written one by one. Default: one per file.")
@MODEL
@click.option("--master", default="local[*]", show_default=True, help="Address of Spark; local[*] is this machine.")
def main(
    source: Path,
    output: Path,
    column: str,
    keep: tuple[str, ...],
    partitions: int | None,
    model: str | None,
    master: str,
) -> None:
    """Classify Parquet files with Spark, on all cores of this machine or on a cluster.

    The output has the texts, the columns of --keep, `label`, and one probability per label. A run that was stopped goes
    on when you start it again. Spark needs Java; `make score` installs Spark.

    \b
    Examples:
      gatewise score --input reviews --output answers --column review --keep id film
      gatewise score --input reviews --output answers --master spark://host:7077
    """
    if output.resolve().is_relative_to(source.resolve()):
        raise InputError(f"--output must not lie in --input ({source}). Received: {output}")
    check_spark()
    uri = served_uri(model, read_params().dataset)
    print(f"model: {uri}")
    number, before = score(source, output, column, keep, partitions, uri, master)
    print(f"{number} partitions, {before} of them done before: {output}")


if __name__ == "__main__":
    run(main)
