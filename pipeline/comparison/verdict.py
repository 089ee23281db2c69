"""The comparison in one sentence, written by rules: the same numbers always give the same words.

    GRU and LSTM cannot be told apart on imdb (difference 0.1 points, 95 % interval -0.4 to 0.6; 5 seeds); the GRU is
    1.2x faster to train (means of 5 runs) with 25 % fewer recurrent parameters; the n-gram baseline beats both by 3.1
    points.

1. One model beats another when p < 0.05 after Holm's correction over all pairs, those with the baseline included: of
   100 sentences about models that are equally good, about 5 at most name a winner, however many models there are (how
   many it was in simulations stands in docs/statistics.md). Otherwise the two cannot be told apart, and where only the
   correction stands in the way, the sentence says so. The intervals are those of each pair alone.
2. A network with one seed neither beats nor loses: it is ahead or behind (or level, which is a tie), which comes last
   in the sentence: one seed decides nothing. Fewer than three seeds are called "only". The one run of the baseline
   counts, because no seed plays a part in it.
3. Networks come first: the most accurate one against every other one. Those others among themselves are left out.
4. Differences are of accuracy, in points (per cent of the texts), the better model minus the worse.
5. Costs follow where they are known for every network: the fastest to train against the most accurate one or, when
   it is that one, against the second fastest. One is faster when each of its runs was faster than each of the other's,
   and the ratio of the means does not round to 1.0; how many runs were timed stands in brackets. Otherwise there is no
   clear difference, and the one with fewer recurrent parameters is named. Where a network has fewer than two times, one
   of which would be chance, or where not all were measured with the same versions on the same kind of processor, the
   same is said of these parameters alone.
6. The baseline comes last, against every network. With one network this is all there is. Two baselines, of two
   revisions, are compared as two networks are, without seeds.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import mean

from pipeline.comparison.costs import Cost
from pipeline.comparison.statistics import FEW_GROUPS, FEW_SEEDS, SIGNIFICANCE, Difference, holm
from pipeline.trained.trained import kind_of

# What may be said of a model against others.
_BEATS = "beats {others} by {points}"
_LOSES = "loses to {others} by {points}"
_TIES = "cannot be told apart from {others}"
_AHEAD = "is {points} ahead of {others}"
_BEHIND = "is {points} behind {others}"
_ORDER = (_BEATS, _LOSES, _TIES, _AHEAD, _BEHIND)
_UNDECIDED = ", but one seed decides nothing"  # after the last two


@dataclass(frozen=True)
class Told:
    """What the reader of a comparison is told before all numbers.

    Attributes:
        sentences: the verdicts.
        warnings: why not to lean on them too heavily; often none.
    """

    sentences: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class _Relation:
    """What may be said of a model against another one.

    Attributes:
        other: the other model.
        advantage: mean accuracy of the model minus that of the other.
        size: the difference as better minus worse.
        seeds: of the networks among the two; of none of them, no numbers.
        words: one of the five above.
        corrected_away: how many comparisons Holm's correction was for, where it alone made this a tie; otherwise 0.
    """

    other: str
    advantage: float
    size: Difference
    seeds: list[int]
    words: str
    corrected_away: int


def verdict(
    dataset: str,
    differences: Mapping[tuple[str, str], Difference],
    baseline: str | None = None,
    costs: Mapping[str, Cost] | None = None,
    compared: Mapping[tuple[str, str], Difference] | None = None,
) -> str:
    """Say what the differences show, by the rules above.

    Args:
        dataset: what the models were tested on.
        differences: (first, second) to `statistics.paired_difference`, for every pair of models.
        baseline: the kind of model that is no network, if there is one.
        costs: network to its cost; rule 5 says when they are told.
        compared: all pairs that the p-values are corrected for, where other sentences tell of others.

    Raises:
        ValueError: there are fewer than two models, or a pair is missing or there twice.
    """
    relations = _relations(differences, baseline, compared or differences)
    # The more accurate a model is, the more its advantages over all others add up to.
    advantages = {model: sum(relation.advantage for relation in relations[model].values()) for model in relations}
    ranking = sorted(relations, key=lambda model: (-advantages[model], model))
    networks = [model for model in ranking if kind_of(model) != baseline]
    baselines = [model for model in ranking if kind_of(model) == baseline]
    clauses = []
    if len(networks) > 1 or len(baselines) > 1:
        rivals = networks or baselines
        clauses.append(_best(dataset, rivals, relations[rivals[0]], baseline))
    if len(networks) > 1 and costs and set(networks) <= set(costs):
        clauses.append(_costs(networks, costs))
    if networks and baselines:
        against = [relations[baselines[0]][network] for network in networks]
        clauses.append(_baseline(against) if clauses else f"on {dataset}, {_baseline(against)}")
    sentence = "; ".join(clauses)
    return f"{sentence[0].upper()}{sentence[1:]}."


def tell(
    dataset: str,
    differences: Mapping[tuple[str, str], Difference],
    baseline: str | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> Told:
    """The verdict, and the warnings that go with it. The arguments are those of `verdict`."""
    return Told([verdict(dataset, differences, baseline, costs)], warnings(differences, baseline, costs))


def warnings(
    differences: Mapping[tuple[str, str], Difference],
    baseline: str | None = None,
    costs: Mapping[str, Cost] | None = None,
) -> list[str]:
    """Why the numbers are weak, as far as they are. The arguments are those of `verdict`."""
    return [
        *seed_warning(differences, baseline),
        *text_warning(differences.values()),
        *time_warning(list((costs or {}).values())),
    ]


def seed_warning(differences: Mapping[tuple[str, str], Difference], baseline: str | None = None) -> list[str]:
    """Name the networks that have fewer than three seeds, if there are any.

    Args:
        differences: as for `verdict`.
        baseline: the kind of model whose one run is enough.
    """
    few = {
        model: seeds
        for pair, difference in differences.items()
        for model, seeds in zip(pair, difference.seeds, strict=True)
        if kind_of(model) != baseline and seeds < FEW_SEEDS
    }
    if not few:
        return []
    seeds = _seeds(list(few.values())).capitalize()
    names = listed([_name(model, baseline) for model in few])
    return [f"{seeds} for {names}: with fewer than {FEW_SEEDS}, how much a seed matters is hardly known."]


def text_warning(differences: Iterable[Difference]) -> list[str]:
    """Say that there are fewer than thirty test texts, or groups of them, if it is so."""
    groups = min(difference.groups for difference in differences)
    if groups >= FEW_GROUPS:
        return []
    return [
        f"Only {groups} test texts, or groups of them that belong together: with fewer than {FEW_GROUPS}, how much the"
        " choice of texts matters is hardly known."
    ]


def time_warning(costs: Sequence[Cost]) -> list[str]:
    """Say that training times are not comparable, if it is so."""
    if _comparable(costs):
        return []
    return ["Training times are not compared: not all were measured with the same versions on the same processor."]


def listed(words: Sequence[str]) -> str:
    """One, two and three."""
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _comparable(costs: Sequence[Cost]) -> bool:
    """Whether all training times were measured alike."""
    return len(set().union(*(cost.environments for cost in costs))) < 2


def _relations(
    differences: Mapping[tuple[str, str], Difference],
    baseline: str | None,
    compared: Mapping[tuple[str, str], Difference],
) -> dict[str, dict[str, _Relation]]:
    """Model to other model to what may be said, in the order of the pairs."""
    models = list(dict.fromkeys(model for pair in differences for model in pair))
    all_pairs = {frozenset(pair) for pair in combinations(models, 2)}
    if not all_pairs or len(differences) != len(all_pairs) or {frozenset(pair) for pair in differences} != all_pairs:
        raise ValueError(f"a verdict needs each pair of two or more models once. Received: {[*differences]}")
    adjusted = dict(zip(compared, holm([difference.p_value for difference in compared.values()]), strict=True))
    relations: dict[str, dict[str, _Relation]] = {model: {} for model in models}
    for (first, second), difference in differences.items():
        p_value = adjusted[first, second]
        seeds = [
            number
            for model, number in zip((first, second), difference.seeds, strict=True)
            if kind_of(model) != baseline
        ]
        for model, other, seen in ((first, second, difference), (second, first, -difference)):
            better = seen.mean >= 0
            if 1 in seeds and seen.mean != 0:
                words = _AHEAD if better else _BEHIND
            elif p_value < SIGNIFICANCE:
                words = _BEATS if better else _LOSES
            else:
                words = _TIES
            corrected_away = len(compared) if words == _TIES and seen.p_value < SIGNIFICANCE else 0
            size = seen if better else -seen
            relations[model][other] = _Relation(other, seen.mean, size, seeds, words, corrected_away)
    return relations


def _best(dataset: str, models: list[str], relations: Mapping[str, _Relation], baseline: str | None) -> str:
    """The most accurate of some networks, or of two baselines, against the others, with intervals."""
    best, *others = [_name(model, baseline) for model in models]
    against = [relations[model] for model in models[1:]]
    if len(others) == 1 and against[0].words == _TIES:
        return f"{best} and {others[0]} cannot be told apart on {dataset} {_figures(against)}"
    subject = best if len(others) == 1 else f"{best}, the most accurate of {len(models)} networks on {dataset},"
    where = f" on {dataset}" if len(others) == 1 else ""
    parts = []
    groups = _grouped(against)
    for group in groups:
        names = listed([_name(relation.other, baseline) for relation in group])
        parts.append(f"{_said(group, names + where)} {_figures(group)}")
    return f"{subject} {_joined(groups, parts)}"


def _baseline(against: list[_Relation]) -> str:
    """The baseline against all networks; with intervals where there is but one."""
    parts = []
    groups = _grouped(against)
    for group in groups:
        names = listed([f"the {relation.other.upper()}" for relation in group])
        tie = group[0].words == _TIES
        if len(group) == len(against) > 1:
            number = len(against)
            names = ("either" if tie else "both") if number == 2 else f"any of the {number}" if tie else f"all {number}"
        said = _said(group, names)
        if len(against) == 1:
            said += f" {_figures(group)}"
        elif tie:
            said += f" ({'; '.join([_differences(group), *_corrected_away(group)])})"
        parts.append(said)
    return f"the n-gram baseline {_joined(groups, parts)}"


def _costs(networks: list[str], costs: Mapping[str, Cost]) -> str:
    """The network that is fastest to train, and how many recurrent parameters it has, against another one."""
    times = {network: costs[network].training_seconds for network in networks}
    sizes = {network: costs[network].recurrent_parameters for network in networks}
    known = min(map(len, times.values())) > 1 and _comparable([costs[network] for network in networks])
    means = {network: mean(times[network]) for network in networks} if known else sizes
    cheapest, second, *_ = sorted(networks, key=means.__getitem__)
    pair = [cheapest, second if cheapest == networks[0] else networks[0]]
    ratio = f"{means[pair[1]] / means[pair[0]]:.1f}"
    faster = known and max(times[pair[0]]) < min(times[pair[1]]) and ratio != "1.0"
    if not faster:
        pair.sort(key=sizes.__getitem__)
    share = sizes[pair[0]] / sizes[pair[1]]
    change = f"{100 * abs(share - 1):.0f} %"
    amount = "as many" if change == "0 %" else f"{change} {'fewer' if share < 1 else 'more'}"
    if share >= 2:
        amount = f"{share:.1f}x as many"
    name, other = (network.upper() for network in pair)
    if faster:
        than = f" than the {other}" if len(networks) > 2 else ""
        runs = " and ".join(dict.fromkeys(str(len(times[network])) for network in pair))
        return f"the {name} is {ratio}x faster to train{than} (means of {runs} runs) with {amount} recurrent parameters"
    size = f"the {name} has {amount} recurrent parameters"
    if known:
        return f"the training times of {name} and {other} do not clearly differ, and {size}"
    return f"{size} {'as' if 'as many' in amount else 'than'} the {other}"


def _grouped(relations: Sequence[_Relation]) -> list[list[_Relation]]:
    """Relations of which the same is said, together."""
    groups = ([relation for relation in relations if relation.words == words] for words in _ORDER)
    return [group for group in groups if group]


def _joined(groups: Sequence[Sequence[_Relation]], parts: Sequence[str]) -> str:
    """The parts, one per group, with the reservation about single seeds at the end, which the last ones need."""
    words = [group[0].words for group in groups]
    if words[-2:] == [_AHEAD, _BEHIND]:
        parts = [*parts[:-1], parts[-1].removeprefix("is ")]
    return listed(parts) + (_UNDECIDED if words[-1] in (_AHEAD, _BEHIND) else "")


def _said(group: Sequence[_Relation], names: str) -> str:
    """The words of the group, with the smallest to the largest difference in it."""
    return group[0].words.format(others=names, points=_points([relation.size.mean for relation in group]))


def _figures(group: Sequence[_Relation]) -> str:
    """In brackets: the differences unless the words say them, the intervals, and how many seeds they rest on."""
    seeds = [number for relation in group for number in relation.seeds]
    alone = " over texts alone" if 1 in seeds else ""
    intervals = listed([f"{_point(relation.size.low)} to {_point(relation.size.high)}" for relation in group])
    interval = f"95 % interval{'s' if len(group) > 1 else ''}{alone} {intervals}"
    differences = [_differences(group)] if group[0].words == _TIES else []
    resting = [_seeds(seeds)] if seeds else []
    return f"({'; '.join([', '.join([*differences, interval]), *resting, *_corrected_away(group)])})"


def _differences(group: Sequence[_Relation]) -> str:
    points = _points([relation.size.mean for relation in group])
    return f"{'differences' if ' to ' in points else 'difference'} {points}"


def _corrected_away(group: Sequence[_Relation]) -> list[str]:
    """A note on the relations that only Holm's correction made a tie, if there are any."""
    ties = [relation for relation in group if relation.corrected_away]
    if not ties:
        return []
    against = f" against {listed([relation.other.upper() for relation in ties])}" if len(group) > 1 else ""
    return [f"p < {SIGNIFICANCE}{against} before Holm's correction for {ties[0].corrected_away} comparisons"]


def _name(model: str, baseline: str | None) -> str:
    return f"the n-gram {model}" if kind_of(model) == baseline else model.upper()


def _points(values: Sequence[float]) -> str:
    """The smallest to the largest of some differences."""
    ends = dict.fromkeys([_point(min(values)), _point(max(values))])
    return f"{' to '.join(ends)} points"


def _point(value: float) -> str:
    """A difference in points to a tenth; to a hundredth where it would look like none."""
    for digits in (1, 2):
        rounded = f"{100 * value:.{digits}f}"
        if float(rounded) != 0:
            return rounded
    return "0.0"


def _seeds(numbers: Sequence[int]) -> str:
    only = "only " if min(numbers) < FEW_SEEDS else ""
    ends = " to ".join(dict.fromkeys([str(min(numbers)), str(max(numbers))]))
    return f"{only}{ends} seed{'' if max(numbers) == 1 else 's'}"
