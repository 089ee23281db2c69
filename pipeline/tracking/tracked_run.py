"""Write one run of MLflow: parameters, curves, files, the model."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from mlflow.utils.time import get_current_time_millis

from pipeline.packaging.package import HeldBackError, log_text_model
from pipeline.tracking.metric_names import curves
from pipeline.tracking.patience import UPLOAD, limits
from pipeline.tracking.store import FINGERPRINT
from pipeline.trained.trained import Trained

COLOUR = "mlflow.runColor"  # the tag by which the UI colours a run
_NOTE = "mlflow.note.content"  # the tag with the text that it shows above the run

Attempt = Callable[[Callable[[], Any]], Any]
Post = Callable[[Callable[[], Any]], None]


class TrackedRun:
    """A run that is being written.

    Args:
        run_id: MLflow's.
        client: MLflow's.
        attempt: makes each call; it raises nothing, and does nothing once a call has failed.
        post: does the same without waiting for it.
    """

    def __init__(self, run_id: str, client: Any, attempt: Attempt, post: Post) -> None:
        self.run_id = run_id
        self._client = client
        self._try, self._post = attempt, post

    def tags(self, tags: dict[str, str]) -> None:
        """Set tags; `gatewise.` is put before their names."""
        self._log(tags=[RunTag(f"gatewise.{name}", value) for name, value in tags.items()])

    def colour(self, colour: str) -> None:
        """Set the colour (`#rrggbb`) of the run's dots and curves in the UI."""
        self._try(lambda: self._client.set_tag(self.run_id, COLOUR, colour))

    def describe(self, markdown: str) -> None:
        """Set the text that the UI shows above the run."""
        self._try(lambda: self._client.set_tag(self.run_id, _NOTE, markdown))

    def text(self, text: str, name: str) -> None:
        """Log a text as an artifact."""
        self._try(lambda: self._client.log_text(self.run_id, text, name))

    def params(self, params: dict[str, Any]) -> None:
        """Log parameters."""
        self._log(params=_params(params))

    def epoch(self, epoch: int, values: dict[str, float], others: dict[str, float] | None = None) -> None:
        """Log one epoch in one call, for which training does not wait.

        Args:
            epoch: from 1.
            values: its losses and accuracies, by the names of history.csv: the curves, which the UI shows first.
            others: further numbers, by the names that they have in MLflow.
        """
        metrics = _metrics({**curves(values), **(others or {})}, epoch)
        self._post(lambda: self._client.log_batch(self.run_id, metrics=metrics))

    def metrics(self, values: dict[str, float], step: int = 0) -> None:
        """Log numbers of one epoch (`step`, from 1) or of the whole run (0)."""
        self._log(metrics=_metrics(values, step))

    def all_of(self, params: dict[str, Any], tags: dict[str, str], metrics: dict[str, float], note: str) -> None:
        """Log what is known of the whole run in one call.

        Args:
            params: as for `params`.
            tags: as they are named in MLflow.
            metrics: as for `metrics`.
            note: Markdown, as for `describe`.
        """
        wanted = [RunTag(name, value) for name, value in {**tags, _NOTE: note}.items()]
        self._log(params=_params(params), metrics=_metrics(metrics, 0), tags=wanted)

    def _log(self, **entities: Any) -> None:
        self._try(lambda: self._client.log_batch(self.run_id, **entities))

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
            with limits(UPLOAD):
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

        def log() -> str:
            try:
                with limits(UPLOAD):
                    log_text_model(trained, tokenizer)
            except HeldBackError as error:
                return str(error)
            return ""

        if held := self._try(log):
            print(
                f"warning: the model {trained.name} is not logged to MLflow: its code may hold a secret: {held}."
                " Take it out of the code, and `gatewise run` logs the model",
                file=sys.stderr,
            )
            self.tags({"held_back": held})
            return
        # The tag comes last: a run that has it is complete.
        self.tags({FINGERPRINT.removeprefix("gatewise."): trained.fingerprint})


def _params(values: dict[str, Any]) -> list[Param]:
    return [Param(name, str(value)) for name, value in values.items()]


def _metrics(values: dict[str, float], step: int) -> list[Metric]:
    now = get_current_time_millis()
    return [Metric(name, value, now, step) for name, value in values.items()]
