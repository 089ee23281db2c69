"""All models on one test split: what is summed up over seeds, and what is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.comparison.comparison import Comparison, Unfinished, compare
from pipeline.core.command import InputError
from pipeline.trained.scores import METRICS, roc
from pipeline.trained.trained import Trained

LABELS = np.array([0, 1, 1, 0], np.int32)
NAMES = ["negative", "positive"]
# p(positive) of every test text; the accuracies are 1, 0.5 and 0.75.
POSITIVE = {"lstm-1": [0.1, 0.9, 0.8, 0.2], "lstm-2": [0.9, 0.9, 0.8, 0.7], "baseline": [0.1, 0.4, 0.8, 0.2]}


def trained(parent: Path, name: str) -> Trained:
    model, _, seed = name.partition("-")
    positive = np.array(POSITIVE[name], np.float32)
    card = {"model": model, "seed": int(seed) if seed else None, "parameters": 1000, "settings": {"units": 8}}
    history = pd.DataFrame({"validation_loss": [0.7, 0.6]}, index=pd.RangeIndex(1, 3, name="epoch"))
    predictions = {"test": np.stack([1 - positive, positive], axis=1)}
    return Trained(parent / name, card, predictions, history if seed else pd.DataFrame())


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare([trained(tmp_path, name) for name in POSITIVE], LABELS, NAMES)


def test_metrics_are_means_and_deviations_over_the_seeds_of_a_model(comparison: Comparison) -> None:
    metrics = comparison.metrics()
    assert list(metrics) == ["lstm", "baseline"]
    for values in metrics.values():
        assert list(values) == [*METRICS, "parameters", "runs"]
        assert all(values[name].keys() == {"mean", "std"} for name in METRICS)
    assert metrics["lstm"]["accuracy"] == pytest.approx({"mean": 0.75, "std": 0.125**0.5})
    assert metrics["baseline"]["accuracy"] == {"mean": 0.75, "std": None}
    assert [(values["runs"], values["parameters"]) for values in metrics.values()] == [(2, 1000), (1, 1000)]


def test_every_seed_has_a_confusion_matrix(comparison: Comparison) -> None:
    matrices = {model: counts.tolist() for model, counts in comparison.confusion_matrices().items()}
    assert matrices == {"lstm": [[[2, 0], [0, 2]], [[0, 2], [0, 2]]], "baseline": [[[2, 0], [1, 1]]]}


@pytest.mark.parametrize(("epochs", "losses", "runs"), [(2, [0.7, 0.6], 2), (3, [0.7, 0.6], 0), (2, [0.6, 0.7], 0)])
def test_a_loss_that_falls_until_the_last_epoch_is_found(
    comparison: Comparison, epochs: int, losses: list[float], runs: int
) -> None:
    for run in comparison.runs[:2]:
        run.card["settings"] = {"epochs": epochs}
        run.history["validation_loss"] = losses
    assert comparison.unfinished() == ([Unfinished("lstm", 2, 2, 2)] if runs else [])


@pytest.mark.parametrize(("strength", "found"), [(0.1, ["smallest"]), (1.0, []), (10.0, ["largest"])])
def test_a_regularisation_at_an_end_of_those_tried_is_found(
    comparison: Comparison, strength: float, found: list[str]
) -> None:
    card = next(run.card for run in comparison.runs if run.card["model"] == "baseline")
    card["settings"] = {"inverse_regularisation": strength}
    card["candidates"] = [{"inverse_regularisation": tried} for tried in (0.1, 1.0, 10.0)]
    edges = [("largest" if one.is_largest else "smallest") for one in comparison.at_edge()]
    assert edges == found
    card["candidates"] = card["candidates"][:1]  # one alone is no choice
    assert comparison.at_edge() == []


def test_learning_curves_are_those_of_the_networks(comparison: Comparison) -> None:
    table = comparison.learning_curves()
    assert table.columns.tolist() == ["epoch", "validation_loss", "run", "model", "seed"]
    assert table[["run", "seed", "epoch"]].to_numpy().tolist() == [
        ["lstm-1", 1, 1],
        ["lstm-1", 1, 2],
        ["lstm-2", 2, 1],
        ["lstm-2", 2, 2],
    ]


def test_every_model_has_a_roc_curve(comparison: Comparison) -> None:
    table = comparison.curves(roc)
    assert table.groupby("run", sort=False).size().to_dict() == {"lstm-1": 101, "lstm-2": 101, "baseline": 101}
    perfect = table[table["run"] == "lstm-1"]
    assert perfect["true_positive_rate"].tolist() == [0.0] + [1.0] * 100
    assert table.columns.tolist() == ["false_positive_rate", "true_positive_rate", "run", "model", "seed"]


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [(np.zeros(5, np.int32), NAMES, r"\(5, 2\)"), (LABELS, [*NAMES, "neither"], r"\(4, 3\)")],
    ids=["other texts", "other classes"],
)
def test_predictions_for_other_data_are_refused(
    tmp_path: Path, labels: np.ndarray, names: list[str], expected: str
) -> None:
    with pytest.raises(InputError, match=rf"lstm-1 predicts \(4, 2\) \(texts, classes\), expected {expected}"):
        compare([trained(tmp_path, "lstm-1")], labels, names)


@pytest.mark.parametrize(
    ("texts", "groups", "found"),
    [(1, None, "1 text in 1 group;"), (0, None, "0 texts in 0 groups;"), (3, [7, 7, 7], "3 texts in 1 group;")],
)
def test_a_test_split_of_one_group_is_refused(texts: int, groups: list[int] | None, found: str) -> None:
    run = Trained(Path("lstm-1"), {"model": "lstm", "seed": 1}, {"test": np.ones((texts, 2), np.float32) / 2})
    with pytest.raises(InputError, match=f"the test split has {found} a comparison needs texts of two groups or more"):
        compare([run], np.zeros(texts, np.int32), NAMES, None if groups is None else np.array(groups))


def test_accuracy_by_length_has_bins_of_as_many_texts() -> None:
    correct = np.arange(16) % 4 < 3  # texts 3, 7, 11 and 15 are wrong
    of_class = np.eye(2, dtype=np.float32)[(~correct).astype(int)]
    run = Trained(Path("lstm-1"), {"model": "lstm", "seed": 1, "parameters": 1}, {"test": of_class})
    table = compare([run], np.zeros(16, np.int32), NAMES).accuracy_by_length(np.arange(10, 26))
    assert table["texts"].tolist() == [2] * 8
    assert table[["from", "to"]].to_numpy().tolist()[:2] == [[10, 11], [12, 13]]
    assert table["tokens"].tolist()[:2] == [10.5, 12.5]
    assert table["accuracy"].tolist() == [1, 0.5] * 4


def test_texts_of_one_length_are_one_bin(comparison: Comparison) -> None:
    table = comparison.accuracy_by_length(np.array([7, 7, 7, 9]))
    assert table[table["run"] == "lstm-1"][["from", "to", "texts"]].to_numpy().tolist() == [[7, 7, 3], [9, 9, 1]]


def test_runs_with_one_seed_are_tested_against_each_other_and_against_the_baseline(tmp_path: Path) -> None:
    runs = [trained(tmp_path, name) for name in POSITIVE]
    card = {"model": "gru", "seed": 2, "parameters": 1}
    runs.append(Trained(tmp_path / "gru-2", card, runs[0].predictions))  # right everywhere
    pairs = {
        (first.name, second.name): (test.first_only, test.second_only)
        for first, second, test in compare(runs, LABELS, NAMES).same_seed_tests()
    }
    assert pairs == {
        ("lstm-1", "baseline"): (1, 0),
        ("lstm-2", "baseline"): (1, 2),
        ("lstm-2", "gru-2"): (0, 2),
        ("baseline", "gru-2"): (0, 1),
    }


def test_two_baselines_are_tested_and_a_run_is_not_tested_against_itself(tmp_path: Path) -> None:
    runs = []
    for name, side, of_run in [
        ("lstm-1", "A", "lstm-1"),
        ("lstm-1", "B", "lstm-1"),
        ("baseline", "A", "baseline"),
        ("baseline", "B", "lstm-2"),
    ]:
        run = trained(tmp_path, name)
        card = {**run.card, "model": f"{run.model} ({side})"}
        runs.append(
            replace(
                run, folder=tmp_path / f"{name} ({side})", card=card, predictions=trained(tmp_path, of_run).predictions
            )
        )
    pairs = [(first.name, second.name) for first, second, _ in compare(runs, LABELS, NAMES).same_seed_tests()]
    assert ("baseline (A)", "baseline (B)") in pairs
    assert ("lstm-1 (A)", "lstm-1 (B)") not in pairs
    assert len(pairs) == 5


def test_probabilities_are_means_over_seeds(comparison: Comparison) -> None:
    assert comparison.probabilities()["lstm"][:, 1].tolist() == pytest.approx([0.5, 0.9, 0.8, 0.45])


def test_texts_of_one_group_are_less_evidence_than_texts_on_their_own(tmp_path: Path) -> None:
    """Ten films with a hundred reviews each, one model better on six of them: films can be drawn otherwise."""
    labels = np.zeros(1000, np.int32)
    films = np.repeat(np.arange(10), 100)
    of_class = np.eye(2, dtype=np.float32)
    runs = []
    for model, correct in (("lstm", films < 6), ("gru", films >= 6)):
        for seed in (1, 2, 3):
            predictions = {"test": of_class[(~correct).astype(int)], "validation": of_class[:1]}
            card: dict[str, object] = {"model": model, "seed": seed, "parameters": 1, "settings": {}}
            runs.append(Trained(tmp_path / f"{model}-{seed}", card, predictions))
    (alone,) = compare(runs, labels, ["a", "b"]).differences().values()
    (grouped,) = compare(runs, labels, ["a", "b"], films).differences().values()
    assert alone.mean == grouped.mean == pytest.approx(0.2)
    assert alone.low > 0
    assert grouped.low < 0


def test_seeds_of_different_settings_are_no_seeds_of_one_model(tmp_path: Path) -> None:
    first, second = (trained(tmp_path, name) for name in ("lstm-1", "lstm-2"))
    second = replace(second, card={**second.card, "settings": {"units": 64}})
    with pytest.raises(InputError, match=r"lstm-1 and lstm-2 were trained with different settings \(units 8 and 64\)"):
        compare([first, second], LABELS, NAMES)
