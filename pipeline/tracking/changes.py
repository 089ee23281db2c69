"""Name what a run was asked for that params.yaml and the settings of the data set in git's commit do not say."""

import io
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML

from pipeline.core.params import PARAMS_FILE, SETTINGS_FOLDER
from pipeline.tracking.git import text_at

_SHOWN = 2  # changes in the name of a run
# What decides about a run of each stage, besides the block of the data set; its name says model and seed.
_BLOCKS = {
    "train": ("preprocess", "embeddings", "train"),
    "baseline": ("preprocess", "baseline"),
    "evaluate": ("preprocess", "embeddings", "train", "baseline"),
}


def changes(stage: str, dataset: str) -> list[str]:
    """List the parameters that differ from git's commit, such as `units=16`.

    Args:
        stage: of dvc.yaml; only what it depends on counts.
        dataset: the one selected.
    """
    settings = SETTINGS_FOLDER / f"{dataset}.yaml"
    committed, of_data = (text_at("HEAD", path) for path in (PARAMS_FILE, settings))
    if stage not in _BLOCKS or committed is None or not PARAMS_FILE.is_file():
        return []
    texts = [path.read_text(encoding="utf-8") if path.is_file() else None for path in (PARAMS_FILE, settings)]
    here, there = _of_stage(texts, stage, dataset), _of_stage([committed, of_data], stage, dataset)
    last_names = Counter(name.rpartition(".")[2] for name in here)
    return [
        f"{short if last_names[short := name.rpartition('.')[2]] == 1 else name}={_shown(value)}"
        for name, value in here.items()
        if name in there and there[name] != value
    ]


def named(name: str, changed: list[str]) -> str:
    """Put the first changes into the name of a run: `gru-1 units=16 layers=2 +3`, `LSTM = GRU with units=16`."""
    more = [f"+{len(changed) - _SHOWN}"] if len(changed) > _SHOWN else []
    between = ["with"] if " " in name and changed else []
    return " ".join([name, *between, *changed[:_SHOWN], *more])


def _of_stage(texts: list[str | None], stage: str, dataset: str) -> dict[str, Any]:
    """Read what a stage is asked for, by full names; files of another age may lack blocks.

    Args:
        texts: params.yaml, and the settings of the data set; these stood in params.yaml once.
        stage: of dvc.yaml.
        dataset: the one selected.
    """
    params, settings = (YAML(typ="safe").load(io.StringIO(text)) if text else None for text in texts)
    of_data = settings if isinstance(settings, Mapping) else _block(_block(params, "datasets"), dataset)
    blocks = {f"datasets.{dataset}": of_data} | {name: _block(params, name) for name in _BLOCKS[stage]}
    found = {f"{block}.{name}": value for block, values in blocks.items() for name, value in values.items()}
    found.pop(f"datasets.{dataset}.preset", None)  # which no stage reads
    return found


def _block(params: Any, name: str) -> Mapping[str, Any]:
    block = params.get(name) if isinstance(params, Mapping) else None
    return block if isinstance(block, Mapping) else {}


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
