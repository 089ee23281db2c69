"""From a run to the files that made it, and from the files to their runs."""

import shlex
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from pipeline.core.command import run, waiting
from pipeline.core.folders import SOURCES, project_root
from pipeline.core.hashes import folder_md5
from pipeline.core.params import read_params
from pipeline.corpus.sources import SOURCE_FILE
from pipeline.reporting.stamp import fingerprint
from pipeline.tools.arguments import Tool
from pipeline.tracking.address import wants_login
from pipeline.tracking.git import PATCH, has_default_remote, repository, tracked_files
from pipeline.tracking.paths import METRICS, MODELS, RESULTS
from pipeline.tracking.record import run_of
from pipeline.tracking.run_record import COMPARISON, RunRecord
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import BASELINE, CARD, Trained

_HINT = "  # with your user and password: MLFLOW_TRACKING_USERNAME and _PASSWORD, or those of the database"
_UNKNOWN = (
    "The origin of these files is not known, so no commands bring them back. When the run was written from the files,"
    " dvc.lock recorded other files, or the working tree had other code or parameters."
)


@dataclass(frozen=True)
class Origin:
    """Origin of the files of a run.

    Attributes:
        repository: what to clone.
        has_remote: whether that repository names a default DVC remote, from which `--pull` takes what is there.
        source: the folder of the data set, from the top of the repository; None where the run does not say.
        here: that folder on this machine.
        untracked: what of its content git does not have: files, and folders with such files in them.
        pointers: the `.dvc` files by which DVC knows such data.
        changed: the folder holds other data now than when the run read it.
    """

    repository: str
    has_remote: bool
    source: str | None = None
    here: Path = Path()
    untracked: tuple[str, ...] = ()
    pointers: tuple[str, ...] = ()
    changed: bool = False


def origin(record: RunRecord) -> Origin:
    """Find out where the files of a run are."""
    remote = has_default_remote()
    source = next((path for path in record.dependencies if path.startswith(SOURCES)), None)
    if source is None or not record.commit:
        return Origin(repository(record.commit), remote, source)
    here, tracked = project_root() / source, tracked_files(record.commit, source)
    files = [path.relative_to(project_root()).as_posix() for path in here.rglob("*") if path.is_file()]
    # source.yaml is small, and comes with the commit or its patch.
    untracked = [name for name in files if name not in tracked and Path(name).name not in (SOURCE_FILE, ".gitignore")]
    entries = sorted({name.removeprefix(f"{source}/").partition("/")[0] for name in untracked})
    pointers = tuple(sorted(name for name in tracked if name.endswith(".dvc")))
    return Origin(
        repository(record.commit),
        remote,
        source,
        here,
        tuple(entries),
        pointers,
        changed=bool(files) and folder_md5(here) != record.dependencies[source],
    )


def on_disk_or_named(tracker: Tracker, text: str) -> Any:
    """Find the run of the model or results on disk with this name, or the run that MLflow has under this name or id.

    Raises:
        InputError: there is none, or MLflow is out of reach.
    """
    found = None
    if (MODELS / text / CARD).exists():
        trained = Trained.load(MODELS / text)
        found = run_of(_tracker_of(trained, tracker), trained)
    elif text == COMPARISON and METRICS.exists():
        found = tracker.find(fingerprint(RESULTS))
    return found or tracker.named(text)


def on_disk(tracker: Tracker, models: Path, results: Path, compared: Collection[str]) -> str:
    """Make a table of the trained models, of the results of their comparison, and of the runs of all.

    Args:
        tracker: the experiment.
        models: the folder with a folder per model.
        results: the folder with the results.
        compared: the names that params.yaml asks for; the others are left over from other settings.

    Raises:
        InputError: MLflow is out of reach.
    """
    rows = []
    for folder in sorted(card.parent for card in models.glob(f"*/{CARD}")):
        trained = Trained.load(folder)
        asked = _tracker_of(trained, tracker)
        wanted = trained.name in compared and asked is tracker
        rows.append(_row(asked, folder, wanted, trained.fingerprint, run_of(asked, trained)))
    if (results / METRICS.name).exists():
        digest = fingerprint(results)
        rows.append(_row(tracker, results, True, digest, tracker.find(digest)))
    return tabulate(rows, headers="keys")


def _tracker_of(trained: Trained, tracker: Tracker) -> Tracker:
    """Find the experiment of a model, which may be left over from another data set."""
    tracker.must_answer()
    dataset = trained.card["dataset"]
    return tracker if dataset == tracker.dataset else Tracker(dataset)


def _row(tracker: Tracker, folder: Path, wanted: bool, digest: str, found: Any) -> dict[str, str]:
    tracker.must_answer()
    record = tracker.record_of(found) if found else None
    return {
        "folder": folder.as_posix(),
        "data set": tracker.dataset,
        "in params.yaml": "yes" if wanted else "no",
        "SHA-256": digest[:12],
        "run": record.run_id if record else "none: `dvc repro -f -s evaluate` writes it",
        "commit": record.commit_and_state if record else "",
        "made": ("restored" if record.restored else record.started) if record else "",
    }


def described(record: RunRecord, origin: Origin) -> str:
    """Describe everything that a run came from, with the commands that bring its files back."""
    facts = {
        "run": f"{record.name} {record.run_id} ({record.status.lower()}, {record.started})",
        "experiment": record.experiment,
        "restored": "yes: written from the files, after the model was trained" if record.restored else "no",
        "commit": record.commit_and_state,
        "data set": ", ".join(f"{name} {digest} ({context})" for name, digest, context in record.datasets),
        "results" if record.stage == "evaluate" else "model": f"SHA-256 {record.fingerprint or 'none'}",
    }
    sections = [tabulate(facts.items(), tablefmt="plain"), _section("parameters", record.params)]
    sections += [_section("read (MD5, as in dvc.lock)", record.dependencies), _section("ran on", record.environment)]
    if not record.known:
        return "\n\n".join([*sections, _UNKNOWN])
    if origin.changed:
        sections.append(
            f"{origin.source} holds other data now than this run read."
            " Without the data that it read, its files will differ."
        )
    sections.append("bring it back:\n" + "\n".join(f"  {command}" for command in commands(record, origin)))
    return "\n\n".join(sections)


def commands(record: RunRecord, origin: Origin) -> list[str]:
    """List the commands that bring the files of a run back, in an empty folder and with this environment.

    Where a DVC remote has them, `dvc repro --pull` takes them from there; otherwise they are computed, to the
    same bytes on the same kind of processor.

    Data that git does not have come from the DVC remote, where DVC knows them (`dvc add`), or else from here.
    """
    folder = f"{record.name}-{record.run_id[:8]}"
    lines = [f"git clone {shlex.quote(origin.repository)} {folder}", f"cd {folder}", f"git checkout {record.commit}"]
    if record.dirty:
        lines.append(
            f"MLFLOW_TRACKING_URI={shlex.quote(record.store)} mlflow artifacts download --run-id {record.run_id}"
            f" --artifact-path {PATCH} --dst-path .git{_HINT if wants_login() else ''}"
        )
        lines.append(f"git apply .git/{PATCH}")
    if origin.has_remote and origin.pointers:
        lines.append(f"dvc pull {shlex.join(origin.pointers)}")
    elif origin.untracked:
        data = shlex.join(str(origin.here / entry) for entry in origin.untracked)
        lines.append(f"mkdir -p {origin.source} && cp -R {data} {origin.source}  # the data, which git does not have")
    return [*lines, f"dvc repro {'--pull ' if origin.has_remote else ''}{record.stage}"]


def _section(title: str, content: Mapping[str, str]) -> str:
    return f"{title}:\n" + "\n".join(f"  {name} = {value}" for name, value in content.items())


@click.command(cls=Tool)
@click.argument("name", metavar="[RUN]", required=False)
def main(name: str | None) -> None:
    """Trace a run to the files that made it, and give the commands that bring them back.

    RUN is the name of a model on disk, `comparison`, or the name, the id or the beginning of the id of a run. Without
    RUN, a table shows the models and results on disk and the run of each.

    \b
    Examples:
      gatewise lineage
      gatewise lineage lstm-1
      gatewise lineage 4f9c12
    """
    params = read_params()
    with waiting("look through the runs"):
        tracker = Tracker(params.dataset)
        if name:
            record = tracker.record_of(on_disk_or_named(tracker, name))
            found = described(record, origin(record))
        else:
            found = on_disk(tracker, MODELS, RESULTS, [*params.networks, BASELINE])
    print(found)


if __name__ == "__main__":
    run(main)
