"""What `make ui` says when it cannot open the UI, and who may. The UI itself is MLflow's."""

import http.client
import os
import signal
import socket
import subprocess

import pytest
from conftest import Project, clean_environment

UI = ("python", "-m", "pipeline", "ui")


def test_a_port_that_is_taken_is_one_clear_error(trained_project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = trained_project.call(*UI, "--port", str(port), check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be used: ")
    assert "PORT=" in result.stderr
    assert result.stdout == ""


def test_without_runs_the_way_to_make_some_is_said(trained_project: Project) -> None:
    nowhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{trained_project.root}/nowhere.db"}
    result = trained_project.call(*UI, check=False, environment=nowhere)
    assert result.returncode == 1
    assert "there are no runs yet" in result.stderr
    assert "make repro" in result.stderr


def status(port: int, host: str) -> int | None:
    """What a request for this host is answered with."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/", headers={"Host": host})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


@pytest.mark.slow
def test_the_names_of_this_machine_are_let_in_and_others_are_not(trained_project: Project) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*UI, "--host", "0.0.0.0", "--port", str(port)],
        cwd=trained_project.root, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        page = next(line for line in process.stdout if line.startswith("MLflow UI"))  # it answers by now
        assert f"http://0.0.0.0:{port}/" in page
        for host in ("localhost", f"{socket.gethostname()}:{port}", f"192.168.1.2:{port}"):
            assert status(port, host) == 200
        assert status(port, "evil.example") == 403
    finally:
        os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C does
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors
    assert status(port, "localhost") is None
