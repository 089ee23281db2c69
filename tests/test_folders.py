"""What a stage may replace, and that it leaves nothing half-written."""

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.core.command import InputError
from pipeline.core.folders import check_files, check_ours, filling, replacing, writing


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_an_input_that_is_missing_or_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "here").touch()
    check_files(tmp_path / "here")
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(InputError, match=f"^{path} is missing"):
            check_files(tmp_path / "here", path)


@pytest.mark.parametrize("names", [[], ["card.json"], ["card.json", "model.keras"]])
def test_a_folder_with_our_files_alone_may_be_replaced(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).touch()
    check_ours(tmp_path, {"card.json", "model.keras"})
    check_ours(tmp_path / "new", {"card.json"})


def test_a_folder_that_holds_anything_else_is_refused_and_a_file_is(tmp_path: Path) -> None:
    for name in ("card.json", "thesis.tex"):
        (tmp_path / name).touch()
    with pytest.raises(InputError, match=r"would be replaced.*Received: thesis\.tex"):
        check_ours(tmp_path, {"card.json"})
    with pytest.raises(InputError, match=r"thesis\.tex must be a folder"):
        check_ours(tmp_path / "thesis.tex", {"card.json"})


def test_what_was_written_moves_over_when_all_is_there(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a").write_text("old")
    (tmp_path / "out" / "mine").write_text("stays")
    with filling(tmp_path / "out") as folder:
        (folder / "a").write_text("new")
        (folder / "b").mkdir()
        (folder / "b" / "c").write_text("new")
        assert content(tmp_path / "out") == {"a": "old", "mine": "stays"}
    assert content(tmp_path) == {"out/a": "new", "out/b/c": "new", "out/mine": "stays"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_nothing_moves_over_after_an_error_and_nothing_stays(tmp_path: Path) -> None:
    def fail() -> None:
        with filling(tmp_path / "out") as folder:
            (folder / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".out.part" / "out").mkdir(parents=True)
    (tmp_path / ".out.part" / "out" / "half").touch()
    with filling(tmp_path / "out") as folder:
        (folder / "whole").touch()
    assert content(tmp_path) == {"out/whole": ""}


def test_a_whole_folder_or_file_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "old").touch()
    with replacing(tmp_path / "out") as folder:
        assert folder.name == "out"  # by which a model is called
        (folder / "new").touch()
        assert content(tmp_path / "out") == {"old": ""}
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out"):
        Path("gone").read_text()
    (tmp_path / "file").write_text("old")
    with writing(tmp_path / "file") as path:
        path.write_text("new")
        assert (tmp_path / "file").read_text() == "old"
    assert content(tmp_path) == {"out/new": "", "file": "new"}


HOLD = """
import sys, time
from pathlib import Path
from pipeline.core.folders import replacing
with replacing(Path(sys.argv[1])) as folder:
    (folder / "half").touch()
    print("holds", flush=True)
    time.sleep(600)
"""


def test_a_second_process_is_told_who_writes_and_takes_over_when_that_one_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", HOLD, out], cwd=ROOT, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "holds\n"
        with pytest.raises(InputError, match=f"out is being written by another process .number {holder.pid}."):
            with replacing(out):
                pass
        holder.kill()
    with replacing(out) as folder:
        (folder / "whole").touch()
    assert content(tmp_path) == {"out/whole": ""}


def test_where_nothing_can_be_written_nothing_stays(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))  # as on a full disk
    try:
        with pytest.raises(OSError, match="too large"), writing(tmp_path / "memory.json") as part:
            part.write_text("never", encoding="utf-8")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert [*tmp_path.iterdir()] == []
