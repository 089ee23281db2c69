"""The download stage: what it leaves in its output folder, as a function and as a command."""

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from archives import imdb_archive, imdb_files
from conftest import ROOT, TINY_PARAMS, clean_environment

from pipeline.core.command import InputError
from pipeline.corpus.sources import Reviews, content_sha256, read_source
from pipeline.download import download


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def imdb(tmp_path: Path) -> Path:
    """A data set whose archive lies in the folder `mirror` beside it, and whose home is out of reach."""
    (tmp_path / "mirror").mkdir()
    archive = imdb_archive(tmp_path / "mirror" / "reviews.tar.gz", imdb_files())
    folder = tmp_path / "sources" / "imdb"
    folder.mkdir(parents=True)
    (folder / "source.yaml").write_text(
        f"format: imdb\nurl: http://127.0.0.1:9/reviews.tar.gz\nsize: {archive.stat().st_size}\n"
        f"md5: {hashlib.md5(archive.read_bytes()).hexdigest()}\ncontent_sha256: {content_sha256(archive)}\n"
    )
    return folder


def run_stage(source: Path, output: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command, in a folder whose params.yaml selects the data set."""
    (output.parent / "params.yaml").write_text(TINY_PARAMS.replace("tiny", source.name))
    command = [sys.executable, "-m", "pipeline.download", "--sources", str(source.parent), "--output", str(output)]
    command += ["--downloads", str(output.with_name("downloads"))]
    everything = clean_environment() | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, cwd=output.parent, env=everything, capture_output=True, text=True, check=False)


def test_the_users_files_are_copied_with_their_folders(tmp_path: Path) -> None:
    mine = tmp_path / "sources" / "mine"
    for folder in ("good", ".cache"):
        (mine / folder).mkdir(parents=True)
        (mine / folder / "1.txt").write_text("fine")
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "README.md").write_text("Ours.")
    assert download(mine, tmp_path / "downloads", None, tmp_path / "raw") == ["not read: README.md"]
    assert names(tmp_path / "raw") == ["good/1.txt", "source.yaml"]
    (table,) = Reviews(read_source(tmp_path / "raw"), tmp_path / "raw")
    assert table[["text", "label"]].to_numpy().tolist() == [["fine", "good"]]


def test_nothing_of_an_earlier_data_set_stays(tmp_path: Path) -> None:
    mine = tmp_path / "sources" / "mine"
    mine.mkdir(parents=True)
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "a.csv").write_text("text,label\nfine,good\n")
    download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    (mine / "a.csv").rename(mine / "b.csv")
    download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    assert names(tmp_path / "raw") == ["b.csv", "source.yaml"]


@pytest.mark.parametrize("output", [".", "sources", "sources/mine", "sources/other", "downloads", "downloads/raw"])
def test_neither_sources_nor_downloads_are_ever_replaced(tmp_path: Path, output: str) -> None:
    for name in ("mine", "other"):
        (tmp_path / "sources" / name).mkdir(parents=True)
        (tmp_path / "sources" / name / "source.yaml").write_text("format: files\n")
        (tmp_path / "sources" / name / "a.csv").write_text("text,label\nfine,good\n")
    before = names(tmp_path)
    with pytest.raises(InputError, match=rf"--output must lie outside .* Received: {tmp_path / output}"):
        download(tmp_path / "sources" / "mine", tmp_path / "downloads", None, tmp_path / output)
    assert names(tmp_path) == before


def test_a_folder_that_no_download_has_written_is_not_replaced(tmp_path: Path) -> None:
    mine, models = tmp_path / "sources" / "mine", tmp_path / "models"
    for folder in (mine, models):
        folder.mkdir(parents=True)
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "a.csv").write_text("text,label\nfine,good\n")
    (models / "lstm").touch()
    for output in (models, models / "lstm"):
        with pytest.raises(InputError, match="would be replaced, but no download has written it"):
            download(mine, tmp_path / "downloads", None, output)
    assert names(models) == ["lstm"]


def test_files_that_cannot_be_copied_do_not_cost_those_of_the_last_run(tmp_path: Path) -> None:
    mine = tmp_path / "sources" / "mine"
    mine.mkdir(parents=True)
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "a.csv").write_text("text,label\nfine,good\n")
    download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    (mine / "b.csv").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"b\.csv is a link that leads nowhere"):
        download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    assert names(tmp_path) == ["raw/a.csv", "raw/source.yaml", "sources/mine/a.csv", "sources/mine/source.yaml"]


def test_a_bad_row_is_told_with_the_users_own_file_before_anything_is_copied(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "source.yaml").write_text("format: files\n")
    mine = tmp_path / "sources" / "tiny"
    mine.mkdir(parents=True)
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "a.csv").write_text("text,label\nfine, I said,good\n")
    result = run_stage(mine, tmp_path / "raw")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines()[0] == "error: 1 row in 1 file cannot be read as written:"
    assert result.stderr.splitlines()[2] == f"  {mine}/a.csv, line 2: fine, I said,good"
    assert names(tmp_path / "raw") == ["source.yaml"]
    (mine / "source.yaml").write_text("format: files\nbad_rows: set_aside\n")
    (mine / "b.csv").write_text("text,label\nfine,good\n")
    download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    assert names(tmp_path / "raw") == ["a.csv", "b.csv", "source.yaml"]


def test_a_wrong_description_does_not_cost_the_files_of_the_last_run(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("text,label\n")
    with pytest.raises(InputError, match=r"source\.yaml does not exist"):
        download(tmp_path / "sources" / "nowhere", tmp_path / "downloads", None, tmp_path / "raw")
    assert names(tmp_path / "raw") == ["a.csv"]


def test_a_folder_without_data_is_named_and_does_not_cost_the_files_of_the_last_run(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.csv").write_text("text,label\n")
    mine = tmp_path / "sources" / "mine"
    mine.mkdir(parents=True)
    (mine / "source.yaml").write_text("format: files\n")
    (mine / "reviews.xls").write_text("")
    with pytest.raises(
        InputError, match=r"/mine holds no data: expected tables \(\.csv.* It has: source\.yaml, reviews\.xls"
    ):
        download(mine, tmp_path / "downloads", None, tmp_path / "raw")
    assert names(tmp_path / "raw") == ["a.csv"]


def test_an_archive_comes_from_the_folder_that_the_environment_names(tmp_path: Path, imdb: Path) -> None:
    result = run_stage(imdb, tmp_path / "raw", DATASET_MIRROR=str(tmp_path / "mirror"))
    assert (result.returncode, result.stderr) == (0, "")
    assert names(tmp_path / "raw") == ["reviews.tar.gz", "source.yaml"]
    tables = list(Reviews(read_source(tmp_path / "raw"), tmp_path / "raw"))
    assert sum(map(len, tables)) == 15


def test_a_failed_command_says_one_line_and_leaves_no_archive(tmp_path: Path, imdb: Path) -> None:
    (tmp_path / "mirror" / "reviews.tar.gz").write_bytes(b"not an archive")
    result = run_stage(imdb, tmp_path / "raw", DATASET_MIRROR=str(tmp_path / "mirror"))
    assert result.returncode == 1
    assert result.stderr.startswith(
        f"error: reviews.tar.gz from {tmp_path}/mirror/reviews.tar.gz is not the pinned file"
    )
    assert result.stderr.count("\n") == 1
    assert names(tmp_path / "raw") == []
