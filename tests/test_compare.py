"""Two revisions side by side, in a real repository with a real experiment."""

import json
from collections.abc import Callable

import pytest
from conftest import Project, commit_all

COMPARE = ("python", "-m", "pipeline.tools.compare")


def test_a_commit_and_an_experiment_side_by_side(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    project.run("dvc", "exp", "run", "--name", "small", "-S", "train.units=4", "-S", "models=[gru]", "-S", "seeds=[1]")
    project.run("git", "checkout", "--quiet", ".")
    project.run("dvc", "checkout")
    before = project.run("git", "status", "--porcelain").stdout
    shown = project.run(*COMPARE, "main", "small").stdout
    assert shown.startswith("A is main, B is small.")
    assert "GRU (" in shown
    assert "only 1 to 2 seeds" in shown
    folder = project.root / "data/compare/main..small"
    metrics = json.loads((folder / "metrics.json").read_text())
    # Of the baseline, which is the same on both sides, there is one; the LSTM is on one side alone.
    assert list(metrics) == ["lstm (A)", "gru (A)", "gru (B)", "baseline"]
    assert metrics["gru (B)"]["parameters"] < metrics["gru (A)"]["parameters"]
    (difference,) = json.loads((folder / "statistics.json").read_text())["differences"]
    assert (difference["first"], difference["second"]) == ("gru (B)", "gru (A)")
    page = (folder / "report.html").read_text()
    assert "A is main, B is small." in page
    assert project.run("git", "status", "--porcelain").stdout == before
    # The files as they are, against the same commit: nothing differs.
    result = project.run(*COMPARE, "main", check=False)
    assert (result.returncode, result.stdout) == (1, "")
    assert "both sides have the same models" in result.stderr


@pytest.mark.slow
def test_what_cannot_be_compared_is_said(fresh_copy: Callable[[], Project]) -> None:
    project = fresh_copy()
    result = project.run(*COMPARE, "nowhere", check=False)
    assert result.returncode == 1
    assert result.stderr.startswith("error: 'nowhere' is no commit, branch, tag or experiment")
    other = ("--preprocess.seed", "2", "--seeds", "1", "--models", "gru")
    project.run("python", "-m", "pipeline.tools.reproduce", *other)
    commit_all(project, "another split")
    result = project.run(*COMPARE, "HEAD~1", "HEAD", check=False)
    assert result.returncode == 1
    assert "were tested on different texts" in result.stderr
    # Without the cache and a remote, the files of a commit cannot be had.
    cache = project.root / ".dvc/cache"
    cache.rename(project.root / "elsewhere")
    result = project.run(*COMPARE, "HEAD~1", check=False)
    assert result.returncode == 1
    assert "is neither in DVC's cache nor at its remote" in result.stderr
    assert "Traceback" not in result.stderr
