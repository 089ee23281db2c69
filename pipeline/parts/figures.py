"""Pictures for people. Every model has one colour, the same in all figures, told apart by the colour-blind.

PNG files are the same bytes for the same numbers: nothing of the time or the machine goes into them.
"""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe & Ito's palette, https://jfly.uni-koeln.de/color/
COLOURS = {"lstm": "#0072B2", "gru": "#D55E00", "baseline": "#000000"}
_TITLES = {"lstm": "LSTM", "gru": "GRU", "baseline": "n-gram baseline"}
_DPI = 130


def learning_curves(histories: pd.DataFrame, title: str) -> Figure:
    """Loss and accuracy by epoch: validation solid, train dotted, one line per seed.

    Args:
        histories: rows with `model`, `seed`, `epoch` and the columns of history.csv.
        title: what is learnt.
    """
    figure, axes = _axes(2, title)
    for axis, number in zip(axes, ("loss", "accuracy"), strict=True):
        for model, of_model in histories.groupby("model", sort=False):
            for i, (_, run) in enumerate(of_model.groupby("seed", sort=False)):
                colour, name = COLOURS[str(model)], _TITLES[str(model)]
                label = f"{name}, validation" if i == 0 else None
                axis.plot(run["epoch"], run[f"validation_{number}"], color=colour, marker=".", label=label)
                label = f"{name}, train" if i == 0 else None
                axis.plot(run["epoch"], run[f"train_{number}"], color=colour, linestyle=":", alpha=0.7, label=label)
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axis.set_ylabel("loss (nats)" if number == "loss" else "accuracy")
    axes[1].legend(frameon=False)
    return figure


def roc_curves(curves: pd.DataFrame, title: str) -> Figure:
    """ROC curves, one line per run.

    Args:
        curves: rows with `model`, `seed`, `false_positive_rate`, `true_positive_rate`.
        title: what is classified.
    """
    figure, (axis,) = _axes(1, title)
    for model, of_model in curves.groupby("model", sort=False):
        for i, (_, run) in enumerate(of_model.groupby("seed", sort=False)):
            label = _TITLES[str(model)] if i == 0 else None
            axis.plot(
                run["false_positive_rate"], run["true_positive_rate"], color=COLOURS[str(model)], alpha=0.8, label=label
            )
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="chance")
    axis.set(xlabel="false-positive rate", ylabel="true-positive rate", aspect="equal")
    axis.legend(frameon=False, loc="lower right")
    return figure


def confusion_matrices(matrices: dict[str, np.ndarray], labels: Sequence[str], title: str) -> Figure:
    """One matrix per model, as shares of the texts of each true label.

    Args:
        matrices: model to counts summed over its seeds, (classes, classes), true label by row.
        labels: names of the classes.
        title: what is classified.
    """
    figure, axes = _axes(len(matrices), title)
    for axis, (model, counts) in zip(axes, matrices.items(), strict=True):
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        axis.imshow(shares, cmap="Greys", vmin=0, vmax=1)
        if len(labels) <= 12:
            for row, column in np.ndindex(shares.shape):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, f"{shares[row, column]:.1%}", ha="center", va="center", color=colour)
        ticks = range(len(labels))
        axis.set_xticks(ticks, labels, rotation=45 if len(labels) > 3 else 0)
        axis.set_yticks(ticks, labels)
        axis.set(title=_TITLES[model], xlabel="predicted", ylabel="true")
        axis.title.set_color(COLOURS[model])
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _axes(columns: int, title: str) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(4.2 * columns + (0.8 if columns == 1 else 0), 3.8), layout="constrained")
    figure.suptitle(title)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
