"""Say the verdict of a comparison in a few signs, for the name of its run: `LSTM = GRU < n-grams (+2.6)`.

The better model stands on the right. `=` is a difference that is not significant after Holm's correction, `?` one that
a single seed cannot decide, and the number is the difference in points of accuracy, or of macro F1.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

from pipeline.comparison.statistics import SIGNIFICANCE
from pipeline.comparison.titles import title_of
from pipeline.trained.names import ModelName

_BASELINE_TITLE = "n-grams"


def headline(
    scores: Mapping[str, float], differences: Sequence[Mapping[str, Any]], nothing: Collection[str] = ()
) -> str:
    """Set the models in the order of their scores, with a sign between neighbours.

    Args:
        scores: of every model, means over its seeds.
        differences: of every pair, as statistics.json has them.
        nothing: the models that have learnt nothing.

    Returns:
        The line. Where models that are not neighbours differ and all between them do not, these pairs follow; models
        that have learnt nothing come last.
    """
    if len(nothing) == len(scores):
        return "nothing learnt"
    ranking = sorted(scores, key=lambda model: scores[model])
    signs = {pair: _sign(*pair, differences) for pair in combinations(ranking, 2)}
    line = _title(ranking[0])
    for worse, better in pairwise(ranking):
        sign = signs[worse, better]
        line += f" {sign} {_title(better)}"
        if sign == "<":
            line += f" ({100 * (scores[better] - scores[worse]):+.1f})"
    for (worse, better), sign in signs.items():
        between = ranking[ranking.index(worse) : ranking.index(better) + 1]
        if sign == "<" and all(signs[pair] != "<" for pair in pairwise(between)):
            line += f", {_title(worse)} < {_title(better)}"
    return f"{line}; nothing learnt: {', '.join(map(_title, nothing))}" if nothing else line


def _sign(worse: str, better: str, differences: Sequence[Mapping[str, Any]]) -> str:
    (row,) = (row for row in differences if {row["first"], row["second"]} == {worse, better})
    seeds = dict(zip((row["first"], row["second"]), row["seeds"], strict=True))
    if any(number == 1 for model, number in seeds.items() if not ModelName.parse(model).is_baseline):
        return "?"
    return "<" if row["holm_p_value"] < SIGNIFICANCE else "="


def _title(model: str) -> str:
    return _BASELINE_TITLE if ModelName.parse(model).is_baseline else title_of(model)
