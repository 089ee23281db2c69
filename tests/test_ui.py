"""What `make ui` says when it cannot open the UI. The UI itself is MLflow's."""

import socket

from conftest import Project

UI = ("python", "-m", "pipeline.tools.ui")


def test_a_port_that_is_taken_is_one_clear_error(trained_project: Project) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = trained_project.run(*UI, "--port", str(port), check=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: port {port} of 127.0.0.1 cannot be used: ")
    assert "PORT=" in result.stderr
    assert result.stdout == ""


def test_without_runs_the_way_to_make_some_is_said(trained_project: Project) -> None:
    nowhere = {"MLFLOW_TRACKING_URI": f"sqlite:///{trained_project.root}/nowhere.db"}
    result = trained_project.run(*UI, check=False, environment=nowhere)
    assert result.returncode == 1
    assert "there are no runs yet" in result.stderr
    assert "make repro" in result.stderr
