"""Name MLflow's store and ask it, without MLflow, if it has a run.

`make repro` with nothing to do takes about a second, and asks this each time. MLflow's own client would take 5 s there
(3 s of them to import), against 0.2 s; so the question is asked of SQLite's tables, or of the server's public REST API.
It only decides if `evaluate` is to complete the store: whatever cannot be asked misses nothing.
"""

import base64
import json
import os
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.core.folders import project_root

EXPERIMENT = "gatewise-{dataset}"
FINGERPRINT = "gatewise.fingerprint"  # the tag by which a run is found

_SQLITE = "sqlite:///"
_SECONDS = 5  # that a server may take to answer
_DELETED = "SELECT artifact_uri FROM runs WHERE lifecycle_stage = 'deleted'"
_QUERY = """
    SELECT 1 FROM tags JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id)
    WHERE tags.key = ? AND tags.value = ? AND experiments.name = ?
    AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'
"""


def store_uri() -> str:
    """Return `MLFLOW_TRACKING_URI` if set, else the SQLite file in the top folder of the repository."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{project_root() / 'mlflow.db'}"


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for any other."""
    return Path(uri.removeprefix(_SQLITE)) if uri.startswith(_SQLITE) else None


def store_exists() -> bool:
    """Tell if runs may have been written: a store other than a SQLite file is taken to be there."""
    file = sqlite_file(store_uri())
    return file is None or file.exists()


def is_missing(dataset: str, fingerprint: str) -> bool:
    """Tell if the store can take a run with this fingerprint and has none that is finished.

    A store that cannot be asked, because it is damaged, does not answer or wants a login that is not in the
    environment, misses nothing that writing to it would bring.
    """
    uri, experiment = store_uri(), EXPERIMENT.format(dataset=dataset)
    if (file := sqlite_file(uri)) is not None:
        return not file.exists() or _file_misses(file, experiment, fingerprint)
    return uri.startswith("http") and _server_misses(uri.rstrip("/"), experiment, fingerprint)


def deleted_artifacts() -> list[Path]:
    """List the folders of the runs that were deleted in MLflow, of a SQLite store with artifacts on this machine."""
    file = sqlite_file(store_uri())
    if file is None or not file.exists():
        return []
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
        places = [row[0] for row in store.execute(_DELETED)]
    found = [Path(urllib.parse.unquote(urllib.parse.urlparse(place).path)) for place in places]
    return [folder for folder in found if folder.is_dir()]


def _file_misses(file: Path, experiment: str, fingerprint: str) -> bool:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
            return store.execute(_QUERY, (FINGERPRINT, fingerprint, experiment)).fetchone() is None
    except sqlite3.OperationalError:  # no tables yet
        return True
    except sqlite3.DatabaseError:
        return False


def _server_misses(uri: str, experiment: str, fingerprint: str) -> bool:
    name = urllib.parse.quote(experiment)
    try:
        known = _ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
        wanted = f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status = 'FINISHED'"
        search = {"experiment_ids": [known["experiment"]["experiment_id"]], "filter": wanted, "max_results": 1}
        return not _ask(f"{uri}/api/2.0/mlflow/runs/search", search).get("runs")
    except urllib.error.HTTPError as error:
        return error.code == 404  # there is no such experiment yet
    except (OSError, ValueError, KeyError):
        return False


def _ask(url: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    login = [os.environ.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD")]
    if all(login):
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(login).encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(question).encode() if question else None, headers)
    with urllib.request.urlopen(request, timeout=_SECONDS) as response:
        answer: dict[str, Any] = json.loads(response.read())
    return answer
