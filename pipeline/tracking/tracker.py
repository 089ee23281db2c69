"""Open a data set's experiment in MLflow: begin runs, and find them again.

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
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import mlflow
from filelock import FileLock
from mlflow.entities import Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from mlflow.utils.time import get_current_time_millis

from pipeline.comparison.titles import colour_of
from pipeline.core.command import InputError, did_you_mean
from pipeline.core.folders import project_root
from pipeline.tracking import patience
from pipeline.tracking.address import in_short, login, without_login
from pipeline.tracking.changes import changes, named
from pipeline.tracking.experiment import MODE, NOTE, TAGS, page_of
from pipeline.tracking.git import PATCH, commit, uncommitted_changes
from pipeline.tracking.locked import dependencies
from pipeline.tracking.machine import SIDE_BY_SIDE, environment
from pipeline.tracking.mending import is_alive
from pipeline.tracking.metric_names import TIMES
from pipeline.tracking.run_record import SUPERSEDED, RunRecord, name_of
from pipeline.tracking.standing import counting, differing, standing
from pipeline.tracking.store import EARLIER, EXPERIMENT, FINGERPRINT, OUTDATED, sqlite_file, sqlite_uri, store_uri
from pipeline.tracking.tracked_run import COLOUR, TrackedRun
from pipeline.tracking.views import tags_to_set

# Artifacts of every run: the MD5 of each file that the stage depends on, and what git had not committed.
DEPENDENCIES = "dependencies.json"

# A server that does not answer is given up after seconds, not after MLflow's four minutes.
_SETTINGS = {
    **patience.ORDINARY,
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",  # three bars for three small files
}
_LAST_CALL = 2.0  # seconds for the end of a run that MLflow did not take
_PROJECT_RUN = "MLFLOW_RUN_ID"  # set by `mlflow run` for the command it starts
_NO_SUCH_RUN = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # codes of MLflow's errors
_GENERATED = re.compile(r"[a-z]+-[a-z]+-\d+")  # a name that MLflow makes up
_NAMED = "gatewise.named"  # the name that we gave to the run of a project
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
    user, password = login()
    if user and password:  # which store_uri leaves out of the address of a server
        os.environ.update(MLFLOW_TRACKING_USERNAME=user, MLFLOW_TRACKING_PASSWORD=password)
    for noisy in ("alembic", "mlflow.store", "mlflow.tracking.fluent", "mlflow.pyfunc"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    # It prints the traceback of each error that it raises, and that we tell.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)
    mlflow.set_tracking_uri(uri)
    return uri


class Tracker:
    """One data set's experiment in the MLflow store.

    When a call fails, `problem` holds why, standard error has said so, and all later calls do nothing.
    """

    def __init__(self, dataset: str) -> None:
        self.uri = connect()
        self.address = without_login(self.uri)  # as it is shown
        self.dataset = dataset
        self.problem: str | None = None
        self._hung = False  # the problem is a server that does not answer
        self._patience = patience.Patience(self.address, bounded=sqlite_file(self.uri) is None)
        # Every process of a project run inherits this; none may write into that run itself.
        project = os.environ.pop(_PROJECT_RUN, None)
        self._tags: dict[str, str] = {}  # of the experiment
        self._client: Any = None  # stays None when the store cannot be opened
        with patience.limits(patience.AWAY if patience.found_away(self.address) else patience.FIRST):
            self._experiment_id = self._try(self._open_experiment)
            self._parent_run_id = self._try(lambda: self._running(project)) if project else None
        if not self.problem:
            patience.tell_back()

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
            name: as shown in the UI, which adds what differs from params.yaml in git.
            stage: the stage of dvc.yaml that writes it.
            tags: further tags; `gatewise.` is put before their names.
            made_from: of files that were made earlier, the MD5 of what their stage read: empty where that is not
                known, and then nothing is said of the commit either. By default, the files are being made now.
            item: `model` and `seed`, where the stage has one of each in dvc.yaml.
        """
        gatewise = {"stage": stage, "dataset": self.dataset, "process": _process(os.getpid()), **(tags or {})}
        if made_from is None:  # else they may have been made elsewhere
            gatewise |= environment()
            if SIDE_BY_SIDE in os.environ:
                gatewise["side_by_side"] = os.environ[SIDE_BY_SIDE]
        patch, changed = "", list[str]()
        if made_from is None or made_from:
            origin, patch, changed = self._origin(stage)
            gatewise |= origin
        else:
            gatewise["provenance"] = "unknown"
        if "DVC_EXP_NAME" in os.environ:
            gatewise["dvc_experiment"] = os.environ["DVC_EXP_NAME"]
        all_tags = {f"gatewise.{key}": value for key, value in gatewise.items()}
        if "git_commit" in gatewise:
            all_tags["mlflow.source.git.commit"] = gatewise["git_commit"]
        if item:
            all_tags[COLOUR] = colour_of(item["model"])
        all_tags |= {"mlflow.source.name": f"pipeline.{stage}", "mlflow.source.type": "LOCAL"}
        self._try(lambda: self._name_project(named(name, changed)))
        run = self._try(
            lambda: mlflow.start_run(
                run_name=named(name, changed),
                experiment_id=self._experiment_id,
                parent_run_id=self._parent_run_id,
                tags=all_tags,
            )
        )
        status = "FAILED"
        tracked = TrackedRun(run.info.run_id if run else "", self._client, self._try, self._post)
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

    def _origin(self, stage: str) -> tuple[dict[str, str], str, list[str]]:
        """Get the tags that name the commit and what differs from it, the patch, and the parameters that differ."""
        patch, left_out = uncommitted_changes()
        tags: dict[str, str] = {}
        if head := commit():
            tags |= {"git_commit": head, "git_dirty": "true" if patch or left_out else "false"}
        if left_out:
            tags["left_out_of_patch"] = ", ".join(left_out)
        changed = changes(stage, self.dataset)
        if changed:
            tags["differs"] = ", ".join(changed)
        return tags, patch, changed

    @contextmanager
    def again(self, old: Run, tags: dict[str, str] | None = None, name: str = "") -> Iterator["TrackedRun"]:
        """Write a finished run anew: with its origin, its times, and when it began and ended.

        The old run stays, and is marked once the new one is complete; `find` then passes it by.

        Args:
            old: the run.
            tags: tags that change; `gatewise.` is put before their names.
            name: a new one, less what differs; by default the name stays.
        """
        kept = {name: value for name, value in old.data.tags.items() if name.startswith(_ORIGIN)}
        kept = {name: value for name, value in kept.items() if name not in _OF_ONE_RUN}
        kept |= {
            f"gatewise.{name}": value for name, value in {"process": _process(os.getpid()), **(tags or {})}.items()
        }
        changed = [change for change in kept.get("gatewise.differs", "").split(", ") if change]
        run_name = named(name, changed) if name else old.info.run_name
        run = self._try(
            lambda: self._client.create_run(str(self._experiment_id), old.info.start_time, kept, run_name=run_name)
        )
        status = "FAILED"
        tracked = TrackedRun(run.info.run_id if run else "", self._client, self._try, self._post)
        try:
            self._try(lambda: mlflow.start_run(run_id=tracked.run_id))
            self._try(lambda: self._copy(old, tracked.run_id))
            yield tracked
            status = "FINISHED"
        finally:
            self._end(status)
        self._try(lambda: self._client.set_terminated(tracked.run_id, status, old.info.end_time))
        self._try(lambda: self._client.set_tag(old.info.run_id, SUPERSEDED, tracked.run_id))

    def _running(self, project: str) -> str | None:
        """Take the run of a project if it goes on: a stale variable would put all runs below one that has nothing."""
        try:
            run = self._client.get_run(project)
        except MlflowException as error:
            if error.error_code not in _NO_SUCH_RUN:
                raise
            state = "which the store does not have"
        else:
            if run.info.status == "RUNNING" and run.info.lifecycle_stage == "active":
                return project
            state = "which has ended" if run.info.lifecycle_stage == "active" else "which is deleted"
        print(
            f"warning: {_PROJECT_RUN} in the environment names the run {project}, {state}: the runs stand alone."
            f" `unset {_PROJECT_RUN}` ends this warning",
            file=sys.stderr,
        )
        return None

    def _name_project(self, name: str) -> None:
        """Name the run of `mlflow run` after the latest run below it, unless a person has named it."""
        if self._parent_run_id is None:
            return
        project = self._client.get_run(self._parent_run_id)
        if project.data.tags.get(_NAMED) == project.info.run_name or _GENERATED.fullmatch(project.info.run_name):
            self._client.update_run(self._parent_run_id, name=name)
            self._client.set_tag(self._parent_run_id, _NAMED, name)

    def project_params(self, params: Mapping[str, Any]) -> None:
        """Log what the run of `mlflow run` was asked for, if there is one: by itself it has what was typed alone."""
        parent = self._parent_run_id
        if parent is not None:
            known = self._try(lambda: self._client.get_run(parent).data.params) or {}
            missing = [Param(name, str(value)) for name, value in params.items() if name not in known]
            self._try(lambda: self._client.log_batch(parent, params=missing))

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
        runs = _live(self._finished(fingerprint))
        wanted = {name: str(value) for name, value in (params or {}).items()}
        return next((run for run in runs if wanted.items() <= run.data.params.items()), None)

    def named(self, text: str) -> Run:
        """Find the latest run with this name, or the run whose id begins so; a whole id may be of another data set.

        Raises:
            InputError: there is none, or MLflow is out of reach.
        """
        self.must_answer()
        if len(text) == 32 and _RUN_ID.fullmatch(text):
            with suppress(MlflowException):
                return self._client.get_run(text)
        runs = self._search()
        for run in _live(runs):
            if text in (name_of(run), run.info.run_name):
                return run
        if _RUN_ID.fullmatch(text) and (of_id := self._search(f"attributes.run_id LIKE '{text}%'", 1)):
            return of_id[0]
        names = sorted({name_of(run) for run in runs})
        self.must_answer()
        experiment = EXPERIMENT.format(dataset=self.dataset)
        raise InputError(f"the experiment {experiment} has no run {text!r}; {did_you_mean(text, names)}")

    def must_answer(self) -> None:
        """Refuse to go on without MLflow.

        Raises:
            InputError: MLflow is out of reach.
        """
        if self.problem:
            raise InputError(f"MLflow ({self.address}) cannot be asked: {self.problem}")

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

    def end_stale(self) -> int:
        """Let the runs of this machine end as FAILED whose process is gone: it was killed.

        Returns:
            How many there were.
        """
        running = self._search("attributes.status = 'RUNNING'")
        stale = [run for run in running if not is_alive(run.data.tags.get("gatewise.process", ""), run.info.start_time)]
        for run in stale:
            self._try(partial(self._client.set_terminated, run.info.run_id, "FAILED"))
        return len(stale)

    def record_of(self, run: Run) -> RunRecord:
        """Read where a run comes from."""
        artifact = f"{run.info.artifact_uri}/{DEPENDENCIES}"
        dependencies = self._try(lambda: json.loads(mlflow.artifacts.load_text(artifact)))
        return RunRecord.of(run, self.address, self.dataset, dependencies or {})

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

    def arrange(self, latest: str) -> None:
        """Mark the runs that the views of the UI leave out, and give the views the columns that differ.

        In the copy of the project that DVC makes for an experiment (`dvc exp run --temp`), the comparison of what lies
        in the project itself stays the one that counts.

        Args:
            latest: the id of the comparison just written.
        """
        runs = self._search()
        in_copy = project_root().resolve() != Path.cwd()
        stand = standing(runs, (in_copy and counting(runs, latest)) or latest)
        for run in runs:
            for tag in (OUTDATED, EARLIER):
                value = stand.get(run.info.run_id, {}).get(tag)
                if value is not None and run.data.tags.get(tag) != value:
                    self._try(partial(self._client.set_tag, run.info.run_id, tag, value))
                elif value is None and tag in run.data.tags:
                    self._try(partial(self._client.delete_tag, run.info.run_id, tag))
        ours = [run for run in runs if run.info.run_id in stand]  # that of `mlflow run` may be among the others
        self._try(lambda: self._offer_views(differing([run for run in ours if OUTDATED not in stand[run.info.run_id]])))

    def arrange_found(self, fingerprint: str) -> None:
        """Make the latest comparison with this fingerprint the one that counts, if there is one."""
        if (run := self.find(fingerprint)) is not None:
            self.arrange(run.info.run_id)

    def comparisons(self, fingerprint: str) -> list[bool] | None:
        """Ask what `store.comparisons` asks, in the way that any store understands."""
        runs = self._finished(fingerprint)
        return None if self.problem else [{EARLIER, OUTDATED}.isdisjoint(run.data.tags) for run in runs]

    def _offer_views(self, differ: list[str] | None) -> None:
        experiment = self._client.get_experiment(self._experiment_id)
        for tag, value in tags_to_set(experiment.tags, experiment.creation_time, differ).items():
            self._client.set_experiment_tag(experiment.experiment_id, tag, value)

    @property
    def page(self) -> str:
        """Name the page of the charts of all runs, below the address of the UI."""
        return page_of(str(self._experiment_id), self._tags)

    def link(self, name: str, run_id: str) -> str:
        """Make a link to a run, in Markdown for the UI."""
        return f"[{name}](#/experiments/{self._experiment_id}/runs/{run_id}?{MODE})"

    def incomplete(self, why: str) -> str:
        """Say in one line that the record of the results on disk is not complete."""
        return (
            f"MLflow's record of these results is not complete ({self.address}): {why}."
            " `gatewise run` completes it, once MLflow takes it"
        )

    def where_to_look(self) -> str:
        """Tell in one line how to see the runs."""
        if self.problem:
            return self.incomplete(self.problem)
        name = EXPERIMENT.format(dataset=self.dataset)
        if self.uri.startswith("http"):
            return f"runs: {self.address.rstrip('/')}{self.page} (experiment {name})"
        return f"runs: experiment {name}; open the MLflow UI with `make ui`"

    def _open_experiment(self) -> str:
        name = EXPERIMENT.format(dataset=self.dataset)
        file = sqlite_file(self.uri)
        if file is None:
            return self._experiment(name, None)
        # The first process makes the tables and the experiment; others wait for it.
        with FileLock(f"{file}.lock"):
            _make_store(file)
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
        views = tags_to_set(experiment.tags, experiment.creation_time)
        self._tags = {**TAGS, **experiment.tags, **views}
        note = NOTE.format(page=page_of(experiment.experiment_id, self._tags).removeprefix("/"))
        for tag, value in {**TAGS, "mlflow.note.content": note, **views}.items():
            if tag in views or tag not in experiment.tags:  # what people have changed stays as it is
                self._client.set_experiment_tag(experiment.experiment_id, tag, value)
        return str(experiment.experiment_id)

    def _finished(self, fingerprint: str) -> list[Run]:
        return self._search(f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status = 'FINISHED'")

    def _search(self, condition: str = "", at_most: int = 1000) -> list[Run]:
        """List the runs of the experiment for which a condition holds, the latest first."""
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
        elif not self._hung:  # else the run stays RUNNING, and `end_stale` ends it
            with suppress(Exception):  # which has been told
                self._patience.ask(lambda: mlflow.end_run("FAILED"), _LAST_CALL)

    def _try(self, action: Callable[[], T]) -> T | None:
        if self.problem:
            return None
        try:
            # What was posted before may fail while this waits for its turn.
            answer: T | None = self._patience.ask(lambda: None if self.problem else action())
        except Exception as error:  # of MLflow, of a driver, of a database or of a storage: no reason to stop
            self._give_up(error)
            return None
        return answer

    def _post(self, action: Callable[[], Any]) -> None:
        """Make a call without waiting for it; the next one that is waited for comes after it."""

        def call() -> None:
            if self.problem:
                return
            try:
                action()
            except Exception as error:  # as in `_try`
                self._give_up(error)

        self._patience.post(call)

    def _give_up(self, error: Exception) -> None:
        """Say what went wrong, once."""
        if self.problem:
            return
        kind, reason = type(error).__name__, in_short(error)
        self._hung = isinstance(error, patience.TooSlowError) or "timed out" in str(error)
        self.problem = f"{kind}: {reason}" if reason else kind
        patience.tell_away(self.address)
        print(
            f"warning: MLflow ({self.address}) did not take this: {self.problem}\n"
            "What is on disk stays, and `gatewise run` completes MLflow from it when it is back.",
            file=sys.stderr,
        )


def _make_store(file: Path) -> None:
    """Make a store beside its place and move it there when it is whole, so that a kill leaves no half of it."""
    if file.exists():
        return
    for left in file.parent.glob(f"{file.name}.*.part*"):  # by a process that was killed
        left.unlink(missing_ok=True)
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        store = mlflow.MlflowClient(sqlite_uri(part.absolute()))._tracking_client.store
        store.engine.dispose()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _live(runs: list[Run]) -> list[Run]:
    """Leave out the runs that were written again."""
    return [run for run in runs if SUPERSEDED not in run.data.tags]


def _process(number: int | str) -> str:
    return f"{platform.node()}/{number}"
