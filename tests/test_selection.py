"""Which model answers, and which are refused: with real models of MLflow, and the trained tiny project."""

import json
import os
import shutil
import sys
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
import pytest
from conftest import Project, copy_project
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema

from pipeline.core.command import InputError
from pipeline.serving.registry import Registry, Version
from pipeline.serving.selection import choose, served_uri
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import Trained

TEXT = "the acting is superb"


@pytest.fixture(autouse=True)
def inside(trained_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(trained_project.root))
    monkeypatch.chdir(trained_project.root)


def uri_of(project: Project, name: str) -> str:
    """What MLflow calls the model that a run logged."""
    run = Tracker("tiny").find(Trained.load(project.root / "data/models" / name).fingerprint)
    assert run is not None
    assert run.outputs is not None
    return f"models:/{run.outputs.model_outputs[0].model_id}"


def test_make_serve_takes_the_names_that_make_promote_takes(trained_project: Project) -> None:
    expected = uri_of(trained_project, "baseline")
    for wanted in ("baseline", "data/models/baseline", expected):
        assert served_uri(wanted, "tiny") == expected
    with pytest.raises(InputError, match="gatewise-tiny has no champion; name one with: make promote"):
        served_uri(None, "tiny")
    with pytest.raises(InputError, match=r"no model 'baselin'.*did you mean baseline"):
        served_uri("baselin", "tiny")


@pytest.mark.parametrize("name", ["baseline", "gru-1"])
def test_damaged_weights_are_named(trained_project: Project, tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(Path("data/models") / name, tmp_path / name)
    weights = Trained.load(folder).weights
    for content in (b"", weights.read_bytes()[:-3]):
        weights.write_bytes(content)
        with pytest.raises(InputError, match=f"{weights.name} is damaged"):
            choose(str(folder), "tiny")


def test_a_damaged_tokenizer_or_card_is_found_before_the_first_answer(trained_project: Project, tmp_path: Path) -> None:
    folder = shutil.copytree(Path("data/models/baseline"), tmp_path / "baseline")
    with np.load(folder / "model.npz") as arrays:
        content = {name: arrays[name] for name in arrays.files}
    words = content["tokenizer"].tobytes()
    for spoilt in (words.replace(b'"[UNK]"', b'"[UNX]"', 1), words[:-1]):  # no token for an unknown word; no JSON
        np.savez(folder / "model.npz", **content | {"tokenizer": np.frombuffer(spoilt, np.uint8)})
        with pytest.raises(InputError, match=r"model.npz is damaged"):
            choose(str(folder), "tiny")
    (folder / "card.json").write_text("[" * 100_000)
    with pytest.raises(InputError, match=r"card.json is damaged \(RecursionError"):
        choose(str(folder), "tiny")


def test_the_champion_is_served_and_opened_as_the_version_that_it_is_now(
    trained_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(trained_project, tmp_path / "copy")
    monkeypatch.setenv("DVC_ROOT", str(project.root))
    monkeypatch.chdir(project.root)
    client = mlflow.MlflowClient(project.store)
    client.create_registered_model("gatewise-tiny")
    for number, name in enumerate(("baseline", "gru-1"), start=1):
        client.create_model_version("gatewise-tiny", uri_of(project, name))
        client.set_registered_model_alias("gatewise-tiny", "champion", str(number))
        assert served_uri(None, "tiny") == f"models:/gatewise-tiny/{number}"
        assert served_uri("models:/gatewise-tiny@champion", "tiny") == f"models:/gatewise-tiny/{number}"
    ask = Registry.champion

    def and_then_it_moves(registry: Registry) -> Version | None:
        version = ask(registry)
        client.set_registered_model_alias("gatewise-tiny", "champion", "1")
        return version

    monkeypatch.setattr(Registry, "champion", and_then_it_moves)
    model, words = choose(None, "tiny")
    assert words.startswith("gatewise-tiny version 2 ")
    pd.testing.assert_frame_equal(model.predict([TEXT]), choose("gru-1", "tiny")[0].predict([TEXT]))


def test_a_folder_that_is_a_model_of_mlflow_is_one(trained_project: Project) -> None:
    folder = next(path.parent for path in trained_project.root.rglob("MLmodel") if (path.parent / "code").exists())
    model, words = choose(str(folder), "tiny")
    assert words == str(folder)
    assert model.predict([TEXT])["label"].tolist() == ["positive"]
    assert served_uri(str(folder), "tiny") == str(folder)


def test_a_model_opens_from_anywhere_by_its_path(
    trained_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model, _ = choose(str(trained_project.root / "data/models/gru-1"), "tiny")
    assert model.predict([TEXT])["label"].tolist() == ["positive"]


def test_a_network_opens_with_its_tokenizer_and_no_other_json(
    trained_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(trained_project, tmp_path / "copy")
    monkeypatch.chdir(project.root)
    card_file = project.root / "data/models/gru-1/card.json"
    card = json.loads(card_file.read_text())
    card["inputs"] = {"data/processed/data.json": "0" * 32, **card["inputs"]}
    card_file.write_text(json.dumps(card))
    assert choose("gru-1", "tiny")[0].predict([TEXT])["label"].tolist() == ["positive"]
    (project.root / "data/processed/tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer.json is not the tokenizer of data/models/gru-1"):
        choose("gru-1", "tiny")


class Payload(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """Leaves a file where it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __setstate__(self, state: dict[str, Path]) -> None:
        state["mark"].touch()

    def predict(self, context: object, model_input: object, params: object = None) -> None:
        raise NotImplementedError


TEXT_IN = Schema([ColSpec(DataType.string, "text")])
ANSWER_OUT = Schema([ColSpec(DataType.string, "label"), ColSpec(DataType.double, "p_good")])


@pytest.fixture
def pickled(tmp_path: Path) -> str:
    """A model of MLflow that has our columns, and a pickle."""
    folder = tmp_path / "pickled"
    signature = ModelSignature(TEXT_IN, ANSWER_OUT)
    model = Payload(tmp_path / "ran")
    mlflow.pyfunc.save_model(folder, python_model=model, signature=signature, pip_requirements=[])
    (tmp_path / "ran").unlink(missing_ok=True)
    return str(folder)


def test_what_was_pickled_is_not_run(pickled: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    for door in (choose, served_uri):
        with pytest.raises(InputError, match="is not logged as code; whatever it pickled would run"):
            door(pickled, "tiny")
    # Nor by what is started from here, such as MLflow's own server.
    assert os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    with pytest.raises(mlflow.MlflowException, match="disallowed"):
        mlflow.pyfunc.load_model(pickled)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        (ModelSignature(TEXT_IN, Schema([ColSpec(DataType.double, "p_good")])), "Its outputs: p_good"),
        (ModelSignature(TEXT_IN, None), "Its outputs: unknown"),
        (ModelSignature(Schema([ColSpec(DataType.string, "review")]), ANSWER_OUT), "Its inputs: review"),
        (ModelSignature(Schema([ColSpec(DataType.string)]), ANSWER_OUT), "Its inputs: unknown"),
        (None, "Its inputs: unknown"),
    ],
)
def test_other_columns_are_refused(tmp_path: Path, signature: ModelSignature | None, problem: str) -> None:
    model = tmp_path / "model.py"
    model.write_text("import mlflow\nmlflow.models.set_model(mlflow.pyfunc.PythonModel())\n")
    mlflow.pyfunc.save_model(tmp_path / "other", python_model=str(model), signature=signature, pip_requirements=[])
    with pytest.raises(InputError, match=problem):
        choose(str(tmp_path / "other"), "tiny")


def test_a_model_keeps_to_its_own_code_when_it_answers(tmp_path: Path) -> None:
    """Also for what it imports as late as that."""
    code = tmp_path / "pipeline" / "core"
    code.mkdir(parents=True)
    for package in (code, code.parent):
        (package / "__init__.py").touch()
    (code / "arrays.py").write_text("WORD = 'its own'\n")
    model = tmp_path / "model.py"
    model.write_text(
        "import mlflow\nimport pandas as pd\n"
        "class Late(mlflow.pyfunc.PythonModel):\n"
        "    def predict(self, context, model_input, params=None):\n"
        "        from pipeline.core.arrays import WORD\n"
        "        return pd.DataFrame({'label': [WORD] * len(model_input), 'p_good': 1.0})\n"
        "mlflow.models.set_model(Late())\n"
    )
    mlflow.pyfunc.save_model(
        tmp_path / "late",
        python_model=str(model),
        code_paths=[str(tmp_path / "pipeline")],
        signature=ModelSignature(TEXT_IN, ANSWER_OUT),
        pip_requirements=[],
    )
    loaded = Registry("tiny").load(str(tmp_path / "late"))
    for _ in range(2):
        assert loaded.predict(["x"])["label"].tolist() == ["its own"]
    from pipeline.core import arrays

    assert not hasattr(arrays, "WORD")
    assert str(tmp_path / "late" / "code") not in sys.path
