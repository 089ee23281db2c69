"""Make the views that MLflow's menu *Views* offers for an experiment: filters, columns, and charts in their order.

MLflow 3.16 and later keeps such a view in a tag of the experiment. The format is that of *Save view* in the version of
requirements.lock: name and times, and the state of the page as JSON, compressed. A view does not say if the page shows
the table or the charts; its address does.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.tracking.metric_names import (
    SIZE,
    TEST,
    TEST_ACCURACY,
    TIMES,
    VALIDATION,
    VALIDATION_ACCURACY_CURVE,
    VALIDATION_LOSS_CURVE,
    VERDICT,
)
from pipeline.tracking.store import EARLIER, OUTDATED

FIRST = "lstm-against-gru"  # the id of the view that an address opens
TAG = "mlflow.sharedViewState."
SHIPPED = "gatewise.views"  # the tag with the hash of every view as we wrote it: what people change or delete stays so

_MOST = 8  # columns of parameters that differ
_STANDING = f"tags.`{OUTDATED}` IS NULL AND attributes.status != 'FAILED'"
_LATEST = f"{_STANDING} AND tags.`{EARLIER}` IS NULL"
_DIFFERS, _EXPERIMENT = "tags.`gatewise.differs`", "tags.`gatewise.dvc_experiment`"
# Columns with their widths in pixels.
_MODEL = {"params.`model`": 90, "params.`seed`": 70}
_CHANGES = {_DIFFERS: 170, _EXPERIMENT: 170}
_SCORES = {f"metrics.`{TEST_ACCURACY}`": 130, f"metrics.`{VALIDATION}accuracy`": 150}
_MORE_SCORES = {f"metrics.`{TEST}log_loss`": 130, f"metrics.`{SIZE}parameters`": 150}
_FIRST_SECTION = "gatewise-first"
# What stands below the first charts is closed: whoever needs it opens it.
_CLOSED = ("by_epoch/train", TEST, TIMES, SIZE, VALIDATION, VERDICT)


def tags_to_set(tags: Mapping[str, str], created: int, differing: Sequence[str] | None = None) -> dict[str, str]:
    """Make the tags of an experiment whose views are missing or, given what differs, are of yesterday.

    Args:
        tags: of the experiment, as they are.
        created: when the experiment was made, in milliseconds.
        differing: the parameters in which runs differ. None: views that are there stay as they are.

    Returns:
        Tag to value; nothing where a person has changed or deleted the view.
    """
    shipped: dict[str, str] = json.loads(tags.get(SHIPPED, "{}"))
    found = {}
    for number, (key, (name, state)) in enumerate(_views(differing or []).items()):
        value = _encoded(name, state, created - number)  # the menu has the latest first
        there = tags.get(f"{TAG}{key}")
        ours = there is not None and _digest(there) == shipped.get(key)
        if (key not in shipped and there is None) or (differing is not None and ours and there != value):
            found[f"{TAG}{key}"] = value
            shipped[key] = _digest(value)
    return found | {SHIPPED: json.dumps(shipped)} if found else {}


def _views(differing: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Give every view: id to name and state."""
    differ = {f"params.`{name}`": 110 for name in differing[:_MOST]}
    return {
        # By model, since the legend of a chart has room for the first runs alone: those with curves come first.
        FIRST: ("LSTM against GRU", _state(_LATEST, _MODEL | _SCORES | _MORE_SCORES, "params.`model`")),
        "all-seeds": ("All seeds", _state(_STANDING, _MODEL | {_DIFFERS: 170} | _SCORES | _MORE_SCORES)),
        "what-differs": ("What differs", _state(_STANDING, _CHANGES | _MODEL | differ | _SCORES)),
    }


def _state(condition: str, columns: Mapping[str, int], order: str = "attributes.start_time") -> dict[str, Any]:
    return {
        "searchFilter": condition,
        "orderByKey": order,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": [*columns],
        "columnOrder": [*columns],
        "columnWidths": dict(columns),
        "runsHiddenMode": "FIRST_20_RUNS",
        # Runs have the colour of their model by a tag; groups of runs have colours by chance.
        "groupBy": None,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "compareRunSections": [
            {"uuid": _FIRST_SECTION, "name": "LSTM against GRU", "display": True, "isReordered": True,
             "columns": 2, "cardHeight": 300},
            *({"uuid": f"gatewise-{name}", "name": name, "display": False, "isReordered": False}
              for name in (section.strip("/") for section in _CLOSED)),
        ],
        "isAccordionReordered": True,
        "compareRunCharts": [
            _chart("LINE", VALIDATION_LOSS_CURVE, "validation loss by epoch"),
            _chart("BAR", TEST_ACCURACY, "test accuracy"),
            _chart("LINE", VALIDATION_ACCURACY_CURVE, "validation accuracy by epoch"),
            _chart("BAR", f"{TEST}log_loss", "test log loss"),
        ],
    }  # fmt: skip


def _chart(kind: str, metric: str, title: str) -> dict[str, Any]:
    of_all = {
        "uuid": f"gatewise-{metric}",
        "type": kind,
        "metricKey": metric,
        "displayName": title,
        "metricSectionId": _FIRST_SECTION,
        "runsCountToCompare": 20,
        "deleted": False,
        "isGenerated": True,
    }
    if kind == "BAR":
        return of_all
    return of_all | {
        "lineSmoothness": 0,
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "range": {},
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _encoded(name: str, state: Mapping[str, Any], created: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": name, "createdAt": created, "updatedAt": created, "state": f"deflate;{packed}"})


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:16]
