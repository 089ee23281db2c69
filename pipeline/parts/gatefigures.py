"""Pictures of one text as networks read it, token by token, in the colours of `figures`."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pipeline.parts.figures import COLOURS
from pipeline.parts.readings import Reading, Words

# What stands beside each other, from top to bottom; None where a cell has no such thing.
ROWS: list[dict[str, str | None]] = [
    {"lstm": "input gate", "gru": None},
    {"lstm": "forget gate", "gru": "update gate"},
    {"lstm": "output gate", "gru": "reset gate"},
    {"lstm": "candidate", "gru": "candidate"},
    {"lstm": "cell state", "gru": None},
    {"lstm": "state", "gru": "state"},
]
INSTEAD = {
    "input gate": "no input gate: a GRU takes in 1 − update gate of the candidate",
    "cell state": "no cell state: the state of a GRU is its memory",
}
SYMBOLS = {
    "input gate": "i",
    "forget gate": "f, 1 keeps",
    "output gate": "o",
    "cell state": "c",
    "update gate": "z, 1 keeps",
    "reset gate": "r",
    "candidate": "g",
    "state": "h",
}
# Both palettes are told apart by the colour-blind. Gates lie between 0 and 1; all else has a sign.
GATE_COLOURS, SIGNED_COLOURS = "viridis", "PuOr"
UNITS_SHOWN = 16
_LABELLED_TOKENS = 40  # of longer texts, neighbouring tokens share a column and columns have numbers
_MOST_COLUMNS = 80


def gate_maps(words: Words, readings: list[Reading], label: str, code: int, title: str) -> Figure:
    """The verdict so far, what each token matters, and gates and states of the most active units, side by side.

    Args:
        words: the text.
        readings: one column each.
        label: name of the class that is explained.
        code: its code.
        title: what is shown.
    """
    rows = [row for row in ROWS if any(row[reading.cell] for reading in readings)]
    wide = float(np.clip(0.27 * len(words.ids), 4.2, 10))
    figure = Figure(figsize=(wide * len(readings) + 1, 3.4 + 1.15 * len(rows)), layout="constrained")
    figure.suptitle(title)
    units = min(UNITS_SHOWN, len(readings[0].ranking))
    merged = f"; columns are means over neighbouring tokens, {_MOST_COLUMNS} in all"
    figure.supxlabel(
        f"heat maps: the {units} units whose state moves the verdict most, the strongest on top"
        + merged * (len(words.ids) > _MOST_COLUMNS),
        size=9,
    )
    heights = [1.5, 1.5, *([1] * len(rows))]
    grid = figure.subplots(
        2 + len(rows), len(readings), squeeze=False, sharex=True, sharey="row", height_ratios=heights
    )
    for column, reading in enumerate(readings):
        _verdict(grid[0, column], reading, label, code)
        _importance(grid[1, column], reading)
        _name_tokens(grid[-1, column], words)
    for row, axes in zip(rows, grid[2:], strict=True):
        _gate_row(figure, list(axes), row, readings)
    for axis, name in zip(grid[:, 0], [f"p({label})\nso far", "log-odds\n(nats)"], strict=False):
        axis.set_ylabel(name)
    return figure


def _verdict(axis: Axes, reading: Reading, label: str, code: int) -> None:
    so_far = reading.verdicts[:, code]
    even = 1 / reading.verdicts.shape[1]
    places = np.arange(len(so_far)) + 0.5
    axis.fill_between(places, even, so_far, color=COLOURS[reading.cell], alpha=0.25, linewidth=0)
    axis.plot(places, so_far, color=COLOURS[reading.cell], marker="." if len(so_far) <= _LABELLED_TOKENS else None)
    axis.axhline(even, color="grey", linewidth=0.8, linestyle="--")
    axis.set_ylim(0, 1)
    axis.set_title(f"{reading.cell.upper()} ({reading.name}): p({label}) = {so_far[-1]:.2f}")
    axis.title.set_color(COLOURS[reading.cell])
    axis.spines[["top", "right"]].set_visible(False)


def _importance(axis: Axes, reading: Reading) -> None:
    places = np.arange(len(reading.occlusion)) + 0.5
    colour = COLOURS[reading.cell]
    axis.bar(places, reading.occlusion, color=colour, alpha=0.55, width=0.8, label="lost when the token is blanked")
    axis.plot(places, reading.gradient, ".", color="black", markersize=4, label="gradient × input")
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.margins(y=0.25)  # room for the legend
    axis.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper left", borderpad=0, handletextpad=0.4)
    axis.spines[["top", "right"]].set_visible(False)


def _gate_row(figure: Figure, axes: list[Axes], row: dict[str, str | None], readings: list[Reading]) -> None:
    """The same kind of gate of all readings, on one scale."""
    low, high = scale(row, readings)
    for axis, reading in zip(axes, readings, strict=True):
        axis.set_yticks([])
        name = row[reading.cell]
        if name is None:
            why = INSTEAD[row["lstm"] or ""].replace(": ", ":\n")
            axis.text(0.5, 0.5, why, ha="center", va="center", fontsize="small", transform=axis.transAxes)
            axis.set_frame_on(False)
            axis.tick_params(bottom=False)
            continue
        values = columns(most_active(reading, name), _MOST_COLUMNS)
        image = axis.imshow(
            values.T,
            aspect="auto",
            interpolation="nearest",
            extent=(0, len(reading.occlusion), 0, 1),
            cmap=SIGNED_COLOURS if low < 0 else GATE_COLOURS,
            vmin=low,
            vmax=high,
        )
        axis.set_ylabel(f"{name}\n({SYMBOLS[name]})", fontsize="small")
    figure.colorbar(image, ax=axes, aspect=8, pad=0.01)


def most_active(reading: Reading, gate: str) -> np.ndarray:
    """A gate of the units whose state moves the verdict most, the strongest first, (T, units)."""
    shown: np.ndarray = reading.gates[gate][:, reading.ranking[:UNITS_SHOWN]]
    return shown


def scale(row: dict[str, str | None], readings: list[Reading]) -> tuple[float, float]:
    """The numbers that the colours of a row span: 0 to 1 for gates, as far as they go to both sides for the rest."""
    if "gate" in (row["lstm"] or ""):
        return 0.0, 1.0
    limit = max(float(np.abs(most_active(reading, name)).max()) for reading in readings if (name := row[reading.cell]))
    return -(limit or 1.0), limit or 1.0


def columns(values: np.ndarray, most: int) -> np.ndarray:
    """Means of neighbouring tokens, (columns, U), so that no more than `most` columns are left of (T, U)."""
    edges = np.linspace(0, len(values), min(most, len(values)) + 1).round().astype(int)[:-1]
    means: np.ndarray = np.add.reduceat(values, edges) / np.diff(np.append(edges, len(values)))[:, None]
    return means


def _name_tokens(axis: Axes, words: Words) -> None:
    if len(words.ids) > _LABELLED_TOKENS:
        axis.set_xlabel("token")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    names = [
        f"{shortened(token, 16)}{'?' if unknown else ''}"
        for token, unknown in zip(words.tokens, words.unknown, strict=True)
    ]
    axis.set_xticks(np.arange(len(names)) + 0.5, names, rotation=60, ha="right", rotation_mode="anchor")
    for tick in axis.get_xticklabels():
        tick.set_parse_math(False)  # a token may hold dollar signs
    axis.set_xlabel("token (?: not in the vocabulary)" if words.unknown.any() else "token")


def shortened(token: str, length: int) -> str:
    return token if len(token) <= length else token[: length - 1] + "…"
