"""How fast preprocess is, and what memory it takes, as the data set grows: IMDB once, 4 times and 16 times.

    make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1     # once: puts the archive into data/raw
    python -m benchmarks.preprocessing           # 3 minutes; needs 12 GB of disk

The larger data sets are the same reviews over and over, each time with a word more, as Parquet in the splits that IMDB
brings. Each run is a process of its own, with its imports. Speed is in bytes of raw text (UTF-8) by the whole time;
memory is the peak of the process.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.core.command import InputError, clear_errors
from pipeline.corpus.sources import SOURCE_FILE, ImdbSource, Reviews, read_source

RAW = Path("data/raw")
DESCRIPTION = "format: files\nlabels: [negative, positive]\nsplit: split\n"
CODE = """
import resource, sys
from pathlib import Path
from pipeline.preprocess import preprocess
preprocess(Path(sys.argv[1]), "given", 0.1, 1, "word", 10_000, Path(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def repeated(times: int, folder: Path) -> None:
    """Write a data set of the user's own: all reviews so many times, in one Parquet file."""
    folder.mkdir()
    (folder / SOURCE_FILE).write_text(DESCRIPTION)
    columns = ["text", "label", "split"]
    schema = pa.schema([(column, pa.string()) for column in columns])
    with pq.ParquetWriter(folder / "reviews.parquet", schema) as writer:
        for copy in range(times):
            for table in Reviews(read_source(RAW), RAW):
                # Each time with a word more, or most of the training texts would go: they stand in validation too.
                table["text"] += f" copy{copy}"
                writer.write_table(pa.Table.from_pandas(table[columns], schema, preserve_index=False))


def measure(raw: Path, output: Path) -> tuple[float, float]:
    """Measure the seconds and the peak memory, MB, of preprocess."""
    started = time.perf_counter()
    # Through a shell, because a process begins with the peak of the one that started it.
    command = ["sh", "-c", '"$0" "$@"; exit', sys.executable, "-c", CODE, str(raw), str(output)]
    shown = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return time.perf_counter() - started, int(shown) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure speed and memory of preprocess as the data set grows.")
    parser.add_argument("--times", nargs="+", type=int, default=[1, 4, 16])
    arguments = parser.parse_args()
    if not isinstance(read_source(RAW), ImdbSource):
        raise InputError(f"{RAW} must hold IMDB; make it with: make repro DATASET=imdb PRESET=fast SEEDS=1 EPOCHS=1")
    size = sum(len(text.encode()) for table in Reviews(read_source(RAW), RAW) for text in table["text"]) / 1e6
    print(f"{size:.0f} MB of raw text")
    with tempfile.TemporaryDirectory(dir=RAW.parent) as name:
        seconds, memory = measure(RAW, Path(name) / "out")
        print(f"IMDB's archive: {seconds:.1f} s, {size / seconds:.1f} MB/s, peak {memory:.0f} MB", flush=True)
        for times in arguments.times:
            raw = Path(name) / f"raw-{times}"
            repeated(times, raw)
            seconds, memory = measure(raw, Path(name) / f"out-{times}")
            rate = times * size / seconds
            print(f"{times} times, Parquet: {seconds:.1f} s, {rate:.1f} MB/s, peak {memory:.0f} MB", flush=True)


if __name__ == "__main__":
    with clear_errors():
        main()
