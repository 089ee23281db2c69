"""Read from a run of MLflow where it comes from."""

from dataclasses import dataclass
from datetime import UTC, datetime

from mlflow.entities import Run

from pipeline.tracking.git import state_of
from pipeline.tracking.store import EXPERIMENT

COMPARISON = "comparison"  # the name by which commands know the runs of the last stage
EVALUATE = "evaluate"  # that stage
SUPERSEDED = "gatewise.superseded"  # on a run that was written again: the id of the one that stands for it


def name_of(run: Run) -> str:
    """Return the name by which commands know a run: `gru-1` of the run `gru-1 units=16`."""
    if run.data.tags.get("gatewise.stage") == EVALUATE:
        return COMPARISON
    return str(run.info.run_name).partition(" ")[0]


def environment_of(run: Run) -> dict[str, str]:
    """Read the versions and the processor that a run was made with; empty for a run that was restored."""
    tags = {name.removeprefix("gatewise."): value for name, value in run.data.tags.items()}
    return {name: value for name, value in tags.items() if name.startswith("version.") or name == "cpu"}


@dataclass(frozen=True)
class RunRecord:
    """Origin of a run, as MLflow knows it.

    Attributes:
        name: as `name_of` has it.
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
        """Describe the commit for a table, and what the working tree added to it."""
        if not self.known:
            return "not known"
        return state_of(self.commit, self.dirty, self.left_out)

    @classmethod
    def of(cls, run: Run, store: str, dataset: str, dependencies: dict[str, str]) -> "RunRecord":
        """Read the record of a run from its tags and inputs.

        Args:
            run: as MLflow gives it.
            store: the address of the store.
            dataset: whose experiment it is, where the tags do not say.
            dependencies: path to MD5 of what the stage depended on.
        """
        tags = {name.removeprefix("gatewise."): value for name, value in run.data.tags.items()}
        stage = tags.get("stage", "")
        inputs = run.inputs.dataset_inputs if run.inputs else []
        started = datetime.fromtimestamp(run.info.start_time / 1000, UTC)
        return cls(
            name=name_of(run),
            run_id=run.info.run_id,
            store=store,
            experiment=EXPERIMENT.format(dataset=tags.get("dataset", dataset)),
            status=run.info.status,
            started=f"{started:%Y-%m-%d %H:%M} UTC",
            stage=f"train@{name_of(run)}" if stage == "train" else stage,
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
            dependencies=dependencies,
            environment=environment_of(run),
        )
