"""The sentences for constructed numbers, word by word."""

from collections.abc import Mapping

import pytest

from pipeline.comparison.comparison import AtEdge, Findings, Unfinished
from pipeline.comparison.statistics import Difference
from pipeline.comparison.verdict import seed_warning, tell, verdict

SIZES = {"lstm": 4000, "gru": 3000}


def difference(
    points: float, interval: tuple[float, float], p_value: float, seeds: tuple[int, int] = (5, 5), groups: int = 500
) -> Difference:
    return Difference(points / 100, interval[0] / 100, interval[1] / 100, p_value, seeds, groups)


def pair(points: float, interval: tuple[float, float], p_value: float, seeds: tuple[int, int] = (5, 5)) -> str:
    """The verdict on GRU - LSTM without a baseline."""
    return verdict("imdb", {("gru", "lstm"): difference(points, interval, p_value, seeds)})


def against_baseline(
    baseline_to_lstm: tuple[float, float], baseline_to_gru: tuple[float, float], seeds: int = 5
) -> str:
    """The clause on the baseline, from its differences to the networks and their p-values."""
    differences = {
        ("lstm", "gru"): difference(0.1, (-0.4, 0.6), 0.7, (seeds, seeds)),
        ("lstm", "baseline"): -difference(baseline_to_lstm[0], (0, 0), baseline_to_lstm[1], (1, seeds)),
        ("gru", "baseline"): -difference(baseline_to_gru[0], (0, 0), baseline_to_gru[1], (1, seeds)),
    }
    return verdict("imdb", differences).partition(" The ")[2]


def test_a_tie_with_costs_and_a_better_baseline() -> None:
    differences = {
        ("lstm", "gru"): difference(-0.1, (-0.6, 0.4), 0.6),
        ("lstm", "baseline"): difference(-3.1, (-4.0, -2.2), 0.001, (5, 1)),
        ("gru", "baseline"): difference(-3.1, (-3.9, -2.1), 0.001, (5, 1)),
    }
    assert verdict("imdb", differences, SIZES) == (
        "GRU and LSTM cannot be told apart on imdb (difference 0.1 points, 95 % interval -0.4 to 0.6; 5 seeds)."
        " The GRU has 25 % fewer recurrent parameters than the LSTM."
        " The n-gram baseline beats both by 3.1 points."
    )


def test_a_clear_win_names_the_better_model_first() -> None:
    expected = "GRU beats LSTM on imdb by 1.2 points (95 % interval 0.6 to 1.8; 5 seeds)."
    assert pair(1.2, (0.6, 1.8), 0.001) == expected
    turned = {("lstm", "gru"): difference(-1.2, (-1.8, -0.6), 0.001)}
    assert verdict("imdb", turned) == expected


def test_a_difference_below_a_tenth_of_a_point_does_not_look_like_none() -> None:
    assert "by 0.04 points (95 % interval 0.01 to 0.1; " in pair(0.04, (0.01, 0.07), 0.01)
    assert "(no difference, 95 % interval -0.3 to 0.3; 5 seeds)" in pair(0, (-0.3, 0.3), 1)
    assert "(no difference; 5 seeds)" in pair(0, (-0.0, 0.0), 1)


@pytest.mark.parametrize(("p_value", "words"), [(0.049, "GRU beats LSTM on"), (0.05, "GRU and LSTM cannot be told")])
def test_one_comparison_is_decided_below_five_per_cent(p_value: float, words: str) -> None:
    assert pair(1.0, (0.0, 2.0), p_value).startswith(words)


def test_two_seeds_are_called_few() -> None:
    assert pair(0.1, (-2, 2), 0.9, (2, 2)).endswith("95 % interval -2.0 to 2.0; only 2 seeds).")
    assert pair(3.1, (1, 5), 0.01, (2, 4)) == (
        "GRU beats LSTM on imdb by 3.1 points (95 % interval 1.0 to 5.0; only 2 to 4 seeds)."
    )


def test_one_seed_decides_nothing() -> None:
    assert pair(1.2, (0.6, 1.8), 0.0001, (1, 1)) == (
        "GRU is 1.2 points ahead of LSTM on imdb (95 % interval over texts alone 0.6 to 1.8; only 1 seed),"
        " but one seed decides nothing."
    )
    assert "but one seed decides nothing" in pair(1.2, (0.6, 1.8), 0.0001, (5, 1))


@pytest.mark.parametrize(
    ("points", "numbers"),
    [(1.2, "difference 1.2 points, 95 % interval over texts alone -2.0 to 2.0"),
     (0, "no difference, 95 % interval over texts alone -2.0 to 2.0")],
)  # fmt: skip
def test_nobody_is_ahead_by_chance(points: float, numbers: str) -> None:
    tie = f"GRU and LSTM cannot be told apart on imdb ({numbers}; only 1 seed)."
    assert pair(points, (-2, 2), 0.9, (1, 1)) == tie


@pytest.mark.parametrize(
    ("to_lstm", "to_gru", "words"),
    [
        ((3.0, 0.001), (3.14, 0.001), "n-gram baseline beats both by 3.0 to 3.1 points."),
        ((-2.0, 0.001), (-2.04, 0.001), "n-gram baseline loses to both by 2.0 points."),
        ((0.2, 0.5), (-0.3, 0.5), "n-gram baseline cannot be told apart from either (differences 0.2 to 0.3 points)."),
        ((0, 1), (-0.3, 0.5), "n-gram baseline cannot be told apart from either (differences up to 0.3 points)."),
        ((0, 1), (0, 1), "n-gram baseline cannot be told apart from either (no difference)."),
        (
            (0.2, 0.5),
            (1.3, 0.01),
            "n-gram baseline beats the GRU by 1.3 points and"
            " cannot be told apart from the LSTM (difference 0.2 points).",
        ),
        (
            (-1.2, 0.01),
            (1.3, 0.01),
            "n-gram baseline beats the GRU by 1.3 points and loses to the LSTM by 1.2 points.",
        ),
    ],
    ids=["wins", "loses", "ties", "one level", "both level", "wins and ties", "wins and loses"],
)
def test_the_baseline_against_both(to_lstm: tuple[float, float], to_gru: tuple[float, float], words: str) -> None:
    assert against_baseline(to_lstm, to_gru) == words


def test_one_run_is_enough_for_the_baseline_but_not_for_a_network() -> None:
    assert against_baseline((3, 0.001), (3, 0.001), seeds=2) == "n-gram baseline beats both by 3.0 points."
    assert against_baseline((3, 0.001), (3.2, 0.001), seeds=1) == (
        "n-gram baseline is 3.0 to 3.2 points ahead of both, but one seed decides nothing."
    )
    assert against_baseline((-3, 0.001), (3, 0.001), seeds=1) == (
        "n-gram baseline is 3.0 points ahead of the GRU and 3.0 points behind the LSTM, but one seed decides nothing."
    )


def test_one_network_is_told_from_the_baseline() -> None:
    worse = {("lstm", "baseline"): difference(-3.1, (-4.2, -2.0), 0.001, (5, 1))}
    assert verdict("films", worse, SIZES) == (
        "On films, the n-gram baseline beats the LSTM by 3.1 points (95 % interval 2.0 to 4.2; 5 seeds)."
    )
    better = {("baseline", "lstm"): difference(-3.1, (-4.2, -2.0), 0.001, (1, 2))}
    assert verdict("films", better) == (
        "On films, the n-gram baseline loses to the LSTM by 3.1 points (95 % interval 2.0 to 4.2; only 2 seeds)."
    )


def three(gru_lstm: float, gru_qrnn: float, lstm_qrnn: float) -> dict[tuple[str, str], Difference]:
    """LSTM, GRU and qrnn with 84, 85 and 82 per cent; the p-values are given."""
    return {
        ("lstm", "gru"): -difference(1, (0.2, 1.8), gru_lstm),
        ("lstm", "qrnn"): difference(2, (1, 3), lstm_qrnn),
        ("gru", "qrnn"): difference(3, (2, 4), gru_qrnn),
    }


@pytest.mark.parametrize(
    ("differences", "words"),
    [
        (
            three(0.01, 0.01, 0.01),
            "beats LSTM and qrnn by 1.0 to 3.0 points (95 % intervals 0.2 to 1.8 and 2.0 to 4.0; 5 seeds).",
        ),
        # Alone, 0.04 would do. The three p-values become 0.03, 0.08 and 0.08.
        (
            three(0.04, 0.01, 0.04),
            "beats qrnn by 3.0 points (95 % interval 2.0 to 4.0; 5 seeds) and cannot be told apart from LSTM"
            " (difference 1.0 points, 95 % interval 0.2 to 1.8; 5 seeds;"
            " p < 0.05 before Holm's correction for 3 comparisons).",
        ),
        (
            three(0.04, 0.3, 0.3),
            "cannot be told apart from LSTM and qrnn"
            " (differences 1.0 to 3.0 points, 95 % intervals 0.2 to 1.8 and 2.0 to 4.0; 5 seeds;"
            " p < 0.05 against LSTM before Holm's correction for 3 comparisons;"
            " 500 independent texts are too few to tell against qrnn).",
        ),
    ],
    ids=["beats all", "beats one", "beats none"],
)
def test_of_three_networks_the_best_is_told_from_the_others(
    differences: Mapping[tuple[str, str], Difference], words: str
) -> None:
    assert verdict("imdb", differences) == f"GRU, the most accurate of 3 networks on imdb, {words}"


def test_the_baseline_counts_among_the_comparisons() -> None:
    """Three comparisons: 0.02 becomes 0.04 behind a smaller one, and 0.06 in front."""
    assert against_baseline((3, 0.001), (3, 0.02)).startswith("n-gram baseline beats both")
    assert against_baseline((3, 0.02), (3, 0.02)) == (
        "n-gram baseline cannot be told apart from either (difference 3.0 points;"
        " p < 0.05 against LSTM and GRU before Holm's correction for 3 comparisons)."
    )


def test_the_baseline_against_three_networks() -> None:
    better = {(model, "baseline"): difference(-5, (-6, -4), 0.0001, (5, 1)) for model in ("lstm", "gru", "qrnn")}
    sentence = verdict("imdb", three(0.9, 0.9, 0.9) | better)
    assert sentence.endswith(" The n-gram baseline beats all 3 by 5.0 points.")
    equal = {(model, "baseline"): difference(-1, (-3, 1), 0.5, (5, 1)) for model in ("lstm", "gru", "qrnn")}
    sentence = verdict("imdb", three(0.9, 0.9, 0.9) | equal)
    assert sentence.endswith(" The n-gram baseline cannot be told apart from any of the 3 (difference 1.0 points).")


PAIR = {("gru", "lstm"): difference(0.1, (-0.4, 0.6), 0.6)}


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"lstm": 4000, "gru": 3000}, "GRU has 25 % fewer recurrent parameters than the LSTM."),
        ({"lstm": 3000, "gru": 4000}, "LSTM has 25 % fewer recurrent parameters than the GRU."),
        ({"lstm": 4000, "gru": 4000}, "GRU has as many recurrent parameters as the LSTM."),
        # GRU is the most accurate: the smallest is set against it, and the GRU itself against the next.
        ({"lstm": 4000, "gru": 3000, "qrnn": 1000}, "qrnn has 67 % fewer recurrent parameters than the GRU."),
        ({"lstm": 4000, "gru": 1000, "qrnn": 2000}, "GRU has 50 % fewer recurrent parameters than the qrnn."),
    ],
    ids=["smaller", "larger", "as large", "three, another is smallest", "three, the best is smallest"],
)
def test_the_smallest_network_is_told(sizes: dict[str, int], words: str) -> None:
    differences = three(0.9, 0.9, 0.9) if "qrnn" in sizes else PAIR
    assert verdict("imdb", differences, sizes).partition(" The ")[2] == words


@pytest.mark.parametrize("sizes", [None, {}, {"lstm": 1}, {"lstm": 1, "baseline": 1}])
def test_sizes_that_are_not_all_known_are_left_out(sizes: dict[str, int] | None) -> None:
    assert "parameters" not in verdict("imdb", PAIR, sizes)


def test_the_order_of_the_pairs_changes_nothing() -> None:
    differences = three(0.9, 0.001, 0.02)
    turned = {(second, first): -value for (first, second), value in reversed(differences.items())}
    assert verdict("imdb", turned) == verdict("imdb", differences)


@pytest.mark.parametrize(
    "pairs",
    [[], ["lstm-gru", "gru-qrnn"], ["gru-qrnn", "qrnn-gru"]],
    ids=["no models", "a pair missing", "a pair twice"],
)
def test_every_pair_is_needed_once(pairs: list[str]) -> None:
    differences = {(pair.partition("-")[0], pair.partition("-")[2]): PAIR["gru", "lstm"] for pair in pairs}
    with pytest.raises(ValueError, match="needs each pair of two or more models once"):
        verdict("imdb", differences)


def test_fewer_than_three_seeds_give_a_warning() -> None:
    def warning(lstm: int, gru: int) -> list[str]:
        seeds = {("lstm", "gru"): (lstm, gru), ("lstm", "baseline"): (lstm, 1), ("gru", "baseline"): (gru, 1)}
        return seed_warning({pair: difference(0, (0, 0), 1, numbers) for pair, numbers in seeds.items()})

    assert warning(3, 5) == []
    assert warning(1, 3)[0].startswith("LSTM has only 1 seed. With fewer than 3 seeds, ")
    assert warning(1, 2)[0].startswith("LSTM and GRU have only 1 to 2 seeds. ")


def test_the_correction_is_for_all_pairs_that_are_compared() -> None:
    """0.03 alone would do; of two, it becomes 0.06."""
    told = {("gru (B)", "gru (A)"): difference(1.0, (0.1, 1.9), 0.03)}
    other = {("lstm (B)", "lstm (A)"): difference(0.5, (-1, 2), 0.4)}
    assert verdict("imdb", told).startswith("GRU (B) beats GRU (A) on imdb by 1.0 points")
    assert verdict("imdb", told, compared=told | other) == (
        "GRU (B) and GRU (A) cannot be told apart on imdb (difference 1.0 points, 95 % interval 0.1 to 1.9; 5 seeds;"
        " p < 0.05 before Holm's correction for 2 comparisons)."
    )


def test_two_baselines_are_compared_without_seeds() -> None:
    better = {("baseline (B)", "baseline (A)"): difference(1.2, (0.6, 1.8), 0.001, (1, 1))}
    assert verdict("imdb", better, SIZES) == (
        "The n-gram baseline (B) beats the n-gram baseline (A) on imdb by 1.2 points (95 % interval 0.6 to 1.8)."
    )
    assert tell("imdb", Findings("accuracy", better, better, None, {})).warnings == []
    equal = {("baseline (B)", "baseline (A)"): difference(0.2, (-0.6, 0.8), 0.6, (1, 1))}
    assert verdict("imdb", equal) == (
        "The n-gram baseline (B) and the n-gram baseline (A) cannot be told apart on imdb"
        " (difference 0.2 points, 95 % interval -0.6 to 0.8)."
    )


def test_a_network_with_one_seed_comes_last() -> None:
    seen = three(0.001, 0.001, 0.001) | {("lstm", "gru"): -difference(1, (0.2, 1.8), 0.01, (5, 1))}
    assert verdict("imdb", seen) == (
        "GRU, the most accurate of 3 networks on imdb, beats qrnn by 3.0 points (95 % interval 2.0 to 4.0; 5 seeds)"
        " and is 1.0 points ahead of LSTM (95 % interval 0.2 to 1.8; only 1 to 5 seeds),"
        " but one seed decides nothing."
    )


def test_networks_that_more_epochs_could_make_better_are_named() -> None:
    seen = {("gru", "lstm"): difference(1, (0, 2), 0.1)}
    unfinished = [Unfinished("lstm", 2, 3, 4), Unfinished("gru", 1, 1, 4)]
    (said,) = tell("imdb", Findings("accuracy", seen, seen, None, {}, unfinished)).warnings
    assert "of LSTM (2 of 3 runs) and GRU (1 of 1 run) was lowest in the last epoch" in said
    assert "`train.epochs` (4)" in said


def test_a_baseline_at_the_edge_of_what_was_tried_is_named() -> None:
    seen = {("gru", "baseline"): difference(1, (0, 2), 0.1)}
    (said,) = tell("imdb", Findings("accuracy", seen, seen, None, {}, [], [AtEdge("baseline", 10.0, True)])).warnings
    assert "The n-gram baseline is best with 10, the largest of `baseline.inverse_regularisation`" in said


def test_few_texts_give_a_warning() -> None:
    def told(groups: int) -> list[str]:
        seen = {("gru", "lstm"): difference(1, (0, 2), 0.1, groups=groups)}
        return tell("imdb", Findings("accuracy", seen, seen, None, {})).warnings

    assert told(30) == []
    assert told(29)[0].startswith("The test split has only 29 texts, or groups of texts")
