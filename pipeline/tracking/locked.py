"""Read from dvc.yaml and dvc.lock what the stages depend on, by content."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from pipeline.core.folders import SOURCES
from pipeline.core.hashes import folder_md5, md5
from pipeline.core.params import read_yaml
from pipeline.tracking.revisions import value_of

_PIPELINE, _LOCK = Path("dvc.yaml"), Path("dvc.lock")


def dependencies(stage: str, item: Mapping[str, Any]) -> dict[str, str]:
    """Hash (MD5) everything that a stage of dvc.yaml depends on; the source folder of the data set is added.

    These are the hashes that dvc.lock has once the stage is done.

    Args:
        stage: its name in dvc.yaml.
        item: `model` and `seed`, where dvc.yaml has one stage for each.
    """
    if not _PIPELINE.is_file():
        return {}
    stages = _strings(_PIPELINE)["stages"]
    values = {f"item.{name}": str(value) for name, value in item.items()}
    named = (_filled(dep, values) for dep in stages.get(stage, {}).get("deps", []))
    found = {path: digest for path in named if (digest := _digest(Path(path))) is not None}
    return found | _source(_locked())


def _filled(template: str, values: Mapping[str, str]) -> str:
    """Put values into the `${…}` of a path in dvc.yaml."""
    return re.sub(r"\$\{([\w.]+)\}", lambda match: values.get(match[1], match[0]), template)


def locked_dependencies(stage: str, output: Path) -> dict[str, str]:
    """Return the MD5 of all that a stage read when it wrote a folder, by dvc.lock; the source folder is added.

    Args:
        stage: as dvc.lock names it, such as `train@lstm-1`.
        output: the folder.

    Returns:
        Path to MD5. Empty if dvc.lock has other files in that folder, or the tree has other code or parameters than
        made them.
    """
    locked = _locked()
    if stage not in locked or _hashes(locked[stage], "outs").get(output.as_posix()) != folder_md5(output):
        return {}
    return _hashes(locked[stage], "deps") | _source(locked) if _is_made_here(stage, locked) else {}


def _locked() -> dict[str, Any]:
    """Read the stages in dvc.lock."""
    stages: dict[str, Any] = _strings(_LOCK)["stages"] if _LOCK.is_file() else {}
    return stages


def _strings(path: Path) -> Any:
    """Read paths and hashes, every one as the string that stands there.

    With PyYAML's C reader, because programs write dvc.lock: ruamel.yaml, which reads what people write, takes 0.3
    seconds for it, in every stage. No types are guessed: 1e-05 is a number in DVC's YAML 1.2 alone.
    """
    return yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CBaseLoader)


def _hashes(stage: dict[str, Any], kind: str) -> dict[str, str]:
    return {entry["path"]: entry["md5"] for entry in stage.get(kind, [])}


def _source(locked: dict[str, Any]) -> dict[str, str]:
    # DVC has just hashed the source folder for `download`; the data may be too large to do so in every stage.
    deps = _hashes(locked.get("download", {}), "deps")
    return {path: digest for path, digest in deps.items() if path.startswith(SOURCES)}


def _is_made_here(stage: str, locked: dict[str, Any]) -> bool:
    """Tell if the tree has the code and parameters of a stage, and of the stages that made what it read."""
    makers = {path: (name, digest) for name in locked for path, digest in _hashes(locked[name], "outs").items()}
    for path, digest in _hashes(locked[stage], "deps").items():
        maker, made = makers.get(path, (None, None))
        if maker is not None:
            if made != digest or not _is_made_here(maker, locked):
                return False
        elif not path.startswith(SOURCES) and _digest(Path(path)) != digest:
            return False
    recorded = read_yaml(_LOCK)["stages"][stage]  # with the types of its numbers
    return all(
        value_of(params, name) == value
        for file, values in recorded.get("params", {}).items()
        for params in [read_yaml(Path(file))]
        for name, value in values.items()
    )


def _digest(path: Path) -> str | None:
    """Hash a file or folder as DVC does; None where there is neither."""
    if path.is_dir():
        return folder_md5(path)
    return md5(path) if path.is_file() else None
