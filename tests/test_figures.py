"""Pictures: the same bytes for the same numbers, and one colour per model in all of them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pipeline.comparison.statistics import Difference
from pipeline.comparison.titles import colour_of
from pipeline.reporting import figures

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
    assert [text.get_text() for text in axis.texts] == ["75%", "25%", "0%", "0%"]


def confusion(labels: list[str], models: list[str] = MODELS) -> Figure:
    return figures.confusion_matrices(dict.fromkeys(models, np.eye(len(labels))), labels, "films: confusion")


def test_confusion_of_many_classes_has_room_for_them() -> None:
    few, many = confusion(["a", "b", "c", "d", "e", "f"]), confusion([f"class {i}" for i in range(12)])
    assert len(few.axes[0].texts) == 36
    assert len(many.axes[0].texts) == 0
    assert len(many.axes[0].get_yticks()) == 12
    assert many.get_figheight() > few.get_figheight() * 1.4  # two rows of larger panels
    assert len(confusion([str(i) for i in range(500)]).axes[0].get_yticks()) <= 24
    assert confusion(["a", "b"], [f"{m} ({r})" for m in MODELS for r in "AB"]).get_figwidth() < 13


@pytest.mark.filterwarnings("error")
def test_any_name_of_a_class_can_be_drawn(tmp_path: Path) -> None:
    labels = ["$_$", "$x", "a name that goes on and on", "良い"]
    figure = confusion(labels)
    figures.save(figure, tmp_path / "confusion.png")
    names = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert names == ["$_$", "$x", "a name tha…on and on", "#4"]
    assert "#n is the n-th class" in figure.get_supxlabel()
    assert confusion(labels[:3]).get_supxlabel() == ""


@pytest.mark.parametrize("tokens", [[5.0, 10.0, 80.0], [12.0, 35.0, 40.0, 900.0]])
def test_lengths_of_several_magnitudes_are_written_out(tokens: list[float], tmp_path: Path) -> None:
    columns = {"tokens": tokens, "accuracy": [0.9] * len(tokens)}
    figure = figures.accuracy_by_length(rows(columns, MODELS), "films")
    figures.save(figure, tmp_path / "lengths.png")  # which is when the ticks are made
    (axis,) = figure.axes
    shown = [label.get_text() for minor in (False, True) for label in axis.get_xticklabels(minor=minor)]
    assert (
        {"10", "20", "50"}
        <= set(shown)
        <= {"", *(f"{d}{'0' * e}" for d in (1, 2, 5) for e in range(5)), "1,000"} | {f"{d},000" for d in (1, 2, 5)}
    )


def test_seconds_below_one_are_no_zeros(tmp_path: Path) -> None:
    table = pd.DataFrame({"accuracy": [0.8, 0.7], "accuracy_std": np.nan, "parameters": 9}, index=["gru", "baseline"])
    figure = figures.costs(table.assign(training_seconds=[5.0, 0.1]), "films")
    figures.save(figure, tmp_path / "costs.png")
    shown = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert {"0.1", "0.2", "0.5", "1", "2", "5"} <= set(shown)
    assert "0" not in shown


def test_the_legend_of_calibration_covers_no_curve() -> None:
    figure = calibration()
    assert figure.axes[0].get_legend() is None
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "perfectly calibrated",
        *(f"{t} (ECE 6.1)" for t in TITLES),
    ]
    assert "mean over seeds" in legend.get_title().get_text()


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
    assert {line.get_color() for line in axis.get_lines()} == {colour_of("gru")}


def test_the_dots_of_another_revision_are_hollow() -> None:
    table = pd.DataFrame(
        {"accuracy": [0.8, 0.7], "accuracy_std": np.nan, "parameters": [9, 7]}, index=["gru (A)", "gru (B)"]
    )
    by_size = figures.costs(table.assign(training_seconds=[2.0, 1.0]), "films").axes[1]
    assert [line.get_markerfacecolor() for line in by_size.get_lines() if line.get_marker() == "o"] == [
        colour_of("gru"),
        "white",
    ]
