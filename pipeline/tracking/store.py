"""Name MLflow's store and ask it, without MLflow, if it has a comparison.

`make repro` with nothing to do takes about a second, and asks this each time. MLflow's own client would take 5 s there
(3 s of them to import), against 0.2 s; so the question is asked of SQLite's tables, or of the server's public REST API.
It only decides if `evaluate` is to complete the store: whatever cannot be asked misses nothing.
"""

import base64
import http.client
import json
import os
import queue
import re
import sqlite3
import threading
import urllib.error
import urllib.parse
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

from pipeline.core.folders import project_root
from pipeline.tracking.address import VARIABLE, login, split_login
from pipeline.tracking.patience import found_away

EXPERIMENT = "gatewise-{dataset}"
# Tags of a run.
FINGERPRINT = "gatewise.fingerprint"  # by which it is found
EARLIER = "gatewise.earlier"  # compared, though not by the comparison that counts: other settings, seeds or data
OUTDATED = "gatewise.outdated"  # why nobody needs to see it

_SQLITE = "sqlite:///"
_SECONDS = 5  # that a server may take to answer,
_SECONDS_AWAY = 1  # and one that a stage has just found away
_LONGEST = 1 << 26  # bytes of an answer
_DELETED = "SELECT artifact_uri FROM runs WHERE lifecycle_stage = 'deleted'"
_QUERY = """
    SELECT NOT EXISTS (SELECT 1 FROM tags AS mark WHERE mark.run_uuid = runs.run_uuid AND mark.key IN (?, ?))
    FROM tags JOIN runs USING (run_uuid) JOIN experiments USING (experiment_id)
    WHERE tags.key = ? AND tags.value = ? AND experiments.name = ?
    AND runs.status = 'FINISHED' AND runs.lifecycle_stage = 'active'
"""


def store_uri() -> str:
    """Return `MLFLOW_TRACKING_URI` if set, else the SQLite file in the top folder of the repository.

    User and password are left out of the address of a server: `login` has them. A database has them in its own, which
    is shown by `without_login` alone.

    Raises:
        InputError: it is no address.
    """
    uri, found = split_login(os.environ.get(VARIABLE) or sqlite_uri(project_root() / "mlflow.db"))
    return uri if all(found) or not any(found) else os.environ[VARIABLE]  # MLflow's variables take no user alone


def sqlite_file(uri: str) -> Path | None:
    """Return the file of a SQLite store; None for any other.

    `mlflow run` names it as an address: with %20 for a blank.
    """
    return Path(urllib.parse.unquote(uri.removeprefix(_SQLITE))) if uri.startswith(_SQLITE) else None


def sqlite_uri(file: Path) -> str:
    """Name a SQLite store. Of what a file name may have, only what would mean something else is written as %xx."""
    return _SQLITE + re.sub("[%?#]", lambda mark: urllib.parse.quote(mark[0]), str(file))


def store_exists() -> bool:
    """Tell if runs may have been written: a store other than a SQLite file is taken to be there."""
    file = sqlite_file(store_uri())
    return file is None or file.exists()


def asked_directly() -> bool:
    """Tell if `comparisons` can ask the store: no folder, other database or service with a way of its own."""
    uri = store_uri()
    return sqlite_file(uri) is not None or uri.startswith("http")


def comparisons(dataset: str, fingerprint: str) -> list[bool] | None:
    """Ask for the finished comparisons with this fingerprint, and if they are those that the views of the UI show.

    Returns:
        For each one, whether it counts; it does not where other results were compared since. Empty: there is none, and
        the store can take one. None: the store cannot be asked, because it is damaged, does not answer or wants a login
        that is not in the environment, so writing to it would bring nothing.

    Raises:
        ValueError: the store is not `asked_directly`.
    """
    uri, experiment = store_uri(), EXPERIMENT.format(dataset=dataset)
    if (file := sqlite_file(uri)) is not None:
        return _in_file(file, experiment, fingerprint) if file.exists() else []
    if not uri.startswith("http"):
        raise ValueError("only MLflow itself can ask this store")
    return _at_server(split_login(uri)[0].rstrip("/"), experiment, fingerprint)


def deleted_artifacts() -> list[Path]:
    """List the folders of the runs that were deleted in MLflow, of a SQLite store with artifacts on this machine."""
    file = sqlite_file(store_uri())
    if file is None or not file.exists():
        return []
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
        places = [row[0] for row in store.execute(_DELETED)]
    found = [Path(urllib.parse.unquote(urllib.parse.urlparse(place).path)) for place in places]
    return [folder for folder in found if folder.is_dir()]


def _in_file(file: Path, experiment: str, fingerprint: str) -> list[bool] | None:
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as store:
            rows = store.execute(_QUERY, (EARLIER, OUTDATED, FINGERPRINT, fingerprint, experiment))
            return [bool(counts) for (counts,) in rows]
    except sqlite3.OperationalError:  # no tables yet
        return []
    except sqlite3.DatabaseError:
        return None


def _at_server(uri: str, experiment: str, fingerprint: str) -> list[bool] | None:
    name = urllib.parse.quote(experiment)
    try:
        known = _ask(f"{uri}/api/2.0/mlflow/experiments/get-by-name?experiment_name={name}")
        wanted = f"tags.`{FINGERPRINT}` = '{fingerprint}' and attributes.status = 'FINISHED'"
        search = {"experiment_ids": [known["experiment"]["experiment_id"]], "filter": wanted}
        runs = _ask(f"{uri}/api/2.0/mlflow/runs/search", search).get("runs", [])
        return [{tag["key"] for tag in run["data"]["tags"]}.isdisjoint((EARLIER, OUTDATED)) for run in runs]
    except urllib.error.HTTPError as error:
        return [] if error.code == 404 else None  # there is no such experiment yet
    except (OSError, ValueError, LookupError, TypeError, AttributeError, http.client.HTTPException):
        return None  # it does not answer, or not as MLflow does


def _ask(url: str, question: dict[str, Any] | None = None) -> dict[str, Any]:
    headers = {"Content-Type": "application/json"}
    known = login()
    if all(known) or (known[0] and split_login(os.environ.get(VARIABLE, ""))[1][0]):
        headers["Authorization"] = f"Basic {base64.b64encode(':'.join(known).encode()).decode()}"
    elif token := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(question).encode() if question else None, headers)
    away = found_away(url.partition("/api/2.0/mlflow/")[0])
    answer: dict[str, Any] = json.loads(_read(request, _SECONDS_AWAY if away else _SECONDS))
    return answer


def _read(request: urllib.request.Request, seconds: float) -> bytes:
    """Read an answer, within so many seconds altogether: the limit of `urlopen` is one for each read.

    Raises:
        TimeoutError: it takes longer.
    """
    answers: queue.SimpleQueue[bytes | Exception] = queue.SimpleQueue()

    def read() -> None:
        try:
            with urllib.request.urlopen(request, timeout=seconds) as response:
                answers.put(response.read(_LONGEST))
        except Exception as error:  # it is raised where the answer is waited for
            answers.put(error)

    threading.Thread(target=read, daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no whole answer in {seconds} s") from None
    if isinstance(answer, Exception):
        raise answer
    return answer
