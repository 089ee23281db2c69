"""The sentence on training times, for constructed times."""

from pathlib import Path

import pytest

from pipeline.comparison.times import SIDE_BY_SIDE, Times, tell_times, training_times
from pipeline.trained.trained import Trained


def run(name: str) -> Trained:
    return Trained(Path(name), {"model": name.partition("-")[0]}, {})


RUNS = [run(name) for name in ("lstm-1", "lstm-2", "baseline")]


def about(seconds: float, machine: str = "here") -> Times:
    """Three runs that took about as long."""
    return Times((seconds - 0.5, seconds, seconds + 0.5), frozenset({machine}))


def test_a_time_is_known_with_what_it_was_measured_with() -> None:
    timings = {"lstm-1": {"time/training_seconds": 10.0}, "lstm-2": {"time/training_seconds": 20.0}, "baseline": {}}
    one, other = {"version.keras": "3.15.1", "cpu": "EPYC"}, {"cpu": "Xeon"}
    assert training_times(RUNS, timings, {"lstm-1": one, "lstm-2": other}) == {
        "lstm": Times((10.0, 20.0), frozenset({"cpu EPYC, version.keras 3.15.1", "cpu Xeon"}))
    }
    # A run that was written from its files has no time, and the machine that wrote it does not matter.
    restored = training_times(RUNS, {"lstm-1": timings["lstm-1"], "lstm-2": {}}, {"lstm-1": one, "lstm-2": other})
    assert restored == {"lstm": Times((10.0,), frozenset({"cpu EPYC, version.keras 3.15.1"}))}
    assert training_times(RUNS, {}, {}) == {"lstm": Times(())}


@pytest.mark.parametrize(
    ("times", "parts"),
    [
        ({"lstm": about(60), "gru": about(50)}, ["The GRU trains 1.2 times as fast as the LSTM", "means of 3 runs"]),
        ({"lstm": about(40), "gru": Times((59, 60, 60, 61))}, ["The LSTM trains 1.5 times as fast", "of 3 and 4 runs"]),
        ({"lstm": about(40), "gru": about(41)}, ["The training times of the LSTM and the GRU do not clearly differ."]),
        # Half as long in the mean, but one run was slower than one of the other's.
        ({"lstm": Times((40, 60, 80)), "gru": Times((10, 30, 50))}, ["the GRU and the LSTM do not clearly differ"]),
        ({"lstm": about(20), "lstm (B)": about(30)}, ["The LSTM trains 1.5 times as fast as the LSTM (B)"]),
        (
            {"lstm": about(90), "gru": about(60), "qrnn": about(20)},
            ["The qrnn trains 3.0 times as fast as the GRU and 4.5 times as fast as the LSTM"],
        ),
        (
            {"lstm": about(90), "gru": about(60), "qrnn": about(60.2)},
            ["GRU trains 1.5 times as fast as the LSTM", " The training times of the GRU and the qrnn do not clearly"],
        ),
    ],
    ids=["faster", "other numbers of runs", "as fast", "times overlap", "a side", "three", "three, two as fast"],
)
def test_the_fastest_network_is_set_against_every_other(times: dict[str, Times], parts: list[str]) -> None:
    same = {model: Times(of.seconds, frozenset({"here"})) for model, of in times.items()}
    assert [part for part in parts if part not in tell_times(same)] == []


@pytest.mark.parametrize(
    "times",
    [{}, {"lstm": about(60)}, {"lstm": Times((80, 81)), "gru": about(10)}, {"lstm": Times(()), "gru": Times(())}],
    ids=["none", "one network", "two runs", "nothing known"],
)
def test_little_is_no_reason_for_a_sentence(times: dict[str, Times]) -> None:
    assert tell_times(times) == ""


def test_times_of_networks_that_ran_beside_each_other_are_told_and_not_compared() -> None:
    runs = [run(f"{model}-{seed}") for model in ("lstm", "gru") for seed in (1, 2, 3)]
    timings = {one.name: {"time/training_seconds": 9.0 if one.model == "gru" else 20.0} for one in runs}
    told = tell_times(training_times(runs, timings, {one.name: {SIDE_BY_SIDE: "2"} for one in runs}))
    assert told.startswith("Training took 20 s for the LSTM and 9 s for the GRU")
    assert "does not tell which network is faster" in told


@pytest.mark.parametrize("gru", [about(10, "there"), Times((9, 10, 11), frozenset({"here", "there"}))])
def test_times_of_two_machines_are_not_compared(gru: Times) -> None:
    assert tell_times({"lstm": about(60), "gru": gru}).startswith("Training times are not compared: ")
