"""The runs of the trained project in MLflow, and the stages that `gatewise run` has run."""

import re

import mlflow
from conftest import Project
from mlflow.entities import Run

MODELS = ["lstm-1", "lstm-2", "gru-1", "gru-2", "baseline"]


def runs_of(project: Project) -> list[Run]:
    client = mlflow.MlflowClient(project.store)
    experiment = client.get_experiment_by_name("gatewise-tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], order_by=["attributes.start_time ASC"]))


def stages_run(output: str) -> list[str]:
    """The stages that ran, as `gatewise run` names them; those that DVC brought back from its cache are none."""
    return re.findall(r"^\[\d+/\d+\] ([^,:\n]+)(?:, .*)?$", output, re.MULTILINE)
