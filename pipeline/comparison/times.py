"""The training times of networks in a sentence.

Times are no part of the verdict: they differ from run to run and from machine to machine, and MLflow has them, not DVC.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import mean

from pipeline.comparison.latency import TRAINING_SECONDS
from pipeline.comparison.titles import listed, title_of
from pipeline.trained.names import ModelName
from pipeline.trained.trained import Trained

_FEWEST = 3  # times of a network: of two each, a third of all pairs of equal networks would look apart by chance
SIDE_BY_SIDE = "side by side"  # among the versions and the processor: how many stages ran at once
_AS_FAST = "1.0"  # a ratio of times that reads so is none


@dataclass(frozen=True)
class Times:
    """The training times of one network that are known.

    Attributes:
        seconds: of its runs; above 0.
        environments: the versions and processors with which they were measured.
        is_side_by_side: another stage ran beside at least one of them.
    """

    seconds: tuple[float, ...]
    environments: frozenset[str] = frozenset()
    is_side_by_side: bool = False


def training_times(
    runs: Sequence[Trained],
    timings: Mapping[str, Mapping[str, float]],
    environments: Mapping[str, Mapping[str, str]],
) -> dict[str, Times]:
    """Gather the training times of every network over its runs.

    Args:
        runs: the trained models; the baseline is left out.
        timings: run name to the metrics that MLflow has of it; runs may be missing, and so may times.
        environments: run name to the versions and the processor that MLflow has of it.
    """
    times = {}
    for model in dict.fromkeys(run.model for run in runs if not ModelName.parse(run.model).is_baseline):
        names = [run.name for run in runs if run.model == model]
        seconds = {name: timings[name][TRAINING_SECONDS] for name in names if TRAINING_SECONDS in timings.get(name, {})}
        machines = {", ".join(f"{k} {v}" for k, v in sorted(environments.get(name, {}).items())) for name in seconds}
        beside = any(environments.get(name, {}).get(SIDE_BY_SIDE, "1") != "1" for name in seconds)
        times[model] = Times(tuple(seconds.values()), frozenset(machines), beside)
    return times


def tell_times(times: Mapping[str, Times]) -> str:
    """Say which network trains fastest, and how much faster than every other one.

    One network is faster than another when each of its runs was faster than each of the other's, and the ratio of the
    means does not round to 1.0.

    Returns:
        One sentence or two; empty where fewer than two networks have three times each.
    """
    known = {model: of for model, of in times.items() if len(of.seconds) >= _FEWEST}
    if len(known) < 2:
        return ""
    if len(frozenset[str]().union(*(of.environments for of in known.values()))) > 1:
        return (
            "Training times are not compared: they were not all measured with the same versions on the same processor,"
            " as many at once."
        )
    if any(of.is_side_by_side for of in known.values()):
        means = listed([f"{mean(of.seconds):.0f} s for the {title_of(model)}" for model, of in known.items()])
        return (
            f"Training took {means} (means). Other stages ran beside it, so this does not tell which network is faster;"
            " training with JOBS=1 does."
        )
    fastest, *others = sorted(known, key=lambda model: mean(known[model].seconds))
    slower = {other: ratio for other in others if (ratio := _ratio(known[fastest], known[other]))}
    equal = [f"the {title_of(other)}" for other in others if other not in slower]
    sentences = []
    if slower:
        parts = listed([f"{ratio} times as fast as the {title_of(other)}" for other, ratio in slower.items()])
        runs = " and ".join(dict.fromkeys(str(len(known[model].seconds)) for model in (fastest, *slower)))
        sentences.append(f"The {title_of(fastest)} trains {parts} (means of {runs} runs).")
    if equal:
        sentences.append(f"The training times of {listed([f'the {title_of(fastest)}', *equal])} do not clearly differ.")
    return " ".join(sentences)


def _ratio(fast: Times, slow: Times) -> str:
    """Divide the mean times, to a tenth; empty where the difference is not clear."""
    ratio = f"{mean(slow.seconds) / mean(fast.seconds):.1f}"
    return ratio if max(fast.seconds) < min(slow.seconds) and ratio != _AS_FAST else ""
