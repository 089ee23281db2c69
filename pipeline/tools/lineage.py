"""From a run to the files that made it, and from the files to their runs.

python -m pipeline.tools.lineage                # what is on disk, and the run that made each
python -m pipeline.tools.lineage lstm-1         # the latest run of that name: what it came from, and how to get it
python -m pipeline.tools.lineage 4f9c12…        # a run by its id, or the beginning of it
"""

import argparse
from collections.abc import Mapping
from pathlib import Path

from tabulate import tabulate

from pipeline.parts.command import run
from pipeline.parts.lineage import has_default_remote, repository
from pipeline.parts.params import read_params
from pipeline.parts.tracking import PATCH, RunRecord, Tracker
from pipeline.parts.trained import CARD, Trained

MODELS = Path("data/models")


def on_disk(tracker: Tracker, models: Path) -> str:
    """A table of the trained models below `models` and their runs."""
    rows = []
    for folder in sorted(card.parent for card in models.glob(f"*/{CARD}")):
        trained = Trained.load(folder)
        found = tracker.find(trained.fingerprint)
        record = tracker.describe(found) if found else None
        rows.append(
            {
                "folder": folder.as_posix(),
                "model SHA-256": trained.fingerprint[:12],
                "run": record.run_id if record else "none: `dvc repro -f -s evaluate` writes it",
                "commit": record.commit_and_state if record else "",
                "trained": ("restored" if record.restored else record.started) if record else "",
            }
        )
    return tabulate(rows, headers="keys")


def described(record: RunRecord, repository: str, has_remote: bool) -> str:
    """Everything that a run came from, and the commands that bring its files back."""
    facts = {
        "run": f"{record.name} {record.run_id} ({record.status.lower()}, {record.started})",
        "experiment": record.experiment,
        "restored": "yes: written from the files, after the model was trained" if record.restored else "no",
        "commit": record.commit_and_state,
        "data set": ", ".join(f"{name} {digest} ({context})" for name, digest, context in record.datasets),
        "model": f"SHA-256 {record.fingerprint}" if record.fingerprint else "none",
    }
    sections = [tabulate(facts.items(), tablefmt="plain"), _section("parameters", record.params)]
    sections += [_section("read (MD5, as in dvc.lock)", record.dependencies), _section("ran on", record.environment)]
    sections.append(
        "bring it back:\n" + "\n".join(f"  {command}" for command in commands(record, repository, has_remote))
    )
    return "\n\n".join(sections)


def commands(record: RunRecord, repository: str, has_remote: bool) -> list[str]:
    """What to type, in an empty folder and with this environment, to have the files of a run again.

    Where a DVC remote has them, `dvc repro --pull` takes them from there; otherwise they are computed, to the
    same bytes on the same kind of processor.

    Args:
        record: the run.
        repository: what to clone.
        has_remote: whether that repository names a default DVC remote; `--pull` fails where there is none.
    """
    folder = f"{record.name}-{record.run_id[:8]}"
    lines = [f"git clone {repository} {folder}", f"cd {folder}", f"git checkout {record.commit}"]
    if record.dirty:
        lines.append(
            f"MLFLOW_TRACKING_URI={record.store} mlflow artifacts download --run-id {record.run_id}"
            f" --artifact-path {PATCH} --dst-path .git"
        )
        lines.append(f"git apply .git/{PATCH}")
    return [*lines, f"dvc repro {'--pull ' if has_remote else ''}{record.stage}"]


def _section(title: str, content: Mapping[str, str]) -> str:
    return f"{title}:\n" + "\n".join(f"  {name} = {value}" for name, value in content.items())


def main() -> None:
    parser = argparse.ArgumentParser(description="From a run to the files that made it, and back.")
    parser.add_argument("run", nargs="?", help="name or id of a run; without it, the models on disk are listed")
    arguments = parser.parse_args()
    tracker = Tracker(read_params().dataset)
    if arguments.run:
        print(described(tracker.describe(tracker.named(arguments.run)), repository(), has_default_remote()))
    else:
        print(on_disk(tracker, MODELS))


if __name__ == "__main__":
    run(main)
