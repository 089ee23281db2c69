"""Read what another commit was asked for.

Its params.yaml is not validated: its keys and allowed values were those of its own code, and need not be today's.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.core.command import InputError
from pipeline.core.params import read_yaml


@dataclass(frozen=True)
class RecordedParams:
    """The parameters of a commit, as plain values.

    Attributes:
        dataset: the data set selected.
        networks: names of the training runs, such as `lstm-1`.
        values: all of params.yaml.
    """

    dataset: str
    networks: list[str]
    values: dict[str, Any]

    @classmethod
    def read(cls, file: Path, revision: str) -> "RecordedParams":
        """Read the params.yaml of a revision.

        Raises:
            InputError: it is no YAML, or lacks `dataset`, `models` or `seeds`.
        """
        values = read_yaml(file)
        needed = {"dataset": str, "models": list, "seeds": list}
        for name, kind in needed.items():
            value = values.get(name) if isinstance(values, dict) else None
            if not isinstance(value, kind):
                raise InputError(
                    f"params.yaml of {revision}: {name} must be a {'list' if kind is list else 'name'}."
                    f" Received: {value!r}"
                )
        networks = [f"{model}-{seed}" for model in values["models"] for seed in values["seeds"]]
        return cls(values["dataset"], networks, values)


def value_of(params: Any, name: str) -> Any:
    """Return the value of a dotted name such as `train.units` in nested mappings; None where there is none."""
    for key in name.split("."):
        params = params.get(key) if isinstance(params, dict) else None
    return params
