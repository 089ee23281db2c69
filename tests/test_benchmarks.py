"""What the benchmarks compute from their measurements, and that their steps are steps of this project."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, Project

from benchmarks import fuzz, ladder, speed
from pipeline.core.command import InputError
from pipeline.core.params import TrainParams, read_yaml

STEPS = read_yaml(ROOT / ladder.STEPS)


@pytest.mark.parametrize("name", STEPS)
def test_every_step_of_the_ladder_is_a_set_of_parameters(name: str) -> None:
    settings = ladder.settings_of(name, STEPS)
    TrainParams(**{key: settings[key] for key in TrainParams.model_fields})


def test_a_step_changes_what_it_says_and_keeps_the_rest_of_where_it_starts() -> None:
    steps: dict[str, dict[str, Any]] = {
        "one": {"preset": "strong", "units": 9},
        "two": {"from": "one", "tokenizer": "bpe"},
    }
    one, two = (ladder.settings_of(name, steps) for name in ("one", "two"))
    assert (one["units"], one["bidirectional"], one["tokenizer"]) == (9, True, "word")
    assert two == one | {"tokenizer": "bpe"}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"from": "tutoril"}, "has no step 'tutoril'; did you mean tutorial"),
        ({"preset": "stong"}, "has no preset 'stong'; did you mean strong"),
        ({"from": "tutorial", "adverserial": 0.4}, "the step 'bad' changes 'adverserial'; did you mean adversarial"),
    ],
)
def test_a_step_with_a_typo_is_refused(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ladder.settings_of("bad", {"tutorial": {"preset": "tutorial"}, "bad": bad})


def test_the_table_of_steps_has_a_row_per_step_that_was_measured() -> None:
    steps: dict[str, dict[str, Any]] = {
        "one": {"preset": "tutorial"},
        "two": {"from": "one", "units": 9},
        "three": {"from": "one", "units": 3},
    }
    measured = {"model": "lstm", "accuracy": 0.875, "loss": 0.3, "seconds": 90, "epochs": 4, "best_epoch": 2}
    rows = [{"step": step, "seed": seed, **measured} for step, seed in (("one", 1), ("two", 1), ("two", 2))]
    lines = ladder.table(rows, steps).splitlines()
    assert len(lines) == 4
    assert [cell.strip() for cell in lines[3].split("|")[1:7]] == [
        "two", "one", "`units` 9", "87.5, 87.5", "0.300, 0.300", "1.5, 1.5",
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("reader", [name for name, reader in fuzz.READERS.items() if not reader.needs_models])
def test_spoilt_bytes_are_read_or_refused(reader: str, tmp_path: Path) -> None:
    """Other ones than those of the benchmark."""
    came = fuzz.came_of(reader, 100, range(200), tmp_path)
    assert came.counts.total() == 200
    assert came.counts["read"] > 0
    assert came.counts.keys() <= {"read", "refused"}, [path.read_text() for path in tmp_path.iterdir()]


def test_a_reader_that_hangs_is_no_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(*_: object) -> None:
        try:
            signal.pause()
        except (ValueError, OSError) as error:  # as readers do
            raise InputError(str(error)) from None

    monkeypatch.setitem(fuzz.READERS, "add", fuzz.Reader(hang, InputError, 1))
    monkeypatch.setattr(fuzz, "SECONDS", 0.1)
    before = signal.signal(signal.SIGALRM, fuzz.late)
    try:
        assert fuzz.read_one("add", 1, 0, tmp_path) == "TooLateError"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_a_ratio_compares_what_was_measured_in_the_same_round() -> None:
    assert speed.ratio([2.0, 6.0, 9.0], [1.0, 2.0, 1.0]) == {"median": 3.0, "low": 2.0, "high": 9.0}


def test_results_of_one_processor_leave_those_of_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(speed, "RESULTS", tmp_path / "results.json")
    for machine, rate in (("one", 1), ("another", 2), ("one", 3)):
        speed.keep({"machine": machine, "rate": rate})
    assert json.loads(speed.RESULTS.read_text()) == {"one": {"rate": 3}, "another": {"rate": 2}}


@pytest.mark.slow
def test_steps_on_other_texts_do_not_mix(trained_project: Project) -> None:
    result = trained_project.run("python", "-m", "benchmarks.ladder", "--steps", "fast", check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: benchmarks/ladder.json has steps that were measured on other texts")
