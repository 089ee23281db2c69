"""Pictures of gates: what stands where, the same bytes for the same numbers, and long texts."""

import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from samples import readings

from pipeline.explaining import gatefigures
from pipeline.inside.memory import Memory
from pipeline.reporting import figures, memoryfigures

TEXT = "The acting is wooden, but I loved zzyx $a$"


def drawn(text: str = TEXT, cells: tuple[str, ...] = ("lstm", "gru")) -> Figure:
    words, read = readings(text, cells)
    return gatefigures.gate_maps(words, read, "fresh", 1, "films: inside the gates")


def memories() -> dict[str, Memory]:
    distances = pd.DataFrame(
        {
            **{"nearest": [1, 2], "farthest": [1, 4], "texts": [30, 20]},
            **{"occlusion": [0.2, 0.1], "gradient": [0.2, 0.15], "low": [0.1, 0.05], "high": [0.3, 0.15]},
        }
    )
    lstm = pd.DataFrame(
        {"network": "lstm-1", "layer": "layer 1", "unit": [0, 1], "half_life": [2.0, 40.0], "negation": [1.0, -1.5]}
    )
    gru = pd.DataFrame({"network": "gru-1", "layer": ["layer 1", "layer 2"], "unit": [0, 0], "half_life": [0.01, 1e12]})
    return {
        "lstm": Memory(lstm, distances, 0.9, {"negation": (-0.2, 0.3)}),
        "gru": Memory(gru, distances, None, {}),
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
    np.testing.assert_allclose(shown[0], lstm.passes["layer 1"]["forget gate"][:, lstm.rankings["layer 1"][0]])
    assert image.get_clim() == (0, 1)


def test_tokens_are_named_as_they_stand_in_the_text_and_unknown_ones_marked() -> None:
    figure = drawn()
    axis = next(axis for axis in figure.axes if "vocabulary" in axis.get_xlabel())
    names = [tick.get_text() for tick in axis.get_xticklabels()]
    assert names == ["The", "acting", "is", "wooden", "but", "I", "loved", "zzyx?", "a"]


def test_of_a_long_text_every_column_is_a_token_and_those_that_matter_most_have_names() -> None:
    text = " ".join(["not good at all"] * 10 + ["wooden"] + ["not good at all"] * 14)
    words, (reading,) = readings(text, ("lstm",))
    figure = gatefigures.gate_maps(words, [reading], "fresh", 1, "films")
    image = next(axis.get_images()[0] for axis in figure.axes if axis.get_ylabel().startswith("state"))
    shown = np.asarray(image.get_array())
    assert shown.shape == (16, 80)
    places = gatefigures.representatives(np.abs(reading.occlusion), 80)
    np.testing.assert_array_equal(shown, gatefigures.most_active(reading, "layer 1", "state")[places].T)
    assert np.abs(reading.occlusion).argmax() in places
    axis = next(axis for axis in figure.axes if "those with the largest effect, of 97" in axis.get_xlabel())
    names = [tick.get_text() for tick in axis.get_xticklabels()]
    assert len(names) == 16
    assert words.tokens[int(np.abs(reading.occlusion).argmax())] in names


def test_of_neighbours_the_one_that_weighs_most_stands_for_all() -> None:
    weight = np.array([1.0, 5.0, 2.0, 0.0, 3.0])
    assert gatefigures.representatives(weight, 5).tolist() == [0, 1, 2, 3, 4]
    assert gatefigures.representatives(weight, 2).tolist() == [1, 4]


def test_every_pass_has_its_rows_and_units_their_numbers() -> None:
    words, read = readings("not good", layers=2, bidirectional=True)
    read[1].passes.pop("layer 2 backward")  # as if the other network were built differently
    figure = gatefigures.gate_maps(words, read, "fresh", 1, "films")
    named = [axis.get_ylabel().split("\n")[:2] for axis in figure.axes if axis.get_images()]
    assert named.count(["layer 2 backward", "state"]) == 1
    assert named.count(["layer 1", "state"]) == 2
    assert any(
        "gru-1 has no layer 2 backward" in text.get_text().replace("\n", " ")
        for axis in figure.axes
        for text in axis.texts
    )
    units = ", ".join(map(str, read[0].rankings["layer 1 backward"][:16]))
    assert f"units of lstm-1, layer 1 backward: {units}" in figure.get_supxlabel()


def test_labels_with_dollar_signs_and_letters_that_the_font_lacks_are_drawn(tmp_path: Path) -> None:
    words, read = readings("\u4e0d\u597d good $a$")
    figure = gatefigures.gate_maps(words, read, "$x_{", 1, "$bad$ ^{")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of glyphs that are missing
        figures.save(figure, tmp_path / "gates.png")
    names = [tick.get_text() for axis in figure.axes for tick in axis.get_xticklabels() if "token" in axis.get_xlabel()]
    assert names[:3] == ["#1?", "good", "a"]


def test_the_memory_is_drawn_with_every_axis_named() -> None:
    figure = memoryfigures.memory_figure(memories(), "films: memory")
    labels = [(axis.get_xlabel(), axis.get_ylabel()) for axis in figure.axes]
    assert labels == [
        ("half-life of a unit (tokens)", "units"),
        ("distance from the end (tokens; 1 is the last one)", "mean |effect| on the log-odds (nats)"),
        ("rise of the state (standard deviations)\ngrey: random words", ""),
    ]
    lives, _, words = figure.axes
    assert [tick.get_text() for tick in words.get_yticklabels()] == ["negation, LSTM"]
    assert [text.get_text() for text in words.texts] == ["most: 0 (+1.0), 1 (-1.5)"]
    legend = lives.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == [
        "LSTM",
        "GRU, layer 1",
        "GRU, layer 2",
        "before training",
    ]


def test_what_was_not_measured_is_said() -> None:
    figure = memoryfigures.memory_figure({"lstm": Memory()}, "films: memory")
    assert [axis.texts[0].get_text() for axis in figure.axes] == ["not measured"] * 3


@pytest.mark.parametrize("picture", ["gates", "memory"])
def test_the_same_numbers_give_the_same_bytes(picture: str, tmp_path: Path) -> None:
    for name in ("first", "second"):
        figure = drawn() if picture == "gates" else memoryfigures.memory_figure(memories(), "films: memory")
        figures.save(figure, tmp_path / f"{name}.png")
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
