"""The stages of the pipeline, in the order of dvc.yaml, and the command `gatewise` (`python -m pipeline`).

`python` on the path may be one without the packages of this project, as it is for `.venv/bin/dvc repro` where nobody
has activated .venv. So `python -m pipeline…` goes on with the Python of .venv where packages are missing.
"""

from __future__ import annotations  # a Python before 3.10, too, has to come as far as its error

import os
import signal
import sys
import threading
import time
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

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
        _refuse(f"{sys.executable} lacks {', '.join(missing)}; `make repro` makes an environment that has them")
    if Path(sys.prefix).resolve() == environment.resolve():
        _refuse(f"{environment} lacks {', '.join(missing)}; `make clean repro` makes it anew")
    if not hasattr(sys, "orig_argv"):  # before 3.10, Python does not know with what it was started
        _refuse(f"{sys.executable} is older than Python 3.11; `source {environment}/bin/activate` brings the right one")
    python = str(environment / "bin" / "python")
    os.execv(python, [python, *sys.orig_argv[1:]])


def _refuse(problem: str) -> NoReturn:
    """End with one sentence, and with the way back where DVC has removed the results of a stage to make them anew."""
    stage = os.environ.get("DVC_STAGE")
    removed = f". DVC has removed the results of {stage}: `dvc checkout {stage}` brings the last ones back"
    sys.exit(f"error: {problem}{removed if stage else ''}")


def _end_with(parent: int) -> None:
    """Stop this process when its parent is gone; say it again, since TensorFlow may swallow it."""
    while os.getppid() == parent:
        time.sleep(0.5)
    while True:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)


if sys.argv[:1] == ["-m"]:  # Python looks for the module of `-m` just now; an import by anybody else does nothing
    _use_environment()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of an import; `clear_errors` takes it from there
    if "DVC_STAGE" in os.environ:
        # Where DVC is killed, nobody takes what this stage writes, and the next run finds it in its way. So early,
        # because TensorFlow takes seconds to import.
        threading.Thread(target=_end_with, args=[os.getppid()], daemon=True).start()
