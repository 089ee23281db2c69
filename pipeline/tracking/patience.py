"""Make calls to MLflow in a thread of their own, so that a server that hangs or crawls costs a bounded time.

A hanging request ends by MLflow's own time limit (`limits`). Many slow ones end here: a process waits for a server
for `GATEWISE_MLFLOW_SECONDS` altogether. What is posted, such as the curves of an epoch, is not waited for at all.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from pipeline.core.command import InputError
from pipeline.core.folders import project_root

ALTOGETHER = "GATEWISE_MLFLOW_SECONDS"  # in the environment: how long a process waits for a server

_DEFAULT = 60.0  # seconds, if the environment does not name others
_SLOW = 10.0  # seconds after which a wait is told
_RETRIES, _SECONDS = "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
# Seconds and further tries of one request: a server that hangs costs less than 10 s, whichever request it is.
ORDINARY = {_RETRIES: "1", _SECONDS: "4"}
UPLOAD = {_RETRIES: "0", _SECONDS: "8"}  # of files, which a server may hand on to a storage before it answers
FIRST = {_RETRIES: "0", _SECONDS: "5"}
AWAY = {_RETRIES: "0", _SECONDS: "1"}  # of a server that another process has just found away

_AWAY_FILE = Path(".dvc/tmp/gatewise-mlflow-away.json")
_FRESH = 600  # seconds for which it counts


class TooSlowError(Exception):
    """A server that answers, but has taken all the time that a process has for it."""


class Patience:
    """Makes calls one after the other, and waits for all of them together for a bounded time.

    Args:
        address: of the store, as it is shown.
        bounded: it is a server. A file of this machine may take as long as it does.

    Raises:
        InputError: `GATEWISE_MLFLOW_SECONDS` is no number.
    """

    def __init__(self, address: str, bounded: bool) -> None:
        self._address = address
        self._left = _altogether() if bounded else threading.TIMEOUT_MAX
        self._bounded, self._told, self._waited, self._calls = bounded, False, 0.0, 0
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def post(self, action: Callable[[], Any]) -> None:
        """Make a call when those before it are done, and do not wait for it; it must not raise."""
        if self._thread is None:
            # Nobody waits for a thread of this kind, so a call that hangs does not keep Python from ending.
            self._thread = threading.Thread(target=self._work, name="mlflow", daemon=True)
            self._thread.start()
        self._queue.put(action)

    def ask(self, action: Callable[[], Any], at_most: float = threading.TIMEOUT_MAX) -> Any:
        """Make a call after those before it, and wait for what it returns.

        Args:
            action: the call.
            at_most: seconds.

        Raises:
            TooSlowError: the time is over. The call goes on, and nobody hears of it.
        """
        if threading.current_thread() is self._thread:
            return action()
        done, answer = threading.Event(), _Answer()

        def call() -> None:
            try:
                answer.value = action()
            except Exception as error:  # which belongs to who has asked
                answer.error = error
            finally:
                done.set()

        began = time.monotonic()
        self.post(call)
        self._calls += 1
        in_time = self._wait(done, min(at_most, self._left))
        seconds = time.monotonic() - began
        self._waited += seconds
        self._left -= seconds if self._bounded else 0.0
        if not in_time:
            raise TooSlowError(
                f"it is too slow: {self._calls} calls took {self._waited:.0f} s, and no more time is given to it"
                f" ({ALTOGETHER}=600 in the environment gives it ten minutes)"
            )
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _wait(self, done: threading.Event, seconds: float) -> bool:
        """Wait, and say so once the waits together become long."""
        quiet = _SLOW - self._waited
        if not self._bounded or self._told or seconds <= quiet:
            return done.wait(seconds)
        if done.wait(max(quiet, 0.0)):
            return True
        self._told = True
        print(
            f"MLflow ({self._address}) is slow: {self._calls} calls have taken {_SLOW:.0f} s."
            f" It gets {self._waited + self._left:.0f} s of this process at most",
            flush=True,
        )
        return done.wait(seconds - max(quiet, 0.0))

    def _work(self) -> None:
        while True:
            self._queue.get()()


class _Answer:
    value: Any = None
    error: Exception | None = None


@contextmanager
def limits(wanted: dict[str, str]) -> Iterator[None]:
    """Give every request of MLflow other limits for the time of a block, unless the user has set them.

    They are in the environment, where MLflow reads them. What `connect` has set there is not the user's.
    """
    changed = {name: value for name, value in wanted.items() if os.environ.get(name) in (None, ORDINARY[name])}
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def found_away(address: str) -> bool:
    """Tell if a process of this project has found this server away in the last minutes."""
    try:
        content = json.loads((project_root() / _AWAY_FILE).read_text(encoding="utf-8"))
        return bool(content["store"] == address.rstrip("/") and 0 <= time.time() - content["time"] < _FRESH)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def tell_away(address: str) -> None:
    """Let the other stages know that this server is away, so that each of them waits for a second only."""
    with suppress(OSError):  # of a folder without DVC, or a full disk
        (project_root() / _AWAY_FILE).write_text(
            json.dumps({"store": address.rstrip("/"), "time": time.time()}), encoding="utf-8"
        )


def tell_back() -> None:
    """Take back what `tell_away` has said."""
    with suppress(OSError):
        (project_root() / _AWAY_FILE).unlink(missing_ok=True)


def _altogether() -> float:
    """Read the seconds that a process waits for a server.

    Raises:
        InputError: it is no number above 0.
    """
    given = os.environ.get(ALTOGETHER, "")
    try:
        seconds = float(given or _DEFAULT)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= threading.TIMEOUT_MAX:
        raise InputError(f"{ALTOGETHER} must be a number of seconds above 0. Received: {given}")
    return seconds
