"""The documentation agrees with the code: what it links exists, what it types runs, what it counts is counted."""

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from conftest import ROOT

from pipeline.core.params import read_params
from pipeline.networks import building

PAGES = sorted((ROOT / "docs").glob("*.md"))
HOW = (ROOT / "docs" / "how-lstm-and-gru-work.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_into_the_project_leads_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    own = [target for target in targets if "://" not in target]
    assert [target for target in own if not (ROOT / "docs" / target).is_file()] == []


def test_commands_and_files_that_are_named_exist() -> None:
    modules = re.findall(r"python -m ([a-z._]+)", HOW)
    files = re.findall(r"`((?:pipeline|tests)/[a-z_/]+\.py)`", HOW)
    assert modules
    assert files
    for path in [*(f"{module.replace('.', '/')}.py" for module in modules), *files]:
        assert (ROOT / path).is_file(), path


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_numbers_of_parameters_are_those_of_the_default_networks(cell: str) -> None:
    params = read_params(ROOT / "params.yaml")
    assert (params.train.embedding_dim, params.train.units) == (64, 64)
    model = building.build(cell, params.datasets["rotten_tomatoes"].vocabulary, 2, params.train)
    recurrent = model.get_layer(f"{cell}_1").count_params()
    assert re.search(rf"^\| {cell.upper()} \| [^|]+ \| {recurrent:,} \|$", HOW, re.MULTILINE)
    if cell == "lstm":
        assert f"of an LSTM's {model.count_params():,}" in HOW


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_diagrams_are_whole_titled_and_made_for_light_and_dark(picture: Path) -> None:
    root = ET.parse(picture).getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in picture.read_text(encoding="utf-8")
