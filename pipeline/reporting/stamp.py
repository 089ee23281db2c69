"""Whether the report in a folder shows the results in that folder. Without what writing a report has to import."""

import hashlib
from pathlib import Path

REPORT = "report.html"
COSTS_PICTURE = "costs.png"  # which the report makes itself
PICTURES = "pictures"  # the folder with all others
TEMPLATE = Path(__file__).with_name("report.html.jinja")
STAMP = "gatewise-results"  # the name of the page's <meta> with the hash

_SHOWN = ("metrics.json", "statistics.json", "examples.json", "memory.json")
_HEAD = 2000  # characters of the page among which the stamp is


def stamp(results: Path) -> str:
    """A hash of the numbers, of the pictures and of the template, hexadecimal."""
    pictures = sorted((results / PICTURES).glob("*.png"))
    files = [TEMPLATE, *(results / name for name in _SHOWN), *pictures]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def fingerprint(results: Path) -> str:
    """What MLflow's comparison run of these results is found by: SHA-256 of their numbers.

    Of all of them: other models may well differ by the same intervals.
    """
    return hashlib.sha256(b"\0".join((results / name).read_bytes() for name in _SHOWN)).hexdigest()


def is_current(results: Path) -> bool:
    """Whether there is a report that was made from these results."""
    page = results / REPORT
    return page.exists() and stamp(results) in page.read_text(encoding="utf-8")[:_HEAD]
