"""Say how MLflow's UI shows the experiment: its note, and the table of runs with their scores."""

import json

NOTE = (
    "LSTM against GRU on one data set. One run per trained model and seed (`lstm-1`, `gru-3`, `baseline`) with its"
    " learning curves, test scores and model; each `comparison` run links the runs it compares, and holds the report."
    " [The table of runs with their scores]({page})."
)
MODE = "workflowType=machine_learning"  # otherwise the UI opens in its GenAI mode, which shows no runs
# By itself the UI's table shows neither models nor scores. A view that is shared is a tag of the experiment, which the
# address names: the columns, with their widths in pixels.
_VIEW = "gatewise"
_COLUMNS = {
    "params.`model`": 90,
    "params.`seed`": 70,
    "metrics.`test_accuracy`": 130,
    "metrics.`validation/accuracy`": 150,
}
TAGS = {
    # Without the kind, the UI takes us for a GenAI project and hides metrics and curves.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": "test_accuracy",
    f"mlflow.sharedViewState.{_VIEW}": json.dumps(
        {"selectedColumns": [*_COLUMNS], "columnOrder": [*_COLUMNS], "columnWidths": _COLUMNS}
    ),
}


def page_of(experiment_id: str) -> str:
    """Name the page of the experiment with that table, below the address of the UI."""
    return f"/#/experiments/{experiment_id}/runs?{MODE}&viewStateShareKey={_VIEW}"
