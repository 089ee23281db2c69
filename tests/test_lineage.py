"""Hashes, the state of a repository and where it begins."""

import hashlib
import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Project
from ruamel.yaml import YAML

from pipeline.core.folders import project_root
from pipeline.core.hashes import folder_md5, md5, sha256
from pipeline.tracking.git import commit, uncommitted_changes
from pipeline.tracking.git import repository as repository_of
from pipeline.tracking.locked import dependencies, locked_dependencies
from pipeline.tracking.machine import environment


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
        ("run.sh", "export MLFLOW_TRACKING_TOKEN=abcdef0123\n"),
        ("store.yaml", "uri: postgresql://team:s3cr3tpw@host/db\n"),
        ("openai.txt", "sk-proj-abcdefghijklmnop0123\n"),
        ("slack.txt", "xoxb-0123456789-abcdef\n"),
        ("request.http", "Authorization: Bearer abcdefghijklmnop0123\n"),
        ("gitlab.txt", "glpat-abcdefghijklmnop0123\n"),
        ("big.csv", "0123456789\n" * 20_000),
        ("picture.png", "\0\1\2"),
    ],
)
def test_secrets_and_large_files_stay_out_of_the_patch(repository: Path, name: str, content: str) -> None:
    (repository / name).write_text(content)
    (repository / "params.yaml").write_text("changed\n")
    patch, left_out = uncommitted_changes()
    assert [one.partition(" (")[0] for one in left_out] == [name]
    assert content not in patch
    assert "+changed" in patch


@pytest.mark.parametrize(
    "content",
    [
        'UNKNOWN_TOKEN = "[UNK]"\n',
        "tokens: data/processed/tokens.npz\n",
        "def first_token(tokens: list[str]) -> str:\n",
        "https://tracking.invalid:5000/api?at=me@home\n",
        "the risk-averse and task-oriented-approach-of-all\n",
    ],
)
def test_what_is_no_secret_stays_in_the_patch(repository: Path, content: str) -> None:
    (repository / "params.yaml").write_text(content)
    patch, left_out = uncommitted_changes()
    assert left_out == []
    assert content in patch


def test_a_huge_file_is_left_out_unread(repository: Path) -> None:
    with (repository / "huge.bin").open("wb") as file:
        file.truncate(3_000_000_000)  # more than git would take in in the time of a test
    assert uncommitted_changes() == ("", ["huge.bin"])


def test_a_commit_is_cloned_from_where_it_has_been_pushed(
    repository: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(repository))
    head = commit() or ""
    assert repository_of(head) == str(repository)
    pushed = tmp_path_factory.mktemp("pushed")
    subprocess.run(["git", "init", "--quiet", "--bare", str(pushed)], check=True)
    subprocess.run(["git", "remote", "add", "origin", os.path.relpath(pushed)], check=True)
    assert repository_of(head) == str(repository)
    subprocess.run(["git", "push", "--quiet", "origin", "HEAD"], check=True)
    assert repository_of(head) == str(pushed)  # not as it looks from here
    identity = ["-c", "user.name=tests", "-c", "user.email=tests@gatewise.invalid", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, "commit", "--quiet", "--allow-empty", "-m", "second"], check=True)
    assert repository_of(commit() or "") == str(repository)


def test_what_made_files_is_known_only_if_lock_files_and_tree_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = Path("data/models/gru-1")
    model.mkdir(parents=True)
    weights = (model / "model.keras").as_posix()
    for path, text in {"code.py": "a", "early.py": "b", "tokens.npz": "c", weights: "d"}.items():
        Path(path).write_text(text)
    Path("params.yaml").write_text("train: {units: 8}\n")
    tokens, source = md5(Path("tokens.npz")), {"path": "data/sources/mine", "md5": "5" * 32 + ".dir"}
    stages: dict[str, Any] = {
        "download": {"deps": [source], "outs": []},
        "preprocess": {
            "deps": [{"path": "early.py", "md5": md5(Path("early.py"))}],
            "outs": [{"path": "tokens.npz", "md5": tokens}],
        },
        "train@gru-1": {
            "deps": [{"path": "code.py", "md5": md5(Path("code.py"))}, {"path": "tokens.npz", "md5": tokens}],
            "params": {"params.yaml": {"train.units": 8}},
            "outs": [{"path": model.as_posix(), "md5": folder_md5(model)}],
        },
    }
    Path("dvc.lock").write_text(json.dumps({"stages": stages}))
    known = locked_dependencies("train@gru-1", model)
    assert known == {"code.py": md5(Path("code.py")), "tokens.npz": tokens, source["path"]: source["md5"]}
    assert locked_dependencies("train@gru-2", model) == {}
    for path in ("code.py", "early.py", "params.yaml", weights):
        before = Path(path).read_text()
        Path(path).write_text("train: {units: 9}\n")
        assert locked_dependencies("train@gru-1", model) == {}, path
        Path(path).write_text(before)
        assert locked_dependencies("train@gru-1", model) == known
    stages["train@gru-1"]["deps"][1]["md5"] = "6" * 32
    Path("dvc.lock").write_text(json.dumps({"stages": stages}))
    assert locked_dependencies("train@gru-1", model) == {}


def test_dependencies_are_the_files_that_a_stage_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert dependencies("train", {}) == {}
    (tmp_path / "code.py").write_text("abc")
    (tmp_path / "folder").mkdir()
    (tmp_path / "dvc.yaml").write_text("stages:\n  train:\n    cmd: x\n    deps: [code.py, folder]\n")
    (tmp_path / "folder" / "inner.py").write_text("abc")
    of_folder = folder_md5(tmp_path / "folder")
    (tmp_path / "folder" / ".gru-1.part" / "gru-1").mkdir(parents=True)  # of a killed stage
    (tmp_path / "folder" / ".gru-1.part" / "gru-1" / "half").touch()
    assert dependencies("train", {"model": "gru", "seed": 1}) == {
        "code.py": "900150983cd24fb0d6963f7d28e17f72",
        "folder": of_folder,
    }
    assert dependencies("other", {}) == {}
    source = {"path": "data/sources/mine", "md5": "5" * 32 + ".dir"}
    lock = {"stages": {"download": {"deps": [source, {"path": "pipeline/download.py", "md5": "6" * 32}]}}}
    (tmp_path / "dvc.lock").write_text(json.dumps(lock))
    assert dependencies("other", {}) == {"data/sources/mine": "5" * 32 + ".dir"}


def test_a_folder_has_the_hash_that_dvc_gives_it(trained_project: Project) -> None:
    lock = YAML(typ="safe").load((trained_project.root / "dvc.lock").read_text())["stages"]
    deps = {dep["path"]: dep["md5"] for stage in lock.values() for dep in stage["deps"] if dep["md5"].endswith(".dir")}
    assert deps.keys() >= {"data/sources/tiny", "data/raw", "data/models", "pipeline/core", "pipeline/networks"}
    assert {path: folder_md5(trained_project.root / path) for path in deps} == deps
