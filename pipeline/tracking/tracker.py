"""Everything MLflow: where the store is, how runs are written, found again and completed.

A training run is found by the hash of the model it wrote (tag `gatewise.fingerprint`), never by an id kept in a
file: so the record is complete for whatever is on disk, whether this machine trained it or DVC restored it.

MLflow being out of reach never costs a result. The first call that fails says so; the stage goes on without, and
the next `evaluate` writes what is missing from the files.
"""

import json
import logging
import math
import os
import platform
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from filelock import FileLock
from matplotlib.figure import Figure
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

from pipeline.core.command import InputError, did_you_mean
from pipeline.packaging.package import log_text_model
from pipeline.tracking.lineage import PATCH, commit, dependencies, environment, state_of, uncommitted_changes
from pipeline.tracking.store import EXPERIMENT, FINGERPRINT, sqlite_file, store_uri
from pipeline.trained.trained import Trained

COMPARISON = "comparison"
CURVES = "epochs/"  # the part before the slash is a section of the UI; sections are sorted by name
# Artifacts of every run: the MD5 of each file that the stage depends on, and what git had not committed.
DEPENDENCIES = "dependencies.json"

SUPERSEDED = "gatewise.superseded"  # on a run that was written again: the id of the one that stands for it
TIMES = "time/"  # metrics that nobody could measure again without training

_EXPERIMENT_NOTE = (
    "LSTM against GRU on one data set. One run per trained model and seed (`lstm-1`, `gru-3`, `baseline`) with its"
    " learning curves, test scores and model; each `comparison` run links the runs it compares, and holds the report."
    " [The table of runs with their scores]({page})."
)
_MODE = "workflowType=machine_learning"  # otherwise the UI opens in its GenAI mode, which shows no runs
# By itself the UI's table shows neither models nor scores. A view that is shared is a tag of the experiment, which the
# address names: the columns, with their widths in pixels.
_VIEW = "gatewise"
_COLUMNS = {
    "params.`model`": 90,
    "params.`seed`": 70,
    "metrics.`test_accuracy`": 130,
    "metrics.`validation/accuracy`": 150,
}
_EXPERIMENT_TAGS = {
    # Without the kind, the UI takes us for a GenAI project and hides metrics and curves.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test_accuracy",
    f"mlflow.sharedViewState.{_VIEW}": json.dumps(
        {"selectedColumns": [*_COLUMNS], "columnOrder": [*_COLUMNS], "columnWidths": _COLUMNS}
    ),
}

# A server that does not answer is given up after seconds, not after MLflow's four minutes: the first time after five.
_FIRST_CONTACT = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "5"}
_SETTINGS = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # three bars for three small files
}
_PROJECT_RUN = "MLFLOW_RUN_ID"  # set by `mlflow run` for the command it starts
_RUN_ID = re.compile("[0-9a-f]+")  # or the beginning of one
# Tags of a run that say who made it and from what; all others are written anew with it.
_ORIGIN = ("gatewise.", "mlflow.user", "mlflow.source.", "mlflow.parentRunId")
_OF_ONE_RUN = (FINGERPRINT, SUPERSEDED, "gatewise.process")

T = TypeVar("T")


def connect() -> str:
    """Point MLflow of this process to the store, with less patience and fewer notices than it has by itself."""
    uri = store_uri()
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    for noisy in ("alembic", "mlflow.store", "mlflow.tracking.fluent", "mlflow.pyfunc"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    mlflow.set_tracking_uri(uri)
    return uri


def environment_of(run: Run) -> dict[str, str]:
    """Versions and processor that a run was made with; empty for a run that was restored."""
    tags = {name.removeprefix("gatewise."): value for name, value in run.data.tags.items()}
    return {name: value for name, value in tags.items() if name.startswith("version.") or name == "cpu"}


@dataclass(frozen=True)
class RunRecord:
    """Where a run comes from, as MLflow knows it.

    Attributes:
        stage: the stage of dvc.yaml that makes its files again, such as `train@lstm-1`.
        restored: written from the files, after the model was trained.
        known: what made the files is known. It is not for files that dvc.lock, or the tree, did not agree with when
            they were recorded.
        commit: what git had checked out; empty outside of git.
        dirty: the working tree differed from the commit; the artifact `PATCH` has the changes.
        left_out: changed files that the patch lacks, because they are large or may hold secrets.
        datasets: name, digest and context of what was read.
        dependencies: path to MD5 of every file that the stage depends on.
        environment: versions and processor.
    """

    name: str
    run_id: str
    store: str
    experiment: str
    status: str
    started: str
    stage: str
    restored: bool
    known: bool
    fingerprint: str
    commit: str
    dirty: bool
    left_out: str
    datasets: list[tuple[str, str, str]]
    params: dict[str, str]
    dependencies: dict[str, str]
    environment: dict[str, str]

    @property
    def commit_and_state(self) -> str:
        """For a table: the commit, and whether that was all."""
        if not self.known:
            return "not known"
        return state_of(self.commit, self.dirty, self.left_out)


class Tracker:
    """One data set's experiment in the MLflow store.

    When a call fails, `problem` holds why, standard error has said so, and all later calls do nothing.
    """

    def __init__(self, dataset: str) -> None:
        hurried = {name: value for name, value in _FIRST_CONTACT.items() if name not in os.environ}
        self.uri = connect()
        patience = {name: os.environ[name] for name in hurried}
        os.environ.update(hurried)
        self.dataset = dataset
        self.problem: str | None = None
        # Every process of a project run inherits this; none may write into that run itself.
        self._parent_run_id = os.environ.pop(_PROJECT_RUN, None)
        self._client: Any = None  # stays None when the store cannot be opened
        self._experiment_id = self._try(self._open_experiment)
        os.environ.update(patience)

    @contextmanager
    def run(
        self,
        name: str,
        stage: str,
        tags: dict[str, str] | None = None,
        made_from: dict[str, str] | None = None,
        item: Mapping[str, Any] | None = None,
    ) -> Iterator["TrackedRun"]:
        """Write a run; it ends FAILED if the block raises, or MLflow does not take all of it.

        Args:
            name: as shown in the UI.
            stage: the stage of dvc.yaml that writes it.
            tags: further tags; `gatewise.` is put before their names.
            made_from: of files that were made earlier, the MD5 of what their stage read: empty where that is not
                known, and then nothing is said of the commit either. By default, the files are being made now.
            item: `model` and `seed`, where the stage has one of each in dvc.yaml.
        """
        known = made_from is None or bool(made_from)
        patch, left_out = uncommitted_changes() if known else ("", [])
        gatewise = {"stage": stage, "dataset": self.dataset, "process": _process(os.getpid()), **(tags or {})}
        if made_from is None:  # else they may have been made elsewhere
            gatewise |= environment()
        if not known:
            gatewise["provenance"] = "unknown"
        head = commit() if known else None
        if head:
            gatewise |= {"git_commit": head, "git_dirty": "true" if patch or left_out else "false"}
        if left_out:
            gatewise["left_out_of_patch"] = ", ".join(left_out)
        if "DVC_EXP_NAME" in os.environ:
            gatewise["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
        all_tags = {f"gatewise.{key}": value for key, value in gatewise.items()}
        if head:
            all_tags["mlflow.source.git.commit"] = head
        all_tags |= {"mlflow.source.name": f"pipeline.{stage}", "mlflow.source.type": "LOCAL"}
        run = self._try(
            lambda: mlflow.start_run(
                run_name=name, experiment_id=self._experiment_id, parent_run_id=self._parent_run_id, tags=all_tags
            )
        )
        status = "FAILED"
        tracked = TrackedRun(self, run.info.run_id if run else "")
        try:
            tracked.text(
                json.dumps(dependencies(stage, item or {}) if made_from is None else made_from, indent=2), DEPENDENCIES
            )
            if patch:
                tracked.text(patch, PATCH)
            yield tracked
            status = "FINISHED"
        finally:
            self._end(status)

    @contextmanager
    def again(self, old: Run, tags: dict[str, str] | None = None) -> Iterator["TrackedRun"]:
        """Write a finished run anew: with its origin, its times, and when it began and ended.

        The old run stays, and is marked once the new one is complete; `find` then passes it by.

        Args:
            old: the run.
            tags: tags that change; `gatewise.` is put before their names.
        """
        kept = {name: value for name, value in old.data.tags.items() if name.startswith(_ORIGIN)}
        kept = {name: value for name, value in kept.items() if name not in _OF_ONE_RUN}
        kept |= {
            f"gatewise.{name}": value for name, value in {"process": _process(os.getpid()), **(tags or {})}.items()
        }
        run = self._try(
            lambda: self._client.create_run(
                str(self._experiment_id), old.info.start_time, kept, run_name=old.info.run_name
            )
        )
        status = "FAILED"
        tracked = TrackedRun(self, run.info.run_id if run else "")
        try:
            self._try(lambda: mlflow.start_run(run_id=tracked.run_id))
            self._try(lambda: self._copy(old, tracked.run_id))
            yield tracked
            status = "FINISHED"
        finally:
            self._end(status)
        self._try(lambda: self._client.set_terminated(tracked.run_id, status, old.info.end_time))
        self._try(lambda: self._client.set_tag(old.info.run_id, SUPERSEDED, tracked.run_id))

    def _copy(self, old: Run, run_id: str) -> None:
        """Copy to a run what the files on disk do not tell: what an old run was made from, and its times."""
        names = {file.path for file in self._client.list_artifacts(old.info.run_id)}
        for name in names & {DEPENDENCIES, PATCH}:
            text = mlflow.artifacts.load_text(f"{old.info.artifact_uri}/{name}")
            self._client.log_text(run_id, text, name)
        times = [name for name in old.data.metrics if name.startswith(TIMES)]
        history = [point for name in times for point in self._client.get_metric_history(old.info.run_id, name)]
        points = [Metric(point.key, point.value, point.timestamp, point.step) for point in history]
        self._client.log_batch(run_id, metrics=points)

    def find(self, fingerprint: str, params: dict[str, Any] | None = None) -> Run | None:
        """Find the latest complete run that wrote the file with this fingerprint; superseded ones do not count.

        Args:
            fingerprint: SHA-256, of a model for a training run.
            params: what the run was asked for, if that matters: other epochs may give the same model.
        """
        runs = _live(self._search(f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status = 'FINISHED'"))
        wanted = {name: str(value) for name, value in (params or {}).items()}
        return next((run for run in runs if wanted.items() <= run.data.params.items()), None)

    def named(self, text: str) -> Run:
        """The latest run with this name, or the run whose id begins with this; a whole id may be of another data set.

        Raises:
            InputError: there is none, or MLflow is out of reach.
        """
        self.must_answer()
        if len(text) == 32 and _RUN_ID.fullmatch(text):
            with suppress(MlflowException):
                return self._client.get_run(text)
        if "'" not in text and (runs := _live(self._search(f"attributes.run_name = '{text}'"))):
            return runs[0]
        if _RUN_ID.fullmatch(text) and (runs := self._search(f"attributes.run_id LIKE '{text}%'", 1)):
            return runs[0]
        names = sorted({str(run.info.run_name) for run in self._search()})
        self.must_answer()
        experiment = EXPERIMENT.format(dataset=self.dataset)
        raise InputError(f"the experiment {experiment} has no run {text!r}; {did_you_mean(text, names)}")

    def must_answer(self) -> None:
        """For what is of no use without MLflow.

        Raises:
            InputError: MLflow is out of reach.
        """
        if self.problem:
            raise InputError(f"MLflow ({self.uri}) cannot be asked: {self.problem}")

    @contextmanager
    def completing(self) -> Iterator[None]:
        """Let no other process complete the same store, so that none writes what another is writing.

        A server gives no lock: there, two evaluations at the same moment may both write a run that is missing.
        """
        file = sqlite_file(self.uri)
        if file is None or self.problem:
            yield
            return
        with FileLock(f"{file}.completing.lock"):
            yield

    def end_stale(self) -> None:
        """Let the runs of this machine end as FAILED whose process is gone: it was killed."""
        for run in self._search("attributes.status = 'RUNNING'"):
            process = run.data.tags.get("gatewise.process", "")
            if process.startswith(_process("")) and not _is_alive(process):
                self._try(partial(self._client.set_terminated, run.info.run_id, "FAILED"))

    def record_of(self, run: Run) -> RunRecord:
        """Where a run comes from."""
        tags = {name.removeprefix("gatewise."): value for name, value in run.data.tags.items()}
        stage = tags.get("stage", "")
        inputs = run.inputs.dataset_inputs if run.inputs else []
        started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        return RunRecord(
            name=str(run.info.run_name),
            run_id=run.info.run_id,
            store=self.uri,
            experiment=EXPERIMENT.format(dataset=tags.get("dataset", self.dataset)),
            status=run.info.status,
            started=f"{started:%Y-%m-%d %H:%M} UTC",
            stage=f"train@{run.info.run_name}" if stage == "train" else stage,
            restored=tags.get("restored") == "true",
            known=tags.get("provenance") != "unknown",
            fingerprint=tags.get("fingerprint", ""),
            commit=tags.get("git_commit", ""),
            dirty=tags.get("git_dirty") == "true",
            left_out=tags.get("left_out_of_patch", ""),
            datasets=[
                (used.dataset.name, used.dataset.digest, ", ".join(tag.value for tag in used.tags)) for used in inputs
            ],
            params=dict(run.data.params),
            dependencies=self._try(
                lambda: json.loads(mlflow.artifacts.load_text(f"{run.info.artifact_uri}/{DEPENDENCIES}"))
            )
            or {},
            environment=environment_of(run),
        )

    def record_scores(self, run: Run, scores: dict[str, float], dataset: tuple[str, str]) -> None:
        """Add numbers to a finished run and to the model it logged, unless they are there already for these data.

        Args:
            run: the training run.
            scores: metric name to value.
            dataset: name and digest of the data they were measured on.
        """
        outputs = run.outputs.model_outputs if run.outputs else []
        model_id = outputs[0].model_id if outputs else None
        model = self._try(lambda: self._client.get_logged_model(model_id)) if outputs else None
        there = [one for one in (model.metrics if model else None) or [] if one.dataset_digest == dataset[1]]
        now = get_current_time_millis()
        metrics = [
            Metric(name, value, now, 0, model_id=model_id, dataset_name=dataset[0], dataset_digest=dataset[1])
            for name, value in scores.items()
            # The metrics of a model have another number where the run has NaN.
            if not any(one.key == name and (one.value == value or math.isnan(value)) for one in there)
        ]
        if metrics:
            self._try(lambda: self._client.log_batch(run.info.run_id, metrics=metrics))

    @property
    def page(self) -> str:
        """The runs of the experiment in the UI with their models and scores, below its address."""
        return _page(str(self._experiment_id))

    def link(self, name: str, run_id: str) -> str:
        """A link to a run, in Markdown for the UI."""
        return f"[{name}](#/experiments/{self._experiment_id}/runs/{run_id}?{_MODE})"

    def where_to_look(self) -> str:
        """One line for the terminal: how to see the runs."""
        if self.problem:
            return f"not recorded in MLflow ({self.uri}); run `dvc repro -f -s evaluate` once it is back"
        name = EXPERIMENT.format(dataset=self.dataset)
        if self.uri.startswith("http"):
            return f"runs: {self.uri.rstrip('/')}{self.page} (experiment {name})"
        return f"runs: experiment {name}; open the MLflow UI with `make ui`"

    def _open_experiment(self) -> str:
        name = EXPERIMENT.format(dataset=self.dataset)
        file = sqlite_file(self.uri)
        if file is None:
            return self._experiment(name, None)
        # The first process makes the tables (a new client does) and the experiment; others wait for it.
        with FileLock(f"{file}.lock"):
            return self._experiment(name, (file.absolute().parent / "mlartifacts" / name).as_uri())

    def _experiment(self, name: str, artifacts: str | None) -> str:
        self._client = mlflow.MlflowClient(self.uri)
        experiment = self._client.get_experiment_by_name(name)
        if experiment is None:
            try:
                experiment = self._client.get_experiment(self._client.create_experiment(name, artifacts))
            except MlflowException:  # another process was faster
                experiment = self._client.get_experiment_by_name(name)
                if experiment is None:
                    raise
        if experiment.lifecycle_stage == "deleted":
            raise MlflowException(
                f"the experiment {name} is deleted; `mlflow experiments restore -x {experiment.experiment_id}`"
                " brings it back"
            )
        note = _EXPERIMENT_NOTE.format(page=_page(experiment.experiment_id).removeprefix("/"))
        for tag, value in {**_EXPERIMENT_TAGS, "mlflow.note.content": note}.items():
            if tag not in experiment.tags:  # what people have changed stays as it is
                self._client.set_experiment_tag(experiment.experiment_id, tag, value)
        return str(experiment.experiment_id)

    def _search(self, condition: str = "", at_most: int = 1000) -> list[Run]:
        """The runs of the experiment for which a condition holds, the latest first."""
        runs = self._try(
            lambda: self._client.search_runs(
                [str(self._experiment_id)],
                condition,
                ViewType.ACTIVE_ONLY,
                max_results=at_most,
                order_by=["attributes.start_time DESC"],
            )
        )
        return list(runs or [])

    def _end(self, status: str) -> None:
        """End the active run, also after a call that failed: MLflow would take it for finished when Python exits."""
        if not self.problem:
            self._try(lambda: mlflow.end_run(status))
        else:
            with suppress(Exception):  # which has been told
                mlflow.end_run("FAILED")

    def _try(self, action: Callable[[], T]) -> T | None:
        if self.problem:
            return None
        try:
            return action()
        except Exception as error:  # of MLflow, of a driver, of a database or of a storage: no reason to stop
            kind, lines = type(error).__name__, str(error).splitlines()
            self.problem = f"{kind}: {lines[0]}" if lines else kind
            print(
                f"warning: MLflow ({self.uri}) did not take this: {self.problem}\n"
                "Nothing is lost: results are on disk, and `evaluate` completes MLflow from them when it is back.",
                file=sys.stderr,
            )
            return None


def _live(runs: list[Run]) -> list[Run]:
    """Leave out the runs that were written again."""
    return [run for run in runs if SUPERSEDED not in run.data.tags]


def _page(experiment_id: str) -> str:
    return f"/#/experiments/{experiment_id}/runs?{_MODE}&viewStateShareKey={_VIEW}"


class TrackedRun:
    """A run that is being written."""

    def __init__(self, tracker: Tracker, run_id: str) -> None:
        self.run_id = run_id
        self._tracker = tracker
        self._client = tracker._client
        self._try = tracker._try

    def tags(self, tags: dict[str, str]) -> None:
        """Set tags; `gatewise.` is put before their names."""
        self._try(lambda: [self._client.set_tag(self.run_id, f"gatewise.{k}", v) for k, v in tags.items()])

    def colour(self, colour: str) -> None:
        """Set the colour (`#rrggbb`) of the run's dots and curves in the UI."""
        self._try(lambda: self._client.set_tag(self.run_id, "mlflow.runColor", colour))

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
        self.metrics({f"{CURVES}{name}": value for name, value in values.items()}, epoch)

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

    def figure(self, figure: Figure, name: str) -> None:
        """Log a picture as an artifact."""
        self._try(lambda: self._client.log_figure(self.run_id, figure, name))

    def model(self, trained: Trained, tokenizer: Path) -> None:
        """Log a model that takes raw text, and mark the run with the model's fingerprint."""
        self._try(lambda: log_text_model(trained, tokenizer))
        # The tag comes last: a run that has it is complete.
        self.tags({FINGERPRINT.removeprefix("gatewise."): trained.fingerprint})


def _process(number: int | str) -> str:
    return f"{platform.node()}/{number}"


def _is_alive(process: str) -> bool:
    """Whether a process of this machine is still there."""
    try:
        os.kill(int(process.rpartition("/")[2]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True
