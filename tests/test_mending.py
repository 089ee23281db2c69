"""What killed processes leave in a clone: mended where nothing is lost, and told."""

import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, clean_environment

from pipeline.core.command import InputError
from pipeline.tracking.mending import is_alive, left_running, mend

LOCK = "schema: '2.0'\nstages:\n  download:\n    cmd: python3 -m pipeline.download\n"


@pytest.fixture(autouse=True)
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a dvc.lock."""
    for name in ("DVC_ROOT", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    Path(".dvc/tmp").mkdir(parents=True)
    Path("dvc.lock").write_text(LOCK)
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@gatewise.invalid", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "dvc.lock"], [*identity, "commit", "--quiet", "-m", "results"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def gone() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_whole_clone_is_left_alone(clone: Path, empty_store: Path) -> None:
    shutil.copyfile(empty_store, "mlflow.db")
    locks = {"write": {"data/raw": {"pid": os.getpid(), "cmd": "dvc repro"}}, "read": {}}
    Path(".dvc/tmp/rwlock").write_text(json.dumps(locks))
    before = {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()}
    assert mend() == []
    assert not left_running()
    assert {path: path.read_bytes() for path in clone.rglob("*") if path.is_file()} == before


OUTPUT = "    outs:\n    - path: data/raw\n      md5: 0123\n"  # with which a dvc.lock may be cut anywhere


@pytest.mark.parametrize(
    "left", ["", LOCK[:40], "\0" * 20, f"{LOCK}{OUTPUT[:21]}", f"{LOCK}{OUTPUT[:21]}\n", f"{LOCK}{OUTPUT}"[:-1]]
)
def test_a_cut_dvc_lock_is_restored_as_git_has_it(left: str) -> None:
    Path("dvc.lock").write_text(left)
    (told,) = mend()
    assert told.startswith("mended: dvc.lock")
    assert Path("dvc.lock").read_text() == LOCK
    assert [path.read_text() for path in Path().glob("dvc.lock.damaged-*")] == ([left] if left.strip() else [])
    assert mend() == []


def test_a_cut_dvc_lock_that_git_does_not_have_is_removed() -> None:
    subprocess.run(["git", "rm", "--quiet", "--cached", "dvc.lock"], check=True)
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@gatewise.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "commit", "--quiet", "-m", "none"], check=True)
    Path("dvc.lock").write_text("")
    assert "removed" in mend()[0]
    assert not Path("dvc.lock").exists()


def test_an_empty_folder_in_the_cache_of_runs_is_removed() -> None:
    """Killed in between, DVC leaves one, and then fails at that stage again and again."""
    cache = Path(".dvc/cache/runs/ba")
    for name in ("ba1", "ba2"):
        (cache / name).mkdir(parents=True)
    (cache / "ba2" / "f8").write_text("cmd: train", encoding="utf-8")
    (told,) = mend()
    assert told.startswith("mended: 1 empty folder in .dvc/cache/runs")
    assert [path.name for path in cache.iterdir()] == ["ba2"]
    assert mend() == []


def test_a_dvc_lock_in_a_merge_is_for_its_user_to_decide() -> None:
    merged = f"<<<<<<< HEAD\n{LOCK}=======\n{LOCK}>>>>>>> theirs\n"
    Path("dvc.lock").write_text(merged)
    with pytest.raises(InputError, match=r"git checkout --ours dvc\.lock"):
        mend()
    assert Path("dvc.lock").read_text() == merged


@pytest.mark.parametrize("left", ["", '{"write": {"da', "[]"])
def test_a_cut_file_of_locks_is_removed(left: str) -> None:
    Path(".dvc/tmp/rwlock").write_text(left)
    (told,) = mend()
    assert "rwlock" in told
    assert not Path(".dvc/tmp/rwlock").exists()


def test_locks_of_a_process_whose_number_another_one_has_are_released() -> None:
    file = Path(".dvc/tmp/rwlock")
    file.write_text(json.dumps({"read": {"data/raw": [{"pid": os.getpid(), "cmd": "dvc repro"}]}}))
    long_ago = time.time() - 1e6  # before this process
    os.utime(file, (long_ago, long_ago))
    assert str(os.getpid()) in mend()[0]
    assert not file.exists()


def test_locks_of_a_process_that_has_just_been_killed_are_released() -> None:
    with subprocess.Popen(["sleep", "60"]) as killed:
        Path(".dvc/tmp/rwlock").write_text(json.dumps({"write": {"data/raw": {"pid": killed.pid, "cmd": "dvc repro"}}}))
        assert mend() == []
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and keeps its number
        assert str(killed.pid) in mend()[0]
    assert not Path(".dvc/tmp/rwlock").exists()


def test_a_process_is_known_by_its_number_and_its_beginning() -> None:
    me = f"{platform.node()}/{os.getpid()}"
    assert is_alive(me)
    assert is_alive(me, int(time.time() * 1000))
    assert not is_alive(me, int((time.time() - 1e6) * 1000))
    assert not is_alive(f"{platform.node()}/{gone()}")
    assert is_alive(f"elsewhere/{gone()}")


def test_runs_of_the_dead_are_seen_in_the_store(empty_store: Path) -> None:
    shutil.copyfile(empty_store, "mlflow.db")
    for number, expected in ((os.getpid(), False), (gone(), True)):
        with closing(sqlite3.connect("mlflow.db")) as store:
            now, run = int(time.time() * 1000), f"run{number}"
            store.execute(
                "INSERT INTO runs (run_uuid, experiment_id, status, lifecycle_stage, start_time)"
                " VALUES (?, 0, 'RUNNING', 'active', ?)",
                (run, now),
            )
            process = f"{platform.node()}/{number}"
            store.execute("INSERT INTO tags (key, value, run_uuid) VALUES ('gatewise.process', ?, ?)", (process, run))
            store.commit()
        assert left_running() == expected


def change(statement: str) -> None:
    with closing(sqlite3.connect("mlflow.db")) as store:
        store.execute(statement)
        store.commit()


@pytest.mark.parametrize("statement", ["DELETE FROM alembic_version", "UPDATE alembic_version SET version_num = '1'"])
def test_a_half_made_store_is_set_aside_if_it_has_no_run(statement: str, empty_store: Path) -> None:
    shutil.copyfile(empty_store, "mlflow.db")
    change(statement)
    (told,) = mend()
    assert told.startswith("mended: mlflow.db")
    assert not Path("mlflow.db").exists()
    assert len(list(Path().glob("mlflow.db.damaged-*"))) == 1


def test_a_store_with_runs_is_never_touched(empty_store: Path) -> None:
    shutil.copyfile(empty_store, "mlflow.db")
    change("INSERT INTO runs (run_uuid, experiment_id, status, lifecycle_stage) VALUES ('a', 0, 'FINISHED', 'active')")
    change("UPDATE alembic_version SET version_num = '1'")
    (told,) = mend()
    assert "mlflow db upgrade sqlite:///" in told
    assert Path("mlflow.db").exists()


def test_a_store_that_is_no_database_is_named_with_what_to_type() -> None:
    Path("mlflow.db").write_bytes(b"no database " * 1000)
    (told,) = mend()
    assert told.startswith("warning: mlflow.db is no database")
    assert f"`mv {Path('mlflow.db').resolve()} " in told
    assert Path("mlflow.db").exists()


@pytest.mark.slow
def test_a_kill_while_the_store_is_made_leaves_no_half_of_it(clone: Path) -> None:
    code = "from pipeline.tracking.tracker import Tracker\nprint(Tracker('tiny').problem)"
    environment = clean_environment() | {"PYTHONPATH": f"{ROOT}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    process = subprocess.Popen([sys.executable, "-c", code], env=environment)
    while not list(clone.glob("mlflow.db.*.part")) and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.3)  # in the midst of the tables
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (clone / "mlflow.db").exists()
    after = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert after.stdout == "None\n"
    assert not list(clone.glob("mlflow.db.*part*"))
