"""See inside the gates: one text, read token by token by a trained LSTM and a trained GRU side by side.

Reads   data/models/<model>-<seed>, data/processed/tokenizer.json
Writes  explanation.png and explanation.html into --output; DVC does not know this folder, and git ignores it
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from unicodedata import combining, east_asian_width

import click
import numpy as np

from pipeline.core.command import PATH, InputError, run, waiting
from pipeline.tools.arguments import Tool, made_folder
from pipeline.tracking.paths import MODELS, TOKENIZER

if TYPE_CHECKING:  # at run time these are imported where they are used: --help must not wait for TensorFlow
    from pipeline.explaining.readings import Reading, Words

# Tokens that the terminal shows: all of a short text, those that matter most of a longer one.
_SHORT, _MOST = 40, 24
_TOKEN_WIDTH, _HALF_BAR = 14, 8
_LIKELIEST = 3  # labels named for each network
# By hand: a bar to both sides of a middle line per token, and one of eight levels per unit. No library in the tree
# draws the levels. rich.bar.Bar draws from one point to another; middle line and colour would take as much code.
_UNITS, _LEVELS = 8, "▁▂▃▄▅▆▇█"  # units of a gate, and how high their bars can be
_GREEN, _MAGENTA, _PLAIN = "\033[32m", "\033[35m", "\033[0m"


def explain(text: str, names: list[str], output: Path) -> str:
    """Read a text with some trained models, and write the picture and the page.

    Args:
        text: what to read.
        names: of the models, folders below `MODELS`, all of one data set.
        output: folder to write.

    Returns:
        The same for a terminal.

    Raises:
        InputError: no word in the text, a model that is not there or has no gates, or another tokenizer.
    """
    from threadpoolctl import threadpool_limits
    from tokenizers import Tokenizer

    from pipeline.explaining import gatefigures, gatepage
    from pipeline.explaining.readings import class_to_explain, read, split
    from pipeline.inside import loading as opening
    from pipeline.reporting import figures
    from pipeline.trained.trained import NETWORK

    cards = opening.cards(MODELS, names, TOKENIZER)
    labels, settings, dataset = cards[0]["labels"], cards[0]["settings"], cards[0]["dataset"]
    words = split(text, Tokenizer.from_file(str(TOKENIZER)), settings)
    networks = [
        opening.checked_network(MODELS / name / NETWORK, card["settings"], words.ids)
        for name, card in zip(names, cards, strict=True)
    ]
    with threadpool_limits(
        limits=1, user_api="blas"
    ):  # on products as small as these, threads cost more than they bring
        code = class_to_explain(networks, words)
        readings = [read(network, name, words, code) for network, name in zip(networks, names, strict=True)]
    title = f"{dataset}: inside the gates"
    notes = _notes(words, readings)
    made_folder(output)
    figures.save(gatefigures.gate_maps(words, readings, labels[code], code, title), output / "explanation.png")
    page = gatepage.page(words, readings, labels[code], code, title, notes)
    (output / "explanation.html").write_text(page, encoding="utf-8")
    shown = [*notes, *_table(words, readings, labels[code], code), *_likeliest(readings, labels)]
    return "\n".join([*shown, *(line for reading in readings for line in _gates(words, readings, reading))])


def _notes(words: "Words", readings: "list[Reading]") -> list[str]:
    from pipeline.tokens.clipping import read_ends

    notes = []
    if rereading := [reading.name for reading in readings if reading.rereads]:
        notes.append(
            f"Some networks also read from the end: {', '.join(rereading)}. For p after each token, they read the text"
            " up to this token as a text of its own. Gates and states are those of the whole text."
        )
    if words.unread:
        read = read_ends(words.gap, len(words.ids) - words.gap)
        notes.append(f"The networks read the {read} of {len(words.ids) + words.unread} tokens.")
    if words.unknown.all():
        notes.append("No word of this text is in the vocabulary. The networks only see unknown words.")
    elif words.unknown.any():
        notes.append(f"Not in the vocabulary: {_listed(words)}. The networks cannot tell these words from each other.")
    return notes


def _listed(words: "Words") -> str:
    unknown = list(dict.fromkeys(token for token, new in zip(words.tokens, words.unknown, strict=True) if new))
    return ", ".join(unknown[:10]) + (f" and {len(unknown) - 10} more" if len(unknown) > 10 else "")


def _table(words: "Words", readings: "list[Reading]", label: str, code: int) -> list[str]:
    """Write a line per token: for each network p so far, as a number and a bar, and the log-odds lost by blanking."""
    rows = _rows_to_show(readings)
    width = 2 * _HALF_BAR + 15
    lines = [f"p({label}) if the text ended here, and the log-odds (nats) lost when the token is blanked:", ""]
    lines.append(f"{'':{_TOKEN_WIDTH}}" + "".join(f"  {_title(reading):<{width}}" for reading in readings).rstrip())
    for previous, row in zip([-1, *rows], rows, strict=False):
        if row > previous + 1:
            lines.append(f"  … {row - previous - 1}")
        cells = "".join(
            f"  {p:.2f} {_bar(p, reading.probabilities.shape[1])} {reading.occlusion[row]:+6.2f} "
            for reading in readings
            for p in (reading.probabilities[row, code],)
        )
        lines.append(f"{_column(words, row)}{cells}".rstrip())
    if rows[-1] < len(words.ids) - 1:
        lines.append(f"  … {len(words.ids) - 1 - rows[-1]}")
    ends = (f"{_title(reading)} {reading.probabilities[-1, code]:.3f}" for reading in readings)
    return [*lines, "", f"p({label}) of the whole text: {', '.join(ends)}"]


def _likeliest(readings: "list[Reading]", labels: list[str]) -> list[str]:
    """Name the labels that each network finds most likely for the whole text, where there are more than two."""
    if len(labels) == 2:
        return []
    lines = [f"most likely for the whole text (of {len(labels)} labels):"]
    for reading in readings:
        p = reading.probabilities[-1]
        first = np.argsort(-p, kind="stable")[:_LIKELIEST]
        lines.append(f"  {_title(reading)}: {', '.join(f'{labels[code]} {p[code]:.3f}' for code in first)}")
    return lines


def _gates(words: "Words", readings: "list[Reading]", reading: "Reading") -> list[str]:
    """Write a line per token for every pass, with a bar per unit in every gate and state."""
    lines = []
    for title, gates in reading.passes.items():
        units = reading.rankings[title][:_UNITS]
        kinds = reading.cell.gates
        limits = {name: 1.0 if kinds[name].opens else float(np.abs(v[:, units]).max()) for name, v in gates.items()}
        where = f", {title}" if len(reading.passes) > 1 else ""
        lines += [
            "",
            f"{_title(reading)}{where}: units {', '.join(map(str, units))}, those with the largest effect first",
        ]
        scales = (f"{kinds[name].symbol} {name}" for name in gates)
        lines.append(
            f"{', '.join(scales)}; gates: ▁ 0 to █ 1; others: ▁ negative, ▄ zero, █ positive,"
            " up to the number in the heading:"
        )
        ranges = {name: "" if kinds[name].opens else f" {limits[name]:.2f}" for name in gates}
        heads = (kinds[name].symbol + ranges[name] for name in gates)
        lines.append(f"{'':{_TOKEN_WIDTH}}" + "".join(f"  {head:<{_UNITS}}" for head in heads).rstrip())
        for row in _rows_to_show(readings):
            cells = (_levels(values[row, units], kinds[name].opens, limits[name]) for name, values in gates.items())
            lines.append(_column(words, row) + "".join(f"  {cell:<{_UNITS}}" for cell in cells).rstrip())
    return lines


def _levels(values: np.ndarray, opens: bool, limit: float) -> str:
    """Draw a bar per unit: from 0 to 1 for a gate, from -limit to limit for values with a sign."""
    shares = values if opens else (values / (limit or 1.0) + 1) / 2
    return "".join(_LEVELS[min(int(share * len(_LEVELS)), len(_LEVELS) - 1)] for share in shares)


def _column(words: "Words", row: int) -> str:
    """Fit a token into its column; letters of Chinese, Japanese and Korean are two wide, marks on letters none."""
    token = "".join(letter for letter in words.tokens[row] if letter.isprintable())
    mark = "?" if words.unknown[row] else ""
    shown = token + mark
    while _width(shown) > _TOKEN_WIDTH:
        token = token[:-1]
        shown = f"{token}…{mark}"
    return shown + " " * (_TOKEN_WIDTH - _width(shown))


def _width(text: str) -> int:
    return sum(0 if combining(letter) else 1 + (east_asian_width(letter) in "WF") for letter in text)


def _title(reading: "Reading") -> str:
    return f"{reading.cell.title} ({reading.name})"


def _rows_to_show(readings: "list[Reading]") -> list[int]:
    """Choose all tokens of a short text; of a long one those that matter most to any network, in their order."""
    weights = [max(abs(lost) for lost in of_token) for of_token in zip(*(r.occlusion for r in readings), strict=True)]
    count = len(weights) if len(weights) <= _SHORT else _MOST
    return sorted(sorted(range(len(weights)), key=lambda place: -weights[place])[:count])


def _bar(p: float, classes: int) -> str:
    """Draw a bar from the middle (1 / classes): to the right for the class, to the left against it."""
    even = 1 / classes
    leaning = (p - even) / ((1 - even) if p > even else even)
    length = round(abs(leaning) * _HALF_BAR)
    colour = _GREEN if leaning > 0 else _MAGENTA
    left, right = ("", "█" * length) if leaning > 0 else ("█" * length, "")
    bar = f"{left:>{_HALF_BAR}}│{right:<{_HALF_BAR}}"
    coloured = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and length
    return bar.replace("█" * length, f"{colour}{'█' * length}{_PLAIN}") if coloured else bar


@click.command(cls=Tool)
@click.argument("text")
@click.option("--models", help="Names such as lstm-1,gru-1. Default: the first seed of each model.")
@click.option("--output", type=PATH, default="data/explain", show_default=True, help="Folder to write.")
def main(text: str, models: str | None, output: Path) -> None:
    """Show how trained networks read TEXT, token by token.

    The terminal shows the verdict after each token and the gates of the units that matter most. A picture and a page go
    into the folder --output. TEXT may be -, for standard input.

    \b
    Examples:
      gatewise explain "The acting is wooden, but I loved every minute."
      gatewise explain --models lstm-2,lstm-3 - < review.txt
    """
    text = sys.stdin.read() if text == "-" else text
    if not text.strip():
        raise InputError("the text is empty")
    from pipeline.core.params import read_params
    from pipeline.inside.loading import names

    asked = names(models, read_params())
    with waiting(f"read the text with {' and '.join(asked)}"):
        shown = explain(text, asked, output)
    print(shown)
    print(f"\nthe gates: {output}/explanation.html (in a browser), explanation.png")


if __name__ == "__main__":
    run(main)
