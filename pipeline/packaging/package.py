"""Log a trained model to MLflow: a pyfunc that takes raw text and needs nothing of this project.

It carries the files of the model, a copy of the few of our files that open them, pinned requirements, and a card.
"""

import os
import shutil
import tempfile
import warnings
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import mlflow.pyfunc
from mlflow.models import ModelSignature
from mlflow.types.schema import ColSpec, DataType, Schema

import pipeline
from pipeline.packaging.modelcard import model_card
from pipeline.packaging.secrets import secrets_in
from pipeline.trained.trained import BASELINE, CARD, Trained

# tensorflow-cpu exists here, and only here.
_CPU_BUILD = "sys_platform == 'linux' and platform_machine == 'x86_64'"
_NO_CPU_BUILD = "sys_platform != 'linux' or platform_machine != 'x86_64'"

# What a loaded model imports of ours, and of others. mlflow is what loads it.
_FILES = (
    *("core/__init__", "core/arrays", "core/text"),
    *("packaging/__init__", "packaging/classifier"),
    *("tokens/__init__", "tokens/ragged", "tokens/tokenizer"),
)
_PACKAGES = ("mlflow", "numpy", "pandas", "tokenizers")
_NETWORK_FILES = (
    "networks/__init__",
    "networks/backend",
    "networks/networks",
    *("tokens/batches", "tokens/clipping"),
)
_NETWORK_PACKAGES = ("keras",)
_DEFAULT_BACKEND = "tensorflow"  # of Keras, where KERAS_BACKEND says nothing
_BACKEND_PACKAGES = {"tensorflow": ("tensorflow", "tensorflow-cpu"), "jax": ("jax", "jaxlib")}
_BASELINE_FILES = ("linear/__init__", "linear/counting", "linear/ngrams")
_BASELINE_PACKAGES = ("scikit-learn", "scipy")


def log_text_model(trained: Trained, tokenizer: Path) -> None:
    """Log a model to the active run.

    Args:
        trained: the files of the model.
        tokenizer: tokenizer.json, which goes with a network; the baseline has its own in its file.

    Raises:
        HeldBackError: a line of the code may hold a secret.
        MlflowException: the store did not take it.
    """
    linear = trained.model == BASELINE
    backend = os.environ.get("KERAS_BACKEND", _DEFAULT_BACKEND)
    package = Path(pipeline.__file__).parent
    with tempfile.TemporaryDirectory() as folder:
        code = _code(package, Path(folder), _BASELINE_FILES if linear else _NETWORK_FILES)
        check_code(code, package / "packaging" / "textmodel.py")
        card = Path(folder) / "model_card.md"
        card.write_text(model_card(trained), encoding="utf-8")
        artifacts = {"weights": trained.weights, "card": trained.folder / CARD, "model_card": card}
        if not linear:
            artifacts["tokenizer"] = tokenizer
        # MLflow recommends an example to infer the signature from; ours is explicit.
        warnings.filterwarnings("ignore", message="(?s).*input example")
        mlflow.pyfunc.log_model(
            name=trained.name,
            python_model=str(package / "packaging" / "textmodel.py"),
            artifacts={name: str(path) for name, path in artifacts.items()},
            code_paths=[str(code)],
            signature=_signature(trained.card["labels"]),
            pip_requirements=pinned(_BASELINE_PACKAGES if linear else _NETWORK_PACKAGES + _BACKEND_PACKAGES[backend]),
            # MLflow makes it a parameter of the run as well.
            model_config=None if linear or backend == _DEFAULT_BACKEND else {"keras_backend": backend},
            tags={"mlflow.note.content": card.read_text(encoding="utf-8")},
        )


class HeldBackError(Exception):
    """Report what is not logged, because it may hold a secret; the message names files, lines and kinds."""


def check_code(code: Path, *others: Path) -> None:
    """Look for secrets in the code that a model is to carry.

    Args:
        code: the copy of our package.
        others: further files.

    Raises:
        HeldBackError: a line may hold one.
    """
    files = [(file.relative_to(code.parent), file) for file in sorted(code.rglob("*.py"))]
    files += [(Path(code.name, file.parent.name, file.name), file) for file in others]
    found = [f"{name} {one}" for name, file in files for one in secrets_in(name.name, file.read_text(encoding="utf-8"))]
    if found:
        raise HeldBackError("; ".join(found))


def _code(package: Path, folder: Path, files: tuple[str, ...]) -> Path:
    """Copy of our package what the model imports, and nothing else."""
    code = folder / package.name
    for file in _FILES + files:
        (code / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(package / f"{file}.py", code / f"{file}.py")
    (code / "__init__.py").touch()  # ours looks for an environment of the project, which a model does without
    return code


def _signature(labels: list[str]) -> ModelSignature:
    columns = [ColSpec(DataType.string, "label"), *(ColSpec(DataType.double, f"p_{label}") for label in labels)]
    return ModelSignature(Schema([ColSpec(DataType.string, "text")]), Schema(columns))


def pinned(packages: tuple[str, ...]) -> list[str]:
    """Name the requirements of a model in the versions at hand; packages that are not installed are left out."""
    requirements = []
    for package in _PACKAGES + packages:
        try:
            pinned = f"=={version(package)}"
        except PackageNotFoundError:  # of tensorflow and tensorflow-cpu, one is
            continue
        if package == "tensorflow-cpu":
            requirements += [f"{package}{pinned}; {_CPU_BUILD}", f"tensorflow{pinned}; {_NO_CPU_BUILD}"]
        else:
            requirements.append(f"{package}{pinned}")
    return requirements
