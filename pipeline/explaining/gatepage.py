"""One text read by networks, as a single HTML file: no scripts, nothing loaded from elsewhere, any width of screen."""

import base64
import io
from html import escape

import numpy as np
from matplotlib.image import imsave

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

# Pixels. The tokens of a short text fill the width of a phone; a long text scrolls.
_STRIP_WIDTH, _NARROWEST, _WIDEST, _UNIT_HEIGHT = 400, 26, 48, 6
_UNREAD_SHOWN = 200  # characters of what the network does not read, beside what it does
# For and against the class. Purple and green: told apart by the colour-blind, and neither is the colour of a model.
_FOR, _AGAINST = "90, 174, 97", "153, 112, 171"
_STRONGEST = 0.7  # opacity at which text stays readable on both, on light and dark pages

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5f6670; --page: #f5f6f8; --card: #fff; --line: #dcdfe4;
  --for: rgb(90, 174, 97); --against: rgb(153, 112, 171); }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e8eaed; --soft: #a3aab4; --page: #15171a; --card: #1f2226; --line: #363b42; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1500px; padding: 16px; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.35rem; line-height: 1.3; margin: 0 0 4px; }
h2 { font-size: 1.1rem; margin: 0; }
h3 { font-size: .85rem; font-weight: 600; color: var(--soft); margin: 18px 0 4px; }
p { margin: 0 0 8px; }
.note { color: var(--soft); font-size: .85rem; }
.cards { display: grid; gap: 16px; margin-bottom: 12px;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 560px), 1fr)); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px; min-width: 0; }
.model { display: inline-block; width: .75em; height: .75em; border-radius: 50%; }
.text { line-height: 1.9; overflow-wrap: anywhere; white-space: pre-wrap; }
.long { max-height: 16em; overflow-y: auto; }
.text span { border-radius: 4px; padding: 2px 1px; }
.unknown { text-decoration: underline dotted; }
.unread { color: var(--soft); }
.key { display: inline-block; border-radius: 4px; padding: 0 6px; font-size: .85rem; }
.strip { overflow-x: auto; }
.strip table { border-collapse: collapse; }
.strip th { position: sticky; left: 0; z-index: 1; background: var(--card); text-align: left; font-weight: 400;
  font-size: .75rem; line-height: 1.2; padding: 2px 8px 2px 0; min-width: 84px; }
.strip td { padding: 2px 0; }
.strip .units { color: var(--soft); font-size: .75rem; padding-top: 10px; }
.strip .units span { position: sticky; left: 92px; }
.strip .none { color: var(--soft); font-size: .8rem; }
.tokens { display: flex; align-items: flex-end; padding-top: 6px; }
.tokens span { writing-mode: vertical-rl; transform: rotate(180deg); display: flex; align-items: center;
  font-size: .8rem; white-space: nowrap; max-height: 9em; overflow: hidden; }
.strip img, .strip svg { display: block; image-rendering: pixelated; }
.scale { height: .8em; width: 6em; vertical-align: baseline; }
details { margin-top: 14px; }
summary { cursor: pointer; }
.numbers { overflow-x: auto; }
.numbers table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .85rem; }
.numbers th { text-align: right; font-weight: 600; }
.numbers td, .numbers th { padding: 1px 10px 1px 0; text-align: right; white-space: nowrap; }
.numbers td:first-child, .numbers th:first-child { text-align: left; }
"""


def page(words: Words, readings: list[Reading], label: str, code: int, title: str, notes: list[str]) -> str:
    """The whole page.

    Args:
        words: the text.
        readings: a card each.
        label: name of the class that is explained.
        code: its code.
        title: what is shown.
        notes: sentences about this text, shown below the title.
    """
    strongest = max(float(np.abs(reading.occlusion).max()) for reading in readings) or 1.0
    keys = f"{_key(_FOR, f'for {label}')} {_key(_AGAINST, f'against {label}')}"
    cards = "".join(_card(words, reading, readings, label, code, strongest) for reading in readings)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f"<h1>{escape(title)}</h1>\n"
        + "".join(f'<p class="note">{escape(note)}</p>\n' for note in notes)
        + f"<p>{keys}</p>\n"
        + f'<div class="cards">{cards}</div>\n'
        f'<p class="note">Heat maps: one line per unit, the {UNITS_SHOWN} of a layer whose states matter most to the '
        f"verdict, the strongest on top. Gates: 0 {_scale_bar(0, 1)} 1; a forget or update gate of 1 keeps what the "
        f"unit remembers, 0 forgets it. Candidates and states: negative {_scale_bar(-1, 1)} positive, white is zero; "
        "how far they go stands beside each. Log-odds are in nats.</p>\n</body>\n</html>\n"
    )


def _card(words: Words, reading: Reading, readings: list[Reading], label: str, code: int, strongest: float) -> str:
    so_far = reading.verdicts[:, code]
    even = 1 / reading.verdicts.shape[1]
    leaning = np.where(so_far > even, (so_far - even) / (1 - even), (so_far - even) / even)
    hints = [
        f"p({label}) so far {p:.2f}; blanked: {lost:+.2f} nats"
        for p, lost in zip(so_far, reading.occlusion, strict=True)
    ]
    return (
        f'<section class="card"><h2><span class="model" style="background:{reading.cell.colour}"></span> '
        f"{reading.cell.title} <small>({escape(reading.name)})</small>: "
        f"p({escape(label)}) = {so_far[-1]:.2f}</h2>\n"
        f"<h3>The verdict had the text ended here</h3>{_text(words, leaning, hints)}"
        f"<h3>What each token speaks for (log-odds lost when it is blanked)</h3>"
        f"{_text(words, reading.occlusion / strongest, hints)}"
        f"<h3>Inside the gates, token by token</h3>{_strip(words, reading, readings, label, leaning, hints)}"
        f"{_numbers(words, reading, label, so_far)}</section>\n"
    )


def _text(words: Words, strengths: np.ndarray, hints: list[str]) -> str:
    """The text as it came, each token on a colour from -1 (against) to 1 (for), with its numbers as a hint."""
    parts, end = [], 0
    for place, (span, strength, hint, unknown) in enumerate(
        zip(words.spans, strengths, hints, words.unknown, strict=True)
    ):
        before = words.text[end : span[0]]
        parts.append(_unread(before, end) if words.unread and place == words.gap else escape(before))
        parts.append(
            f'<span{" class=unknown" if unknown else ""} style="background:{_colour(strength)}" '
            f'title="{escape(hint)}">{escape(words.text[span[0] : span[1]])}</span>'
        )
        end = span[1]
    rest = words.text[end:]
    parts.append(_unread(rest, end) if words.unread and words.gap == len(words.ids) else escape(rest))
    return f'<p class="text{" long" if len(words.ids) > 150 else ""}">{"".join(parts)}</p>'


def _unread(text: str, start: int) -> str:
    """What was not read, from this place of the text on; of much of it, the part beside what was read last."""
    if len(text) > _UNREAD_SHOWN:
        text = f"{text[:_UNREAD_SHOWN]} …" if start else f"… {text[-_UNREAD_SHOWN:]}"
    return f'<span class="unread">{escape(text)}</span>'


def _strip(
    words: Words, reading: Reading, readings: list[Reading], label: str, leaning: np.ndarray, hints: list[str]
) -> str:
    """A table that scrolls sideways: tokens on top, the verdict so far, and a heat map per gate."""
    token_width = min(max(_STRIP_WIDTH // len(words.ids), _NARROWEST), _WIDEST)
    names = "".join(
        f'<span style="width:{token_width}px" title="{escape(hint)}">{escape(token)}</span>'
        for token, hint in zip(words.tokens, hints, strict=True)
    )
    width = token_width * len(words.ids)
    rows = [f'<tr><th></th><td><div class="tokens" style="width:{width}px">{names}</div></td></tr>']
    rows.append(f"<tr><th>p({escape(label)}) so far</th><td>{_bars(leaning, token_width)}</td></tr>")
    before = None
    for title, role in rows_of(readings):
        if title != before:
            rows.append(_pass_row(title, reading, readings))
        rows.append(_gate_row(title, role, reading, readings, width))
        before = title
    return f'<div class="strip" tabindex="0"><table>{"".join(rows)}</table></div>'


def _pass_row(title: str, reading: Reading, readings: list[Reading]) -> str:
    """The name of a pass, where there are several, and the units that its heat maps show."""
    units = f"units, from the top: {unit_names(reading, title)}" if title in reading.passes else ""
    return f'<tr><th><b>{pass_label(title, readings)}</b></th><td class="units"><span>{units}</span></td></tr>'


def _gate_row(title: str, role: str, reading: Reading, readings: list[Reading], width: int) -> str:
    """One heat map, on the scale of all readings, or a word where the network has no such gate."""
    name = reading.cell.gate_of(role)
    if name is None or title not in reading.passes:
        why = escape(instead(title, role, reading))
        return f'<tr><th></th><td class="none" style="height:{_UNIT_HEIGHT * UNITS_SHOWN + 4}px">{why}</td></tr>'
    height = _UNIT_HEIGHT * min(UNITS_SHOWN, len(reading.rankings[title]))
    low, high = scale(title, role, readings)
    picture = _picture(most_active(reading, title, name), low, high)
    return (
        f"<tr><th>{name}<br>({sign_of(reading.cell.gates[name])})<br>{f'±{high:.2f}' if low < 0 else '0 to 1'}</th>"
        f'<td><img alt="{name}" width="{width}" height="{height}" src="{picture}"></td></tr>'
    )


def _bars(leaning: np.ndarray, token_width: int) -> str:
    """A bar per token, up for and down against the class."""
    bars = "".join(
        f'<rect x="{token_width * place + 3}" y="{30 - 28 * max(value, 0):.1f}" width="{token_width - 6}" '
        f'height="{28 * abs(value):.1f}" fill="var(--{"for" if value > 0 else "against"})"/>'
        for place, value in enumerate(leaning)
    )
    width = token_width * len(leaning)
    middle = f'<path d="M0 30H{width}" stroke="var(--soft)"/>'
    return f'<svg width="{width}" height="60" role="img" aria-label="the verdict so far">{bars}{middle}</svg>'


def _picture(values: np.ndarray, low: float, high: float) -> str:
    """A heat map of (T, U) with one pixel per number, which the page scales up, as the address of an image."""
    png = io.BytesIO()
    imsave(png, values.T, cmap=SIGNED_COLOURS if low < 0 else GATE_COLOURS, vmin=low, vmax=high)
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"


def _scale_bar(low: float, high: float) -> str:
    """All colours of gates, or of numbers with a sign, from the lowest to the highest."""
    picture = _picture(np.linspace(low, high, 64)[:, None], low, high)
    return f'<img class="scale" alt="from {low:g} to {high:g}" src="{picture}">'


def _numbers(words: Words, reading: Reading, label: str, so_far: np.ndarray) -> str:
    rows = "".join(
        f"<tr><td>{escape(token)}</td><td>{p:.3f}</td><td>{lost:+.3f}</td><td>{slope:+.3f}</td></tr>"
        for token, p, lost, slope in zip(words.tokens, so_far, reading.occlusion, reading.gradient, strict=True)
    )
    return (
        f'<details><summary>The numbers</summary><div class="numbers"><table><tr><th>token</th>'
        f"<th>p({escape(label)}) so far</th><th>blanked (nats)</th><th>gradient × input (nats)</th></tr>"
        f"{rows}</table></div></details>"
    )


def _colour(strength: float) -> str:
    return f"rgba({_FOR if strength > 0 else _AGAINST}, {_STRONGEST * min(abs(float(strength)), 1):.2f})"


def _key(colour: str, name: str) -> str:
    return f'<span class="key" style="background:rgba({colour}, {_STRONGEST})">{escape(name)}</span>'
