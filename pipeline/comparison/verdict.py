"""The comparison in a few sentences, written by rules: the same numbers always give the same words.

    GRU and LSTM cannot be told apart on imdb (difference 0.1 points, 95 % interval -0.4 to 0.6; 5 seeds). The GRU has
    25 % fewer recurrent parameters than the LSTM. The n-gram baseline beats both by 3.1 points.

1. One model beats another when p < 0.05 after Holm's correction over all pairs, those with the baseline included: of
   100 sentences about models that are equally good, about 5 at most name a winner, however many models there are
   (docs/statistics.md has the simulations). Otherwise the two cannot be told apart. Where only the correction stands
   in the way, or the difference is of two points or more, the sentence says why. The intervals are those of each pair
   alone.
2. A network with one seed neither beats nor loses. Where others would, it is ahead or behind. This comes last in the
   sentence: one seed decides nothing. Fewer than three seeds are called "only". The one run of the baseline counts,
   because no seed plays a part in it.
3. Networks come first: the most accurate one against every other one. Those others among themselves are left out.
4. Differences are of accuracy, in points (per cent of the texts), or of macro F1, and then the first sentence says so.
   They are the better model minus the worse, so that none is negative. Where there is none, no number is given.
5. Sizes follow where they are known for every network: the smallest against the most accurate one or, when it is that
   one, against the second smallest. Times have sentences of their own (times.py): MLflow knows them, and not DVC.
6. The baseline comes last, against every network. With one network this is all there is. Two baselines, of two
   revisions, are compared as two networks are, without seeds.
7. Models that are not better than the constant answer with the most frequent class have learnt nothing. A paragraph in
   front says so, and they are not compared with each other.
8. Warnings follow: few seeds, few texts, classes that a model never gives, and pairs that macro F1 tells apart where
   accuracy, which decides, does not show it.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from pipeline.comparison.classes import never_given
from pipeline.comparison.comparison import AtEdge, Findings, Unfinished
from pipeline.comparison.majority import Majority
from pipeline.comparison.statistics import FEW_GROUPS, FEW_SEEDS, SIGNIFICANCE, Difference, better_first, holm
from pipeline.comparison.titles import listed, title_of
from pipeline.core.params import Metric
from pipeline.trained.names import ModelName
from pipeline.trained.scores import TITLES

# The five things that may be said of a model against others.
_BEATS = "beats {others} by {points}"
_LOSES = "loses to {others} by {points}"
_EQUAL = "cannot be told apart"
_TIES = f"{_EQUAL} from {{others}}"
_AHEAD = "is {points} ahead of {others}"
_BEHIND = "is {points} behind {others}"
_ORDER = (_BEATS, _LOSES, _TIES, _AHEAD, _BEHIND)
_NONE = "0.0"  # a difference of no points
_LARGE = 0.02  # a difference that nobody takes for none
_CLASSES_NAMED = 5  # that are never given
_UNDECIDED = ", but one seed decides nothing"  # after the last two

Pairs = Mapping[tuple[str, str], Difference]


@dataclass(frozen=True)
class Verdict:
    """The sentences that a reader of a comparison sees before all numbers.

    Attributes:
        sentences: which model is better, a paragraph each.
        warnings: reasons to trust the sentences less; often none.
    """

    sentences: list[str]
    warnings: list[str]


@dataclass(frozen=True)
class _Relation:
    """A model against another one.

    Attributes:
        other: the other model.
        advantage: mean accuracy of the model minus that of the other.
        size: the difference as better minus worse.
        seeds: of the networks among the two; of none of them, no numbers.
        words: one of the five above.
        corrected_away: the number of comparisons that Holm's correction was for, where the correction alone made this
            a tie; otherwise 0.
    """

    other: ModelName
    advantage: float
    size: Difference
    seeds: list[int]
    words: str
    corrected_away: int


Relations = dict[ModelName, dict[ModelName, _Relation]]


def tell(dataset: str, findings: Findings, sizes: Mapping[str, int] | None = None) -> Verdict:
    """Write the verdict on all pairs of some models, and its warnings. The other arguments are those of `verdict`."""
    differences, nothing = findings.differences, findings.nothing
    told = verdict(dataset, differences, sizes, nothing=nothing, metric=findings.metric)
    sentences = [*without_learning(dataset, findings.majority), *[told] * bool(told)]
    weak = [*warnings(differences), *class_warnings(findings), *epoch_warnings(findings.unfinished)]
    return Verdict(sentences, [*weak, *strength_warnings(findings.at_edge)])


def without_learning(dataset: str, majority: Majority | None) -> list[str]:
    """Say which models are not better than the constant answer: a paragraph, or none."""
    if majority is None:
        return []
    constant = f"the constant answer “{majority.label}”"
    score = f"{TITLES[majority.metric]} {100 * majority.score:.1f} %"
    undecided = [model for model in majority.undecided if model not in majority.elsewhere]
    nothing = [model for model in majority.nothing if model not in [*majority.elsewhere, *undecided]]
    sentences = []
    if len(nothing) == len(majority.differences):
        return [f"Nothing was learnt on {dataset}: no model is better than {constant} ({score})."]
    if undecided:
        names = listed([_with_article(ModelName.parse(model)) for model in undecided])
        of_undecided = [majority.differences[model] for model in undecided]
        ahead = max(of_undecided, key=lambda difference: difference.mean)
        largest = " of the largest" if len(undecided) > 1 else ""
        sentences.append(
            f"It is not shown that {names} learnt anything on {dataset}: being ahead of {constant} ({score}) by"
            f" {_points([difference.mean for difference in of_undecided])} may be chance (95 % interval{largest}"
            f" {_interval(ahead)}), since {ahead.groups:,} independent texts are too few to tell."
        )
    if nothing:
        names = _sentence(listed([_with_article(ModelName.parse(model)) for model in nothing]))
        one = len(nothing) == 1
        verb, same = ("has", "it is") if one else ("have", "they are")
        sentences.append(f"{names} {verb} learnt nothing on {dataset}: {same} not better than {constant} ({score}).")
    if majority.elsewhere:
        names = _sentence(listed([_with_article(ModelName.parse(model)) for model in majority.elsewhere]))
        points = _points([difference.mean for difference in majority.elsewhere.values()])
        verb = "is" if len(majority.elsewhere) == 1 else "are"
        sentences.append(
            f"{names} {verb} not better than {constant} in accuracy ({100 * majority.score:.1f} %), but in macro F1, by"
            f" {points}: with `metric: macro_f1`, that decides."
        )
    return [" ".join(sentences)] if sentences else []


def verdict(
    dataset: str,
    differences: Pairs,
    sizes: Mapping[str, int] | None = None,
    compared: Pairs | None = None,
    nothing: Collection[str] = (),
    metric: Metric = "accuracy",
) -> str:
    """Say what the differences show, by the rules above.

    Args:
        dataset: what the models were tested on.
        differences: (first, second) to `statistics.paired_difference`, for every pair of models.
        sizes: network to the number of its recurrent parameters; rule 5.
        compared: all pairs that the p-values are corrected for, where other sentences tell of others.
        nothing: the models that have learnt nothing; rule 7.
        metric: what the differences are of.

    Raises:
        ValueError: there are fewer than two models, or a pair is missing or there twice.
    """
    relations = _relations(differences, compared or differences)
    where = dataset if metric == "accuracy" else f"{dataset} in {TITLES[metric]}"
    # The better a model is, the more its advantages over all others add up to.
    advantages = {model: sum(relation.advantage for relation in relations[model].values()) for model in relations}
    ranking = sorted(relations, key=lambda model: (-advantages[model], str(model)))
    networks = [model for model in ranking if not model.is_baseline]
    baselines = [model for model in ranking if model.is_baseline]
    rivals = networks if len(networks) > 1 else baselines if len(baselines) > 1 else []
    told = [model for model in rivals[1:] if not {str(rivals[0]), str(model)} <= set(nothing)]
    sentences = []
    if told:
        superlative = "most accurate" if metric == "accuracy" else "best"
        sentences.append(_best(where, rivals[0], told, relations[rivals[0]], len(rivals), superlative))
    if told and networks == rivals and sizes and {str(network) for network in networks} <= set(sizes):
        sentences.append(_sizes(networks, sizes))
    if networks and baselines:
        apart = [network for network in networks if not {str(network), str(baselines[0])} <= set(nothing)]
        if against := [relations[baselines[0]][network] for network in apart]:
            sentences.append(_baseline(against) if sentences else f"on {where}, {_baseline(against)}")
    return " ".join(f"{_sentence(sentence)}." for sentence in sentences)


def warnings(differences: Pairs) -> list[str]:
    """List the reasons why the numbers are weak, as far as they are. The argument is that of `verdict`."""
    return [*seed_warning(differences), *text_warning(differences.values())]


def seed_warning(differences: Pairs) -> list[str]:
    """Name the networks that have fewer than three seeds, if there are any."""
    few = {
        model: seeds
        for pair, difference in differences.items()
        for model, seeds in zip(map(ModelName.parse, pair), difference.seeds, strict=True)
        if not model.is_baseline and seeds < FEW_SEEDS
    }
    if not few:
        return []
    have = f"{listed([title_of(model) for model in few])} {'has' if len(few) == 1 else 'have'}"
    more = ",".join(map(str, range(1, FEW_SEEDS + 1)))
    weak = (
        f"With fewer than {FEW_SEEDS} seeds, the effect of the seed is not well known."
        f" `gatewise run seeds={more}` trains {FEW_SEEDS}."
    )
    return [f"{have} {_seeds(list(few.values()))}. {weak}"]


def text_warning(differences: Iterable[Difference]) -> list[str]:
    """Say that there are fewer than thirty test texts, or groups of them, if it is so."""
    groups = min(difference.groups for difference in differences)
    if groups >= FEW_GROUPS:
        return []
    weak = f"With fewer than {FEW_GROUPS}, the effect of the choice of texts is not well known."
    return [f"The test split has only {groups} texts, or groups of texts that belong together. {weak}"]


def class_warnings(findings: Findings) -> list[str]:
    """Name the classes that models which learnt something never give, and pairs that macro F1 alone tells apart."""
    learnt = {model: rows for model, rows in findings.classes.items() if model not in findings.nothing}
    said: dict[str, list[str]] = {}
    for (label, texts), models in never_given(learnt).items():
        names = _sentence(listed([_with_article(ModelName.parse(model)) for model in models]))
        verb = "never gives" if len(models) == 1 else "never give"
        said.setdefault(f"{names} {verb}", []).append(f"“{label}” ({texts:,} test text{'s' * (texts != 1)})")
    sentences = []
    for never, labels in said.items():
        more = [f"{len(labels) - _CLASSES_NAMED} more classes"] if len(labels) > _CLASSES_NAMED else []
        sentences.append(f"{never} {listed([*labels[:_CLASSES_NAMED], *more])}.")
    if findings.metric != "accuracy":
        return sentences
    return [*sentences, *_unseen_by_accuracy(findings.differences, findings.other_differences)]


def epoch_warnings(unfinished: Sequence[Unfinished]) -> list[str]:
    """Name the networks that more epochs could have made better, if there are any."""
    said: dict[int, list[str]] = {}
    for one in unfinished:
        runs = f"{one.runs} of {one.of} run{'s' * (one.of != 1)}"
        said.setdefault(one.epochs, []).append(f"{title_of(ModelName.parse(one.model))} ({runs})")
    return [
        f"The validation loss of {listed(names)} was lowest in the last epoch that `train.epochs` ({epochs}) allows:"
        " with more of them, it may fall further."
        for epochs, names in said.items()
    ]


def strength_warnings(at_edge: Sequence[AtEdge]) -> list[str]:
    """Name the linear models that another regularisation than was tried could have made better, if there are any."""
    return [
        f"{_sentence(_with_article(ModelName.parse(one.model)))} is best with {one.strength:g}, the"
        f" {'largest' if one.is_largest else 'smallest'} of `baseline.inverse_regularisation`: with a"
        f" {'larger' if one.is_largest else 'smaller'} one, it may be better."
        for one in at_edge
    ]


def _unseen_by_accuracy(differences: Pairs, other: Pairs) -> list[str]:
    """Say who is ahead in macro F1, not by chance and by two points more than in accuracy, where accuracy hides one."""
    decided, adjusted = (holm([difference.p_value for difference in of.values()]) for of in (differences, other))
    ahead: dict[str, list[tuple[str, Difference]]] = {}
    hidden = False
    for (pair, seen), in_accuracy, in_macro in zip(other.items(), decided, adjusted, strict=True):
        (better, worse), difference = better_first(pair, seen)
        accuracy = differences[pair].mean if better == pair[0] else -differences[pair].mean
        if in_macro < SIGNIFICANCE and difference.mean > max(accuracy, 0) + _LARGE:
            ahead.setdefault(better, []).append((worse, difference))
            hidden |= in_accuracy >= SIGNIFICANCE or accuracy <= 0
    clauses = [
        f"{_with_article(ModelName.parse(better))} is {_points([of.mean for _, of in worse])} ahead of"
        f" {listed([_with_article(ModelName.parse(model)) for model, _ in worse])}"
        for better, worse in ahead.items()
    ]
    if not hidden:
        return []
    counts = "in which every class counts the same"
    return [f"In macro F1, {counts}, {listed(clauses)}: with `metric: macro_f1`, that decides."]


def _relations(differences: Pairs, compared: Pairs) -> Relations:
    """Relate every model to every other one, in the order of the pairs."""
    models = list(dict.fromkeys(ModelName.parse(model) for pair in differences for model in pair))
    all_pairs = {frozenset(map(str, pair)) for pair in combinations(models, 2)}
    if not all_pairs or len(differences) != len(all_pairs) or {frozenset(pair) for pair in differences} != all_pairs:
        raise ValueError(f"a verdict needs each pair of two or more models once. Received: {[*differences]}")
    adjusted = dict(zip(compared, holm([difference.p_value for difference in compared.values()]), strict=True))
    relations: Relations = {model: {} for model in models}
    for pair, difference in differences.items():
        first, second = map(ModelName.parse, pair)
        for model, other, seen in ((first, second, difference), (second, first, -difference)):
            relations[model][other] = _relation(model, other, seen, adjusted[pair], len(compared))
    return relations


def _relation(model: ModelName, other: ModelName, seen: Difference, p_value: float, comparisons: int) -> _Relation:
    """Relate a model to another one.

    Args:
        model: the one.
        other: the other.
        seen: the first one's accuracy minus the other's.
        p_value: corrected for the number of comparisons.
        comparisons: their number.
    """
    seeds = [number for one, number in zip((model, other), seen.seeds, strict=True) if not one.is_baseline]
    better = seen.mean >= 0
    if p_value >= SIGNIFICANCE:
        words = _TIES
    elif 1 in seeds:
        words = _AHEAD if better else _BEHIND
    else:
        words = _BEATS if better else _LOSES
    corrected_away = comparisons if words == _TIES and seen.p_value < SIGNIFICANCE else 0
    return _Relation(other, seen.mean, seen if better else -seen, seeds, words, corrected_away)


def _best(
    dataset: str,
    first: ModelName,
    rivals: list[ModelName],
    relations: Mapping[ModelName, _Relation],
    number: int,
    superlative: str,
) -> str:
    """Set the best of so many networks, or of two baselines, against others, with intervals."""
    best, *others = [_with_article(model) for model in (first, *rivals)]
    against = [relations[model] for model in rivals]
    if number == 2 and against[0].words == _TIES:
        return f"{best} and {others[0]} {_EQUAL} on {dataset} {_figures(against)}"
    subject = f"{best}, the {superlative} of {number} networks on {dataset}," if number > 2 else best
    where = f" on {dataset}" if number == 2 else ""
    parts = []
    groups = _grouped(against)
    for group in groups:
        names = listed([_with_article(relation.other) for relation in group])
        parts.append(f"{_said(group, names + where)} {_figures(group)}")
    return f"{subject} {_joined(groups, parts)}"


def _baseline(against: list[_Relation]) -> str:
    """Set the baseline against all networks; with intervals where there is but one."""
    parts = []
    groups = _grouped(against)
    for group in groups:
        names = listed([f"the {title_of(relation.other)}" for relation in group])
        tie = group[0].words == _TIES
        if len(group) == len(against) > 1:
            number = len(against)
            names = ("either" if tie else "both") if number == 2 else f"any of the {number}" if tie else f"all {number}"
        said = _said(group, names)
        if len(against) == 1:
            said += f" {_figures(group)}"
        elif tie:
            said += f" ({'; '.join([_differences(group), *_reasons(group)])})"
        parts.append(said)
    return f"the n-gram baseline {_joined(groups, parts)}"


def _sizes(networks: list[ModelName], sizes: Mapping[str, int]) -> str:
    """Set the smallest network against the most accurate one, the first; or that one against the second smallest."""
    smallest, second, *_ = sorted(networks, key=lambda network: sizes[str(network)])
    other = second if smallest == networks[0] else networks[0]
    share = sizes[str(smallest)] / sizes[str(other)]
    fewer = f"{100 * (1 - share):.0f} %"
    amount = "as many recurrent parameters as" if fewer == "0 %" else f"{fewer} fewer recurrent parameters than"
    return f"the {title_of(smallest)} has {amount} the {title_of(other)}"


def _grouped(relations: Sequence[_Relation]) -> list[list[_Relation]]:
    """Put relations of which the same is said together."""
    groups = ([relation for relation in relations if relation.words == words] for words in _ORDER)
    return [group for group in groups if group]


def _joined(groups: Sequence[Sequence[_Relation]], parts: Sequence[str]) -> str:
    """Join the parts, one per group; the reservation about single seeds stands at the end, which the last ones need."""
    words = [group[0].words for group in groups]
    if words[-2:] == [_AHEAD, _BEHIND]:
        parts = [*parts[:-1], parts[-1].removeprefix("is ")]
    return listed(parts) + (_UNDECIDED if words[-1] in (_AHEAD, _BEHIND) else "")


def _said(group: Sequence[_Relation], names: str) -> str:
    """Write the words of a group, with the smallest to the largest difference in it."""
    return group[0].words.format(others=names, points=_points([relation.size.mean for relation in group]))


def _figures(group: Sequence[_Relation]) -> str:
    """Put in brackets: the differences unless the words say them, the intervals, and the number of seeds."""
    seeds = [number for relation in group for number in relation.seeds]
    numbers = [_differences(group)] if group[0].words == _TIES else []
    intervals = [_interval(relation.size) for relation in group]
    if intervals != ["0"] * len(group):
        alone = " over texts alone" if {*seeds} == {1} else ""
        numbers.append(f"95 % interval{'s' if len(group) > 1 else ''}{alone} {listed(intervals)}")
    reasons = _reasons(group)
    told = any(reason.startswith((_seeds(seeds), "only ")) for reason in reasons) if seeds else True
    resting = [] if told else [_seeds(seeds)]
    return f"({'; '.join([', '.join(numbers), *resting, *reasons])})"


def _differences(group: Sequence[_Relation]) -> str:
    means = [relation.size.mean for relation in group]
    if _point(max(means)) == _NONE:
        return "no difference"
    points = _points(means)
    return f"{'differences' if ' to ' in points else 'difference'} {points}"


def _interval(size: Difference) -> str:
    """Write the ends of an interval in points; of one that holds nothing but 0, that."""
    low, high = _point(size.low), _point(size.high)
    return "0" if low == high == _NONE else f"{low} to {high}"


def _reasons(group: Sequence[_Relation]) -> list[str]:
    """Say why models that are far apart are told as a tie: the correction, few seeds, seeds that vary, or few texts."""
    ties = [relation for relation in group if relation.words == _TIES]
    reasons: dict[str, list[_Relation]] = {}
    for relation in ties:
        if reason := _reason(relation):
            reasons.setdefault(reason, []).append(relation)
    against = {
        reason: f" against {listed([title_of(relation.other) for relation in of_reason])}"
        if len(group) > 1 and (len(of_reason) < len(group) or of_reason[0].corrected_away)
        else ""
        for reason, of_reason in reasons.items()
    }
    return [reason.format(against=against[reason]) for reason in reasons]


def _reason(tie: _Relation) -> str:
    """Say why two models are told as a tie, nothing where their difference is small; `{against}` is for the other."""
    size = tie.size
    if tie.corrected_away:
        return f"p < {SIGNIFICANCE}{{against}} before Holm's correction for {tie.corrected_away} comparisons"
    if size.mean < _LARGE:
        return ""
    if size.texts_p_value is not None and size.texts_p_value < SIGNIFICANCE and tie.seeds:
        few = min(tie.seeds) < FEW_SEEDS
        too = f"{'is' if min(tie.seeds) == 1 else 'are'} too few" if few else "differ too much"
        return f"{_seeds([min(tie.seeds)])} {too} to tell{{against}}"
    return f"{size.groups:,} independent texts are too few to tell{{against}}"


def _sentence(words: str) -> str:
    """Begin with a capital letter."""
    return f"{words[0].upper()}{words[1:]}"


def _with_article(model: ModelName) -> str:
    """Give the title of a model; that of a baseline is no name, and has an article."""
    return f"the {title_of(model)}" if model.is_baseline else title_of(model)


def _points(values: Sequence[float]) -> str:
    """Write the smallest to the largest of some differences."""
    low, high = _point(min(values)), _point(max(values))
    if low == _NONE != high:
        return f"up to {high} points"
    return f"{' to '.join(dict.fromkeys([low, high]))} points"


def _point(value: float) -> str:
    """Write a difference in points to a tenth; to a hundredth where it would look like none."""
    for digits in (1, 2):
        rounded = f"{100 * value:.{digits}f}"
        if float(rounded) != 0:
            return rounded
    return _NONE


def _seeds(numbers: Sequence[int]) -> str:
    only = "only " if min(numbers) < FEW_SEEDS else ""
    ends = " to ".join(dict.fromkeys([str(min(numbers)), str(max(numbers))]))
    return f"{only}{ends} seed{'' if max(numbers) == 1 else 's'}"
