"""Titles and colours of models, the same in sentences, tables and pictures. Each cell brings its own."""

from collections.abc import Sequence

from pipeline import cells
from pipeline.core.params import CELLS
from pipeline.trained.names import ModelName

_BASELINE_TITLE, _BASELINE_COLOUR = "n-gram baseline", "#000000"
_UNKNOWN_COLOUR = "#999999"


def title_of(model: ModelName | str) -> str:
    """Give the title of a model: `LSTM` for `lstm`, `LSTM (B)` for `lstm (B)`.

    A cell that an older revision had, and this one has not, keeps its name as its title.
    """
    name = _parsed(model)
    if name.is_baseline:
        title = _BASELINE_TITLE
    elif name.kind in CELLS:
        title = cells.find(name.kind).title
    else:
        title = name.kind
    return f"{title} ({name.side})" if name.side else title


def colour_of(model: ModelName | str) -> str:
    """Give the colour of a model, `#rrggbb`, the same for both revisions."""
    name = _parsed(model)
    if name.is_baseline:
        return _BASELINE_COLOUR
    return cells.find(name.kind).colour if name.kind in CELLS else _UNKNOWN_COLOUR


def listed(words: Sequence[str]) -> str:
    """Join words as a sentence does: one, two and three."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _parsed(model: ModelName | str) -> ModelName:
    return model if isinstance(model, ModelName) else ModelName.parse(model)
