"""Run a model of MLflow as a function of Spark: columns of Parquet files in, columns of answers out.

Spark runs the pyfunc in Python processes of its own, each of which loads the model once. They have to have the
packages that the model needs: on this machine, they are started with the Python that runs.
"""

import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import mlflow.artifacts
import mlflow.models
import mlflow.pyfunc
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as f

from pipeline.core.command import InputError
from pipeline.core.hashes import sha256

_SETTINGS = {
    "spark.sql.caseSensitive": "true",  # as Parquet is
    "spark.sql.parquet.compression.codec": "zstd",
    # What is handed to the model at once.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "4096",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(32 * 1024 * 1024),
    "spark.ui.enabled": "false",  # it would listen to other machines
    "spark.ui.showConsoleProgress": "false",
}


def fetch(uri: str) -> tuple[Path, dict[str, str]]:
    """Fetch the files of a model.

    Args:
        uri: as `Registry.resolve` gives it.

    Returns:
        Their folder, and the SHA-256 of each that has a say in the answers, by its name.
    """
    folder = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri))
    artifacts = mlflow.models.Model.load(str(folder)).flavors["python_function"]["artifacts"]
    return folder, {name: sha256(folder / file["path"]) for name, file in artifacts.items() if name != "model_card"}


@contextmanager
def spark(master: str) -> Iterator[SparkSession]:
    """Start a session, which ends with the block.

    Args:
        master: as Spark writes it: `local[*]` is all cores of this machine, `spark://host:7077` a cluster.

    Raises:
        InputError: Spark does not start, or fails in the block.
    """
    if master.startswith("local"):
        os.environ |= {"PYSPARK_PYTHON": sys.executable, "SPARK_LOCAL_IP": "127.0.0.1"}
    # It says so wherever it meets a table. What we use of it, our tests compare with what `evaluate` measured.
    warnings.filterwarnings("ignore", message="PySpark does not yet fully support pandas")
    try:
        session = SparkSession.builder.master(master).appName("gatewise").config(map=_SETTINGS).getOrCreate()
        session.sparkContext.setLogLevel("ERROR")
        try:
            yield session
        finally:
            session.stop()
    except (PySparkException, Py4JError) as error:
        raise InputError(f"Spark ({master}) did not do this: {str(error).strip().splitlines()[0]}") from None


def answering(session: SparkSession, model: Path, column: str, keep: Sequence[str]) -> Callable[[list[str]], DataFrame]:
    """Make the function from Parquet files to a table: the texts, the columns to keep, and the answers.

    A text that is missing has no answer: null. Where the input has a column with the name of an answer, ours is
    `predicted_<name>`. The rows are in no order.

    Args:
        session: of Spark.
        model: the folder of an MLflow model.
        column: where the texts stand.
        keep: further columns.
    """
    udf = mlflow.pyfunc.spark_udf(session, str(model), env_manager="local")  # of the type that the signature says
    names = mlflow.models.Model.load(str(model)).signature.outputs.input_names()
    given = list(dict.fromkeys([column, *keep]))

    def answered(files: list[str]) -> DataFrame:
        # A group of rows in a file is read in one piece: a few small files would keep a few cores busy.
        rows = session.read.parquet(*files).select(*map(_column, given))
        rows = rows.repartition(max(rows.rdd.getNumPartitions(), session.sparkContext.defaultParallelism))
        text = _column(column)
        # Spark calls the function on every row, whatever `when` says.
        answer = f.when(text.isNotNull(), udf(f.coalesce(text, f.lit(""))))
        answers = [answer.getField(name).alias(f"predicted_{name}" if name in given else name) for name in names]
        return rows.select(*map(_column, given), *answers)

    return answered


def _column(name: str) -> Column:
    """Name a column as it is; Spark takes a dot for a way into a structure."""
    return f.col("`{}`".format(name.replace("`", "``")))
