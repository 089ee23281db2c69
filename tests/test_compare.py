"""Two revisions side by side: what is compared with what, and in a real repository with a real experiment."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import Project, commit_all
from runs import MODELS, runs_of, stages_run

from pipeline.comparison.comparison import Findings
from pipeline.comparison.statistics import Difference
from pipeline.core.command import InputError
from pipeline.tools.compare import (
    FilesMissingError,
    Side,
    check_same_test,
    compare_records,
    data_of,
    pairs_of,
    side_by_side,
    told_of,
    without_same_models,
)
from pipeline.tracking.run_record import name_of
from pipeline.trained.trained import Trained

COMPARE = ("python", "-m", "pipeline", "compare")


def side(folder: Path, **weights: str) -> Side:
    """Models by name, such as lstm_1; what each learnt is a text."""
    models = []
    for name, learnt in weights.items():
        model, _, seed = name.partition("_")
        files = folder / name.replace("_", "-")
        files.mkdir(parents=True)
        (files / ("model.npz" if model == "baseline" else "model.keras")).write_text(learnt)
        card = {"model": model, "seed": int(seed) if seed else None, "settings": {"units": 8}, "parameters": 1}
        models.append(Trained(files, card, {"test": np.ones((4, 2), np.float32) / 2}))
    return Side(folder.name, "films", folder, models, "0" * 12)


def names(models: list[Trained]) -> list[str]:
    return [model.name for model in models]


def test_what_differs_is_there_twice_and_the_kinds_stay_together(tmp_path: Path) -> None:
    first = side(tmp_path / "a", lstm_1="one", gru_1="two", baseline="n")
    second = side(tmp_path / "b", lstm_1="one", gru_1="other", baseline="n")
    models, originals = side_by_side(first, second)
    assert names(models) == ["lstm-1", "gru-1 (A)", "gru-1 (B)", "baseline"]
    assert [model.model for model in models] == ["lstm", "gru (A)", "gru (B)", "baseline"]
    assert (originals["gru-1 (A)"], originals["gru-1 (B)"]) == (first.models[1], second.models[1])


def test_the_order_of_the_seeds_is_no_difference(tmp_path: Path) -> None:
    first, second = side(tmp_path / "a", gru_1="one", gru_2="two"), side(tmp_path / "b", gru_2="two", gru_1="one")
    assert names(side_by_side(first, second)[0]) == ["gru-1", "gru-2"]


def test_labels_in_another_order_are_no_common_ground(tmp_path: Path) -> None:
    """The same codes would mean other labels."""
    sides = [side(tmp_path / name, gru_1="one") for name in ("a", "b")]
    for one, labels in zip(sides, (["bad", "good"], ["good", "bad"]), strict=True):
        (one.data / "data.json").write_text(json.dumps({"labels": labels}))
    with pytest.raises(InputError, match=r"same labels.*Received: bad, good \(a\); good, bad \(b\)$"):
        check_same_test(*sides)


@pytest.mark.parametrize(
    ("models", "pairs"),
    [
        (["lstm (A)", "lstm (B)", "gru", "baseline"], [("lstm (B)", "lstm (A)")]),
        (["lstm (A)", "gru (A)", "gru (B)", "baseline"], [("gru (B)", "gru (A)")]),
        (["lstm", "gru", "baseline (A)", "baseline (B)"], [("baseline (B)", "baseline (A)")]),
        (["lstm (A)", "gru (B)", "baseline"], [("gru (B)", "lstm (A)")]),
        (
            ["lstm (A)", "gru (B)", "baseline (A)", "baseline (B)"],
            [("gru (B)", "lstm (A)"), ("baseline (B)", "baseline (A)")],
        ),
    ],
    ids=["one differs", "one is alone", "the baseline alone", "other networks", "nothing in common"],
)
def test_what_is_compared_with_what(models: list[str], pairs: list[tuple[str, str]]) -> None:
    assert pairs_of(models) == pairs


def test_nothing_to_compare_is_said_with_the_reason() -> None:
    with pytest.raises(InputError, match=r"both sides have the same LSTM, GRU and n-gram baseline$"):
        pairs_of(["lstm", "gru", "baseline"])
    with pytest.raises(
        InputError, match=r"both sides have the same LSTM and n-gram baseline; GRU \(A\) is on one side"
    ):
        pairs_of(["lstm", "gru (A)", "baseline"])


def test_a_model_with_more_seeds_is_not_compared_with_itself(tmp_path: Path) -> None:
    first = side(tmp_path / "a", lstm_1="one", lstm_2="two", gru_1="three")
    second = side(tmp_path / "b", lstm_1="one", lstm_2="two", lstm_3="more", gru_1="other")
    models, originals = side_by_side(first, second)
    fingerprints = {name: model.fingerprint for name, model in originals.items()}
    pairs = pairs_of([*dict.fromkeys(model.model for model in models)])
    assert len(pairs) == 2
    kept, (note,) = without_same_models(pairs, models, fingerprints)
    assert kept == [("gru (B)", "gru (A)")]
    assert note == (
        "LSTM (A) and LSTM (B) are one model with other seeds, so they are not compared: seeds 1 and 2 gave the same"
        " network, with the same settings."
    )
    with pytest.raises(InputError, match=r"^there is nothing to compare: LSTM \(A\) and LSTM \(B\) are one model"):
        without_same_models(pairs[:1], models, fingerprints)


def test_shared_runs_of_other_settings_are_said(tmp_path: Path) -> None:
    """Longer patience changes nothing for a seed that stops early anyway."""
    first, second = side(tmp_path / "a", lstm_1="one", lstm_2="two"), side(tmp_path / "b", lstm_1="one", lstm_2="more")
    patient = [replace(model, card={**model.card, "settings": {"units": 9}}) for model in second.models]
    models, originals = side_by_side(first, replace(second, models=patient))
    fingerprints = {name: model.fingerprint for name, model in originals.items()}
    kept, (note,) = without_same_models([("lstm (B)", "lstm (A)")], models, fingerprints)
    assert kept == [("lstm (B)", "lstm (A)")]
    assert note.startswith("LSTM (A) and LSTM (B) share the runs of seed 1. The interval")


def test_each_pair_has_a_verdict_and_p_values_are_corrected_for_all() -> None:
    differences = {
        ("lstm (B)", "lstm (A)"): Difference(0.01, 0.001, 0.019, 0.03, (3, 3), 500),
        ("baseline (B)", "baseline (A)"): Difference(0.002, -0.004, 0.008, 0.5, (1, 1), 500),
    }
    told = told_of("A is a.", "films", Findings("accuracy", differences, differences, None, {}), {}, ["A note."])
    assert told.sentences == [
        "A is a.",
        "LSTM (B) and LSTM (A) cannot be told apart on films (difference 1.0 points, 95 % interval 0.1 to 1.9; 3 seeds;"
        " p < 0.05 before Holm's correction for 2 comparisons).",
        "The n-gram baseline (B) and the n-gram baseline (A) cannot be told apart on films (difference 0.2 points, 95 %"
        " interval -0.4 to 0.8).",
    ]
    assert told.warnings == ["A note."]


def test_what_is_known_of_the_data_names_the_side_where_it_differs() -> None:
    first = {"labels": ["a", "b"], "splits": {"train": {"reviews": 5}, "test": {"reviews": 3}}, "settings": {"seed": 1}}
    second = {**first, "splits": {"train": {"reviews": 6}, "test": {"reviews": 3}}}
    assert data_of(first, first) == first
    assert data_of(first, second) == first | {
        "splits": {"train (A)": {"reviews": 5}, "train (B)": {"reviews": 6}, "test": {"reviews": 3}}
    }


def experiment(project: Project, name: str) -> str:
    """The reference under which git keeps an experiment of DVC."""
    references = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (found,) = [reference for reference in references if reference.endswith(f"/{name}")]
    return found


@pytest.mark.slow
def test_an_experiment_and_back_and_both_side_by_side(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    change = ("-S", "train.units=4", "-S", "models=[gru]", "-S", "seeds=[1]")
    output = project.run("dvc", "exp", "run", "--name", "small", *change).stdout
    assert output.count("Running stage 'train@") == 1
    assert [name_of(run) for run in runs_of(project)][-2:] == ["gru-1", "comparison"]
    # Back: nothing runs, and the results and their comparison are those of before.
    back = ("--units", "8", "--models", "lstm,gru", "--seeds", "1,2")
    output = project.run("python", "-m", "pipeline", "run", *back).stdout
    assert stages_run(output) == []
    assert (project.root / "data/results/summary.md").read_text() in output
    assert [name_of(run) for run in runs_of(project)] == [*MODELS, "comparison", "gru-1", "comparison"]
    project.run("git", "checkout", "--quiet", "params.yaml")  # DVC writes it in a layout of its own
    before = project.run("git", "status", "--porcelain").stdout
    # A commit with a parameter that today's code does not know.
    project.run("git", "checkout", "--quiet", "-b", "old")
    (project.root / "params.yaml").write_text((project.root / "params.yaml").read_text() + "momentum: 0.9\n")
    commit_all(project, "another schema")
    project.run("git", "checkout", "--quiet", "main")
    shown = project.run(*COMPARE, "old", "small").stdout
    assert shown.startswith("A is old, B is small.")
    assert "GRU (" in shown
    assert "only 1 to 2 seeds" in shown
    folder = project.root / "data/compare/old..small"
    metrics = json.loads((folder / "statistics.json").read_text())["over_seeds"]
    # Of the baseline, which is the same on both sides, there is one; the LSTM is on one side alone.
    assert list(metrics) == ["lstm (A)", "gru (A)", "gru (B)", "baseline"]
    assert metrics["gru (B)"]["parameters"] < metrics["gru (A)"]["parameters"]
    (difference,) = json.loads((folder / "statistics.json").read_text())["differences"]
    assert (difference["first"], difference["second"]) == ("gru (B)", "gru (A)")
    page = (folder / "report.html").read_text()
    assert "A is old, B is small." in page
    old, small = (project.run("git", "rev-parse", name).stdout[:12] for name in ("old", experiment(project, "small")))
    assert f"A: {old}; B: {small}" in page
    assert project.run("git", "status", "--porcelain").stdout == before
    # The files as they are, against the same commit: nothing differs.
    result = project.run(*COMPARE, "main", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "there is nothing to compare: both sides have the same LSTM, GRU and n-gram baseline" in result.stderr


def test_the_second_name_is_looked_up_where_the_files_of_the_first_are_gone(
    trained_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained_project.root)
    with pytest.raises(InputError, match="'nowhere' is no commit, branch, tag or experiment"):
        compare_records("HEAD", "nowhere", FilesMissingError(Path("data/models/lstm-1"), "HEAD"))


@pytest.mark.slow
def test_what_cannot_be_compared_is_said(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    result = project.run(*COMPARE, "nowhere", check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: 'nowhere' is no commit, branch, tag or experiment")
    result = project.run(*COMPARE, "HEAD:params.yaml", check=False)
    assert result.stderr == "error: 'HEAD:params.yaml' is no commit, branch, tag or experiment\n"
    other = ("--preprocess.seed", "2", "--seeds", "1", "--models", "gru")
    project.run("python", "-m", "pipeline", "run", *other)
    commit_all(project, "another split")
    result = project.run(*COMPARE, "HEAD~1", "HEAD", check=False)
    assert result.returncode == 1
    assert "were tested on different texts" in result.stderr
    # Without the cache and a remote, the files of a commit cannot be had, and git has numbers of other test labels.
    cache = project.root / ".dvc/cache"
    cache.rename(project.root / "elsewhere")
    result = project.run(*COMPARE, "HEAD~1", check=False)
    assert result.returncode == 1
    assert "is neither in DVC's cache nor at its remote; and both sides must have the same" in result.stderr
    assert "Traceback" not in result.stderr
