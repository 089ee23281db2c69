"""Name the versions and the processor that a result was made with."""

import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

MACHINE = "machine.json"  # beside the results: on what the models were trained
SIDE_BY_SIDE = "GATEWISE_SIDE_BY_SIDE"  # in the environment of a stage: how many run at once, if more than one
VERDICT_WORDS = "verdict"  # in it, because git has no other file with the verdict

_VERSIONED = ("keras", "tensorflow", "tensorflow-cpu", "jax", "numpy", "scikit-learn", "tokenizers")
_VECTORS = ("avx512f", "avx2", "avx")
_GENERATION = {"family": "cpu family", "model": "model", "stepping": "stepping"}


def environment() -> dict[str, str]:
    """Name the versions and the processor: besides data and parameters, they can change the bits of a result."""
    versions = {}
    for package in _VERSIONED:
        try:
            versions[f"version.{package}"] = version(package)
        except PackageNotFoundError:
            continue
    return {**versions, "version.python": platform.python_version(), "cpu": _processor()}


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    # The widest vectors decide how sums are split up, and so their last bits; so may the generation, which the name
    # of a virtual processor does not tell.
    vectors = next((kind for kind in _VECTORS if kind in facts.get("flags", "").split()), platform.machine())
    numbers = [f"{name} {facts[key]}" for name, key in _GENERATION.items() if key in facts]
    return ", ".join([facts.get("model name", platform.machine()), *numbers, vectors])
