"""Say how MLflow's UI shows the experiment: its note, its kind, and the address of its first view."""

from collections.abc import Mapping

from pipeline.tracking.metric_names import TEST_ACCURACY
from pipeline.tracking.views import FIRST, TAG

# The link comes first: the note is what the GenAI mode of the UI shows of an experiment, and cuts it off.
NOTE = (
    "[**LSTM against GRU: curves and test accuracy**]({page}). One run per trained model and seed (`lstm-1`, `gru-3`,"
    " `baseline`) with its learning curves, test scores and model; a run named by its verdict (`LSTM = GRU < n-grams`)"
    " links the runs that it compares, and holds the report. The menu of views, above the runs, has all seeds, and what"
    " differs."
)
MODE = "workflowType=machine_learning"  # otherwise the UI opens in its GenAI mode, which shows no runs
TAGS = {
    # UIs before 3.17 ask this tag and not the address: they would take us for a GenAI project.
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": TEST_ACCURACY,
}


def page_of(experiment_id: str, tags: Mapping[str, str]) -> str:
    """Name the page of the experiment's charts, below the address of the UI, in the first view if it is still there."""
    view = f"&viewStateShareKey={FIRST}" if f"{TAG}{FIRST}" in tags else ""
    return f"/#/experiments/{experiment_id}/runs?{MODE}&compareRunsMode=CHART{view}"
