"""Name the metrics of a run: `<split>/<score>`, as in `validation/accuracy` and `test/log_loss`.

The curves are the same behind `by_epoch/`. MLflow's pages make a section of all that stands before the last slash, and
sort sections by name: the curves come first, then test, times, sizes, validation, and the verdict of a comparison.
Times (`time/`) have their names from `comparison/latency.py`, in runs of every age. No code reads the other metrics of
a run, so older runs may have other names for them.
"""

from collections.abc import Mapping

TEST, VALIDATION, SIZE = "test/", "validation/", "trained/"
TIMES = "time/"  # what nobody could measure again without training
VERDICT = "verdict/"  # of a comparison, over seeds

TEST_ACCURACY = f"{TEST}accuracy"
_CURVES = "by_epoch/"


def curve(column: str) -> str:
    """Name the curve of a column of history.csv.

    >>> curve("validation_loss")
    'by_epoch/validation/loss'
    """
    split, _, score = column.partition("_")
    return f"{_CURVES}{split}/{score}"


VALIDATION_ACCURACY_CURVE, VALIDATION_LOSS_CURVE = curve("validation_accuracy"), curve("validation_loss")


def curves(values: Mapping[str, float]) -> dict[str, float]:
    """Name the numbers of one epoch, validation accuracy first: MLflow's *Compare* opens with what is logged first."""
    named = {curve(column): value for column, value in values.items()}
    return dict(sorted(named.items(), key=lambda item: (VALIDATION not in item[0], item[0])))
