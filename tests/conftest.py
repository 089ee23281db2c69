"""What the tests share: a small data set that we wrote, and one tiny trained pipeline in a real DVC repository."""

import io
import itertools
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

# Two processes of pytest share the processor. More threads than it has cores wait for each other, and busily so: the
# same tests take up to twice the time of the processor. Set before NumPy and TensorFlow are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
from dvc.repo import Repo
from filelock import FileLock
from ruamel.yaml import YAML

from pipeline.core.command import run
from pipeline.core.params import EmbeddingsParams, TrainParams, move_blocks
from pipeline.trained.watching import Watcher

ROOT = Path(__file__).parent.parent

# The first lines of code that must not find this project, which the environment of the tests has installed.
WITHOUT_PROJECT = """\
import importlib.util, sys
sys.meta_path[:] = [one for one in sys.meta_path if not getattr(one, "__module__", "").startswith("__editable__")]
assert importlib.util.find_spec("pipeline") is None
"""

# With the block of the data set inside, as it may be: `begin` gives it the house of its own that DVC asks for.
TINY_PARAMS = """\
dataset: tiny
models: [lstm, gru]
seeds: [1, 2]
metric: accuracy
datasets:
  tiny:
    test: 0.25
    validation: 0.25
    tokenizer: word
    vocabulary: 200
    min_occurrences: 1
    max_tokens: 16
    batch_size: 16
preprocess:
  seed: 1
embeddings:
  vectors: none
  passes: 2
  window: 3
  negative: 5
  sample: 0.0001
  min_count: 5
  word2vec_seed: 1
  scale: 1.0
train:
  embedding_dim: 8
  units: 8
  bidirectional: false
  layers: 1
  dropout: 0.1
  word_dropout: 0.0
  output_dropout: 0.0
  pooling: max
  keep: tail
  learning_rate: 0.02
  decay: 1.0
  clip_norm: 0.0
  averaging: 0.0
  adversarial: 0.0
  epochs: 4
  patience: 2
  class_weight: none
baseline:
  ngrams: 2
  characters: 3
  min_texts: 1
  inverse_regularisation: [1.0]
"""
ARTIFACT_PATHS = [
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
]
TINY_SOURCE = "format: files\nlabels: [negative, positive]\ngroup: film\n"


def train_params(**changes: object) -> TrainParams:
    """The `train` block of TINY_PARAMS with some values changed."""
    return TrainParams.model_validate(YAML(typ="safe").load(TINY_PARAMS)["train"] | changes)


def embeddings_params(**changes: object) -> EmbeddingsParams:
    """The `embeddings` block of TINY_PARAMS with some values changed."""
    return EmbeddingsParams.model_validate(YAML(typ="safe").load(TINY_PARAMS)["embeddings"] | changes)


def tiny_reviews() -> pd.DataFrame:
    """288 short reviews of 24 films: `text`, `label`, `film`. Praise and blame are plain words, some negated."""
    praise = ["a warm and clever story", "the acting is superb", "i loved every minute", "not dull at all"]
    blame = ["a cold and clumsy story", "the acting is wooden", "i hated every minute", "not good at all"]
    ends = ["and the music fits.", "says my sister!", "though it is long"]
    rows = []
    for film in range(24):
        for (label, phrases), end in itertools.product([("positive", praise), ("negative", blame)], ends):
            for i in range(2):
                opening = phrases[(film + i) % len(phrases)]
                rows.append((f"Film number {film}: {opening}, {end}", label, f"film {film}"))
    return pd.DataFrame(rows, columns=["text", "label", "film"])


class Listener(Watcher):
    """Keeps what it is told of epochs."""

    def __init__(self) -> None:
        self.epochs: list[tuple[int, dict[str, float]]] = []

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        self.epochs.append((epoch, dict(numbers)))


@dataclass(frozen=True)
class Project:
    """A copy of this project in a repository of its own, with the tiny data set selected."""

    root: Path

    def run(
        self,
        *command: str,
        check: bool = True,
        environment: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the copy; `python`, `dvc` and `mlflow` are those of this environment."""
        everything = clean_environment() | (environment or {})
        result = subprocess.run(
            command, cwd=cwd or self.root, env=everything, capture_output=True, text=True, check=False
        )
        if check and result.returncode != 0:
            pytest.fail(f"{' '.join(command)} failed:\n{result.stdout}\n{result.stderr}")
        return result

    def call(
        self, *command: str, check: bool = True, environment: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `python -m <module> <words>` in this process, which has imported TensorFlow and MLflow for other tests.

        For what is told on the two streams, written to files and left as exit code. What a process below it prints
        is not caught, nor is there a traceback of a bug: that is raised.
        """
        module, words = command[2], command[3:]
        assert command[0].startswith("python")
        assert command[1] == "-m"
        main = import_module(f"{module}.__main__" if module == "pipeline" else module).main
        out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
        code: object = 0
        with as_process_of_its_own([module, *words], clean_environment() | (environment or {})), chdir(self.root):
            with redirect_stdout(out), redirect_stderr(err):
                try:
                    run(main)
                except SystemExit as end:
                    code = end.code or 0
        if isinstance(code, str):
            print(code, file=err)
        told = [stream.buffer.getvalue().decode() for stream in (out, err)]
        result = subprocess.CompletedProcess(command, code if isinstance(code, int) else 1, *told)
        if check and result.returncode != 0:
            pytest.fail(f"{' '.join(command)} failed:\n{result.stdout}\n{result.stderr}")
        return result

    @property
    def store(self) -> str:
        return f"sqlite:///{self.root / 'mlflow.db'}"


@contextmanager
def as_process_of_its_own(words: list[str], environment: dict[str, str]) -> Iterator[None]:
    """Give a command its own arguments, environment, generators and MLflow store, and take them away afterwards."""
    argv, before, stop = sys.argv, dict(os.environ), signal.getsignal(signal.SIGTERM)
    path = [*sys.path]  # MLflow puts the code of a model there, which is no whole project
    generators = random.getstate(), np.random.get_state()
    mlflow = sys.modules.get("mlflow")
    store = mlflow.get_tracking_uri() if mlflow and mlflow.is_tracking_uri_set() else None
    sys.argv = words
    os.environ.clear()
    os.environ.update(environment)
    try:
        yield
    finally:
        if "mlflow" in sys.modules:
            sys.modules["mlflow"].set_tracking_uri(store)
        sys.argv, sys.path[:] = argv, path
        os.environ.clear()
        os.environ.update(before)
        random.setstate(generators[0])
        np.random.set_state(generators[1])
        signal.signal(signal.SIGTERM, stop)


def clean_environment() -> dict[str, str]:
    """The environment less what would send a run elsewhere, with this Python first on the path."""
    drop = ("MLFLOW_", "DVC_", "DATASET_MIRROR", "GIT_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(drop)}
    path = f"{Path(sys.executable).parent}{os.pathsep}{kept['PATH']}"
    return kept | {"PATH": path, "DVC_NO_ANALYTICS": "1", "CUDA_VISIBLE_DEVICES": "-1"}


def output_of(code: str, *arguments: str) -> str:
    """What Python code prints that runs in a process of its own, whose peak of memory (`ru_maxrss`) is its own, too.

    A process begins with the peak of the one that started it: here a shell, and not the tests.
    """
    command = ["sh", "-c", '"$0" "$@"; exit', sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=clean_environment(), stdout=subprocess.PIPE, text=True, check=True
    ).stdout


def copy_code(root: Path) -> None:
    """Copy the files that git tracks (or would) into `root`, less tests and results."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for name in listed:
        if (ROOT / name).is_file() and not name.startswith("tests/") and name != "dvc.lock":
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)


def make_project(root: Path) -> Project:
    """Copy this project into `root`, select the tiny data set, and commit."""
    copy_code(root)
    return begin(root)


def begin(root: Path) -> Project:
    """Make a repository of the code in `root`, with the tiny data set selected, and commit."""
    (root / "params.yaml").write_text(TINY_PARAMS)
    move_blocks(root / "params.yaml")
    source = root / "data" / "sources" / "tiny"
    source.mkdir(parents=True)
    (source / "source.yaml").write_text(TINY_SOURCE)
    tiny_reviews().to_csv(source / "reviews.csv", index=False)
    project = Project(root)
    project.run("git", "init", "--quiet", "--initial-branch=main")
    project.run("git", "config", "user.email", "tests@gatewise.invalid")
    project.run("git", "config", "user.name", "tests")
    # In git, as small data may be: so that clones have them too.
    project.run("git", "add", "--force", "data/sources/tiny/reviews.csv")
    commit_all(project, "the project")
    return project


def commit_all(project: Project, message: str) -> None:
    project.run("git", "add", "--all")
    project.run("git", "commit", "--quiet", "--message", message)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One file that needs the trained project first: while its process makes it, the others do what needs none. Then
    come the project's other files, the longest first, so that the short ones at the end leave no process alone.
    """
    needed = {item.path for item in items if "trained_project" in getattr(item, "fixturenames", ())}
    files = sorted({item.path for item in items}, key=lambda path: (path.stat().st_size, path))
    with_project = [file for file in files if file in needed]
    without = [file for file in files if file not in needed]
    order = [*with_project[:1], *without[::-1], *with_project[:0:-1]]
    items.sort(key=lambda item: order.index(item.path))


def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of all the test processes of this run."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="module", autouse=True)
def search_path() -> Iterator[None]:
    """Take away what a test file leaves on Python's path: MLflow puts the code of a model there, which is no whole
    project, and processes that later tests start would import that.
    """
    path = [*sys.path]
    yield
    sys.path[:] = path


@pytest.fixture(scope="session")
def trained_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny pipeline, run once and committed. Tests must leave it as they found it.

    DVC runs the first network, and what is no network. The others run in this process, which imports TensorFlow for
    other tests anyway: six processes of their own would import it for a minute.
    """
    shared = shared_folder(tmp_path_factory)
    root, done = shared / "trained" / "project", shared / "trained.done"
    with FileLock(shared / "trained.lock"):
        if not done.exists():
            project = make_project(root)
            project.run("dvc", "repro", "memory@lstm-1")
            with chdir(root):
                others = [stage for stage in Repo().index.stages if "lstm-1" not in stage.addressing]
                networks = [stage for stage in others if stage.addressing.startswith(("train@", "memory@"))]
                for stage in sorted(networks, key=lambda stage: stage.addressing.startswith("memory@")):
                    project.call("python", *stage.cmd.split()[1:])
            project.run("dvc", "commit", "--force", *(stage.addressing for stage in networks))
            ran = re.findall(r"^Running stage '(.+)'", project.run("dvc", "repro").stdout, re.MULTILINE)
            assert ran == ["baseline", "evaluate"]
            commit_all(project, "results")
            done.touch()
    return Project(root)


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without a run: making them takes seconds, copying them nothing."""
    import mlflow

    path = shared_folder(tmp_path_factory) / "empty.db"
    with FileLock(path.with_suffix(".lock")):
        if not path.exists():
            new = path.with_suffix(".new")
            mlflow.MlflowClient(f"sqlite:///{new}")
            new.rename(path)
    return path


def copy_project(project: Project, root: Path) -> Project:
    """Copy a project to `root`, its cache and its MLflow store included."""
    shutil.copytree(project.root, root, symlinks=True)
    with closing(sqlite3.connect(root / "mlflow.db")) as store:  # which keeps absolute paths
        for table, column in ARTIFACT_PATHS:
            change = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            store.execute(change, (str(project.root), str(root)))
        store.commit()
    return Project(root)


@pytest.fixture
def fresh_copy(trained_project: Project, tmp_path: Path) -> Callable[[], Project]:
    """Makes copies of the trained project for tests that change things."""
    return lambda: copy_project(trained_project, tmp_path / "copy")


@pytest.fixture(scope="module")
def own_project(trained_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the trained project for one test file, which may change it in the order of its tests."""
    return copy_project(trained_project, tmp_path_factory.mktemp("own") / "project")
