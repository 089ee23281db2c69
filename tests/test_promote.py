"""The gate: who becomes champion, who does not and why, the way back, and two promotions at the same moment.

Models of known quality are n-gram models made by hand, whatever their names; real ones go through the command in the
tiny project.
"""

import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import mlflow
import numpy as np
import pyarrow.parquet as pq
import pytest
from conftest import Project, clean_environment

from pipeline.core.arrays import save_arrays
from pipeline.core.command import InputError
from pipeline.core.hashes import md5
from pipeline.linear.counting import Ngrams
from pipeline.linear.ngrams import NgramModel
from pipeline.serving.registry import Registry, Version, model_of
from pipeline.serving.selection import choose
from pipeline.tokens.tokenizer import train_tokenizer, with_words
from pipeline.tools.promote import REFUSED, HeldOut, beside_baseline, candidate, promote, read_test_split
from pipeline.tracking.record import restore
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import Trained

TEXTS = 400
LABELS = np.arange(TEXTS, dtype=np.int32) % 2
WORDS = [f"film{i}" for i in range(TEXTS)]
NAMES = ["bad", "good"]
SPLIT = HeldOut(WORDS, LABELS, np.arange(TEXTS), NAMES, majority=0, metric="accuracy")
# Right answers of 400. Against 300, the interval is some 4 points to both sides.
BEST = np.arange(TEXTS) < 300
RIGHT = {"lstm-1": 300, "gru-1": 340, "gru-3": 240, "baseline": 320}


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


def on_disk(
    root: Path, name: str, validation: float = 0.8, correct: np.ndarray | None = None, model: str = "baseline"
) -> Trained:
    """The files of a model that learnt from `tokens.npz`.

    Args:
        root: of the repository.
        name: of the folder.
        validation: accuracy there.
        correct: which test texts it gets right; by default the first `RIGHT[name]`.
        model: as its card says.
    """
    folder = root / "data" / "models" / name
    folder.mkdir(parents=True)
    correct = np.arange(TEXTS) < RIGHT[name] if correct is None else correct
    says_good = np.where(correct, LABELS, 1 - LABELS)
    in_order = np.argsort(WORDS)  # as a vocabulary is
    weights, words = np.where(says_good, 9.0, -9.0)[in_order][:, None], [WORDS[i] for i in in_order]
    tokenizer = with_words(train_tokenizer(iter(()), "word", 10), words)
    ngrams = Ngrams(tokenizer, np.arange(2, TEXTS + 2, dtype=np.int32)[:, None])
    NgramModel("naive_bayes", ngrams, np.empty(0, np.float32), weights, np.zeros(1)).save(folder / "model.npz")
    shutil.copyfile(folder / "model.npz", folder / "model.keras")
    save_arrays(root / "tokens.npz", {"train_labels": LABELS, "validation_labels": LABELS[:100]})
    card = {
        **{"dataset": "tiny", "model": model, "seed": None, "labels": NAMES, "parameters": TEXTS},
        **{"settings": {"ngrams": 1}, "validation": {"accuracy": validation, "log_loss": 0.5}},
        "inputs": {"tokens.npz": md5(root / "tokens.npz")},
    }
    one = Trained(folder, card, {"validation": np.eye(2)[LABELS[:100]], "test": np.eye(2)[says_good]})
    one.save()
    return one


def trained(root: Path, name: str, validation: float = 0.8, correct: np.ndarray | None = None) -> Trained:
    """The same, recorded in MLflow."""
    one = on_disk(root, name, validation, correct)
    restore(Tracker("tiny"), one, Path())
    return one


def a_little_worse(correct: np.ndarray, step: int) -> np.ndarray:
    """14 right answers less and 8 more, others at every step: 1.5 points, within the noise of a single comparison."""
    right, wrong = np.flatnonzero(BEST), np.flatnonzero(~BEST)
    changed = correct.copy()
    changed[right[14 * step : 14 * step + 14]] = False
    changed[wrong[8 * step : 8 * step + 8]] = True
    return changed


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
    assert version == Version(1, "lstm-1", version.fingerprint, SPLIT.digest, 0.75, version.run_id)
    assert (registry.test_predictions(version).argmax(axis=1) == LABELS).sum() == 300


def test_a_better_model_takes_over_and_a_worse_one_is_the_challenger(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    promoted, words = decide(registry, tracker, trained(root, "gru-1"))
    assert promoted
    assert "better: +10.0 points (95 % interval +" in words
    refused, words = decide(registry, tracker, trained(root, "gru-3"))
    assert not refused
    assert "version 3 (gru-3) is not promoted because it is worse than the champion: -25.0 points" in words
    assert aliases(registry) == {"champion": "2", "challenger": "3"}


def test_a_constant_answer_is_refused_unless_it_is_wanted(root: Path, registry: Registry, tracker: Tracker) -> None:
    constant = trained(root, "lstm-1", correct=LABELS == 0)
    promoted, words = decide(registry, tracker, constant)
    assert not promoted
    assert "because it has learnt nothing: it is not better than the constant answer “bad” (accuracy 50.0%)" in words
    assert "--without-learning" in words
    assert aliases(registry) == {"challenger": "1"}
    assert promote(registry, tracker, constant, SPLIT, beat_baseline=False, compared=True, learnt=False)[0]
    promoted, words = decide(registry, tracker, constant)
    assert not promoted
    assert words.startswith("version 1 (lstm-1) is the champion already, although it has learnt nothing")


def test_the_gate_is_about_macro_f1_where_that_decides(root: Path, registry: Registry, tracker: Tracker) -> None:
    """Of 40 rare texts, one model finds none, and is as accurate as one that finds all and takes others for them."""
    rare = replace(SPLIT, labels=(np.arange(TEXTS) < 40).astype(np.int32), metric="macro_f1")
    same = rare.labels == LABELS  # what the files call right is about other labels
    finds_most = trained(root, "gru-1", correct=same ^ (np.arange(TEXTS) % 20 == 1))
    finds_none = trained(root, "lstm-1", correct=LABELS == 0)
    assert decide(registry, tracker, finds_most, rare)[0]
    promoted, words = promote(registry, tracker, finds_none, rare, beat_baseline=False, compared=True, learnt=False)
    assert not promoted
    assert "worse than the champion: -40.8 points" in words
    assert not decide(registry, tracker, finds_none, rare)[0]


def test_small_steps_down_end_at_the_best_champion_so_far(root: Path, registry: Registry, tracker: Tracker) -> None:
    """Each is within the noise of the one before."""
    correct, said = BEST, []
    for step in range(5):
        said.append(decide(registry, tracker, trained(root, f"step-{step}", correct=correct)))
        correct = a_little_worse(correct, step)
    assert "not worse: -1.5 points" in said[1][1]
    assert "not worse: -1.5 points" in said[2][1]
    assert [promoted for promoted, _ in said] == [True, True, True, False, False]
    assert "because it is worse than the best champion so far: -4.5 points" in said[3][1]
    assert "against version 1 (step-0)" in said[3][1]
    assert champion(registry) == "step-2"


def test_a_champion_that_was_rolled_back_is_no_measure_but_is_named(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    for name in ("lstm-1", "gru-1"):
        decide(registry, tracker, trained(root, name))
    registry.roll_back()
    promoted, words = decide(registry, tracker, trained(root, "step-1", correct=a_little_worse(BEST, 0)))
    assert promoted
    assert "worse than version 2 (gru-1), which was rolled back: -11.5 points" in words
    assert decide(registry, tracker, Trained.load(root / "data" / "models" / "gru-1"))[0]
    assert registry.rolled_back() == []


def test_the_card_of_a_version_has_data_scores_and_the_last_decision(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    client = mlflow.MlflowClient(registry.uri)
    decide(registry, tracker, trained(root, "lstm-1"))
    worse = trained(root, "gru-3")
    decide(registry, tracker, worse)
    card = client.get_model_version(registry.model, "2").description
    assert card.startswith("# N-gram baseline on tiny")
    assert re.search(r"\| train texts +\| 400: bad 200 \(50%\), good 200 \(50%\)", card)
    assert re.search(r"\| validation accuracy +\| 80\.0% \(95 % interval 71\.1% to 86\.7%, 100 texts\)", card)
    assert re.search(r"\| test accuracy +\| 60\.0% \(95 % interval 5\d\.\d% to 6\d\.\d%, 400 texts\)", card)
    assert "\nRefused: it is worse than the champion: -15.0 points" in card
    run = tracker.find(worse.fingerprint)
    assert run is not None
    logged = client.get_logged_model(model_of(run))
    assert logged.tags["mlflow.note.content"] == card
    promote(registry, tracker, worse, SPLIT, beat_baseline=False, compared=False)
    card = client.get_model_version(registry.model, "2").description
    assert "\nPromoted; not compared with version 1 (lstm-1).\n" in card
    assert "Refused" not in card


def test_the_gate_asks_the_model_and_not_the_file_with_its_predictions(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    worse = trained(root, "gru-3")
    worse.predictions["test"][:] = np.eye(2)[LABELS]
    worse.save()
    promoted, words = decide(registry, tracker, Trained.load(worse.folder))
    assert (promoted, "-15.0 points" in words) == (False, True)


def test_a_model_that_cannot_be_opened_is_not_registered(root: Path, registry: Registry, tracker: Tracker) -> None:
    one = trained(root, "lstm-1")
    (weights,) = (root / "mlartifacts").rglob("model.npz")
    weights.write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"models:/m-\w+ cannot be opened: "):
        decide(registry, tracker, one)
    assert registry.champion() is None
    assert mlflow.MlflowClient(registry.uri).search_registered_models() == []


def test_a_model_whose_run_was_deleted_gets_a_version_of_its_new_run(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    one, client = trained(root, "lstm-1"), mlflow.MlflowClient(registry.uri)
    decide(registry, tracker, one)
    run = tracker.find(one.fingerprint)
    assert run is not None
    client.delete_run(run.info.run_id)
    client.delete_logged_model(model_of(run))
    restore(tracker, one, Path())
    promoted, words = decide(registry, tracker, one)
    assert promoted, words
    assert words.startswith("version 2 (lstm-1) is the champion; not worse: +0.0 points")
    assert choose(None, "tiny")[0].predict(["film0"])["label"].tolist() == ["bad"]


def test_other_labels_are_one_line(root: Path, registry: Registry, tracker: Tracker) -> None:
    other = replace(SPLIT, label_names=["rotten", "fresh"])
    with pytest.raises(InputError, match=r"must know the labels rotten, fresh\. Received: bad, good"):
        decide(registry, tracker, trained(root, "lstm-1"), other)


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
    better, other_data = trained(root, "gru-1"), replace(SPLIT, texts=[*WORDS[:-1], "another text"])
    promoted, words = decide(registry, tracker, better, other_data)
    assert not promoted
    digests = f"digest {SPLIT.digest[:8]}, now {other_data.digest[:8]}"
    assert f"version 1 (lstm-1), was tested on other texts ({digests})" in words
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


def test_the_champion_itself_has_to_beat_the_baseline_too_where_that_is_asked_for(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    one, _ = trained(root, "lstm-1"), trained(root, "baseline")
    decide(registry, tracker, one)
    promoted, words = promote(registry, tracker, one, SPLIT, beat_baseline=True, compared=True)
    assert not promoted
    assert "is the champion already, although it is not better than the baseline: -5.0 points" in words
    assert aliases(registry) == {"champion": "1"}


def test_a_baseline_of_other_data_is_one_line(root: Path, registry: Registry, tracker: Tracker) -> None:
    one, baseline = trained(root, "gru-1"), trained(root, "baseline")
    baseline.card["inputs"]["tokens.npz"] = "0" * 32
    baseline.save()
    with pytest.raises(InputError, match=r"tokens.npz changed since .*baseline was trained: run `dvc repro`"):
        promote(registry, tracker, one, SPLIT, beat_baseline=True, compared=True)
    assert registry.champion() is None


def test_rollback_goes_back_champion_by_champion(root: Path, registry: Registry, tracker: Tracker) -> None:
    for name in ("gru-3", "lstm-1", "gru-1"):
        assert decide(registry, tracker, trained(root, name))[0]
    restored, deposed = registry.roll_back()
    assert (restored.name, deposed.name, champion(registry)) == ("lstm-1", "gru-1", "lstm-1")
    registry.roll_back()
    assert champion(registry) == "gru-3"
    with pytest.raises(InputError, match="has no former champion to go back to"):
        registry.roll_back()
    assert champion(registry) == "gru-3"


def test_rollback_finds_a_champion_that_came_back(root: Path, registry: Registry, tracker: Tracker) -> None:
    one, other = trained(root, "lstm-1"), trained(root, "gru-1")
    for model in (one, other, one):
        promote(registry, tracker, model, SPLIT, beat_baseline=False, compared=False)
    went_back = []
    for _ in range(2):
        registry.roll_back()
        went_back.append(champion(registry))
    assert went_back == ["gru-1", "lstm-1"]
    with pytest.raises(InputError, match="no former champion"):
        registry.roll_back()


def test_rollback_skips_what_cannot_serve(
    root: Path, registry: Registry, tracker: Tracker, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("gru-3", "lstm-1", "baseline", "gru-1"):
        assert decide(registry, tracker, trained(root, name))[0]
    client = mlflow.MlflowClient(registry.uri)
    client.delete_model_version(registry.model, "3")
    client.delete_logged_model(client.get_model_version(registry.model, "2").source.removeprefix("models:/"))
    restored, deposed = registry.roll_back()
    assert (restored.name, deposed.name, champion(registry)) == ("gru-3", "gru-1", "gru-3")
    skipped = capsys.readouterr().err.splitlines()
    assert skipped[0] == "skipped: version 3 of gatewise-tiny: it was deleted"
    assert skipped[1].startswith("skipped: version 2 of gatewise-tiny: ")


def test_rollback_without_a_champion_says_so(registry: Registry) -> None:
    with pytest.raises(InputError, match="has no champion; name one with: make promote"):
        registry.roll_back()


def test_a_promotion_waits_for_another_one_and_is_compared_with_its_champion(root: Path) -> None:
    registry, tracker = Registry("tiny"), Tracker("tiny")
    decide(registry, tracker, trained(root, "lstm-1"))
    worse, better = trained(root, "step-1", correct=a_little_worse(BEST, 0)), trained(root, "gru-1")
    run = tracker.find(better.fingerprint)
    assert run is not None
    said: list[tuple[bool, str]] = []
    second = threading.Thread(target=lambda: said.append(decide(Registry("tiny"), Tracker("tiny"), worse)))
    with registry.locked():
        overtaken = registry.champion()
        second.start()
        second.join(2)  # it opens its model and asks it, for which nobody need wait
        assert second.is_alive()
        registry.crown(registry.register(better, run, SPLIT.digest, 0.85, better.predictions["test"]), overtaken)
    second.join()
    assert [promoted for promoted, _ in said] == [False]
    assert "worse than the champion: -11.5 points" in said[0][1]
    assert champion(registry) == "gru-1"


def test_on_a_server_who_was_overtaken_is_refused(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # An address that names a driver is no file to us: no lock keeps promotions apart, as with a server.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite+pysqlite:///{root / 'mlflow.db'}")
    registry, tracker = Registry("tiny"), Tracker("tiny")
    decide(registry, tracker, trained(root, "lstm-1"))
    one, other = trained(root, "gru-1"), trained(root, "gru-3", correct=BEST)
    ask = Registry.test_predictions

    def and_meanwhile(asked: Registry, version: Version) -> np.ndarray:
        monkeypatch.setattr(Registry, "test_predictions", ask)
        assert decide(Registry("tiny"), Tracker("tiny"), other)[0]
        return ask(asked, version)

    monkeypatch.setattr(Registry, "test_predictions", and_meanwhile)
    with pytest.raises(InputError, match=r"it is version 3, expected version 1 .*; run this again"):
        decide(registry, tracker, one)
    assert champion(registry) == "gru-3"
    assert not list(root.glob("*.promotion.lock"))
    assert decide(registry, tracker, one)[0]
    assert champion(registry) == "gru-1"


def test_who_was_overtaken_all_the_same_finds_out_and_changes_nothing(
    root: Path, registry: Registry, tracker: Tracker
) -> None:
    decide(registry, tracker, trained(root, "lstm-1"))
    decided_on = registry.champion()
    decide(registry, tracker, trained(root, "gru-1"))
    assert decided_on is not None
    with pytest.raises(InputError, match=r"another promotion .*it is version 2, expected version 1"):
        registry.crown(decided_on, decided_on)
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
        on_disk(root, name, validation, model=name.partition("-")[0])
    models = root / "data" / "models"
    assert candidate(None, models, "tiny", networks_only=False, metric="accuracy").name == "baseline"
    assert candidate(None, models, "tiny", networks_only=True, metric="accuracy").name == "gru-3"
    assert candidate("lstm-1", models, "tiny", networks_only=False, metric="accuracy").name == "lstm-1"


def test_what_learnt_from_other_data_is_left_out_and_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    on_disk(root, "lstm-1", 0.7)
    leftover = on_disk(root, "gru-3", 0.9)
    leftover.card["inputs"]["tokens.npz"] = "0" * 32
    leftover.save()
    models = Path("data/models")
    assert candidate(None, models, "tiny", networks_only=False, metric="accuracy").name == "lstm-1"
    assert capsys.readouterr().err == "left out: data/models/gru-3, because it learnt from another tokens.npz\n"
    with pytest.raises(InputError, match=r"tokens.npz changed since .*gru-3 was trained: run `dvc repro`"):
        candidate("gru-3", models, "tiny", networks_only=False, metric="accuracy")


def test_what_cannot_be_a_candidate_says_why(root: Path) -> None:
    models = root / "data" / "models"
    with pytest.raises(InputError, match="holds no trained model of tiny; train with: make repro DATASET=tiny"):
        candidate(None, models, "tiny", networks_only=False, metric="accuracy")
    on_disk(root, "gru-1")
    with pytest.raises(InputError, match=r"no model 'gru-9'.*did you mean gru-1"):
        candidate("gru-9", models, "tiny", networks_only=False, metric="accuracy")
    with pytest.raises(InputError, match=r"must be a model of imdb, as in params\.yaml\. Received: tiny"):
        candidate("gru-1", models, "imdb", networks_only=False, metric="accuracy")


def test_a_model_without_a_run_says_what_writes_one(root: Path, registry: Registry, tracker: Tracker) -> None:
    one = trained(root, "lstm-1")
    one.weights.write_bytes(b"other weights")
    with pytest.raises(InputError, match=r"MLflow has no run of .*lstm-1; `dvc repro -f -s evaluate` writes it"):
        decide(registry, tracker, one)


@pytest.mark.slow
def test_two_promotions_at_once_leave_one_truth(fresh_copy: Callable[[], Project]) -> None:
    """In processes of their own, on one store: whoever comes second is compared with the first."""
    project = fresh_copy()
    command = ["python", "-m", "pipeline", "promote", "--model"]
    started = [
        subprocess.Popen([*command, name], cwd=project.root, env=clean_environment(), stdout=subprocess.PIPE, text=True)
        for name in ("gru-1", "baseline")
    ]
    said = [process.communicate()[0] for process in started]
    model = mlflow.MlflowClient(project.store).get_registered_model("gatewise-tiny")
    assert sum("there was no champion before" in words for words in said) == 1, said
    promoted = [words.split()[2] for words in said if "is the champion;" in words]
    former = model.tags.get("gatewise.champions", "").split()
    assert sorted([*former, str(model.aliases["champion"])]) == sorted(promoted)
    assert len(mlflow.MlflowClient(project.store).search_model_versions("name = 'gatewise-tiny'")) == 2


def test_a_worse_model_is_refused_with_exit_code_3_and_the_champion_serves_on(
    own_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command as a user runs it, with a baseline that was spoilt on purpose: it says the contrary."""
    project = own_project
    folder = shutil.copytree(project.root / "data/models/baseline", project.root / "data/models/contrary")
    model = NgramModel.load(folder / "model.npz")
    replace(model, weights=-model.weights, intercepts=-model.intercepts).save(folder / "model.npz")
    monkeypatch.setenv("DVC_ROOT", str(project.root))
    restore(Tracker("tiny"), Trained.load(folder), Path())
    tracker, split = Tracker("tiny"), read_test_split(project.root / "data/processed", "accuracy")
    baseline = Trained.load(project.root / "data/models/baseline")
    assert promote(Registry("tiny"), tracker, baseline, split, beat_baseline=False, compared=True)[0]
    before = mlflow.MlflowClient(project.store).get_registered_model("gatewise-tiny").aliases["champion"]
    result = project.call("python", "-m", "pipeline", "promote", "--model", "contrary", check=False)
    assert result.returncode == REFUSED == 3
    assert "is not promoted because it is worse than the champion" in result.stdout
    assert result.stderr == ""
    assert mlflow.MlflowClient(project.store).get_registered_model("gatewise-tiny").aliases["champion"] == before
    shutil.rmtree(folder)


def test_a_network_that_is_not_better_than_the_baseline_is_told_of(trained_project: Project) -> None:
    split = read_test_split(trained_project.root / "data/processed", "accuracy")
    network, baseline = (Trained.load(trained_project.root / "data/models" / name) for name in ("gru-1", "baseline"))
    assert "not better than the n-gram baseline in accuracy: +0.0 points" in str(beside_baseline(network, split))
    assert beside_baseline(baseline, split) is None


def test_the_digest_is_of_the_test_texts_and_of_nothing_else(trained_project: Project, tmp_path: Path) -> None:
    data = shutil.copytree(trained_project.root / "data/processed", tmp_path / "data")
    before = read_test_split(data, "accuracy")
    table = pq.read_table(data / "reviews.parquet")
    for split, same in (("train", True), ("test", False)):
        row = table["split"].to_pylist().index(split)
        texts = table["text"].to_pylist()
        texts[row] = "something else"
        place = table.schema.get_field_index("text")
        pq.write_table(table.set_column(place, table.schema.field("text"), [texts]), data / "reviews.parquet")
        assert (read_test_split(data, "accuracy").digest == before.digest) == same
    assert replace(before, groups=before.groups[::-1]).digest != before.digest
    assert replace(before, labels=1 - before.labels).digest != before.digest


def test_a_server_that_is_away_is_one_line(own_project: Project) -> None:
    away = {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    result = own_project.call("python", "-m", "pipeline", "rollback", check=False, environment=away)
    assert result.returncode == 1
    assert result.stderr.startswith("error: MLflow (http://127.0.0.1:9) did not do this")
    assert len(result.stderr.splitlines()) == 1
