"""What git has of the results of a commit, and what another processor makes of them.

The predictions of a commit are in DVC's cache or at its remote, or nowhere. dvc.lock, metrics.json and machine.json are
in git, so everybody who has the commit has its few numbers, the hashes of its outputs, and what they were made on.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.command import InputError
from pipeline.core.params import PARAMS_FILE
from pipeline.reporting.stamp import VERDICT
from pipeline.tracking.git import content
from pipeline.tracking.machine import MACHINE, VERDICT_WORDS, environment
from pipeline.tracking.paths import MEMORY, METRICS, MODELS, RAW, RESULTS, TEST_LABELS

# Stages that compute with floats, whose last bits depend on the processor.
ROUNDING_STAGES = ("train", "memory", "baseline", "evaluate")
_LOCK = Path("dvc.lock")


@dataclass(frozen=True)
class Recorded:
    """The results of a commit as git has them, or those on disk.

    Attributes:
        stages: the stages of dvc.lock that are compared there, all values as strings.
        metrics: name such as `lstm.accuracy` to its value.
        machine: versions, processor and verdict; empty where they are not known of these results.
    """

    stages: dict[str, Any]
    metrics: dict[str, float]
    machine: dict[str, str]

    @classmethod
    def read(cls, revision: str | None) -> "Recorded | None":
        """Read what git has of a revision, or, for None, what lies on disk. Return None where there are no results."""
        lock, metrics, machine = (_read(revision, path) for path in (_LOCK, METRICS, RESULTS / MACHINE))
        # As in locked.py: every value as the string that stands there.
        try:
            stages = dict(yaml.load(lock, Loader=yaml.CBaseLoader)["stages"]) if lock else {}
        except (yaml.YAMLError, TypeError, ValueError, KeyError):
            raise InputError(f"{_LOCK} of {revision or 'the folder'} is damaged: `gatewise run` can mend it") from None
        if "evaluate" not in stages or metrics is None:
            return None
        asked = stages["evaluate"]["params"][PARAMS_FILE.name]
        networks = {f"{model}-{seed}" for model in asked["models"] for seed in asked["seeds"]}
        # dvc.lock keeps the networks of other seeds.
        stages = {name: of for name, of in stages.items() if "@" not in name or name.partition("@")[2] in networks}
        made_on = json.loads(machine) if machine else {}
        digest = made_on.pop(METRICS.name, None)
        of_these = digest is not None and digest == _hashes(stages["evaluate"], "outs").get(METRICS.as_posix())
        return cls(stages, headline_of(json.loads(metrics)), made_on if of_these else {})

    @property
    def dataset(self) -> str:
        """Name the data set."""
        return str(self.stages["evaluate"]["params"][PARAMS_FILE.name]["dataset"])

    @property
    def test(self) -> tuple[str | None, ...]:
        """Tell what the models were tested on: the raw data, how the test split is drawn, and its labels in order.

        The labels alone do not tell: texts are in the order of their names, so a split with as many texts of each label
        may have the same column of labels.
        """
        stage: dict[str, Any] = self.stages.get("preprocess", {})
        # The settings of a data set stand beside its source; they stood in params.yaml once.
        asked = {name: value for of_file in stage.get("params", {}).values() for name, value in of_file.items()}
        drawn = [asked.get("test", asked.get(f"datasets.{self.dataset}.test"))]
        if drawn != ["given"]:
            drawn.append(asked.get("preprocess.seed"))
        labels = _hashes(self.stages["evaluate"], "deps").get(TEST_LABELS.as_posix())
        return self.dataset, _hashes(stage, "deps").get(RAW.as_posix()), *drawn, labels

    @property
    def models(self) -> str | None:
        """Hash all models (MD5), as dvc.lock does."""
        return _hashes(self.stages["evaluate"], "deps").get(MODELS.as_posix())

    @property
    def made_from(self) -> dict[str, Any]:
        """Tell what each stage was asked for and read, less what an earlier stage computed with floats."""
        return {name: (stage["cmd"], stage.get("params"), _exact(stage)) for name, stage in self.stages.items()}

    @property
    def outputs(self) -> dict[str, Any]:
        """Hash all that the stages wrote (MD5)."""
        return {name: _hashes(stage, "outs") for name, stage in self.stages.items()}


def headline_of(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Read the numbers of metrics.json: flat, or one block for each model as older commits have them."""
    numbers: dict[str, float | None] = {}
    for name, value in metrics.items():
        if isinstance(value, dict):
            numbers |= {f"{name}.{score}": of["mean"] for score, of in value.items() if isinstance(of, dict)}
        else:
            numbers[name] = value
    return {name: number for name, number in numbers.items() if number is not None}


def compared_with_head() -> str:
    """Say how the results on disk differ from those of the commit, where nothing but the machine can be the reason.

    Returns:
        One line; empty where the bytes are the same, the commit has no results, or it has them of other data,
        parameters or code.
    """
    there, here = Recorded.read("HEAD"), Recorded.read(None)
    if there is None or here is None or there.outputs == here.outputs or there.made_from != here.made_from:
        return ""
    common = there.metrics.keys() & here.metrics.keys()
    largest = max((abs(there.metrics[name] - here.metrics[name]) for name in common), default=0.0)
    machines, verdicts = _machines(there.machine, here.machine or environment()), _verdicts(there.machine)
    advice = "commit before you compare: git commit -am 'results made here'"
    return f"{machines}; largest difference {largest:.2g}{verdicts}; {advice}"


def _machines(there: Mapping[str, str], here: Mapping[str, str]) -> str:
    """Name what differs between two machines."""
    other = [name for name in here if name != VERDICT_WORDS and there.get(name) != here[name]]
    if not there or not other:
        return f"recorded on {'the same kind of processor' if there else 'a machine that git does not name'}"
    sides = [", ".join(_part(name, side.get(name, "none")) for name in other) for side in (there, here)]
    if other == ["cpu"]:
        sides = _short(*sides)
    return f"recorded on {sides[0]}, here {sides[1]}"


def _part(name: str, value: str) -> str:
    return value if name == "cpu" else f"{name.removeprefix('version.')} {value}"


def _short(there: str, here: str) -> list[str]:
    """Name two processors by their models alone, if these differ."""
    names = [side.partition(",")[0] for side in (there, here)]
    return names if names[0] != names[1] else [there, here]


def _verdicts(there: Mapping[str, str]) -> str:
    """Tell if the verdict on disk has the words of the recorded one, whatever its numbers."""
    here = RESULTS / VERDICT
    if VERDICT_WORDS not in there or not here.exists():
        return ""
    words = [there[VERDICT_WORDS], " ".join(json.loads(here.read_text(encoding="utf-8"))["sentences"])]
    same = len({re.sub(r"#( to #)?", "#", re.sub(r"-?\d[\d.,]*", "#", text)) for text in words}) == 1
    return ", same verdict" if same else ", another verdict"


def _read(revision: str | None, path: Path) -> str | None:
    if revision is not None:
        return content(revision, path)
    return path.read_text(encoding="utf-8") if path.exists() else None


def _exact(stage: Mapping[str, Any]) -> dict[str, str]:
    """Leave out of the deps what a stage computed with floats."""
    computed = tuple(f"{folder.as_posix()}/" for folder in (MODELS, MEMORY))
    return {path: digest for path, digest in _hashes(stage, "deps").items() if not f"{path}/".startswith(computed)}


def _hashes(stage: Mapping[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, [])}
