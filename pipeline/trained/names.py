"""Names of models: the one place where they are put together and taken apart.

    lstm        a kind of model: all of its seeds            lstm (A)    the same of the first of two revisions
    lstm-1      one run of it: the network with seed 1       lstm-1 (A)
    baseline    the linear model, which has no seed

Files, tables and MLflow have the text; code that asks for a part of it parses the text first.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.trained.trained import BASELINE

SIDES = ("A", "B")  # of two revisions that are compared
_TEXT = re.compile(r"(?P<kind>.+?)(?:-(?P<seed>\d+))?(?: \((?P<side>[AB])\))?")


@dataclass(frozen=True)
class ModelName:
    """The name of a trained model, or of all runs of one kind of model.

    Attributes:
        kind: the name of a cell, or `BASELINE`.
        seed: of one run; None for the baseline, and for all seeds together.
        side: which of two revisions, one of `SIDES`; empty where nothing is compared with another revision.
    """

    kind: str
    seed: int | None = None
    side: str = ""

    def __str__(self) -> str:
        seed = "" if self.seed is None else f"-{self.seed}"
        return f"{self.kind}{seed}{f' ({self.side})' if self.side else ''}"

    @classmethod
    def parse(cls, text: str) -> "ModelName":
        """Read what `str` gave.

        Raises:
            ValueError: the text is empty.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ValueError(f"a model's name has a kind, such as lstm-1 or lstm (A). Received: {text!r}")
        seed = found["seed"]
        return cls(found["kind"], None if seed is None else int(seed), found["side"] or "")

    @property
    def is_baseline(self) -> bool:
        """Tell whether this is the linear model, which no seed changes."""
        return self.kind == BASELINE

    @property
    def stage(self) -> str:
        """Name the stage that trains the model as dvc.lock does: `train@lstm-1`, or `baseline`."""
        run = replace(self, side="")
        return str(run) if self.is_baseline else f"train@{run}"


def all_names(models: Sequence[str], seeds: Sequence[int]) -> list[ModelName]:
    """List all models that params.yaml asks for: a network per model and seed, and the baseline."""
    return [*(ModelName(model, seed) for model in models for seed in seeds), ModelName(BASELINE)]


def kind_of(model: str) -> str:
    """Give the kind of a model from its name: `lstm` of `lstm (A)` and of `lstm-1`."""
    return ModelName.parse(model).kind
