"""Reading, checking and changing params.yaml and the settings of data sets."""

import re
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, TINY_PARAMS

from pipeline.core.command import InputError
from pipeline.core.params import (
    _full_name,
    move_blocks,
    must_be_unchanged,
    parameter_names,
    read_params,
    set_params,
    settings_files,
    write_settings,
)

COMMENTED = TINY_PARAMS.replace("dataset: tiny\n", "# What runs.\ndataset: tiny  # a block below\n").replace(
    "  units: 8\n", "  units: 8  # of the cell\n"
)
OTHER_BLOCK = """\
  large:
    test: given  # as it came
    validation: 0.1
    tokenizer: char
    vocabulary: 5000
    min_occurrences: 2
    max_tokens: 400
    batch_size: 64
preprocess:
"""


@pytest.fixture
def params_file(tmp_path: Path) -> Path:
    path = tmp_path / "params.yaml"
    path.write_text(COMMENTED.replace("preprocess:\n", OTHER_BLOCK), encoding="utf-8")
    move_blocks(path)
    return path


def contents(path: Path) -> dict[str, str]:
    """All files of the folder of params.yaml, and what stands in them."""
    files = [file for file in path.parent.rglob("*") if file.is_file()]
    return {file.relative_to(path.parent).as_posix(): file.read_text(encoding="utf-8") for file in files}


def error_after(path: Path, old: str, new: str) -> str:
    """The message of the one error that reading gives after this edit of the one file that has these words."""
    (file,) = (name for name, text in contents(path).items() if old in text and "large" not in name)
    text = contents(path)[file]
    assert text.count(old) == 1
    (path.parent / file).write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(InputError) as caught:
        read_params(path)
    return str(caught.value)


def leaves(block: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in block.items():
        found |= leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return found


def test_values_are_read_as_written(params_file: Path) -> None:
    params = read_params(params_file)
    assert (params.models, params.seeds, params.train.dropout, params.data.test) == (["lstm", "gru"], [1, 2], 0.1, 0.25)


def test_the_selected_data_set_decides_which_block_counts(params_file: Path) -> None:
    set_params({"dataset": "large"}, params_file)
    assert read_params(params_file).data.model_dump() == {
        "test": "given", "validation": 0.1, "tokenizer": "char", "vocabulary": 5000, "min_occurrences": 2,
        "max_tokens": 400, "batch_size": 64, "preset": None,
    }  # fmt: skip


def test_a_number_in_scientific_notation_is_a_number_as_it_is_for_dvc(params_file: Path) -> None:
    params_file.write_text(params_file.read_text().replace("learning_rate: 0.02", "learning_rate: 2e-3"))
    assert read_params(params_file).train.learning_rate == 0.002


@pytest.mark.parametrize(
    ("old", "new", "nearest"),
    [
        ("  units: 8", "  unit: 8", "unknown key train.unit; did you mean train.units?"),
        ("seeds: [1, 2]", "sedes: [1, 2]", "unknown key sedes; did you mean seeds?"),
        ("\ntrain:", "\ntrian:", "unknown key trian; did you mean train?"),
        ("vocabulary: 200", "vocabulry: 200",
         "unknown key datasets.tiny.vocabulry; did you mean datasets.tiny.vocabulary?"),
        ("dataset: tiny", "dataset: tinny", "gatewise add` makes one of your files; did you mean tiny?"),
    ],
)  # fmt: skip
def test_an_unknown_name_brings_up_the_nearest_known_one(params_file: Path, old: str, new: str, nearest: str) -> None:
    assert nearest in error_after(params_file, old, new)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("epochs: 4", "epochs: '4'", ["train.epochs", "valid integer", "Received: '4'"]),
        ("epochs: 4", "epochs: true", ["train.epochs", "valid integer", "Received: True"]),
        ("epochs: 4", "epochs: 4.0", ["train.epochs", "valid integer", "Received: 4.0"]),
        ("epochs: 4", "epochs: 0", ["train.epochs", "must be from 1 to 10,000 epochs", "Received: 0"]),
        ("dropout: 0.1", "dropout: 1.0", ["train.dropout", "below 1", "Received: 1.0"]),
        ("[lstm, gru]", "[lstm, lstn]", ["models", "did you mean lstm?", "Received: ['lstm', 'lstn']"]),
        ("[lstm, gru]", "[]", ["models", "at least 1 item", "Received: []"]),
        ("seeds: [1, 2]", "seeds: 1", ["seeds", "valid list", "Received: 1"]),
        ("seeds: [1, 2]", "seeds: [2, 2]", ["seeds", "each value may occur once", "Received: [2, 2]"]),
        ("test: 0.25", "test: all", ["datasets.tiny.test:", "'given'", "valid number", "Received: 'all'"]),
        ("test: 0.25", "test: 1.5", ["datasets.tiny.test:", "'given'", "less than 1", "Received: 1.5"]),
        ("tokenizer: word", "tokenizer: wort", ["tiny.tokenizer", "'word', 'bpe' or 'char'", "Received: 'wort' ("]),
        ("  units: 8  # of the cell\n", "", ["train.units is missing"]),
        ("  units: 8", "  units: 8\n  units: 9", ["not valid YAML", "duplicate key"]),
        ("[lstm, gru]", "[lstm, gru", ["not valid YAML"]),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_is_allowed_and_what_came(
    params_file: Path, old: str, new: str, said: list[str]
) -> None:
    message = error_after(params_file, old, new)
    assert [phrase for phrase in [str(params_file), *said] if phrase not in message] == []
    assert "\n" not in message


@pytest.mark.parametrize(
    ("key", "values", "allowed"),
    [
        ("learning_rate", [".inf", ".nan", "0", "-1", "11"], "above 0 and at most 10"),
        ("units", ["100000", "0"], "from 1 to 4,096 units"),
        ("embedding_dim", ["1000000"], "from 1 to 4,096 components"),
        ("layers", ["1000"], "from 1 to 16 layers"),
        ("decay", ["0", "1.1", ".nan"], "above 0 and at most 1"),
        ("clip_norm", ["-1", ".inf", ".nan"], "from 0 to 1,000,000"),
        ("averaging", ["1", ".nan"], "at least 0 and below 1"),
        ("word_dropout", [".nan", "-0.1"], "at least 0 and below 1"),
        ("adversarial", [".inf", "1e9"], "from 0 to 100 lengths"),
        ("epochs", ["1000000000"], "from 1 to 10,000 epochs"),
        ("patience", ["-1", "1000000"], "from 0 to 10,000 epochs"),
        ("scale", [".nan", ".inf"], "from 0 to 1,000"),
        ("passes", ["100000"], "from 1 to 1,000 passes"),
        ("window", ["100000"], "from 1 to 100 words"),
        ("sample", [".nan", "1"], "at least 0 and below 1"),
        ("vocabulary", ["9", "1000000000"], "from 10 to 2,000,000 words"),
        ("max_tokens", ["0", "1000000000"], "from 1 to 100,000 tokens"),
        ("batch_size", ["0", "1000000"], "from 1 to 65,536 texts"),
        ("validation", [".nan", ".inf", "0"], ""),
        ("ngrams", ["0", "6"], "from 1 to 5 words"),
        ("inverse_regularisation", ["[]", "[.inf]", "[0]", "[.nan]"], ""),
        ("seeds", ["[-1]", "[4294967296]", "[]"], ""),
    ],
)
def test_absurd_numbers_are_refused_with_what_is_allowed(
    params_file: Path, key: str, values: list[str], allowed: str
) -> None:
    before = contents(params_file)
    for value in values:
        with pytest.raises(InputError) as caught:
            set_params({key: value}, params_file)
        assert [said for said in (f"{key}", allowed, "Received: ") if said not in str(caught.value)] == [], value
    assert contents(params_file) == before


def test_all_problems_come_in_one_error(params_file: Path) -> None:
    text = params_file.read_text().replace("epochs: 4", "epochs: -4").replace("ngrams: 2", "ngrams: 9")
    params_file.write_text(text)
    with pytest.raises(InputError, match=r"train\.epochs.*Received: -4; baseline\.ngrams.*Received: 9"):
        read_params(params_file)


def test_a_missing_file_says_where_to_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run this from the top folder"):
        read_params(tmp_path / "params.yaml")


@pytest.mark.parametrize(("content", "problem"), [
    (b"", "(must hold names with values. Received: nothing|.*valid dictionary)"),
    (b"- 1\n", "(must hold names with values. Received: |.*valid dictionary)"),
    (b"\xff", "is not valid YAML"),
    (b"seeds: [1]\nseeds: [2]\n", "is not valid YAML: .*seeds.*line 2"),
    (b"seeds: seeds: [1]\n", "is not valid YAML: .*line 1"),
])  # fmt: skip
def test_a_spoilt_file_is_named(params_file: Path, content: bytes, problem: str) -> None:
    params_file.write_bytes(content)
    named = f"{re.escape(str(params_file))}:? {problem}"
    with pytest.raises(InputError, match=named):
        set_params({"units": "8"}, params_file)
    with pytest.raises(InputError, match=named):
        move_blocks(params_file)
    assert params_file.read_bytes() == content


def test_settings_that_are_a_folder_are_named(params_file: Path) -> None:
    file = next(iter(settings_files(params_file).values()))
    file.unlink()
    file.mkdir()
    with pytest.raises(InputError, match=f"{re.escape(str(file))} cannot be read"):
        move_blocks(params_file)


def test_setting_changes_the_values_and_nothing_else(params_file: Path) -> None:
    before = params_file.read_text()
    changes = set_params({"units": "16", "train.epochs": "5", "seeds": "3,4", "models": "[gru]"}, params_file)
    assert changes == ["train.units: 8 -> 16", "train.epochs: 4 -> 5", "seeds: 1,2 -> 3,4", "models: lstm,gru -> gru"]
    expected = before.replace("units: 8  #", "units: 16 #").replace("epochs: 4", "epochs: 5")
    expected = expected.replace("seeds: [1, 2]", "seeds: [3, 4]").replace("[lstm, gru]", "[gru]")
    assert params_file.read_text() == expected


def test_a_truth_value_is_shown_as_it_is_written(params_file: Path) -> None:
    (change,) = set_params({"bidirectional": "true"}, params_file)
    assert change == "train.bidirectional: false -> true"


def test_a_short_name_means_the_block_of_the_data_set_selected_in_the_same_call(params_file: Path) -> None:
    before = contents(params_file)
    changes = set_params({"vocabulary": "99", "dataset": "large"}, params_file)
    assert changes == ["datasets.large.vocabulary: 5000 -> 99", "dataset: tiny -> large"]
    assert contents(params_file) == before | {
        "params.yaml": before["params.yaml"].replace("dataset: tiny  #", "dataset: large #"),
        "data/sources/large.yaml": before["data/sources/large.yaml"].replace("5000", "99"),
    }


def test_setting_what_stands_there_already_does_not_touch_the_file(params_file: Path) -> None:
    content = params_file.read_text().replace("seeds: [1, 2]", "seeds: [ 1,2 ]")  # a rewrite would tidy this
    params_file.write_text(content)
    assert set_params({"units": "8", "seeds": "1,2"}, params_file) == []
    assert params_file.read_text() == content


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        ({"epochs": "2", "unit": "9"}, r"unknown parameter 'unit'; did you mean units\?"),
        ({"epochs": "2", "units": "nine"}, r"train\.units: .*valid integer\. Received: 'nine'"),
        ({"epochs": "2", "units": "{"}, r"the value of units cannot be read\. Received: '\{'"),
        ({"seeds": "1,1"}, "each value may occur once"),
        ({"models": "lstm,lstn"}, r"models: .*did you mean lstm\?.*Received: \['lstm', 'lstn'\]"),
        ({"dataset": "tinny", "vocabulary": "99"}, r"no data/sources/tinny\.yaml.*; did you mean tiny\?"),
        ({"vocabulary": "9", "units": "9"}, r"datasets\.tiny\.vocabulary: .*Received: 9 \(.*data/sources/tiny\.yaml\)"),
    ],
)
def test_a_bad_assignment_leaves_the_file_as_it_was(
    params_file: Path, assignments: dict[str, str], message: str
) -> None:
    before = contents(params_file)
    with pytest.raises(InputError, match=message):
        set_params(assignments, params_file)
    assert contents(params_file) == before


def test_a_short_name_that_two_blocks_have_is_ambiguous() -> None:
    with pytest.raises(InputError, match=r"'seed' is ambiguous; write one of preprocess\.seed, train\.seed"):
        _full_name("seed", ["preprocess.seed", "train.seed"], "tiny")


def test_the_projects_own_files_are_valid_and_every_parameter_in_them_can_be_set(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    (tmp_path / "data/sources").mkdir(parents=True)
    for file in ("params.yaml", *(f"data/sources/{name}.yaml" for name in ("imdb", "rotten_tomatoes"))):
        (tmp_path / file).write_bytes((ROOT / file).read_bytes())
    values = leaves(read_params(path).model_dump())
    assert set(values) == set(parameter_names(path))
    for dataset in ("imdb", "rotten_tomatoes"):
        shown = {name: str(value) for name, value in values.items()} | {"dataset": dataset}
        set_params(shown, path)
        assert leaves(read_params(path).model_dump()) == values | {"dataset": dataset}


def test_blocks_of_before_are_read_changed_and_moved_with_their_comments(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    old = COMMENTED.replace("preprocess:\n", OTHER_BLOCK + "  tokenizer: bpe\n")
    path.write_text(old.replace("    tokenizer: word\n", "").replace("    min_occurrences: 1\n", ""))
    params = read_params(path)
    assert (params.data.tokenizer, params.data.min_occurrences) == ("bpe", 1)  # for all data sets, once
    assert params.datasets["large"].tokenizer == "char"
    assert set_params({"max_tokens": "17"}, path) == ["datasets.tiny.max_tokens: 16 -> 17"]
    expected = read_params(path)
    assert move_blocks(path) == [
        f"datasets.{name} moved from {path} to data/sources/{name}.yaml" for name in ("tiny", "large")
    ]
    assert read_params(path) == expected
    files = contents(path)
    assert sorted(files) == ["data/sources/large.yaml", "data/sources/tiny.yaml", "params.yaml"]
    assert "  # as it came\n" in files["data/sources/large.yaml"]
    assert "datasets" not in files["params.yaml"]
    assert "units: 8  # of the cell\n" in files["params.yaml"]
    assert move_blocks(path) == []
    assert contents(path) == files


def test_a_data_set_has_one_house(params_file: Path) -> None:
    params_file.write_text(params_file.read_text() + "datasets:\n  tiny:\n    test: 0.5\n")
    with pytest.raises(InputError, match=r"a block datasets\.tiny, and data/sources/tiny\.yaml has"):
        read_params(params_file)


def test_settings_of_a_data_set_are_written_beside_what_stands_there(params_file: Path) -> None:
    before = contents(params_file)
    written = write_settings("large", {"batch_size": 8}, params_file)
    assert contents(params_file) == before | {
        "data/sources/large.yaml": before["data/sources/large.yaml"].replace("batch_size: 64", "batch_size: 8")
    }
    assert written == params_file.parent / "data/sources/large.yaml"
    with pytest.raises(InputError, match=r"datasets\.new\.validation is missing"):
        write_settings("new", {"test": 0.5}, params_file)
    write_settings("new", read_params(params_file).data.model_dump(), params_file)
    assert read_params(params_file).datasets["new"] == read_params(params_file).datasets["tiny"]


def test_a_stage_notices_that_its_parameters_were_changed_while_it_ran(params_file: Path) -> None:
    params = read_params(params_file)
    set_params({"ngrams": "1"}, params_file)
    must_be_unchanged(params.train, lambda now: now.train, params_file)  # what it does not use may change
    set_params({"units": "9"}, params_file)
    with pytest.raises(InputError, match=r"params\.yaml.* changed while this stage ran"):
        must_be_unchanged(params.train, lambda now: now.train, params_file)
