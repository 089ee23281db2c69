"""One text read by networks, as a single HTML file: no scripts, nothing loaded from elsewhere, any width of screen.

Here are the numbers and pictures of the page; gatepage.html.jinja has its words and its look.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.image import imsave

from pipeline.cells import Cell
from pipeline.explaining.gatefigures import (
    GATE_COLOURS,
    SIGNED_COLOURS,
    UNITS_SHOWN,
    instead,
    most_active,
    pass_label,
    rows_of,
    scale,
    sign_of,
    unit_names,
)
from pipeline.explaining.readings import Reading, Words
from pipeline.reporting.pages import png_address, render

_TEMPLATE = Path(__file__).with_name("gatepage.html.jinja")
# Pixels. The tokens of a short text fill the width of a phone; a long text scrolls.
_STRIP_WIDTH, _NARROWEST, _WIDEST, _UNIT_HEIGHT = 400, 26, 48, 6
_LONG = 150  # tokens from which on the text scrolls, too
_UNREAD_SHOWN = 200  # characters of what the network does not read, beside what it does
# For and against the class. Purple and green: told apart by the colour-blind, and neither is the colour of a model.
_FOR, _AGAINST = "90, 174, 97", "153, 112, 171"
_STRONGEST = 0.7  # opacity at which text stays readable on both, on light and dark pages


@dataclass(frozen=True)
class _Token:
    """A token with its numbers.

    Attributes:
        p: probability of the class if the text ended here.
        leaning: the same from -1, against the class, to 1, for it; 0 where all classes are as likely.
        lost: log-odds that go when the token is blanked.
        slope: gradient × input.
    """

    text: str
    p: float
    leaning: float
    lost: float
    slope: float
    hint: str


@dataclass(frozen=True)
class _Card:
    """A network on the page. The texts are parts with colours, see `_coloured`; a row is a gate, see `_gate_row`."""

    name: str
    cell: Cell
    tokens: list[_Token]
    text_so_far: list[dict[str, Any]]
    text_effects: list[dict[str, Any]]
    rows: list[dict[str, Any]]


def page(words: Words, readings: list[Reading], label: str, code: int, title: str, notes: list[str]) -> str:
    """Write the whole page.

    Args:
        words: the text.
        readings: a card each.
        label: name of the class that is explained.
        code: its code.
        title: the heading.
        notes: sentences about this text, shown below the title.
    """
    strongest = max(float(np.abs(reading.occlusion).max()) for reading in readings) or 1.0
    token_width = min(max(_STRIP_WIDTH // len(words.ids), _NARROWEST), _WIDEST)
    return render(
        _TEMPLATE,
        title=title,
        notes=notes,
        label=label,
        cards=[_card(words, reading, readings, label, code, strongest) for reading in readings],
        colours={"for": _colour(1), "against": _colour(-1)},
        scales={"gates": _scale_bar(0, 1), "signed": _scale_bar(-1, 1)},
        is_long=len(words.ids) > _LONG,
        token_width=token_width,
        width=token_width * len(words.ids),
        units_shown=UNITS_SHOWN,
    )


def _card(words: Words, reading: Reading, readings: list[Reading], label: str, code: int, strongest: float) -> _Card:
    tokens = _tokens(words, reading, label, code)
    return _Card(
        reading.name,
        reading.cell,
        tokens,
        _coloured(words, tokens, [token.leaning for token in tokens]),
        _coloured(words, tokens, [token.lost / strongest for token in tokens]),
        _rows(reading, readings),
    )


def _tokens(words: Words, reading: Reading, label: str, code: int) -> list[_Token]:
    so_far = reading.probabilities[:, code]
    even = 1 / reading.probabilities.shape[1]
    leaning = np.where(so_far > even, (so_far - even) / (1 - even), (so_far - even) / even)
    numbers = zip(words.tokens, so_far, leaning, reading.occlusion, reading.gradient, strict=True)
    return [
        _Token(*numbers_of, f"p({label}) so far {numbers_of[1]:.2f}; blanked: {numbers_of[3]:+.2f} nats")
        for numbers_of in numbers
    ]


def _coloured(words: Words, tokens: list[_Token], strengths: list[float]) -> list[dict[str, Any]]:
    """Cut the text as it came into parts: tokens on a colour from -1 (against) to 1 (for), the rest, and the unread."""
    parts: list[dict[str, Any]] = []
    end = 0
    for place, (start, stop) in enumerate(words.spans):
        parts.append(_between(words, end, start, place))
        token = {"kind": "token", "text": words.text[start:stop], "unknown": words.unknown[place]}
        parts.append(token | {"colour": _colour(strengths[place]), "hint": tokens[place].hint})
        end = stop
    return [*parts, _between(words, end, len(words.text), len(words.ids))]


def _between(words: Words, start: int, stop: int, place: int) -> dict[str, Any]:
    """Give the text before the token at a place; what was not read is shortened to the part beside what was read."""
    text = words.text[start:stop]
    if not words.unread or place != words.gap:
        return {"kind": "rest", "text": text}
    if len(text) > _UNREAD_SHOWN:
        text = f"{text[:_UNREAD_SHOWN]} …" if start else f"… {text[-_UNREAD_SHOWN:]}"
    return {"kind": "unread", "text": text}


def _rows(reading: Reading, readings: list[Reading]) -> list[dict[str, Any]]:
    """List the heat maps of a network; the first one of a pass has the name of the pass and the units shown."""
    rows: list[dict[str, Any]] = []
    before = None
    for title, role in rows_of(readings):
        units = unit_names(reading, title) if title in reading.passes else ""
        of_pass = {"first_of_pass": title != before, "pass_label": pass_label(title, readings), "units": units}
        rows.append(of_pass | _gate_row(title, role, reading, readings))
        before = title
    return rows


def _gate_row(title: str, role: str, reading: Reading, readings: list[Reading]) -> dict[str, Any]:
    """Make one heat map, on the scale of all readings, or a word where the network has no such gate."""
    name = reading.cell.gate_of(role)
    if name is None or title not in reading.passes:
        return {"instead": instead(title, role, reading), "height": _UNIT_HEIGHT * UNITS_SHOWN + 4}
    low, high = scale(title, role, readings)
    return {
        "instead": "",
        "gate": name,
        "sign": sign_of(reading.cell.gates[name]),
        "scale": f"±{high:.2f}" if low < 0 else "0 to 1",
        "height": _UNIT_HEIGHT * min(UNITS_SHOWN, len(reading.rankings[title])),
        "picture": _picture(most_active(reading, title, name), low, high),
    }


def _picture(values: np.ndarray, low: float, high: float) -> str:
    """Draw a heat map of (T, U) with one pixel per number, which the page scales up, as the address of an image."""
    png = io.BytesIO()
    imsave(png, values.T, cmap=SIGNED_COLOURS if low < 0 else GATE_COLOURS, vmin=low, vmax=high)
    return png_address(png.getvalue())


def _scale_bar(low: float, high: float) -> dict[str, str]:
    """Draw all colours of gates, or of numbers with a sign, from the lowest to the highest."""
    picture = _picture(np.linspace(low, high, 64)[:, None], low, high)
    return {"alt": f"from {low:g} to {high:g}", "picture": picture}


def _colour(strength: float) -> str:
    return f"rgba({_FOR if strength > 0 else _AGAINST}, {_STRONGEST * min(abs(float(strength)), 1):.2f})"
