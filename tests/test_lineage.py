"""Hashes, the state of a repository and where it begins."""

import hashlib
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest

from pipeline.parts.lineage import environment, git_state, md5, project_root, sha256


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git repository with one file in it, as the current folder."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seeds: [1]\n")
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@gatewise.invalid", "-c", "commit.gpgsign=false"]
    for command in (["init", "--quiet"], ["add", "."], [*identity, "commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *command], check=True)
    return tmp_path


def test_hashes_are_those_that_md5sum_and_sha256sum_print(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert md5(tmp_path / "file") == "900150983cd24fb0d6963f7d28e17f72"
    assert sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_hashes_read_files_of_any_size(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20_000
    (tmp_path / "file").write_bytes(content)
    assert md5(tmp_path / "file") == hashlib.md5(content).hexdigest()


def test_a_clean_repository_is_its_commit(repository: Path) -> None:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert len(commit) == 40
    assert git_state() == {"git_commit": commit, "git_dirty": "false"}


def test_an_untracked_file_does_not_make_a_repository_dirty(repository: Path) -> None:
    (repository / "notes.txt").write_text("mine")
    assert git_state()["git_dirty"] == "false"


@pytest.mark.parametrize("staged", [False, True])
def test_a_changed_file_makes_a_repository_dirty(repository: Path, staged: bool) -> None:
    (repository / "params.yaml").write_text("seeds: [2]\n")
    if staged:
        subprocess.run(["git", "add", "params.yaml"], check=True)
    assert git_state()["git_dirty"] == "true"


def test_outside_of_git_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert git_state() == {}


def test_a_repository_without_a_commit_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "--quiet"], check=True)
    assert git_state() == {}


def test_the_root_is_the_folder_above_that_dvc_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", "")
    monkeypatch.delenv("DVC_ROOT")
    (tmp_path / "data" / "raw").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "data" / "raw")
    assert project_root() == tmp_path / "data" / "raw"
    (tmp_path / ".dvc").mkdir()
    assert project_root() == tmp_path


def test_the_root_that_dvc_names_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".dvc").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", "/home/me/project")
    assert project_root() == Path("/home/me/project")


def test_the_environment_names_versions_and_processor() -> None:
    named = environment()
    assert named["version.numpy"] == np.__version__
    assert named["version.python"] == platform.python_version()
    assert named["cpu"]
    assert all(key == "cpu" or key.startswith("version.") for key in named)
    assert "version.jax" not in named or named["version.jax"]
