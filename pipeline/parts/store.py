"""Where MLflow's store is. Without MLflow, whose import takes two seconds."""

import os
from pathlib import Path

from pipeline.parts.lineage import project_root

_SQLITE = "sqlite:///"


def store_uri() -> str:
    """`MLFLOW_TRACKING_URI` if set, else the SQLite file in the top folder of the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{project_root() / 'mlflow.db'}"


def sqlite_file(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def store_exists() -> bool:
    """Whether runs may have been written: a store other than a SQLite file is taken to be there."""
    file = sqlite_file(store_uri())
    return file is None or file.exists()
