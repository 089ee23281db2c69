"""The logged model in places where this project is not: an environment of its own, and MLflow's own server."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import Project, clean_environment
from packaging.requirements import Requirement

from pipeline.packaging.package import pinned
from pipeline.tracking.record import restore
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import Trained

TEXTS = ["the acting is superb", "i hated every minute", "", "这部电影 😀"]

LINUX = {"sys_platform": "linux", "platform_machine": "x86_64"}
MAC = {"sys_platform": "darwin", "platform_machine": "arm64"}


def logged_models(project: Project) -> dict[str, Path]:
    """The kind of model (`baseline`, `gru` …) to the folder of one that was logged."""
    folders = [path.parent for path in (project.root / "mlartifacts").rglob("MLmodel")]
    return {json.loads((folder / "artifacts/card.json").read_text())["model"]: folder for folder in folders}


@pytest.mark.parametrize(("machine", "build"), [(LINUX, "tensorflow-cpu"), (MAC, "tensorflow")])
def test_every_machine_gets_one_build_of_tensorflow(machine: dict[str, str], build: str) -> None:
    requirements = map(Requirement, pinned(("keras", "tensorflow", "tensorflow-cpu")))
    wanted = [one for one in requirements if one.marker is None or one.marker.evaluate(machine)]
    assert [one.name for one in wanted] == ["mlflow", "numpy", "pandas", "tokenizers", "keras", build]
    assert all(str(one.specifier).startswith("==") for one in wanted)


def test_a_network_brings_its_backend_and_the_baseline_no_keras(trained_project: Project) -> None:
    models = logged_models(trained_project)
    names = {
        kind: {Requirement(line).name for line in (folder / "requirements.txt").read_text().splitlines()}
        for kind, folder in models.items()
    }
    assert names["gru"] >= {"keras", "tensorflow", "tokenizers"}
    assert names["baseline"] == {"mlflow", "numpy", "pandas", "scikit-learn", "scipy", "tokenizers"}


def test_a_network_of_another_backend_says_so(own_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    before = logged_models(own_project)["lstm"]
    monkeypatch.chdir(own_project.root)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", own_project.store)
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    restore(Tracker("tiny"), Trained.load(Path("data/models/gru-1")), Path("data/processed/tokenizer.json"))
    latest = max((own_project.root / "mlartifacts").rglob("MLmodel"), key=lambda path: path.stat().st_mtime_ns)
    assert "keras_backend: jax" in latest.read_text()
    assert "tensorflow" not in (latest.parent / "requirements.txt").read_text()
    assert "keras_backend" not in (before / "MLmodel").read_text()


@pytest.mark.slow
def test_the_first_answer_is_as_fast_as_the_next(trained_project: Project) -> None:
    """What is imported and built for it, is so when the model is loaded."""
    code = (
        "import mlflow, pandas, sys\n"
        f"model = mlflow.pyfunc.load_model({str(logged_models(trained_project)['gru'])!r})\n"
        "before = set(sys.modules)\n"
        "model.predict(pandas.DataFrame({'text': ['superb']}))\n"
        "late = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(late & {'pipeline', 'keras', 'tensorflow', 'tokenizers'})\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        cwd=trained_project.root.parent,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stdout.splitlines()[-1] == "set()", result.stderr


@pytest.mark.parametrize("index", [[2, 0, 3, 1], [7, 7, 1, 1], ["d", "a", "c", "b"]])
def test_answers_keep_the_index_of_the_frame_that_asked(
    trained_project: Project, index: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", trained_project.store)
    model = mlflow.pyfunc.load_model(str(logged_models(trained_project)["baseline"]))
    answers = model.predict(pd.DataFrame({"text": TEXTS}, index=index))
    assert answers.index.tolist() == index
    in_order = model.predict(pd.DataFrame({"text": TEXTS}))
    pd.testing.assert_frame_equal(answers.reset_index(drop=True), in_order)


@pytest.mark.slow
def test_logged_models_answer_in_an_environment_of_their_own_requirements(
    trained_project: Project, tmp_path: Path
) -> None:
    """One for both: what the baseline needs besides is installed after the network has answered without it."""
    python = tmp_path / "environment" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "environment"], check=True)
    environment = {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}
    for kind in ("gru", "baseline"):
        model = shutil.copytree(logged_models(trained_project)[kind], tmp_path / kind)
        install = [str(python), "-m", "pip", "install", "--quiet", "--requirement", str(model / "requirements.txt")]
        subprocess.run(install, env=environment, check=True)
        code = (
            "import importlib.util, mlflow, pandas\n"
            "assert importlib.util.find_spec('pipeline') is None\n"
            f"model = mlflow.pyfunc.load_model({str(model)!r})\n"
            f"print(model.predict(pandas.DataFrame({{'text': {TEXTS!r}}})).to_json(orient='values'))\n"
        )
        result = subprocess.run(
            [python, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        rows = json.loads(result.stdout.splitlines()[-1])
        card = json.loads((model / "artifacts/card.json").read_text())
        name = kind if card["seed"] is None else f"{kind}-{card['seed']}"
        expected = predicted(trained_project, name)
        assert [row[0] for row in rows] == expected["label"].tolist()
        np.testing.assert_allclose(np.array([row[1:] for row in rows]), expected.iloc[:, 1:], atol=1e-6)


def predicted(project: Project, name: str) -> pd.DataFrame:
    """What the trained model on disk answers to `TEXTS`."""
    code = (
        "from pathlib import Path\nfrom pipeline.serving.selection import named, open_trained\n"
        f"print(open_trained(named({name!r}, Path('data/models'))).predict({TEXTS!r}).to_json())"
    )
    answers = json.loads(project.run("python", "-c", code).stdout.splitlines()[-1])
    return pd.DataFrame({column: list(rows.values()) for column, rows in answers.items()})


@pytest.mark.slow
def test_mlflows_own_server_has_the_champion(own_project: Project) -> None:
    own_project.run("python", "-m", "pipeline.tools.promote", "--model", "baseline")
    with served_by_mlflow(own_project, "models:/gatewise-tiny@champion") as address:
        body = json.dumps({"dataframe_records": [{"text": text} for text in TEXTS]}).encode()
        request = urllib.request.Request(f"{address}/invocations", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as response:
            answers = pd.DataFrame(json.load(response)["predictions"])
    pd.testing.assert_frame_equal(answers, predicted(own_project, "baseline"), atol=1e-9, check_dtype=False)


@contextmanager
def served_by_mlflow(project: Project, uri: str) -> Iterator[str]:
    """The address of `mlflow models serve`, as the README has it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = project.root.parent / "mlflow.log"
    command = ["mlflow", "models", "serve", "-m", uri, "--env-manager", "local", "--port", str(port)]
    environment = clean_environment() | {"MLFLOW_TRACKING_URI": project.store}
    with log.open("wb") as file:
        process = subprocess.Popen(command, env=environment, stdout=file, stderr=file, start_new_session=True)
    try:
        for _ in range(900):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/ping", timeout=5)
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail(log.read_text())
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
