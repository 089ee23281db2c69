"""The gate: who becomes champion, who does not and why, the way back, and two promotions at the same moment.

Models of known quality are n-gram models made by hand, whatever their names; real ones go through the command in the
tiny project.
"""

import json
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pytest
from conftest import Project, clean_environment

from pipeline.parts.choice import choose, named, ranked, served_uri
from pipeline.parts.command import InputError
from pipeline.parts.ngrams import NgramModel
from pipeline.parts.record import restore
from pipeline.parts.registry import CHAMPION, Registry, Version
from pipeline.parts.tracking import Tracker
from pipeline.parts.trained import Trained
from pipeline.tools.promote import REFUSED, HeldOut, candidate, promote, read_test_split

TEXTS = 400
LABELS = np.arange(TEXTS, dtype=np.int32) % 2
WORDS = [f"film{i}" for i in range(TEXTS)]
NAMES = ["bad", "good"]
SPLIT = HeldOut(WORDS, LABELS, np.arange(TEXTS), NAMES)
# Right answers of 400. Against 300, the interval is some 4 points to both sides.
RIGHT = {"lstm-1": 300, "gru-1": 340, "gru-2": 292, "gru-3": 200, "gru-4": 284, "baseline": 320}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    mlflow.MlflowClient(f"sqlite:///{path}")
    return path


@pytest.fixture(autouse=True)
def root(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of its own for every test."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(empty_store, tmp_path / "mlflow.db")
    return tmp_path


@pytest.fixture
def registry(root: Path) -> Registry:
    return Registry("tiny")


@pytest.fixture
def tracker(root: Path) -> Tracker:
    return Tracker("tiny")


def trained(root: Path, name: str, validation: float = 0.8, seed: int | None = None) -> Trained:
    """A model that gets `RIGHT[name]` test texts right, recorded in MLflow.

    Args:
        root: of the repository.
        name: of its folder.
        validation: its accuracy there.
        seed: shuffles which texts are right; without, it is the first ones.
    """
    folder = root / "data" / "models" / name
    folder.mkdir(parents=True)
    order = np.arange(TEXTS) if seed is None else np.random.default_rng(seed).permutation(TEXTS)
    says_good = np.where(order < RIGHT[name], LABELS, 1 - LABELS)
    in_order = np.argsort(WORDS)
    weights = np.where(says_good, 1000.0, -1000.0)[in_order][:, None]
    vocabulary = [WORDS[i] for i in in_order]
    NgramModel("naive_bayes", 1, vocabulary, np.empty(0, np.float32), weights, np.zeros(1)).save(folder / "model.npz")
    reviews = root / "reviews.txt"
    reviews.write_text("what it learnt from")
    card = {
        **{"dataset": "tiny", "model": "baseline", "seed": None, "labels": NAMES, "parameters": TEXTS},
        **{"settings": {"ngrams": 1}, "validation": {"accuracy": validation, "log_loss": 0.5}},
        "inputs": {"reviews.txt": md5(reviews)},
    }
    one = Trained(folder, card, {"validation": np.eye(2)[LABELS], "test": np.eye(2)[says_good]})
    one.save()
    restore(Tracker("tiny"), one, Path())
    return one


def decide(registry: Registry, tracker: Tracker, one: Trained, split: HeldOut = SPLIT) -> tuple[bool, str]:
    return promote(registry, tracker, one, split, beat_baseline=False, compared=True)


def champion(registry: Registry) -> str:
    version = registry.champion()
    return version.name if version else "none"


def aliases(registry: Registry) -> dict[str, str]:
    model = mlflow.MlflowClient(registry.uri).get_registered_model(registry.model)
    return {alias: str(version) for alias, version in model.aliases.items()}  # numbers in SQLite, text from a server


def test_the_first_model_becomes_champion(root: Path, registry: Registry, tracker: Tracker) -> None:
    assert registry.champion() is None
    assert decide(registry, tracker, trained(root, "lstm-1")) == (
        True,
        "version 1 (lstm-1) is the champion; there was no champion before",
    )
    version = registry.champion()
    assert version is not None
    assert (version.number, version.name, version.digest) == (1, "lstm-1", "a" * 32)
    np.testing.assert_array_equal(registry.test_predictions(version).shape, (TEXTS, 2))
    described = mlflow.MlflowClient(registry.uri).get_model_version(registry.model, "1").description
    assert "Accuracy 75.0% on 400 texts" in described


def test_a_better_model_takes_over_and_a_worse_one_is_the_challenger(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    promoted, words = decide(registry, tracker, trained(root, "gru-1"))
    assert promoted
    assert "better: +10.0 points (95 % interval +" in words
    refused, words = decide(registry, tracker, trained(root, "gru-3"))
    assert not refused
    assert "version 3 (gru-3) is not promoted because it is worse than the champion: -35.0 points" in words
    assert aliases(registry) == {"champion": "2", "challenger": "3"}


def test_a_little_worse_within_the_interval_is_not_worse(root: Path, registry: Registry, tracker: Tracker) -> None:
    one, other = trained(root, "lstm-1"), trained(root, "gru-2")
    decide(registry, tracker, one)
    rng = np.random.default_rng(0)
    swapped = rng.permutation(TEXTS)  # other texts right: some noise between the two
    other.predictions["test"][:] = np.eye(2)[np.where(np.arange(TEXTS)[swapped] < 296, LABELS, 1 - LABELS)]
    promoted, words = decide(registry, tracker, other)
    assert promoted, words
    assert "not worse: -1.0 points" in words


def test_the_same_model_twice_is_one_version(root: Path, registry: Registry, tracker: Tracker) -> None:
    one = trained(root, "lstm-1")
    decide(registry, tracker, one)
    assert decide(registry, tracker, one) == (True, "version 1 (lstm-1) is the champion already")
    worse = trained(root, "gru-3")
    for _ in range(2):
        decide(registry, tracker, worse)
    assert len(mlflow.MlflowClient(registry.uri).search_model_versions(f"name = '{registry.model}'")) == 2


def test_a_promoted_challenger_is_a_challenger_no_more(root: Path, registry: Registry, tracker: Tracker) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    worse = trained(root, "gru-3")
    decide(registry, tracker, worse)
    promote(registry, tracker, worse, SPLIT, beat_baseline=False, compared=False)
    assert aliases(registry) == {"champion": "2"}


def test_a_champion_of_other_data_stays_unless_told_otherwise(root: Path, registry: Registry, tracker: Tracker) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    better, other_data = trained(root, "gru-1"), replace(SPLIT, digest="b" * 32)
    promoted, words = decide(registry, tracker, better, other_data)
    assert not promoted
    assert "version 1 (lstm-1), was tested on other data (digest aaaaaaaa, now bbbbbbbb)" in words
    assert "--without-comparison" in words
    assert champion(registry) == "lstm-1"
    assert promote(registry, tracker, better, other_data, beat_baseline=False, compared=False)[0]
    assert champion(registry) == "gru-1"


@pytest.mark.parametrize(("name", "passes"), [("gru-1", True), ("lstm-1", False), ("baseline", False)])
def test_better_than_the_baseline_is_a_gate_of_its_own(
    root: Path, registry: Registry, tracker: Tracker, name: str, passes: bool
) -> None:
    models = {model: trained(root, model) for model in {name, "baseline"}}
    promoted, words = promote(registry, tracker, models[name], SPLIT, beat_baseline=True, compared=True)
    assert promoted == passes
    assert ("baseline" in words) != passes
    assert champion(registry) == (name if passes else "none")


def test_rollback_goes_back_champion_by_champion(root: Path, registry: Registry, tracker: Tracker) -> None:
    for name in ("gru-3", "lstm-1", "gru-1"):
        assert decide(registry, tracker, trained(root, name))[0]
    restored, deposed = registry.roll_back()
    assert (restored.name, deposed.name, champion(registry)) == ("lstm-1", "gru-1", "lstm-1")
    registry.roll_back()
    assert champion(registry) == "gru-3"
    with pytest.raises(InputError, match="the only champion there ever was"):
        registry.roll_back()
    assert champion(registry) == "gru-3"


def test_rollback_without_a_champion_says_so(registry: Registry) -> None:
    with pytest.raises(InputError, match="has no champion; name one with: make promote"):
        registry.roll_back()


def test_who_was_overtaken_finds_out_and_changes_nothing(root: Path, registry: Registry, tracker: Tracker) -> None:
    """Without a lock, as on a server: the champion moves between the decision and the move."""
    decide(registry, tracker, trained(root, "lstm-1"))
    decided_on = registry.champion()
    decide(registry, tracker, trained(root, "gru-1"))
    with pytest.raises(InputError, match=r"somebody else moved the champion.*it is version 2, expected version 1"):
        registry.crown(Version(1, "lstm-1", "", "", ""), decided_on)
    assert champion(registry) == "gru-1"


def test_an_interrupted_promotion_can_be_rolled_back(
    root: Path, registry: Registry, tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gru-3", "lstm-1"):
        decide(registry, tracker, trained(root, name))
    better = trained(root, "gru-1")
    with monkeypatch.context() as patch:
        patch.setattr(
            mlflow.MlflowClient, "set_registered_model_alias", lambda *_: (_ for _ in ()).throw(OSError("no"))
        )
        with pytest.raises(InputError, match="did not do this: no"):
            decide(registry, tracker, better)
    assert champion(registry) == "lstm-1"
    registry.roll_back()
    assert champion(registry) == "gru-3"


def test_the_candidate_is_the_best_on_validation_and_not_on_test(root: Path) -> None:
    for name, validation in (("lstm-1", 0.7), ("gru-3", 0.9), ("baseline", 0.95)):
        trained(root, name, validation)
    models = root / "data" / "models"
    assert candidate(None, models, "tiny", networks_only=False).name == "baseline"
    assert candidate(None, models, "tiny", networks_only=True).name == "gru-3"
    assert candidate("lstm-1", models, "tiny", networks_only=False).name == "lstm-1"


def test_what_cannot_be_a_candidate_says_why(root: Path) -> None:
    models = root / "data" / "models"
    with pytest.raises(InputError, match="holds no trained model of tiny; train with: make repro DATASET=tiny"):
        candidate(None, models, "tiny", networks_only=False)
    trained(root, "gru-1")
    with pytest.raises(InputError, match=r"no model 'gru-9'.*did you mean gru-1"):
        candidate("gru-9", models, "tiny", networks_only=False)
    with pytest.raises(InputError, match=r"is of tiny, and params.yaml says imdb"):
        candidate("gru-1", models, "imdb", networks_only=False)
    (root / "tokenizer.json").write_text("[]")
    with pytest.raises(InputError, match=r"tokenizer.json changed since .*gru-1 was trained: run `dvc repro`"):
        candidate("gru-1", models, "tiny", networks_only=False)


def test_a_model_without_a_run_says_what_writes_one(root: Path, registry: Registry, tracker: Tracker) -> None:
    one = trained(root, "lstm-1")
    one.weights.write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"MLflow has no run of .*lstm-1; `dvc repro -f -s evaluate` writes it"):
        decide(registry, tracker, one)


def test_two_promotions_at_once_leave_one_truth(own_project: Project) -> None:
    """In processes of their own, on one store: whoever comes second is compared with the first."""
    command = ["python", "-m", "pipeline.tools.promote", "--model"]
    started = [
        subprocess.Popen(
            [*command, name], cwd=own_project.root, env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
        for name in ("lstm-1", "gru-1", "baseline")
    ]
    said = [process.communicate()[0] for process in started]
    model = mlflow.MlflowClient(own_project.store).get_registered_model("gatewise-tiny")
    assert sum("there was no champion before" in words for words in said) == 1, said
    promoted = [words.split()[2] for words in said if "is the champion;" in words]
    former = model.tags.get("gatewise.champions", "").split()
    assert sorted([*former, str(model.aliases["champion"])]) == sorted(promoted)
    assert len(mlflow.MlflowClient(own_project.store).search_model_versions("name = 'gatewise-tiny'")) == 3


def test_a_worse_model_is_refused_with_exit_code_1_and_the_champion_serves_on(own_project: Project) -> None:
    """The command as a user runs it, with a GRU that was spoilt on purpose."""
    project = own_project
    folder = shutil.copytree(project.root / "data/models/gru-2", project.root / "data/models/gru-9")
    with np.load(folder / "predictions.npz") as arrays:
        predictions = dict(arrays)
    np.savez(folder / "predictions.npz", **{split: array[:, ::-1] for split, array in predictions.items()})
    before = mlflow.MlflowClient(project.store).get_registered_model("gatewise-tiny").aliases["champion"]
    result = project.run("python", "-m", "pipeline.tools.promote", "--model", "gru-9", check=False)
    assert result.returncode == 1
    assert "is not promoted because it is worse than the champion" in result.stdout
    assert result.stderr == ""
    assert mlflow.MlflowClient(project.store).get_registered_model("gatewise-tiny").aliases["champion"] == before
    shutil.rmtree(folder)


def test_a_server_that_is_away_is_one_line(own_project: Project) -> None:
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    result = own_project.run("python", "-m", "pipeline.tools.promote", "--rollback", check=False, environment=away)
    assert result.returncode == 1
    assert result.stderr.startswith("error: MLflow (http://127.0.0.1:9) did not do this")
    assert len(result.stderr.splitlines()) == 1
