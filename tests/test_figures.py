"""Pictures: the same bytes for the same numbers, and one colour per model in all of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.parts import figures
from pipeline.parts.statistics import Difference

MODELS = ["lstm", "gru", "baseline"]
TITLES = {"LSTM": "lstm", "GRU": "gru", "n-gram baseline": "baseline"}


def rows(columns: dict[str, list[float]], models: list[str]) -> pd.DataFrame:
    """The same curve for two seeds of every model."""
    return pd.concat([pd.DataFrame(columns).assign(model=model, seed=seed) for model in models for seed in (1, 2)])


def learning_curves() -> Figure:
    numbers = ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
    columns = {"epoch": [1.0, 2.0]} | {name: [0.7, 0.6] for name in numbers}
    return figures.learning_curves(rows(columns, ["lstm", "gru"]), "films: learning curves")


def roc_curves() -> Figure:
    columns = {"false_positive_rate": [0.0, 0.5, 1.0], "true_positive_rate": [0.0, 0.8, 1.0]}
    return figures.roc_curves(rows(columns, MODELS), "films: ROC")


def precision_recall_curves() -> Figure:
    columns = {"recall": [0.0, 0.5, 1.0], "precision": [1.0, 0.8, 0.5]}
    return figures.precision_recall_curves(rows(columns, MODELS), "films: precision and recall")


def calibration() -> Figure:
    columns = {"bin": [9.0, 15.0], "confidence": [0.6, 0.99], "accuracy": [0.5, 0.9], "texts": [1.0, 3.0]}
    return figures.calibration(rows(columns, MODELS), dict.fromkeys(MODELS, 0.061), "films: calibration")


def accuracy_by_length() -> Figure:
    columns = {"tokens": [5.0, 10.0, 80.0], "accuracy": [0.9, 0.8, 0.5]}
    return figures.accuracy_by_length(rows(columns, MODELS), "films: accuracy by length")


def differences() -> Figure:
    pairs = {
        ("lstm", "gru"): Difference(-0.01, -0.03, 0.01, 0.3, (2, 2), 500),
        ("lstm", "baseline"): Difference(0.02, 0.01, 0.03, 0.01, (2, 1), 500),
    }
    return figures.differences(pairs, "films: differences")


def costs() -> Figure:
    table = pd.DataFrame(
        {"accuracy": [0.8, 0.7, 0.9], "accuracy_std": [0.1, 0.1, np.nan], "parameters": [900, 700, 9]}, index=MODELS
    )
    return figures.costs(table.assign(training_seconds=[10.0, np.nan, 1.0]), "films: costs")


def confusion_matrices() -> Figure:
    counts = np.array([[3, 1], [0, 0]])
    return figures.confusion_matrices(dict.fromkeys(MODELS, counts), ["bad", "good"], "films: confusion")


ALL: list[Callable[[], Figure]] = [
    learning_curves,
    roc_curves,
    precision_recall_curves,
    calibration,
    accuracy_by_length,
    differences,
    costs,
    confusion_matrices,
]


def colours(axis: Axes) -> dict[str, set[object]]:
    """Model to the colours of its lines or its title."""
    shown: dict[str, set[object]] = {}
    for line in axis.get_lines():
        title = str(line.get_label()).partition(",")[0].partition(" (")[0]
        if title in TITLES:
            shown.setdefault(TITLES[title], set()).add(line.get_color())
    if axis.get_title() in TITLES:
        shown[TITLES[axis.get_title()]] = {axis.title.get_color()}
    return shown


@pytest.mark.parametrize("draw", ALL)
def test_the_same_numbers_give_the_same_bytes(draw: Callable[[], Figure], tmp_path: Path) -> None:
    for name in ("first", "second"):
        figures.save(draw(), tmp_path / "results" / f"{name}.png")
    first, second = ((tmp_path / "results" / f"{name}.png").read_bytes() for name in ("first", "second"))
    assert first.startswith(b"\x89PNG")
    assert first == second
    assert b"Matplotlib" not in first  # its version would differ from machine to machine


def test_a_model_has_one_colour_in_all_figures() -> None:
    seen: dict[str, set[object]] = {}
    count = 0
    for draw in ALL:
        for axis in draw().axes:
            count += len(colours(axis))
            for model, shown in colours(axis).items():
                seen.setdefault(model, set()).update(shown)
    # Two axes of learning curves have two networks each; the points of differences and costs are no named lines.
    assert count == 2 * 2 + 4 * 3 + 3
    assert sorted(seen) == sorted(MODELS)
    assert [len(shown) for shown in seen.values()] == [1, 1, 1]
    assert len(set.union(*seen.values())) == 3


@pytest.mark.parametrize(
    ("draw", "labels"),
    [
        (learning_curves, [("epoch", "loss (nats)"), ("epoch", "accuracy")]),
        (roc_curves, [("false-positive rate", "true-positive rate")]),
        (precision_recall_curves, [("recall", "precision")]),
        (calibration, [("confidence (probability of the predicted class)", "accuracy")]),
        (accuracy_by_length, [("tokens of the text (median of the bin)", "accuracy")]),
        (differences, [("difference in accuracy (points), with 95 % interval", "")]),
        (costs, [("training time (seconds per run)", "test accuracy (%)"), ("parameters", "test accuracy (%)")]),
        (confusion_matrices, [("predicted", "true")] * 3),
    ],
)
def test_every_figure_has_a_title_and_every_axis_a_name(
    draw: Callable[[], Figure], labels: list[tuple[str, str]]
) -> None:
    figure = draw()
    assert figure.get_suptitle().startswith("films: ")
    assert [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes] == labels


@pytest.mark.parametrize(
    ("draw", "expected"),
    [
        (learning_curves, ["LSTM, validation", "LSTM, train", "GRU, validation", "GRU, train"]),
        (roc_curves, ["LSTM", "GRU", "n-gram baseline", "chance"]),
        (accuracy_by_length, ["LSTM", "GRU", "n-gram baseline"]),
    ],
)
def test_the_legend_names_a_model_once_for_all_its_seeds(draw: Callable[[], Figure], expected: list[str]) -> None:
    legend = draw().axes[-1].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == expected


def test_confusion_is_shown_as_shares_of_the_true_class() -> None:
    axis = confusion_matrices().axes[0]
    assert [text.get_text() for text in axis.texts] == ["75.0%", "25.0%", "0.0%", "0.0%"]


def test_a_difference_is_shown_as_better_minus_worse() -> None:
    (axis,) = differences().axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["GRU − LSTM", "LSTM − n-gram baseline"]
    assert [line.get_xdata()[0] for line in axis.get_lines() if line.get_marker() == "o"] == [1, 2]  # type: ignore[index]


def test_what_a_model_took_to_train_is_left_out_where_nobody_knows() -> None:
    by_time, by_size = costs().axes
    assert len(by_time.containers) == 2
    assert len(by_size.containers) == 3


def test_the_models_of_another_revision_have_their_colour_and_another_line() -> None:
    columns = {"recall": [0.0, 1.0], "precision": [1.0, 0.5]}
    (axis,) = figures.precision_recall_curves(rows(columns, ["gru (A)", "gru (B)"]), "films").axes
    shown = {line.get_label(): line.get_linestyle() for line in axis.get_lines()}
    assert shown == {"GRU (A)": "-", "GRU (B)": "--"}
    assert {line.get_color() for line in axis.get_lines()} == {figures.COLOURS["gru"]}
