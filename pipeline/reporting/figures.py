"""Pictures for people. Every model has one colour in all figures; the colour-blind can tell the colours apart.

A line is the mean over the seeds of a model, and the band around it goes from the lowest to the highest seed. PNG files
are the same bytes for the same numbers: nothing of the time or the machine goes into them.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font

from pipeline.comparison.statistics import Difference, better_first
from pipeline.comparison.titles import colour_of, title_of
from pipeline.trained.names import ModelName

matplotlib.rcdefaults()  # a matplotlibrc of the user would draw other bytes

_DPI = 130
_WRITTEN_SHARES = 6  # classes up to which a confusion matrix has its shares written into it
_NAMED_CLASSES = 24  # classes up to which each of them has its name at a confusion matrix
_NAME_LENGTH = 20  # characters of a name there
_UNDRAWN = re.compile(r"#\d+")  # stands for a name there
_PARTS = re.compile(r"(?<=\d)(?=\D)|(?<=\D)(?=\d)")  # of a name: numbers, and what is between them


def learning_curves(histories: pd.DataFrame, title: str) -> Figure:
    """Draw loss and accuracy by epoch: validation with every seed and their band, train dotted.

    The mean and the band end where the first seed stops: further on they would be of other seeds.

    Args:
        histories: rows with `model`, `seed`, `epoch` and the columns of history.csv.
        title: what is learnt.
    """
    figure, axes = _axes(2, title)
    for axis, number in zip(axes, ("loss", "accuracy"), strict=True):
        for model, of_model in histories.groupby("model", sort=False):
            look = _look(str(model))
            seeds = of_model.pivot(index="epoch", columns="seed", values=f"validation_{number}")
            common = seeds.dropna()
            marker = "." if len(seeds) < 30 else None
            axis.plot(common.mean(axis=1), **look, marker=marker, label=f"{title_of(str(model))}, validation")
            if seeds.shape[1] > 1:
                axis.plot(seeds, **look, linewidth=0.7, alpha=0.6)
                axis.fill_between(common.index, common.min(axis=1), common.max(axis=1), color=look["color"], alpha=0.15)
            train = of_model.pivot(index="epoch", columns="seed", values=f"train_{number}").dropna().mean(axis=1)
            axis.plot(train, color=look["color"], linestyle=":", alpha=0.8, label=f"{title_of(str(model))}, train")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True))
        axis.set_ylabel("loss (nats)" if number == "loss" else "accuracy")
    axes[1].legend(frameon=False)
    return figure


def roc_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Draw ROC curves.

    Args:
        curves: rows with `model`, `seed`, `false_positive_rate`, `true_positive_rate`.
        title: what is classified.
    """
    figure, (axis,) = _axes(1, title)
    _draw_bands(axis, curves, "false_positive_rate", "true_positive_rate")
    axis.plot([0, 1], [0, 1], color="grey", linewidth=0.8, linestyle="--", label="chance")
    axis.set(xlabel="false-positive rate", ylabel="true-positive rate", aspect="equal")
    axis.legend(frameon=False, loc="lower right")
    return figure


def precision_recall_curves(curves: pd.DataFrame, title: str) -> Figure:
    """Draw precision-recall curves.

    Args:
        curves: rows with `model`, `seed`, `recall`, `precision`.
        title: what is classified.
    """
    figure, (axis,) = _axes(1, title)
    _draw_bands(axis, curves, "recall", "precision")
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1))
    axis.legend(frameon=False, loc="lower left")
    return figure


def calibration(bins: pd.DataFrame, errors: Mapping[str, float], title: str) -> Figure:
    """Draw accuracy against confidence; below the diagonal a model is too sure. Dots are sized by their texts.

    Args:
        bins: rows with `model`, `seed`, `confidence`, `accuracy`, `texts`; the seeds of a model are drawn as one.
        errors: model to expected calibration error, the mean over its seeds.
        title: what is classified.
    """
    figure, (axis,) = _axes(1, title, height=4.8)
    lowest = bins["confidence"].min()
    axis.plot([lowest, 1], [lowest, 1], color="grey", linewidth=0.8, linestyle="--", label="perfectly calibrated")
    for model, of_model in bins.groupby("model", sort=False):
        pooled = _pooled_bins(of_model)
        look = _look(str(model))
        label = f"{title_of(str(model))} (ECE {100 * errors[str(model)]:.1f})"
        axis.plot(pooled["confidence"], pooled["accuracy"], **look, label=label)
        shares = pooled["texts"] / pooled["texts"].sum()
        axis.scatter(pooled["confidence"], pooled["accuracy"], s=8 + 200 * shares, color=look["color"], alpha=0.6)
    axis.set(xlabel="confidence (probability of the predicted class)", ylabel="accuracy")
    # Below the curves, which may run anywhere.
    heading = "expected calibration error (ECE): points, mean over seeds"
    figure.legend(frameon=False, loc="outside lower center", ncols=2, fontsize="small", title=heading)
    return figure


def accuracy_by_length(table: pd.DataFrame, title: str) -> Figure:
    """Draw the accuracy on short and long texts.

    Args:
        table: rows with `model`, `seed`, `tokens`, `accuracy`.
        title: what is classified.
    """
    figure, (axis,) = _axes(1, title)
    _draw_bands(axis, table, "tokens", "accuracy", marker=".")
    axis.set(xlabel="tokens of the text (median of the bin)", ylabel="accuracy")
    if table["tokens"].max() > 10 * table["tokens"].min():
        _spread(axis)
    axis.legend(frameon=False)
    return figure


def differences(pairs: Mapping[tuple[str, str], Difference], title: str, metric: str = "accuracy") -> Figure:
    """Draw differences in a metric, in points, with 95 % intervals: without 0 in it, one model is probably better.

    Args:
        pairs: (first, second) to the first one's score minus the second one's.
        title: what is classified.
        metric: what the scores are.
    """
    figure = Figure(figsize=(6.4, 1.3 + 0.5 * len(pairs)), layout="constrained")
    figure.suptitle(title, parse_math=False)
    axis = figure.subplots()
    names = []
    for place, (pair, difference) in enumerate(pairs.items()):
        (better, worse), seen = better_first(pair, difference)
        interval = [[100 * (seen.mean - seen.low)], [100 * (seen.high - seen.mean)]]
        axis.errorbar(100 * seen.mean, place, xerr=interval, fmt="o", capsize=4, color=colour_of(better))
        names.append(f"{title_of(better)} − {title_of(worse)}")
    axis.axvline(0, color="grey", linewidth=0.8, linestyle="--")
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.set_xlabel(f"difference in {metric} (points), with 95 % interval")
    axis.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_matrices(matrices: Mapping[str, np.ndarray], labels: Sequence[str], title: str) -> Figure:
    """Draw a confusion matrix per model, as shares of the texts of each true label. More than six labels are sorted.

    Args:
        matrices: model to counts summed over its seeds, (classes, classes), true label by row.
        labels: names of the classes.
        title: what is classified.
    """
    few = len(labels) <= _WRITTEN_SHARES
    columns = min(len(matrices), 3 if few else 2)
    side = float(np.clip(2 + 0.28 * len(labels), 3.8, 2 + 0.28 * _NAMED_CLASSES))
    figure, axes = _axes(len(matrices), title, side, side, columns)
    order = list(range(len(labels))) if few else sorted(range(len(labels)), key=lambda code: _in_order(labels[code]))
    names = _drawn_names([labels[code] for code in order])
    ticks = range(0, len(labels), 1 + (len(labels) - 1) // _NAMED_CLASSES)
    for axis, (model, counts) in zip(axes, matrices.items(), strict=True):
        shares = (counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))[np.ix_(order, order)]
        image = axis.imshow(shares, cmap="Greys", vmin=0, vmax=1)
        if few:
            for row, column in np.ndindex(shares.shape):
                colour = "white" if shares[row, column] > 0.5 else "black"
                axis.text(column, row, f"{shares[row, column]:.0%}", ha="center", va="center", color=colour)
        shown = [names[tick] for tick in ticks]
        look: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"} if len(labels) > 3 else {}
        axis.set_xticks(ticks, shown, parse_math=False, **look)
        axis.set_yticks(ticks, shown, parse_math=False)
        axis.set(title=title_of(model), xlabel="predicted", ylabel="true")
        axis.title.set_color(colour_of(model))
    if not few:
        scale = figure.colorbar(image, ax=axes, location="bottom", shrink=0.4, aspect=40, pad=0.03)
        scale.set_label("share of the texts of the true class")
        scale.ax.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if any(_UNDRAWN.fullmatch(name) and name not in labels for name in names):
        figure.supxlabel("#n is the n-th class shown: the font cannot draw its name", fontsize="small")
    return figure


def costs(table: pd.DataFrame, title: str) -> Figure:
    """Draw accuracy against costs: training time, where it is known, and parameters.

    Args:
        table: one row per model, as the index, with `accuracy`, `accuracy_std` (NaN: one run), `training_seconds`
            (NaN: not known), `parameters`.
        title: what is classified.
    """
    figure, axes = _axes(2, title)
    columns = {"training_seconds": "training time (seconds per run)", "parameters": "parameters"}
    for axis, (column, label) in zip(axes, columns.items(), strict=True):
        known = table.dropna(subset=column)
        for model, row in known.iterrows():
            spread = None if np.isnan(row["accuracy_std"]) else 100 * row["accuracy_std"]
            name = str(model)
            axis.errorbar(
                row[column],
                100 * row["accuracy"],
                yerr=spread,
                fmt="o",
                capsize=4,
                color=colour_of(name),
                markerfacecolor="white" if _is_second(name) else colour_of(name),
                label=title_of(name),
            )
        axis.set(xlabel=label, ylabel="test accuracy (%)")
        if len(known) and known[column].max() > 10 * known[column].min() > 0:
            _spread(axis)
        if known.empty:
            axis.text(0.5, 0.5, "not known: MLflow has no times", ha="center", transform=axis.transAxes)
            axis.set(xticks=[], yticks=[])
    axes[1].legend(frameon=False)
    return figure


def save(figure: Figure, path: Path) -> None:
    """Write a PNG."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=_DPI, metadata={"Software": None})


def _draw_bands(axis: Axes, table: pd.DataFrame, x: str, y: str, marker: str | None = None) -> None:
    """Draw a line per model with the band of its seeds, which have the same x."""
    for model, of_model in table.groupby("model", sort=False):
        seeds = of_model.groupby(x)[y]
        look = _look(str(model))
        axis.plot(seeds.mean(), **look, marker=marker, label=title_of(str(model)))
        if of_model["seed"].nunique() > 1:
            axis.fill_between(seeds.mean().index, seeds.min(), seeds.max(), color=look["color"], alpha=0.2, linewidth=0)


def _pooled_bins(bins: pd.DataFrame) -> pd.DataFrame:
    """Merge the calibration bins of all seeds of a model as if they were one run."""
    texts = bins["texts"]
    weighted = bins[["confidence", "accuracy"]].mul(texts, axis=0).assign(texts=texts)
    summed = weighted.groupby(bins["bin"]).sum()
    return summed[["confidence", "accuracy"]].div(summed["texts"], axis=0).assign(texts=summed["texts"])


def _look(model: str) -> dict[str, Any]:
    """Choose colour and style of the lines of a model."""
    return {"color": colour_of(model), "linestyle": "--" if _is_second(model) else "-"}


def _is_second(model: str) -> bool:
    """Tell whether a model is of the second revision, where two are compared."""
    return ModelName.parse(model).side == "B"


def _spread(axis: Axes) -> None:
    """Give the numbers of several magnitudes on the x axis equal room; those at the ticks are written out."""
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
    axis.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def distinct_names(labels: Sequence[str]) -> list[str]:
    """Shorten names so that they still differ.

    >>> distinct_names(["electronics, new, for sale", "electronics, old, for sale", "a very long name with an end"])
    ['ele…new, for sale', 'ele…old, for sale', 'a very lon…th an end']
    """
    names = list(map(_shorten, labels))
    for name in {name for name in names if names.count(name) > 1}:
        alike = [place for place, other in enumerate(names) if other == name]
        letters = zip(*(labels[place] for place in alike), strict=False)
        same = len([*takewhile(lambda of_all: len(set(of_all)) == 1, letters)])
        for number, place in enumerate(alike, start=1):
            names[place] = _from(labels[place], same, number)
    return names


def _drawn_names(labels: Sequence[str]) -> list[str]:
    """Shorten names for ticks; `#3` stands for the third where the font lacks a letter of its name."""
    font = get_font(findfont("DejaVu Sans"))
    return [
        name if all(font.get_char_index(ord(letter)) for letter in name) else f"#{number}"
        for number, name in enumerate(distinct_names(labels), start=1)
    ]


def _shorten(name: str) -> str:
    """Keep the beginning and the end of a long name."""
    half = _NAME_LENGTH // 2
    return name if len(name) <= _NAME_LENGTH else f"{name[:half]}…{name[1 - half :]}"


def _from(name: str, place: int, number: int) -> str:
    """Show a name from where it differs from others that look alike; the number is for those that still do."""
    rest = name[place : place + _NAME_LENGTH]
    return f"{name[:3]}…{rest}" if len(name) <= place + _NAME_LENGTH else f"{name[:3]}…{rest[:-4]}…{number}"


def _in_order(label: str) -> tuple[Any, ...]:
    """Sort by letters, whatever their case, and by numbers in them."""
    return tuple((not part.isdigit(), int(part) if part.isdigit() else part.casefold()) for part in _PARTS.split(label))


def _axes(
    count: int, title: str, width: float = 4.2, height: float = 3.8, columns: int | None = None
) -> tuple[Figure, list[Axes]]:
    """Make a figure with some axes in rows; width and height, in inches, are those of one of them."""
    columns = columns or count
    rows = -(-count // columns)
    size = (width * columns + (0.8 if columns == 1 else 0), height * rows)
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = [figure.add_subplot(rows, columns, place) for place in range(1, count + 1)]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes
