"""The documentation agrees with the code: what it links exists, what it names is there, what it counts is counted."""

import doctest
import re
import xml.etree.ElementTree as ET
from importlib import import_module
from pathlib import Path

import pytest
from conftest import ROOT
from house import DVC, FLOORS, PIPELINE_FILES, STAGES, WATCHING, imports
from ruamel.yaml import YAML

from pipeline.core.params import DatasetParams, TrainParams, read_params, read_yaml
from pipeline.networks import building

PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
HOW = (ROOT / "docs" / "how-lstm-and-gru-work.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
CODE = ("pipeline", "tests", "benchmarks", "docs")

of_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def outside_blocks(page: Path) -> str:
    """Give the prose of a page, without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """List the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", outside_blocks(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """List the links of a page into the project that lead to no file, or to no heading of it."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", outside_blocks(page)):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" not in link and not (target.is_file() and (not anchor or anchor in anchors(target))):
            broken.append(link)
    return broken


def names_of_code(page: Path) -> set[str]:
    """List the files, folders and modules of the project's code that a page names."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(rf"`((?:{'|'.join(CODE)})/[\w./-]+)`", text))
    named |= set(re.findall(r"`([\w-]+\.(?:yaml|lock|toml)|\.ci/run|MLproject|Makefile)`", text)) - {"source.yaml"}
    modules = re.findall(r"python -m ((?:pipeline|benchmarks)(?:\.\w+)+)", text)
    return named | {f"{module.replace('.', '/')}.py" for module in modules}


def rows(table: str) -> list[list[str]]:
    """Split the rows of a Markdown table into cells, without the heading."""
    lines = [line for line in table.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def section(markdown: str, heading: str) -> str:
    """Give what stands below a heading of the second level."""
    return markdown.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def names(cell: str) -> list[str]:
    """List what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


@of_every_page
def test_every_link_into_the_project_leads_somewhere(page: Path) -> None:
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `title`\n[a](page.md#a-title) [b](#b) [c](c.md) [d](https://example.org)\n```\n[e](e.md)\n```\n"
    )
    assert broken_links(page) == ["#b", "c.md"]


@of_every_page
def test_every_file_of_the_code_that_a_page_names_is_there(page: Path) -> None:
    assert sorted(name for name in names_of_code(page) if not (ROOT / name).exists()) == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_every_parameter_is_explained_and_nothing_else() -> None:
    page = (ROOT / "docs" / "parameters.md").read_text(encoding="utf-8")
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    blocks = {name: set(params[name]) for name in ("preprocess", "embeddings", "train", "baseline")}
    blocks |= {"datasets.<name>": set(DatasetParams.model_fields)}
    explained = {}
    for part in section(page, "All of them").split("\n### ")[1:]:
        title = names(part.splitlines()[0])
        explained[title[0] if title else ""] = {name for row in rows(part) for name in names(row[0])}
    assert explained == {"": {"dataset", "metric", "models", "seeds"}, **blocks}


def folders() -> dict[str, list[str]]:
    """Give the rows of the map of folders: folder to what is said of it."""
    found = rows(section(ARCHITECTURE, "The folders, from the ground up"))
    assert len({row[0] for row in found}) == len(found)
    return {names(folder)[0]: said for folder, *said in found}


def test_the_map_has_every_folder_once_from_the_ground_up() -> None:
    assert list(folders()) == [*FLOORS, "tools"]


def test_the_map_has_the_imports_of_the_code() -> None:
    found: dict[str, set[str]] = {folder: set() for folder in FLOORS}
    for file in PIPELINE_FILES:
        if file.parent.name in found:
            found[file.parent.name] |= {other.parent.name for other in imports(file)}
    found = {folder: of_folder - {folder, "pipeline"} for folder, of_folder in found.items()}
    in_order = {folder: [other for other in FLOORS if other in of_folder] for folder, of_folder in found.items()}
    assert {folder: names(said[1]) for folder, said in folders().items() if folder in FLOORS} == in_order


def test_the_map_has_the_stages_that_depend_on_a_folder() -> None:
    for folder, (*_, stages) in folders().items():
        depend = [
            stage
            for stage in STAGES
            if any(f"{dep}/".startswith(f"pipeline/{folder}/") for dep in DVC["stages"][stage]["deps"])
        ]
        said = {"all": STAGES, "none": []}.get(stages, names(stages))
        assert said == depend, folder


def test_the_map_names_who_is_told_without_dvc() -> None:
    told = {stage: file for row in rows(section(ARCHITECTURE, "What a stage depends on")) for stage in names(row[0])
            for file in names(row[1])}  # fmt: skip
    assert told == WATCHING


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_the_numbers_of_parameters_are_those_of_the_articles_networks(cell: str) -> None:
    params, article = read_params(ROOT / "params.yaml"), read_yaml(ROOT / "presets.yaml")["tutorial"]
    settings = params.train.model_copy(update={key: article[key] for key in article if key in TrainParams.model_fields})
    assert (settings.embedding_dim, settings.units) == (64, 64)
    model = building.build(cell, params.datasets["rotten_tomatoes"].vocabulary, 2, settings)
    recurrent = model.get_layer(f"{cell}_1").count_params()
    assert re.search(rf"^\| {cell.upper()} \| [^|]+ \| {recurrent:,} \|$", HOW, re.MULTILINE)
    if cell == "lstm":
        assert f"of an LSTM's {model.count_params():,}" in HOW


@pytest.mark.parametrize("picture", sorted((ROOT / "docs" / "images").glob("*.svg")), ids=lambda path: path.name)
def test_diagrams_are_whole_titled_and_made_for_light_and_dark(picture: Path) -> None:
    root = ET.parse(picture).getroot()
    assert root.findtext("{http://www.w3.org/2000/svg}title")
    assert "prefers-color-scheme: dark" in picture.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "file", sorted(file for file in (ROOT / "pipeline").rglob("*.py") if ">>> " in file.read_text())
)
def test_the_examples_in_docstrings_give_what_they_say(file: Path) -> None:
    module = import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))
    assert doctest.testmod(module).attempted > 0
    assert doctest.testmod(module).failed == 0
