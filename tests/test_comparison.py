"""All models on one test split: what is summed up over seeds, and what is refused."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from pipeline.parts.command import InputError
from pipeline.parts.comparison import Comparison, compare
from pipeline.parts.scores import METRICS
from pipeline.parts.trained import Trained

LABELS = np.array([0, 1, 1, 0], np.int32)
NAMES = ["negative", "positive"]
# p(positive) of every test text; the accuracies are 1, 0.5 and 0.75.
POSITIVE = {"lstm-1": [0.1, 0.9, 0.8, 0.2], "lstm-2": [0.9, 0.9, 0.8, 0.7], "baseline": [0.1, 0.4, 0.8, 0.2]}


def folder(parent: Path, name: str) -> Path:
    model, _, seed = name.partition("-")
    positive = np.array(POSITIVE[name], np.float32)
    card = {"model": model, "seed": int(seed) if seed else None, "parameters": 1000}
    history = pd.DataFrame({"validation_loss": [0.7, 0.6]}, index=pd.RangeIndex(1, 3, name="epoch"))
    predictions = {"test": np.stack([1 - positive, positive], axis=1)}
    trained = Trained(parent / name, card, predictions, history if seed else pd.DataFrame())
    trained.save()
    trained.weights.touch()
    return parent / name


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return compare([folder(tmp_path, name) for name in POSITIVE], LABELS, NAMES)


def test_metrics_are_means_and_deviations_over_the_seeds_of_a_model(comparison: Comparison) -> None:
    metrics = comparison.metrics()
    assert list(metrics) == ["lstm", "baseline"]
    for values in metrics.values():
        assert list(values) == [*METRICS, "parameters", "runs"]
        assert all(values[name].keys() == {"mean", "std"} for name in METRICS)
    assert metrics["lstm"]["accuracy"] == pytest.approx({"mean": 0.75, "std": 0.125**0.5})
    assert metrics["baseline"]["accuracy"] == {"mean": 0.75, "std": None}
    assert [(values["runs"], values["parameters"]) for values in metrics.values()] == [(2, 1000), (1, 1000)]


def test_confusion_matrices_add_up_over_seeds(comparison: Comparison) -> None:
    matrices = {model: counts.tolist() for model, counts in comparison.confusion_matrices().items()}
    assert matrices == {"lstm": [[2, 2], [0, 4]], "baseline": [[2, 0], [1, 1]]}


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
    table = comparison.roc_curves()
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
        compare([folder(tmp_path, "lstm-1")], labels, names)


def test_a_model_that_was_never_trained_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gru-1 holds no trained model"):
        compare([folder(tmp_path, "lstm-1"), tmp_path / "gru-1"], LABELS, NAMES)


def test_texts_of_one_group_are_less_evidence_than_texts_on_their_own(tmp_path: Path) -> None:
    """Ten films with a hundred reviews each, one model better on six of them: films can be drawn otherwise."""
    labels = np.zeros(1000, np.int32)
    films = np.repeat(np.arange(10), 100)
    of_class = np.eye(2, dtype=np.float32)
    runs = []
    for model, correct in (("lstm", films < 6), ("gru", films >= 6)):
        for seed in (1, 2, 3):
            predictions = {"test": of_class[(~correct).astype(int)], "validation": of_class[:1]}
            card = {"model": model, "seed": seed, "parameters": 1}
            runs.append(Trained(tmp_path / f"{model}-{seed}", card, predictions))
            runs[-1].save()
            runs[-1].weights.touch()
    folders = [run.folder for run in runs]
    (alone,) = compare(folders, labels, ["a", "b"]).differences().values()
    (grouped,) = compare(folders, labels, ["a", "b"], films).differences().values()
    assert alone.mean == grouped.mean == pytest.approx(0.2)
    assert alone.low > 0
    assert grouped.low < 0
