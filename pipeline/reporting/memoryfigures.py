"""The memory of networks as a picture, in the colours of `figures`."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter

from pipeline import cells
from pipeline.comparison.titles import colour_of, title_of
from pipeline.inside.memory import Memory, top_units

_NAMED_UNITS = 2  # of a row
_STYLES = ("-", "--", "-.", ":")  # of the layers


def memory_figure(memories: dict[str, Memory], title: str) -> Figure:
    """Draw half-lives of all units, the effect of tokens by distance, and the response of units to kinds of words.

    Args:
        memories: network to its memory.
        title: which data set.
    """
    memories = {cell: memory for cell, memory in memories.items() if len(memory.units)}
    figure = Figure(figsize=(13.5, 4.2), layout="constrained")
    figure.suptitle(title, parse_math=False)
    axes = figure.subplots(1, 3)
    for axis, draw in zip(axes, (_half_lives, _distances, _responses), strict=True):
        if memories:
            draw(axis, memories)
        else:
            axis.text(0.5, 0.5, "not measured", ha="center", transform=axis.transAxes)
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _half_lives(axis: Axes, memories: dict[str, Memory]) -> None:
    """Draw a histogram for each layer and direction."""
    everything = np.concatenate([memory.units["half_life"] for memory in memories.values()])
    low, high = min(0.5, everything.min()), max(10.0, everything.max())
    bins = list(np.geomspace(low, high * 1.001, 40))
    for cell, memory in memories.items():
        several = len(memory.layers) > 1
        for number, layer in enumerate(memory.layers):
            lives = memory.units.loc[memory.units["layer"] == layer, "half_life"]
            name = f"{title_of(cell)}, {layer}" if several else title_of(cell)
            if several:  # filled bars would hide each other
                style = _STYLES[number % len(_STYLES)]
                axis.hist(lives, bins=bins, histtype="step", color=colour_of(cell), linestyle=style, label=name)
            else:
                axis.hist(lives, bins=bins, color=colour_of(cell), alpha=0.6, label=name)
        if (at_start := cells.find(cell).half_life_at_start) is not None:
            axis.axvline(at_start, color=colour_of(cell), linestyle="--", linewidth=1)
    axis.plot([], [], color="grey", linestyle="--", linewidth=1, label="before training")
    _logarithmic(axis)
    axis.set(title="how long units remember (direct path)", xlabel="half-life of a unit (tokens)", ylabel="units")
    axis.legend(frameon=False, fontsize="small")


def _distances(axis: Axes, memories: dict[str, Memory]) -> None:
    """Draw the mean effect of a token in bins of distance, each at its geometric middle."""
    for cell, memory in memories.items():
        table, colour = memory.distances, colour_of(cell)
        middle = np.sqrt(table["nearest"] * table["farthest"])
        axis.fill_between(middle, table["low"], table["high"], color=colour, alpha=0.2, linewidth=0)
        axis.plot(middle, table["occlusion"], ".-", color=colour, label=f"{title_of(cell)}, blanked")
        axis.plot(middle, table["gradient"], color=colour, linestyle=":", label=f"{title_of(cell)}, gradient × input")
    axis.set(title="effect of a token on the prediction", xlabel="distance from the end (tokens; 1 is the last one)")
    axis.set_ylabel("mean |effect| on the log-odds (nats)")
    axis.set_ylim(0, 1.4 * axis.get_ylim()[1])  # room for the legend
    _logarithmic(axis)
    axis.legend(frameon=False, fontsize="small", ncols=2, loc="upper left", title="bands: 95 % over texts")


def _responses(axis: Axes, memories: dict[str, Memory]) -> None:
    """Draw a line per unit, in a row per kind of word and model. Grey: the effect of random words as frequent."""
    kinds = dict.fromkeys(kind for memory in memories.values() for kind in memory.kinds)
    rows = [(cell, kind) for kind in kinds for cell, memory in memories.items() if kind in memory.kinds][::-1]
    for row, (cell, kind) in enumerate(rows):
        memory = memories[cell]
        effects, (low, high) = memory.units[kind], memory.bands[kind]
        axis.fill_betweenx([row - 0.35, row + 0.35], low, high, color="grey", alpha=0.25, linewidth=0)
        axis.plot(effects, np.full(len(effects), row), "|", color=colour_of(cell), markersize=14, alpha=0.6)
        named = sorted(top_units(memory, kind, _NAMED_UNITS), key=lambda unit: -unit["moved"])
        names = ", ".join(f"{unit['unit']} ({unit['moved']:+.1f})" for unit in named)
        axis.text(0.01, row + 0.38, f"most: {names}", fontsize="x-small", transform=axis.get_yaxis_transform())
    axis.set_yticks(range(len(rows)), [f"{kind}, {title_of(cell)}" for cell, kind in rows])
    axis.set_ylim(-0.7, len(rows) - 0.2)
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.set(title="effect of words on units", xlabel="rise of the state (standard deviations)\ngrey: random words")
    if not rows:
        axis.text(0.5, 0.5, "none of these words occurs", ha="center", transform=axis.transAxes)


def _logarithmic(axis: Axes) -> None:
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.xaxis.set_minor_locator(NullLocator())
