"""Open the MLflow UI on the store of this repository."""

import os
import signal
import socket
import subprocess
import sys
import time

import click
import requests

from pipeline.core.command import InputError, run, waiting
from pipeline.core.folders import project_root
from pipeline.core.params import read_params
from pipeline.serving.ports import address, check_port
from pipeline.tools.arguments import Tool, where
from pipeline.tracking.address import without_login
from pipeline.tracking.store import store_exists, store_uri
from pipeline.tracking.tracker import Tracker

# This machine, and the addresses that only private networks have.
_NEAR = ("localhost", "127.0.0.1", "[[]::1]", "192.168.*", "10.*", *(f"172.{block}.*" for block in range(16, 32)))

_NOWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # to listen on, not to ask
_PAUSE = 0.1  # seconds


def allowed_hosts(host: str) -> list[str]:
    """List the hosts that a request may name: MLflow answers others with 403, and does not know this machine's names.

    Not every host is allowed: a page elsewhere could let its own name lead here (DNS rebinding).
    """
    ours = f"[[]{host}]" if ":" in host else host  # a pattern: the bracket of an IPv6 address stands in brackets
    names = dict.fromkeys((*_NEAR, ours, socket.gethostname(), socket.getfqdn()))
    return [*names, *(f"{name}:*" for name in names)]


@click.command(cls=Tool)
@where(5000)
def main(port: int, host: str) -> None:
    """Open the MLflow UI on the store of this repository.

    \b
    Examples:
      gatewise ui
      gatewise ui --port 5050 --host 0.0.0.0
    """
    uri = store_uri()
    if uri.startswith("http"):
        print(f"MLFLOW_TRACKING_URI is a server, which has its own UI: {without_login(uri)}")
        return
    if not store_exists():
        raise InputError(f"there are no runs yet ({uri} does not exist); make them with: make repro")
    check_port(host, port)
    # One worker and no job runner: 0.5 GiB and two processes instead of 2.7 GiB and fifteen.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # Warnings of MLflow's own about its dependencies.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    with waiting("find the page of this data set"):
        page = f"{address(host, port)}{Tracker(read_params().dataset).page}"
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    command += ["--uvicorn-opts", "--log-level warning"]  # not another address, nor a line for each request
    command += ["--artifacts-destination", (project_root() / "mlartifacts").as_uri()]
    if "MLFLOW_SERVER_ALLOWED_HOSTS" not in os.environ:
        command += ["--allowed-hosts", ",".join(allowed_hosts(host))]
    # A group of its own, since MLflow starts processes: Ctrl-C is for this one, which then stops them all.
    server = subprocess.Popen([*command, "--host", host, "--port", str(port)], process_group=0)
    try:
        with waiting("start the MLflow UI"):
            _until_it_answers(server, _NOWHERE.get(host, host), port)
        print(f"MLflow UI (Ctrl-C stops it): {page}", flush=True)
        sys.exit(server.wait())
    except KeyboardInterrupt:  # how one ends it
        pass
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait()


def _until_it_answers(server: "subprocess.Popen[bytes]", host: str, port: int) -> None:
    """Wait for the first answer; MLflow itself says why there is none.

    Raises:
        InputError: the server has ended.
    """
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands in between
        while server.poll() is None:
            try:
                session.get(f"{address(host, port)}/health", timeout=5)
                return
            except requests.RequestException:
                time.sleep(_PAUSE)
    raise InputError(f"the MLflow server ended with exit code {server.returncode}")


if __name__ == "__main__":
    run(main)
