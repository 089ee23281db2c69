"""Names of models: put together and taken apart."""

import pytest

from pipeline.comparison.titles import colour_of, title_of
from pipeline.trained.names import ModelName, all_names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("lstm", ModelName("lstm")),
        ("lstm-1", ModelName("lstm", 1)),
        ("gru-4294967295 (B)", ModelName("gru", 4294967295, "B")),
        ("lstm (A)", ModelName("lstm", side="A")),
        ("baseline", ModelName("baseline")),
        ("my-cell-10", ModelName("my-cell", 10)),
        ("lstm-0", ModelName("lstm", 0)),
    ],
)
def test_a_name_is_what_its_text_says(text: str, name: ModelName) -> None:
    assert ModelName.parse(text) == name
    assert str(name) == text


def test_a_name_without_a_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="Received: ''"):
        ModelName.parse("")


def test_a_name_knows_its_stage() -> None:
    assert ModelName("lstm", 1, "A").stage == "train@lstm-1"
    assert ModelName("baseline", side="A").stage == "baseline"


def test_params_ask_for_a_network_per_model_and_seed_and_for_the_baseline() -> None:
    names = [str(name) for name in all_names(["lstm", "gru"], [1, 2])]
    assert names == ["lstm-1", "lstm-2", "gru-1", "gru-2", "baseline"]


def test_titles_and_colours_are_those_of_the_cells() -> None:
    shown = [title_of(name) for name in ("lstm", "gru (A)", "baseline", "baseline (B)", "qrnn (B)")]
    assert shown == ["LSTM", "GRU (A)", "n-gram baseline", "n-gram baseline (B)", "qrnn (B)"]
    assert title_of(ModelName("gru", side="B")) == "GRU (B)"
    assert colour_of("gru (A)") == colour_of("gru") != colour_of("lstm") != colour_of("baseline")
    assert colour_of("qrnn").startswith("#")
