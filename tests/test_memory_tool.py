"""The tool that looks at the memory of networks over a data set."""

from pathlib import Path

import pytest
from conftest import Project

from pipeline.core.command import InputError
from pipeline.inside.memory import WORDS
from pipeline.tools.memory import look


def test_one_command_shows_and_draws_the_memory_of_both_networks(trained_project: Project, tmp_path: Path) -> None:
    shown = trained_project.call("python", "-m", "pipeline", "memory", "--output", str(tmp_path))
    assert shown.stderr == ""
    assert "tiny: the memory of lstm-1 and gru-1, " in shown.stdout
    for fact in (
        "half-life in tokens: 10 %, median, 90 %",
        "effect of the last token",
        "that negation moves more than random words do",
        "that negation moves most",
        "that praise moves most",
    ):
        assert fact in shown.stdout
    assert (tmp_path / "memory.png").read_bytes().startswith(b"\x89PNG")
    assert trained_project.run("git", "status", "--short").stdout == ""


def test_words_that_no_text_has_are_named(
    trained_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained_project.root)
    monkeypatch.setitem(WORDS, "surprise", ["zounds", "egad", "crikey", "blimey"])
    *_, row, last = look(["gru-1"], tmp_path).splitlines()
    assert "no row on surprise" in last
    assert "zounds, egad, crikey, …" in last
    assert "no row on" not in row


@pytest.mark.parametrize("command", [["memory"], ["explain", "good"]])
def test_a_file_in_place_of_the_folder_is_refused(trained_project: Project, tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "notes").write_text("kept")
    words = ("python", "-m", "pipeline", *command, "--output", str(tmp_path / "notes"))
    refused = trained_project.call(*words, check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: --output must be a folder")
    assert str(tmp_path / "notes") in refused.stderr
    assert (tmp_path / "notes").read_text() == "kept"


def test_two_models_of_one_cell_are_refused(
    trained_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(trained_project.root)
    with pytest.raises(InputError, match="one model of each cell"):
        look(["lstm-1", "lstm-2"], tmp_path)
