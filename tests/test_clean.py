"""`gatewise clean`: what it shows, what it removes, and what it leaves."""

import re
import shutil

import mlflow
import pytest
from conftest import Project
from runs import runs_of

CLEAN = ("python", "-m", "pipeline", "clean")


def sizes(shown: str) -> dict[str, str]:
    """The parts of the table with their sizes."""
    return dict(re.findall(r"^([a-z]+) +([\d.]+ [kM]?B) ", shown, re.MULTILINE))


def test_what_commits_need_and_what_cannot_be_made_again_stays(own_project: Project) -> None:
    root = own_project.root
    unused = root / ".dvc/cache/files/md5/00" / "0123456789abcdef0123456789abcd"
    unused.parent.mkdir(exist_ok=True)
    unused.write_bytes(bytes(70_000))
    shutil.copytree(root / "data/models/gru-1", root / "data/models/gru-7")
    shutil.copytree(root / "data/models/gru-1", root / "data/leftovers/gru-8-0123abcd")
    dropped = root / "data/downloads/archive.tar.gz"
    dropped.parent.mkdir(exist_ok=True)
    dropped.write_bytes(bytes(5_000))

    shown = own_project.call(*CLEAN).stdout
    found = sizes(shown)
    assert {part: found[part] for part in ("pages", "runs", "downloads")} == {
        "pages": "0 B", "runs": "0 B", "downloads": "5.0 kB"
    }  # fmt: skip
    assert int(found["cache"].removesuffix(" kB")) >= 70
    assert "`gatewise clean --yes` removes cache, models, pages: " in shown
    assert unused.exists()

    own_project.call(*CLEAN, "--yes")
    assert not unused.exists()
    assert not (root / "data/models/gru-7").exists()
    assert not (root / "data/leftovers/gru-8-0123abcd").exists()
    assert dropped.exists()
    # Nothing that the commit needs was lost.
    shutil.rmtree(root / "data/models")
    own_project.run("dvc", "checkout")
    assert own_project.run("git", "status", "--porcelain").stdout == ""
    there = {path.name for path in (root / "data/models").iterdir()}
    assert there == {"lstm-1", "lstm-2", "gru-1", "gru-2", "baseline"}


@pytest.mark.slow
def test_what_cannot_be_made_again_goes_when_it_is_named(own_project: Project) -> None:
    first, *others = runs_of(own_project)
    mlflow.MlflowClient(own_project.store).delete_run(first.info.run_id)
    dropped = own_project.root / "data/downloads/archive.tar.gz"
    own_project.call(*CLEAN, "runs", "downloads", "--yes")
    assert not dropped.exists()
    folders = (own_project.root / "mlartifacts" / "gatewise-tiny").iterdir()
    assert {folder.name for folder in folders} >= {run.info.run_id for run in others}
    assert not (own_project.root / "mlartifacts" / "gatewise-tiny" / first.info.run_id / "artifacts").exists()
    refused = own_project.call(*CLEAN, "rnus", check=False)
    assert (refused.returncode, "Received: rnus" in refused.stderr) == (2, True)
