"""Write one run of MLflow: parameters, curves, files, the model."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param
from mlflow.utils.time import get_current_time_millis

from pipeline.packaging.package import log_text_model
from pipeline.tracking.metric_names import curves
from pipeline.tracking.store import FINGERPRINT
from pipeline.trained.trained import Trained

COLOUR = "mlflow.runColor"  # the tag by which the UI colours a run

Attempt = Callable[[Callable[[], Any]], Any]


class TrackedRun:
    """A run that is being written.

    Args:
        run_id: MLflow's.
        client: MLflow's.
        attempt: makes each call; it raises nothing, and does nothing once a call has failed.
    """

    def __init__(self, run_id: str, client: Any, attempt: Attempt) -> None:
        self.run_id = run_id
        self._client = client
        self._try = attempt

    def tags(self, tags: dict[str, str]) -> None:
        """Set tags; `gatewise.` is put before their names."""
        self._try(lambda: [self._client.set_tag(self.run_id, f"gatewise.{k}", v) for k, v in tags.items()])

    def colour(self, colour: str) -> None:
        """Set the colour (`#rrggbb`) of the run's dots and curves in the UI."""
        self._try(lambda: self._client.set_tag(self.run_id, COLOUR, colour))

    def describe(self, markdown: str) -> None:
        """Set the text that the UI shows above the run."""
        self._try(lambda: self._client.set_tag(self.run_id, "mlflow.note.content", markdown))

    def text(self, text: str, name: str) -> None:
        """Log a text as an artifact."""
        self._try(lambda: self._client.log_text(self.run_id, text, name))

    def params(self, params: dict[str, Any]) -> None:
        """Log parameters."""
        entities = [Param(name, str(value)) for name, value in params.items()]
        self._try(lambda: self._client.log_batch(self.run_id, params=entities))

    def epoch(self, epoch: int, values: dict[str, float]) -> None:
        """Log the losses and accuracies of one epoch, from 1: the curves, which the UI shows first."""
        self.metrics(curves(values), epoch)

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log numbers of one epoch (`step`, from 1) or of the whole run (0)."""
        now = get_current_time_millis()
        entities = [Metric(name, value, now, step) for name, value in values.items()]
        self._try(lambda: self._client.log_batch(self.run_id, metrics=entities))

    def dataset(self, name: str, digest: str, source: Path, context: str) -> None:
        """Say what data the run used; the digest is the hash in dvc.lock.

        Args:
            name: the data set.
            digest: MD5 of the file.
            source: the file.
            context: `training` or `test`.
        """
        used = Dataset(name=name, digest=digest, source_type="dvc", source=f'{{"path": "{source.as_posix()}"}}')
        inputs = [DatasetInput(used, [InputTag("mlflow.data.context", context)])]
        self._try(lambda: self._client.log_inputs(self.run_id, inputs))

    def files(self, *paths: Path, folder: str | None = None) -> None:
        """Copy files, or the content of folders, to the run's artifacts."""

        def copy(path: Path) -> None:
            log = self._client.log_artifacts if path.is_dir() else self._client.log_artifact
            log(self.run_id, str(path), folder)

        for path in paths:
            self._try(partial(copy, path))

    def table(self, rows: pd.DataFrame, name: str) -> None:
        """Log a table as an artifact (JSON), which the UI shows as one."""
        self._try(lambda: self._client.log_table(self.run_id, rows, name))

    def figure(self, figure: Figure, name: str) -> None:
        """Log a picture as an artifact."""
        self._try(lambda: self._client.log_figure(self.run_id, figure, name))

    def model(self, trained: Trained, tokenizer: Path) -> None:
        """Log a model that takes raw text, and mark the run with the model's fingerprint."""
        self._try(lambda: log_text_model(trained, tokenizer))
        # The tag comes last: a run that has it is complete.
        self.tags({FINGERPRINT.removeprefix("gatewise."): trained.fingerprint})
