"""The stages of the pipeline, in the order of dvc.yaml, and the command `gatewise` (`python -m pipeline`).

`python` on the path may be one without the packages of this project, as it is for `.venv/bin/dvc repro` where nobody
has activated .venv. So `python -m pipeline…` goes on with the Python of .venv where packages are missing.
"""

import os
import sys
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("click", "dvc", "keras", "mlflow", "pyarrow", "tokenizers")  # whoever has these has them all


def _missing_packages() -> list[str]:
    """Name the packages that this Python lacks."""
    return [package for package in _PACKAGES if find_spec(package) is None]


def _environment() -> Path | None:
    """Find .venv in the top folder; DVC runs experiments in copies of it, further down."""
    folders = (folder / ".venv" for folder in Path(__file__).resolve().parents)
    return next((folder for folder in folders if (folder / "bin" / "python").exists()), None)


def _use_environment() -> None:
    """Start the same command again with the Python of .venv, if this one lacks packages."""
    missing = _missing_packages()
    if not missing:
        return
    environment = _environment()
    if environment is None:
        sys.exit(f"error: {sys.executable} lacks {', '.join(missing)}; `make repro` makes an environment that has them")
    if Path(sys.prefix).resolve() == environment.resolve():
        sys.exit(f"error: {environment} lacks {', '.join(missing)}; `make clean repro` makes it anew")
    python = str(environment / "bin" / "python")
    os.execv(python, [python, *sys.orig_argv[1:]])


if sys.argv[:1] == ["-m"]:  # Python looks for the module of `-m` just now; an import by anybody else does nothing
    _use_environment()
