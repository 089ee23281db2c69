"""Hashes, the state of a repository and where it begins."""

import hashlib
import json
import platform
import subprocess
from pathlib import Path

import numpy as np
import pytest
from conftest import Project
from ruamel.yaml import YAML

from pipeline.parts.lineage import (
    commit,
    dependencies,
    environment,
    folder_md5,
    md5,
    project_root,
    sha256,
    uncommitted_changes,
)


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
    head = subprocess.run(["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert len(head) == 40
    assert commit() == head
    assert uncommitted_changes() == ("", [])


@pytest.mark.parametrize("begin", [[], ["git", "init", "--quiet"]])
def test_outside_of_git_and_before_the_first_commit_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begin: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    if begin:
        subprocess.run(begin, check=True)
    (tmp_path / "file").write_text("new")
    assert commit() is None
    assert uncommitted_changes() == ("", [])


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


@pytest.mark.parametrize("staged", [False, True])
def test_uncommitted_changes_apply_to_a_clean_clone(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, staged: bool
) -> None:
    (repository / "params.yaml").write_text("seeds: [2]\n")
    (repository / "new").mkdir()
    (repository / "new" / "code.py").write_text("print('ü')\n\n")
    (repository / "new" / "windows.txt").write_bytes(b"first\r\nsecond\r\n")
    if staged:
        subprocess.run(["git", "add", "."], check=True)
    index = (repository / ".git" / "index").read_bytes()
    patch, left_out = uncommitted_changes()
    assert left_out == []
    assert (repository / ".git" / "index").read_bytes() == index
    clone = tmp_path_factory.mktemp("clone")
    subprocess.run(["git", "clone", "--quiet", str(repository), str(clone)], check=True)
    subprocess.run(["git", "apply"], cwd=clone, input=patch, text=True, check=True)
    assert (clone / "params.yaml").read_text() == "seeds: [2]\n"
    assert (clone / "new" / "code.py").read_text() == "print('ü')\n\n"
    assert (clone / "new" / "windows.txt").read_bytes() == b"first\r\nsecond\r\n"


def test_a_file_in_another_encoding_is_named_as_left_out(repository: Path) -> None:
    (repository / "params.yaml").write_bytes("café\n".encode("latin-1"))
    assert uncommitted_changes() == ("", ["params.yaml"])


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".env", "X=1\n"),
        ("server.pem", "x\n"),
        ("settings.py", "API_KEY = 'abcdef0123456789'\n"),
        ("key.txt", "-----BEGIN RSA PRIVATE KEY-----\n"),
        ("big.csv", "0123456789\n" * 20_000),
        ("picture.png", "\0\1\2"),
    ],
)
def test_secrets_and_large_files_stay_out_of_the_patch(repository: Path, name: str, content: str) -> None:
    (repository / name).write_text(content)
    (repository / "params.yaml").write_text("changed\n")
    patch, left_out = uncommitted_changes()
    assert left_out == [name]
    assert content not in patch
    assert "+changed" in patch


def test_dependencies_are_the_files_that_a_stage_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert dependencies("train") == {}
    (tmp_path / "code.py").write_text("abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages:\n  train:\n    cmd: x\n    deps: [code.py, folder]\n")
    assert dependencies("train") == {"code.py": "900150983cd24fb0d6963f7d28e17f72"}
    assert dependencies("other") == {}
    source = {"path": "data/sources/mine", "md5": "5" * 32 + ".dir"}
    lock = {"stages": {"download": {"deps": [source, {"path": "pipeline/download.py", "md5": "6" * 32}]}}}
    (tmp_path / "dvc.lock").write_text(json.dumps(lock))
    assert dependencies("other") == {"data/sources/mine": "5" * 32 + ".dir"}


def test_a_folder_has_the_hash_that_dvc_gives_it(trained_project: Project) -> None:
    lock = YAML(typ="safe").load((trained_project.root / "dvc.lock").read_text())["stages"]
    deps = {dep["path"]: dep["md5"] for stage in lock.values() for dep in stage["deps"] if dep["md5"].endswith(".dir")}
    assert deps.keys() == {"data/sources/tiny", "data/raw", "data/models"}
    assert {path: folder_md5(trained_project.root / path) for path in deps} == deps
