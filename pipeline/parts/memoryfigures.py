"""The memory of networks as a picture, in the colours of `figures`."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, ScalarFormatter

from pipeline.parts.figures import COLOURS
from pipeline.parts.memory import Memory

# What the gate that keeps starts from, before training: Keras sets the forget bias to 1, all others to 0.
_HALF_LIFE_AT_START = {"lstm": np.log(0.5) / np.log(1 / (1 + np.exp(-1))), "gru": 1.0}


def memory_figure(memories: dict[str, Memory], title: str) -> Figure:
    """Half-lives of all units, dependence of the verdict on distance, and response of units to kinds of words.

    Args:
        memories: `lstm` and `gru` to what was measured of one network each.
        title: which data set.
    """
    figure = Figure(figsize=(13.5, 3.9), layout="constrained")
    figure.suptitle(title)
    lives, distances, words = figure.subplots(1, 3)
    _half_lives(lives, memories)
    for cell, memory in memories.items():
        table, colour = memory.distances, COLOURS[cell]
        distances.plot(table["distance"], table["occlusion"], color=colour, label=f"{cell.upper()}, blanked")
        distances.plot(
            table["distance"], table["gradient"], color=colour, linestyle=":", label=f"{cell.upper()}, gradient × input"
        )
    distances.set(title="what the verdict depends on", xlabel="distance from the last token (tokens)")
    distances.set_ylabel("mean |effect| on the log-odds (nats)")
    distances.set_ylim(0, 1.4 * distances.get_ylim()[1])  # room for the legend
    distances.xaxis.set_major_locator(MaxNLocator(integer=True))
    distances.legend(frameon=False, fontsize="small", ncols=2, loc="upper left")
    _responses(words, memories)
    for axis in (lives, distances, words):
        axis.spines[["top", "right"]].set_visible(False)
    return figure


def _half_lives(axis: Axes, memories: dict[str, Memory]) -> None:
    everything = np.concatenate([memory.half_lives for memory in memories.values()])
    low, high = min(0.5, everything.min()), max(10.0, everything.max())
    bins = np.geomspace(low, high * 1.001, 40)
    for cell, memory in memories.items():
        axis.hist(memory.half_lives, bins=list(bins), color=COLOURS[cell], alpha=0.6, label=cell.upper())
        axis.axvline(_HALF_LIFE_AT_START[cell], color=COLOURS[cell], linestyle="--", linewidth=1)
    axis.plot([], [], color="grey", linestyle="--", linewidth=1, label="before training")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(ScalarFormatter())
    axis.minorticks_off()
    axis.set(title="how long units remember", xlabel="half-life of a unit (tokens)", ylabel="units")
    axis.legend(frameon=False, fontsize="small")


def _responses(axis: Axes, memories: dict[str, Memory]) -> None:
    """One dot per unit; a row per kind of word and cell."""
    rows = [
        (cell, kind) for kind in ("praise", "negation") for cell, memory in memories.items() if kind in memory.responses
    ]
    for row, (cell, kind) in enumerate(reversed(rows)):
        effects = memories[cell].responses[kind]
        axis.plot(effects, np.full(len(effects), row), "|", color=COLOURS[cell], markersize=14, alpha=0.6)
    axis.set_yticks(range(len(rows)), [f"{kind}, {cell.upper()}" for cell, kind in reversed(rows)])
    axis.axvline(0, color="grey", linewidth=0.8)
    axis.margins(y=0.3)
    axis.set(title="what words do to units (a line is a unit)", xlabel="rise of the state (standard deviations)")
    if not rows:
        axis.text(0.5, 0.5, "none of these words occurs", ha="center", transform=axis.transAxes)
