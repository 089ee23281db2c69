"""Open the MLflow UI on the store of this repository.

python -m pipeline.tools.ui [--port 5000] [--host 127.0.0.1]
"""

import argparse
import os
import socket
import sys

from pipeline.core.command import InputError, run
from pipeline.core.folders import project_root
from pipeline.core.params import read_params
from pipeline.serving.ports import check_port
from pipeline.tracking.store import store_exists, store_uri
from pipeline.tracking.tracker import Tracker

# This machine, and the addresses that only private networks have.
_NEAR = ("localhost", "127.0.0.1", "[[]::1]", "192.168.*", "10.*", *(f"172.{block}.*" for block in range(16, 32)))


def allowed_hosts(host: str) -> list[str]:
    """What may stand in the address of a request, or MLflow says 403: its own list lacks the names of this machine.

    Not every name: a page elsewhere could let its own lead here (DNS rebinding).
    """
    ours = f"[[]{host}]" if ":" in host else host  # a pattern: the bracket of an IPv6 address stands in brackets
    names = dict.fromkeys((*_NEAR, ours, socket.gethostname(), socket.getfqdn()))
    return [*names, *(f"{name}:*" for name in names)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Open the MLflow UI on the store of this repository.")
    parser.add_argument("--port", type=int, default=5000)
    parser.add_argument("--host", default="127.0.0.1", help="0.0.0.0 lets other machines in")
    arguments = parser.parse_args()
    uri = store_uri()
    if uri.startswith("http"):
        print(f"MLFLOW_TRACKING_URI is a server, which has its own UI: {uri}")
        return
    if not store_exists():
        raise InputError(f"there are no runs yet ({uri} does not exist); make them with: make repro")
    check_port(arguments.host, arguments.port)
    # One worker and no job runner: 0.5 GiB and two processes instead of 2.7 GiB and fifteen.
    os.environ["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] = "false"
    # Warnings of MLflow's own about its dependencies.
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    page = f"http://{arguments.host}:{arguments.port}{Tracker(read_params().dataset).page}"
    print(f"MLflow UI, ready in some seconds (Ctrl-C stops it): {page}", flush=True)
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri, "--workers", "1"]
    command += ["--artifacts-destination", (project_root() / "mlartifacts").as_uri()]
    if "MLFLOW_SERVER_ALLOWED_HOSTS" not in os.environ:
        command += ["--allowed-hosts", ",".join(allowed_hosts(arguments.host))]
    os.execv(sys.executable, [*command, "--host", arguments.host, "--port", str(arguments.port)])


if __name__ == "__main__":
    run(main)
