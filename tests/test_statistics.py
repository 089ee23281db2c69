"""Tests against values worked out by hand, and the interval against the truth of synthetic answers."""

import math

import numpy as np
import pytest
from scipy.stats import t

from benchmarks.coverage import Case, measure, simulate
from pipeline.comparison import statistics
from pipeline.comparison.statistics import Difference, McNemar, holm, mcnemar, paired_difference


def answers(both: int, first_only: int, second_only: int, neither: int) -> tuple[np.ndarray, np.ndarray]:
    """Two runs, bool (texts,), with so many texts that both got right, and so on."""
    first = np.repeat([True, True, False, False], [both, first_only, second_only, neither])
    second = np.repeat([True, False, True, False], [both, first_only, second_only, neither])
    return first, second


def runs(*accuracies: float, texts: int = 100_000) -> np.ndarray:
    """One run per accuracy, bool (seeds, texts), all of which find the same texts easy."""
    return np.arange(texts) < np.array(accuracies)[:, None] * texts


def half_width(difference: Difference) -> float:
    return (difference.high - difference.low) / 2


@pytest.mark.parametrize(
    ("first_only", "second_only", "p_value"),
    [
        (0, 0, 1),
        (5, 0, 2 / 2**5),
        (3, 3, 1),
        (8, 2, 2 * (1 + 10 + 45) / 2**10),
        (2, 8, 2 * (1 + 10 + 45) / 2**10),
        (121, 59, 4.4e-6),  # McNemar 1947 is content with χ² = 21.4
    ],
)
def test_mcnemar_is_the_exact_binomial_test_of_the_texts_that_one_run_gets_right(
    first_only: int, second_only: int, p_value: float
) -> None:
    result = mcnemar(*answers(40, first_only, second_only, 7))
    assert result == McNemar(first_only, second_only, result.p_value)
    assert result.p_value == pytest.approx(p_value, rel=0.02)


def test_holm_multiplies_the_smallest_by_the_number_and_keeps_the_order() -> None:
    # 4 x 0.005, 3 x 0.01, 2 x 0.03, and 0.04, which must not be below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7, 0.001]) == pytest.approx([1, 1, 0.003])
    assert holm([0.04]) == [0.04]
    assert holm([]) == []


def test_text_noise_alone_gives_the_interval_of_paired_proportions() -> None:
    first, second = answers(both=1400, first_only=200, second_only=140, neither=260)
    difference = paired_difference(first[None], second[None])
    assert difference.mean == pytest.approx(0.03)
    assert difference.seeds == (1, 1)
    # (b + c - (b - c)² / n) / n²; 4 %: some three standard errors of the ends of an interval over 10,000 resamples.
    error = math.sqrt(340 - 60**2 / 2000) / 2000
    assert half_width(difference) == pytest.approx(1.96 * error, rel=0.04)
    assert difference.p_value == pytest.approx(0.001, abs=0.001)  # 3.26 standard errors


@pytest.mark.parametrize(
    ("first", "second", "freedom"),
    [
        ((0.7, 0.8), (0.6, 0.7), 2),
        ((0.7, 0.8), (0.7,), 1),
        ((0.7, 0.75, 0.8), (0.65, 0.7, 0.75), 4),
        # Welch: (0.0025 + 0.00036)² / (0.0025² / 1 + 0.00036² / 4).
        ((0.7, 0.8), (0.64, 0.7, 0.7, 0.7, 0.76), 1.3020),
        ((0.7, 0.8), (0.7, 0.7, 0.7), 1),
    ],
    ids=["two seeds", "two seeds and a single run", "three seeds", "two and five seeds", "one without noise"],
)
def test_seed_noise_alone_gives_students_interval(
    first: tuple[float, ...], second: tuple[float, ...], freedom: int
) -> None:
    difference = paired_difference(runs(*first), runs(*second))
    error = math.sqrt(sum(np.var(values, ddof=1) / len(values) for values in (first, second) if len(values) > 1))
    # The ends of an interval of few degrees of freedom are far out, where resamples are rare.
    assert half_width(difference) == pytest.approx(t.ppf(0.975, freedom) * error, rel=0.12)
    assert difference.mean == pytest.approx(np.mean(first) - np.mean(second))


def films(*differences: float, texts: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two single runs, bool (1, texts), and the film of each text: the first run is right that much more often."""
    places = np.arange(texts) / texts
    first = np.concatenate([places < 0.5 + difference / 2 for difference in differences])
    second = np.concatenate([places < 0.5 - difference / 2 for difference in differences])
    return first[None], second[None], np.arange(len(differences)).repeat(texts)


@pytest.mark.parametrize("number", [6, 12])
def test_the_noise_of_few_groups_gives_students_interval(number: int) -> None:
    differences = np.linspace(-0.1, 0.3, number)
    difference = paired_difference(*films(*differences))
    assert difference.groups == number
    expected = t.ppf(0.975, number - 1) * np.std(differences, ddof=1) / math.sqrt(number)
    # Resampled means of few groups have lighter tails than the normal distribution.
    assert half_width(difference) == pytest.approx(expected, rel=0.12)


def test_one_group_that_outweighs_all_others_leaves_everything_open() -> None:
    first, second, _ = films(0.2, 0.3)
    difference = paired_difference(first, second, np.repeat([0, 1, 2], [396, 2, 2]))
    assert (difference.groups, difference.low) == (3, -1)
    assert difference.p_value > 0.3
    evenly = paired_difference(*films(0.2, 0.3, 0.2, 0.3, 0.2, 0.3))
    assert evenly.low > 0


@pytest.mark.parametrize(("number", "p_value"), [(2, 0.5), (5, 0.0625), (6, 0.03125), (12, 2 / 2**12)])
def test_few_groups_that_differ_decide_no_more_than_a_sign_test(number: int, p_value: float) -> None:
    """All of them speak for the first model, equally: what is seen varies not at all."""
    difference = paired_difference(np.ones((3, number), bool), np.zeros((3, number), bool))
    assert difference.p_value == pytest.approx(p_value, abs=2e-4)
    assert (difference.low, difference.high) == (float(p_value < 0.05), 1)
    # Groups on which the models agree are no evidence for either.
    agreed = np.ones((3, 100), bool)
    difference = paired_difference(
        np.hstack([agreed, np.ones((3, 4), bool)]), np.hstack([agreed, np.zeros((3, 4), bool)])
    )
    assert difference.p_value >= 0.125
    assert difference.low <= 0


def test_noise_that_is_of_seeds_and_texts_counts_once() -> None:
    """Coins: a run has no strengths of its own, and a text no difficulty."""
    coins = np.random.default_rng(1).random((2, 40, 2000)) < 0.8
    expected = t.ppf(0.975, 78) * math.sqrt(2 * 0.8 * 0.2 / (40 * 2000))
    # Twice the variance would make it 41 % wider; the variance over 80 runs is off by 16 % or less (one sigma).
    assert half_width(paired_difference(*coins)) == pytest.approx(expected, rel=0.2)


def test_seeds_that_happen_to_score_alike_leave_the_noise_of_the_texts() -> None:
    """Each seed errs on texts of its own, as many as the other: that is no proof that other seeds would, too."""
    rng = np.random.default_rng(3)

    def model(wrong: int) -> np.ndarray:
        return np.stack([rng.permutation(280) >= wrong for _ in range(2)])

    first, second = model(39), model(40)
    difference, of_texts = paired_difference(first, second), paired_difference(first, second, these_runs=True)
    assert difference.mean == pytest.approx(1 / 280)
    assert half_width(difference) == pytest.approx(half_width(of_texts), rel=0.02)
    assert difference.p_value == pytest.approx(difference.texts_p_value, abs=0.02)
    assert difference.p_value > 0.5


def test_runs_that_answer_alike_count_as_one() -> None:
    first, second = answers(both=100, first_only=30, second_only=20, neither=50)
    one = paired_difference(first[None], second[None])
    many = paired_difference(np.tile(first, (3, 1)), np.tile(second, (4, 1)))
    assert (many.low, many.high, many.p_value) == pytest.approx((one.low, one.high, one.p_value))
    assert many.seeds == (3, 4)


def test_models_that_answer_alike_do_not_differ() -> None:
    same = runs(0.7, texts=50)
    assert paired_difference(same, same) == Difference(0, 0, 0, 1, (1, 1), 50)


def test_texts_of_one_group_count_as_one() -> None:
    first, second = simulate(Case((3, 2), 300, (1, 1)), (0.86, 0.85), np.random.default_rng(1))
    alone = paired_difference(first, second)
    groups = np.random.default_rng(2).permutation(1000)[:300].repeat(4)  # the numbers mean nothing
    together = paired_difference(np.repeat(first, 4, axis=1), np.repeat(second, 4, axis=1), groups)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high))
    assert together.p_value == pytest.approx(alone.p_value)


def test_the_same_numbers_give_the_same_interval_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = simulate(Case((3, 3), 500, (1, 1)), (0.86, 0.85), np.random.default_rng(1))
    difference = paired_difference(first, second)
    assert paired_difference(first, second) == difference
    assert paired_difference(first, second, seed=1) != difference
    monkeypatch.setattr(statistics, "_CELLS", 30_000)
    assert paired_difference(first, second) == difference


def test_the_second_model_against_the_first_is_the_negative() -> None:
    first, second = simulate(Case((3, 2), 500, (1, 1)), (0.9, 0.8), np.random.default_rng(1))
    there, back = paired_difference(first, second), -paired_difference(second, first)
    assert back.mean == pytest.approx(there.mean)
    assert back.seeds == there.seeds == (3, 2)
    # Other resamples: the ends agree up to the noise of resampling.
    assert (back.low, back.high) == pytest.approx((there.low, there.high), abs=0.1 * half_width(there))


def test_a_single_run_says_that_its_seed_noise_is_unknown() -> None:
    assert paired_difference(runs(0.7, 0.8), runs(0.7)).seed_noise_known == (True, False)


@pytest.mark.parametrize(
    ("first", "second", "groups", "message"),
    [
        (np.ones((2, 5), bool), np.ones((2, 4), bool), None, r"the same texts.*Received: \(2, 5\), \(2, 4\)"),
        (np.ones(5, bool), np.ones(5, bool), None, r"\(seeds, texts\).*Received: \(5,\), \(5,\)"),
        (np.ones((0, 5), bool), np.ones((2, 5), bool), None, "a seed or more"),
        (np.ones((2, 0), bool), np.ones((2, 0), bool), None, "two groups of texts or more"),
        (np.ones((2, 5), bool), np.ones((2, 5), bool), np.zeros(5, int), "two groups of texts or more"),
        (np.ones((2, 5), bool), np.ones((2, 5), bool), np.arange(4), r"groups must be \(5,\).*Received: \(4,\)"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    first: np.ndarray, second: np.ndarray, groups: np.ndarray | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_difference(first, second, groups)


def test_runs_on_other_texts_are_refused_by_mcnemar() -> None:
    with pytest.raises(ValueError, match=r"the same texts. Received: \(5,\), \(4,\)"):
        mcnemar(np.ones(5, bool), np.ones(4, bool))


# The noise of seeds, of texts and of films is the larger one in turn: an interval that leaves it out covers the truth
# in 49, 81 and 79 of 100 cases, and finds a difference between equal models in 47, 18 and 14.
@pytest.mark.parametrize(
    "case",
    [
        Case((2, 2), 1000, (3, 3)),
        pytest.param(Case((5, 5), 500, (0.1, 0.1)), marks=pytest.mark.slow),
        pytest.param(Case((5, 5), 1000, (0.1, 0.1), films=200), marks=pytest.mark.slow),
        pytest.param(Case((3, 1), 1000, (1, 0)), marks=pytest.mark.slow),
        Case((3, 3), 600, (0.1, 0.1), films=10),
    ],
    ids=["seeds", "texts", "films", "single run", "few films"],
)
def test_the_interval_covers_the_truth_and_equal_models_differ_rarely(case: Case) -> None:
    repetitions = 500
    shares = measure(case, repetitions, resamples=1000)
    # Three standard errors of a share near 95 % (2.9 points); up to 98.5 % is the interval's caution with few seeds.
    margin = 3 * math.sqrt(0.95 * 0.05 / repetitions)
    assert 0.95 - margin < shares["covered"] < 0.985 + 3 * math.sqrt(0.985 * 0.015 / repetitions)
    assert shares["false_positives"] < 0.05 + margin
