"""The tie between a report and the results that it shows. It imports nothing that writing a report needs."""

import hashlib
from pathlib import Path

REPORT = "report.html"
COSTS_PICTURE = "costs.png"  # which the report makes itself
PICTURES = "pictures"  # the folder with all others
TEMPLATE = Path(__file__).with_name("report.html.jinja")
STAMP = "gatewise-results"  # the name of the page's <meta> with the hash

VERDICT = "verdict.json"

_NUMBERS = ("metrics.json", "statistics.json", "examples.json", "memory.json")
_HEAD = 2000  # characters of the page among which the stamp is


def stamp(results: Path) -> str:
    """Hash the numbers, the verdict, the pictures and the template, hexadecimal."""
    pictures = sorted((results / PICTURES).glob("*.png"))
    files = [TEMPLATE, *(results / name for name in (*_NUMBERS, VERDICT)), *pictures]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def fingerprint(results: Path) -> str:
    """Hash the numbers with SHA-256, by which MLflow's comparison run of these results is found.

    All numbers count: other models may well differ by the same intervals.
    """
    return hashlib.sha256(b"\0".join((results / name).read_bytes() for name in _NUMBERS)).hexdigest()


def is_current(results: Path) -> bool:
    """Tell whether there is a report that was made from these results."""
    page = results / REPORT
    return page.exists() and stamp(results) in page.read_text(encoding="utf-8")[:_HEAD]
