"""Write and read the table of all reviews, `reviews.parquet`, without holding it in memory.

Columns: `name` (the file it came from), `text`, `label` (int32 code; missing where unlabelled **and in the test
split**, whose labels lie in a file that only `evaluate` reads), `split`, `group` (texts that belong together, as the
source says and because they are equal; missing: the text stands alone). The names of the labels are in
the metadata of the schema. Rows are ordered by split, then by name.
"""

import json
import mmap
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet as pq

from pipeline.core.command import InputError
from pipeline.corpus.sources import COLUMNS
from pipeline.corpus.splits import text_digest
from pipeline.corpus.tables import BATCH_ROWS

_LABEL_NAMES = b"label_names"
_STAGED = pa.schema([(column, pa.string()) for column in COLUMNS])


# Streaming stays. All texts in memory took 1,454 MB instead of 395 MB for 200,000 texts of 200 words (train needs 1,834
# MB for them, baseline 2,660 MB); IMDB 16 times, which takes 853 MB, has 2,080 MB of text alone.
class Staging:
    """Keep the reviews of a source on disk, in a form that gives any row back at once.

    Use it as a context manager: the file (uncompressed Arrow, memory-mapped) goes when the block ends. It has no name:
    if the process is killed, nothing stays.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._batches: list[pa.RecordBatch] = []

    def __enter__(self) -> "Staging":
        return self

    def __exit__(self, *_: object) -> None:
        self._batches = []
        self._file.close()

    def write(self, tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
        """Write the tables of a source one after the other.

        Returns:
            One row per review, in the same order: `name`, `label`, `split`, `group`, and `digest` of the text
            (uint64; 0 for an empty text). To decide about a review, no more is needed.

        Raises:
            InputError: there are no tables.
        """
        kept = []
        with pa.ipc.new_file(self._file, _STAGED) as file:
            for table in tables:
                file.write_table(pa.Table.from_pandas(table, _STAGED, preserve_index=False))
                stripped = table["text"].fillna("").str.strip()
                digests = np.fromiter((text_digest(text) if text else 0 for text in stripped), np.uint64, len(table))
                kept.append(table.drop(columns="text").assign(digest=digests))
        self._file.flush()
        self._mapped = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(self._mapped))  # of which the batches are views
        self._batches = [reader.get_batch(i) for i in range(reader.num_record_batches)]
        if not kept:
            raise InputError("the files of the data set hold no reviews")
        return pd.concat(kept, ignore_index=True)

    def texts(self, rows: np.ndarray) -> pa.Array:
        """Get the texts of these rows, in this order."""
        starts = np.cumsum([0] + [len(batch) for batch in self._batches])
        owner = np.searchsorted(starts, rows, side="right") - 1
        # Batch by batch (`take` on a chunked column would copy the whole column), then back into order.
        order = np.argsort(owner, kind="stable")
        pieces = [
            self._batches[batch].column("text").take(pa.array(rows[owner == batch] - starts[batch]))
            for batch in np.unique(owner)
        ]
        found = pa.concat_arrays(pieces).take(pa.array(np.argsort(order, kind="stable")))
        if hasattr(mmap, "MADV_DONTNEED"):  # or what was read of the file counts as memory of this process
            self._mapped.madvise(mmap.MADV_DONTNEED)
        return found


def write_reviews(
    path: Path, reviews: pd.DataFrame, staging: Staging, label_names: list[str], test_labels_sha256: str
) -> None:
    """Write reviews.parquet.

    Args:
        path: the file to write.
        reviews: the rows to write, in order: `name`, `label` (Int32 code or missing), `split`, `group`; the index
            is the row in `staging`.
        staging: gives the texts.
        label_names: the class of code i.
        test_labels_sha256: hash of the file with the test labels, kept in the metadata: so the hash of this file
            stands for all of the data.
    """
    schema = pa.schema(
        [
            ("name", pa.string()),
            ("text", pa.string()),
            ("label", pa.int32()),
            ("split", pa.string()),
            ("group", pa.string()),
        ],
        metadata={_LABEL_NAMES: json.dumps(label_names), b"test_labels_sha256": test_labels_sha256},
    )
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(reviews), BATCH_ROWS):
            rows = reviews.iloc[start : start + BATCH_ROWS]
            columns = {column: pa.array(rows[column], schema.field(column).type) for column in schema.names[2:]}
            columns |= {"name": pa.array(rows["name"]), "text": staging.texts(rows.index.to_numpy())}
            writer.write_table(pa.table({column: columns[column] for column in schema.names}, schema))


def read_label_names(path: Path) -> list[str]:
    """Read the names of the labels from the metadata of reviews.parquet: name i belongs to code i.

    Raises:
        InputError: the file is missing, or `write_reviews` did not write it. (`read_split` raises it, too.)
    """
    names: list[str] = json.loads(_open(path).schema_arrow.metadata[_LABEL_NAMES])
    return names


def read_split(path: Path, split: str, columns: list[str]) -> Iterator[pd.DataFrame]:
    """Stream the rows of one split from reviews.parquet, a few thousand at a time."""
    file = _open(path)
    place = file.schema_arrow.get_field_index("split")
    for group in range(file.num_row_groups):
        statistics = file.metadata.row_group(group).column(place).statistics
        if statistics.min <= split <= statistics.max:
            rows = file.read_row_group(group, columns=[*columns, "split"]).to_pandas()
            rows = rows[rows["split"] == split]
            if len(rows):
                yield rows[columns]


def _open(path: Path) -> pq.ParquetFile:
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path} cannot be read as a table of reviews: {error}. Make it with: dvc repro") from None
    if _LABEL_NAMES not in (file.schema_arrow.metadata or {}):
        raise InputError(f"{path} is not a table of reviews that preprocess wrote. Make it with: dvc repro")
    return file


def read_groups(reviews: Path) -> np.ndarray:
    """Number the groups of the test texts: int, (texts,).

    A text without a group gets a number of its own. If all texts are of one group, each gets a number of its own, too:
    one group says nothing about groups.
    """
    groups = pd.concat(read_split(reviews, "test", ["group"]), ignore_index=True)["group"]
    codes, known = pd.factorize(groups)
    alone = len(known) + np.arange(len(codes))
    return alone if (codes == 0).all() else np.where(codes < 0, alone, codes)
