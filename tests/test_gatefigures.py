"""Pictures of gates: what stands where, the same bytes for the same numbers, and long texts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from samples import readings

from pipeline.parts import figures, gatefigures, memoryfigures
from pipeline.parts.memory import Memory

TEXT = "The acting is wooden, but I loved zzyx $a$"


def drawn(text: str = TEXT, cells: tuple[str, ...] = ("lstm", "gru")) -> Figure:
    words, read = readings(text, cells)
    return gatefigures.gate_maps(words, read, "fresh", 1, "films: inside the gates")


def memories() -> dict[str, Memory]:
    distances = pd.DataFrame({"distance": [0, 1], "occlusion": [0.2, 0.1], "gradient": [0.2, 0.15]})
    return {
        "lstm": Memory(np.array([2.0, 40.0]), distances, 0.9, {"negation": np.array([1.0, -1.0])}),
        "gru": Memory(np.array([0.01, 1e12]), distances, 0.8, {}),
    }


def test_every_gate_of_both_cells_has_a_heat_map_and_every_axis_a_name() -> None:
    figure = drawn()
    names = [axis.get_ylabel().partition("\n")[0] for axis in figure.axes if axis.get_images()]
    lstm = ["input gate", "forget gate", "output gate", "candidate", "cell state", "state"]
    assert sorted(names) == sorted([*lstm, "update gate", "reset gate", "candidate", "state"])
    labels = {axis.get_ylabel() for axis in figure.axes}
    assert {"p(fresh)\nso far", "log-odds\n(nats)"} <= labels
    assert figure.get_suptitle() == "films: inside the gates"
    titles = [axis.get_title() for axis in figure.axes if axis.get_title()]
    assert [title.partition(":")[0] for title in titles] == ["LSTM (lstm-1)", "GRU (gru-1)"]


def test_two_models_of_one_cell_have_no_rows_of_the_other() -> None:
    figure = drawn(cells=("gru", "gru"))
    assert len([axis for axis in figure.axes if axis.get_images()]) == 8
    assert not any(axis.texts for axis in figure.axes)


def test_a_heat_map_shows_the_strongest_units_on_top_and_gates_from_zero_to_one() -> None:
    words, (lstm,) = readings(TEXT, ("lstm",))
    (image,) = next(axis for axis in drawn(cells=("lstm",)).axes if "forget" in axis.get_ylabel()).get_images()
    shown = np.asarray(image.get_array())
    assert shown.shape == (16, len(words.ids))
    np.testing.assert_allclose(shown[0], lstm.gates["forget gate"][:, lstm.ranking[0]])
    assert image.get_clim() == (0, 1)


def test_tokens_are_named_as_they_stand_in_the_text_and_unknown_ones_marked() -> None:
    figure = drawn()
    axis = next(axis for axis in figure.axes if "vocabulary" in axis.get_xlabel())
    names = [tick.get_text() for tick in axis.get_xticklabels()]
    assert names == ["The", "acting", "is", "wooden", "but", "I", "loved", "zzyx?", "a"]


def test_of_a_long_text_neighbouring_tokens_share_a_column() -> None:
    figure = drawn(" ".join(["not good at all"] * 25), ("lstm",))
    images = [axis.get_images()[0] for axis in figure.axes if axis.get_images() and axis.get_ylabel()]
    assert {np.asarray(image.get_array()).shape for image in images} == {(16, 80)}


def test_columns_are_means_and_nothing_is_lost() -> None:
    values = np.arange(10.0).reshape(5, 2)
    np.testing.assert_allclose(gatefigures.columns(values, 5), values)
    np.testing.assert_allclose(gatefigures.columns(values, 2), [values[:2].mean(axis=0), values[2:].mean(axis=0)])
    np.testing.assert_allclose(gatefigures.columns(values, 1), [values.mean(axis=0)])


def test_the_memory_is_drawn_with_every_axis_named() -> None:
    figure = memoryfigures.memory_figure(memories(), "films: memory")
    labels = [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes]
    assert labels == [
        ("half-life of a unit (tokens)", "units"),
        ("distance from the last token (tokens)", "mean |effect| on the log-odds (nats)"),
        ("rise of the state (standard deviations)", ""),
    ]
    assert [tick.get_text() for tick in figure.axes[2].get_yticklabels()] == ["negation, LSTM"]


@pytest.mark.parametrize("picture", ["gates", "memory"])
def test_the_same_numbers_give_the_same_bytes(picture: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        figure = drawn() if picture == "gates" else memoryfigures.memory_figure(memories(), "films: memory")
        figures.save(figure, tmp_path / f"{name}.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
