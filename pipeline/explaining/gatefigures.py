"""Pictures of one text as networks read it, token by token, in the colours of `figures`."""

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text

from pipeline.cells import ROLES, Gate
from pipeline.explaining.readings import Reading, Words

# Both palettes are told apart by the colour-blind. Gates lie between 0 and 1; all else has a sign.
GATE_COLOURS, SIGNED_COLOURS = "viridis", "PuOr"
UNITS_SHOWN = 16
_LABELLED_TOKENS = 40  # of longer texts, only so many tokens are named: those that matter most
_NAMED_OF_LONG = 16
_LETTERS_PER_INCH = 11  # of captions
_MOST_COLUMNS = 80  # of longer texts, each column is the token that matters most of its neighbours


def gate_maps(words: Words, readings: list[Reading], label: str, code: int, title: str) -> Figure:
    """Draw the probability so far, the effect of each token, and the gates and states of the most active units.

    Every pass over the text has a group of rows.

    Args:
        words: the text.
        readings: one column each.
        label: name of the class that is explained.
        code: its code.
        title: the heading.
    """
    rows = rows_of(readings)
    wide = float(np.clip(0.27 * len(words.ids), 4.2, 10))
    figure = Figure(figsize=(wide * len(readings) + 1, 3.4 + 1.15 * len(rows)), layout="constrained")
    figure.suptitle(title)
    figure.supxlabel(_wrapped(_reading_help(words, readings), wide * len(readings) + 1), size=9)
    heights = [1.5, 1.5, *([1] * len(rows))]
    grid = figure.subplots(
        2 + len(rows), len(readings), squeeze=False, sharex=True, sharey="row", height_ratios=heights
    )
    for column, reading in enumerate(readings):
        _probability(grid[0, column], reading, label, code)
        _importance(grid[1, column], reading)
        _name_tokens(grid[-1, column], words, readings, wide)
    shown = representatives(weights(readings), _MOST_COLUMNS)
    for (title_of_pass, role), axes in zip(rows, grid[2:], strict=True):
        _gate_row(figure, list(axes), title_of_pass, role, readings, shown)
    for axis, name in zip(grid[:, 0], [f"p({label})\nso far", "log-odds\n(nats)"], strict=False):
        axis.set_ylabel(name)
    for text in figure.findobj(Text):
        text.set_parse_math(False)  # a label or a token may hold dollar signs
    return figure


def rows_of(readings: list[Reading]) -> list[tuple[str, str]]:
    """List pass and role of the gates of every row, from top to bottom; of the last layer first, which predicts."""
    passes = dict.fromkeys(title for reading in readings for title in reading.passes)
    layers = sorted(passes, key=lambda title: (-int(title.split()[1]), title))
    cells = {title: [reading.cell for reading in readings if title in reading.passes] for title in layers}
    return [(title, role) for title in layers for role in ROLES if any(cell.gate_of(role) for cell in cells[title])]


def pass_label(title: str, readings: list[Reading]) -> str:
    """Name a pass; where there is one only, it needs no name."""
    return "" if all(len(reading.passes) == 1 for reading in readings) else title


def unit_names(reading: Reading, title: str) -> str:
    """List the numbers of the units that are shown of a pass, the strongest first."""
    return ", ".join(str(unit) for unit in reading.rankings[title][:UNITS_SHOWN])


def weights(readings: list[Reading]) -> np.ndarray:
    """Weigh each token by its largest effect on any of the networks, (T,)."""
    most: np.ndarray = np.max([np.abs(reading.occlusion) for reading in readings], axis=0)
    return most


def _reading_help(words: Words, readings: list[Reading]) -> str:
    units = min(UNITS_SHOWN, *(len(ranking) for reading in readings for ranking in reading.rankings.values()))
    lines = [f"heat maps: the {units} units with the largest effect on the prediction, the strongest on top"]
    if len(words.ids) > _MOST_COLUMNS:
        lines[0] += f"; {_MOST_COLUMNS} of the tokens: of neighbours, the one with the largest effect"
    for reading in readings:
        for title in reading.passes:
            where = ", ".join(filter(None, [reading.name, pass_label(title, readings)]))
            lines.append(f"units of {where}: {unit_names(reading, title)}")
    return "\n".join(lines)


def _wrapped(text: str, inches: float) -> str:
    """Break the lines of a caption, so that they are not cut off at the border."""
    letters = int(inches * _LETTERS_PER_INCH)
    return "\n".join(part for line in text.split("\n") for part in textwrap.wrap(line, letters))


def _probability(axis: Axes, reading: Reading, label: str, code: int) -> None:
    so_far = reading.probabilities[:, code]
    even = 1 / reading.probabilities.shape[1]
    places = np.arange(len(so_far)) + 0.5
    axis.fill_between(places, even, so_far, color=reading.cell.colour, alpha=0.25, linewidth=0)
    axis.plot(places, so_far, color=reading.cell.colour, marker="." if len(so_far) <= _LABELLED_TOKENS else None)
    axis.axhline(even, color="grey", linewidth=0.8, linestyle="--")
    axis.set_ylim(0, 1)
    axis.set_title(f"{reading.cell.title} ({reading.name}): p({label}) = {so_far[-1]:.2f}")
    axis.title.set_color(reading.cell.colour)
    axis.spines[["top", "right"]].set_visible(False)


def _importance(axis: Axes, reading: Reading) -> None:
    places = np.arange(len(reading.occlusion)) + 0.5
    colour = reading.cell.colour
    axis.bar(places, reading.occlusion, color=colour, alpha=0.55, width=0.8, label="lost when the token is blanked")
    axis.plot(places, reading.gradient, ".", color="black", markersize=4, label="gradient × input")
    axis.axhline(0, color="grey", linewidth=0.8)
    axis.margins(y=0.25)  # room for the legend
    axis.legend(frameon=False, fontsize="x-small", ncols=2, loc="upper left", borderpad=0, handletextpad=0.4)
    axis.spines[["top", "right"]].set_visible(False)


def _gate_row(
    figure: Figure,
    axes: list[Axes],
    title: str,
    role: str,
    readings: list[Reading],
    shown: np.ndarray,
) -> None:
    """Draw one kind of gate of all readings, on one scale; `shown` are the tokens that have a column."""
    low, high = scale(title, role, readings)
    for axis, reading in zip(axes, readings, strict=True):
        axis.set_yticks([])
        name = reading.cell.gate_of(role)
        if name is None or title not in reading.passes:
            axis.text(0.5, 0.5, instead(title, role, reading).replace(": ", ":\n"), ha="center", va="center")
            axis.texts[0].set(fontsize="small", transform=axis.transAxes)
            axis.set_frame_on(False)
            axis.tick_params(bottom=False)
            continue
        image = axis.imshow(
            most_active(reading, title, name)[shown].T,
            aspect="auto",
            interpolation="nearest",
            extent=(0, len(reading.occlusion), 0, 1),
            cmap=SIGNED_COLOURS if low < 0 else GATE_COLOURS,
            vmin=low,
            vmax=high,
        )
        where = pass_label(title, readings)
        axis.set_ylabel(
            f"{where}\n{name}\n({sign_of(reading.cell.gates[name])})".strip(), fontsize="x-small" if where else "small"
        )
    figure.colorbar(image, ax=axes, aspect=8, pad=0.01)


def sign_of(gate: Gate) -> str:
    """Give the letter of a gate, with what its values mean where that helps."""
    return f"{gate.symbol}, {gate.hint}" if gate.hint else gate.symbol


def instead(title: str, role: str, reading: Reading) -> str:
    """Say what stands in the place of a gate that a network does not have."""
    return reading.cell.instead[role] if title in reading.passes else f"{reading.name} has no {title}"


def most_active(reading: Reading, title: str, gate: str) -> np.ndarray:
    """Take a gate of the units of a pass with the largest effect on the prediction, the strongest first, (T, units)."""
    shown: np.ndarray = reading.passes[title][gate][:, reading.rankings[title][:UNITS_SHOWN]]
    return shown


def scale(title: str, role: str, readings: list[Reading]) -> tuple[float, float]:
    """Find the numbers that the colours of a row span: 0 to 1 for gates, else the largest size to both sides."""
    having = [
        (reading, name) for reading in readings if (name := reading.cell.gate_of(role)) and title in reading.passes
    ]
    if all(reading.cell.gates[name].opens for reading, name in having):
        return 0.0, 1.0
    limit = max(float(np.abs(most_active(reading, title, name)).max()) for reading, name in having)
    return -(limit or 1.0), limit or 1.0


def representatives(weight: np.ndarray, most: int) -> np.ndarray:
    """Choose the places of at most so many tokens: of neighbours the one that weighs most, so that peaks stay."""
    parts = np.array_split(np.arange(len(weight)), min(most, len(weight)))
    return np.array([part[weight[part].argmax()] for part in parts])


def _name_tokens(axis: Axes, words: Words, readings: list[Reading], inches: float) -> None:
    count = len(words.ids)
    named = np.arange(count)
    if count > _LABELLED_TOKENS:  # apart from each other, so that names can be read
        weight = weights(readings)
        named = representatives(weight, 2 * _NAMED_OF_LONG)
        named = np.sort(named[np.argsort(-weight[named], kind="stable")[:_NAMED_OF_LONG]])
    names = [f"{_drawn(words.tokens[place], int(place))}{'?' if words.unknown[place] else ''}" for place in named]
    axis.set_xticks(named + 0.5, names, rotation=60, ha="right", rotation_mode="anchor")
    hints = ["?: not in the vocabulary"] if words.unknown[named].any() else []
    if any(name.startswith("#") for name in names):
        hints.append("#: number of a token that this font cannot draw, see explanation.html")
    if count > _LABELLED_TOKENS:
        hints.append(f"named: those with the largest effect, of {count}")
    axis.set_xlabel(_wrapped(f"token ({'; '.join(hints)})" if hints else "token", inches))


def _drawn(token: str, place: int) -> str:
    """Write a token as a picture can show it: shortened, or its number where the font lacks its letters."""
    glyphs = get_font(findfont("DejaVu Sans")).get_charmap()
    return shortened(token, 16) if all(ord(letter) in glyphs for letter in token) else f"#{place + 1}"


def shortened(token: str, length: int) -> str:
    return token if len(token) <= length else token[: length - 1] + "…"
