"""params.yaml as typed objects: read and validated here, once, for every stage and tool.

YAML is read with ruamel.yaml because DVC does so too: both must see the same value
(for PyYAML, which follows YAML 1.1, `1e-3` is a string).
"""

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.core.command import InputError, did_you_mean

PARAMS_FILE = Path("params.yaml")
PRESETS_FILE = Path("presets.yaml")
# A cell is a file of this folder. Only its name counts here, so nothing of it is imported.
CELLS = sorted(file.stem for file in (Path(__file__).parent.parent / "cells").glob("[a-z]*.py"))
# Names that pydantic puts into the location of a problem inside a union.
_UNION_BRANCHES = ("literal['given']", "constrained-float")

Share = Annotated[float, Field(gt=0, lt=1)]
Count = Annotated[int, Field(ge=1)]
Dropout = Annotated[float, Field(ge=0, lt=1)]
LARGEST_SEED = 2**32 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class Block(BaseModel):
    """A block of params.yaml: fixed keys, no conversions (`"3"` is not 3), never changed after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetParams(Block):
    """What depends on the data set. `test: given` takes the test split that the source brings."""

    test: Literal["given"] | Share
    validation: Share
    vocabulary: Annotated[int, Field(ge=10)]
    max_tokens: Count
    batch_size: Count


class PreprocessParams(Block):
    tokenizer: Literal["word", "bpe"]
    seed: Seed


class EmbeddingsParams(Block):
    """`vectors` is `none`, `word2vec`, or the name of a file in data/vectors."""

    vectors: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    passes: Count
    window: Count
    word2vec_seed: Seed
    scale: Annotated[float, Field(ge=0)]


class TrainParams(Block):
    embedding_dim: Count
    units: Count
    bidirectional: bool
    layers: Count
    dropout: Dropout
    word_dropout: Dropout
    output_dropout: Dropout
    pooling: Literal["last", "max", "mean", "max+mean", "attention"]
    keep: Literal["head", "tail", "head+tail"]
    segment: Annotated[int, Field(ge=0)]
    learning_rate: Annotated[float, Field(gt=0)]
    decay: Annotated[float, Field(gt=0, le=1)]
    clip_norm: Annotated[float, Field(ge=0)]
    averaging: Annotated[float, Field(ge=0, lt=1)]
    adversarial: Annotated[float, Field(ge=0)]
    epochs: Count
    patience: Annotated[int, Field(ge=0)]


class BaselineParams(Block):
    ngrams: Annotated[int, Field(ge=1, le=5)]
    min_texts: Count
    inverse_regularisation: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]


class Params(Block):
    """The whole of params.yaml."""

    dataset: str
    models: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1)]
    datasets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], DatasetParams]
    preprocess: PreprocessParams
    embeddings: EmbeddingsParams
    train: TrainParams
    baseline: BaselineParams

    @field_validator("models", "seeds")
    @classmethod
    def _without_repeats(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) < len(values):
            raise ValueError("each may stand there once")
        return values

    @field_validator("models")
    @classmethod
    def _have_cells(cls, models: list[str]) -> list[str]:
        for model in models:
            if model not in CELLS:
                raise ValueError(f"{model!r} is no cell; {did_you_mean(model, CELLS)}")
        return models

    @model_validator(mode="after")
    def _dataset_has_a_block(self) -> "Params":
        if self.dataset not in self.datasets:
            raise ValueError(_no_block(self.dataset, self.datasets))
        return self

    @model_validator(mode="after")
    def _pieces_make_a_text(self) -> "Params":
        if self.train.segment > self.data.max_tokens:
            raise ValueError(
                f"train.segment must be at most max_tokens of {self.dataset}, {self.data.max_tokens}."
                f" Received: {self.train.segment}"
            )
        if self.train.segment and self.train.pooling == "last":
            raise ValueError(
                "train.pooling must not be last where train.segment chops texts: all but the last piece would be lost."
                f" Received: segment {self.train.segment}"
            )
        return self

    @property
    def networks(self) -> list[str]:
        """The names of the training runs, such as `lstm-1`: one per model and seed."""
        return [f"{model}-{seed}" for model in self.models for seed in self.seeds]

    @property
    def data(self) -> DatasetParams:
        """The block of the selected data set."""
        return self.datasets[self.dataset]


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml.

    Raises:
        InputError: the file is missing, is not YAML, or has an unknown key or a value that is not allowed.
    """
    return _validated(read_yaml(path), path)


def must_be_unchanged(settings: Any, read: Callable[[Params], Any], path: Path = PARAMS_FILE) -> None:
    """Make sure that params.yaml still says what a stage began with: DVC records what it says when the stage ends.

    Args:
        settings: what the stage has used.
        read: the same, from what the file says now.
        path: the file.

    Raises:
        InputError: it was changed meanwhile.
    """
    if read(read_params(path)) != settings:
        raise InputError(f"{path} was changed while this stage ran, so nothing is kept of it: run it again")


def read_yaml(path: Path) -> Any:
    """Read one YAML 1.2 file as plain dicts, lists and numbers.

    Raises:
        InputError: the file is missing or is not YAML.
    """
    try:
        return YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run this from the top folder of the project") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {_where(error)}") from None


def _no_block(dataset: str, datasets: Iterable[str]) -> str:
    near = did_you_mean(dataset, datasets)
    return f"datasets has no block {dataset!r} (README, 'Your own text', says how to add one); {near}"


def _where(error: YAMLError | UnicodeDecodeError) -> str:
    """What is wrong, and in which line, without the parser's own terms around it."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        return f"{error.problem}, line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return str(error)


def set_params(assignments: dict[str, str], path: Path = PARAMS_FILE) -> list[str]:
    """Change values in params.yaml, leaving its comments and its order as they are.

    Args:
        assignments: name to value, as typed on a command line. A name is the dotted path (`train.units`) or its
            last part where only one key has it (`units`); the blocks of data sets that are not selected do not
            count. A list may be written without brackets (`1,2,3`).

    Returns:
        One line `name: old -> new` per value that changed. The file is written only if there are any.

    Raises:
        InputError: an unknown name, or values that do not validate. The file is left as it was.
    """
    yaml = YAML()  # the round-trip reader
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    _validated(read_yaml(path), path)
    document = yaml.load(path.read_text(encoding="utf-8"))
    dataset = assignments.get("dataset", document["dataset"])
    if dataset not in document["datasets"]:
        raise InputError(f"{path}: {_no_block(dataset, document['datasets'])}")
    changes = []
    for name, text in assignments.items():
        *blocks, key = _full_name(name, _leaves(document), dataset).split(".")
        block = document
        for part in blocks:
            block = block[part]
        old, new = block[key], _parsed(name, text, block[key])
        if new != old:
            changes.append(f"{'.'.join([*blocks, key])}: {_shown(old)} -> {_shown(new)}")
            if isinstance(old, list):
                old[:] = new  # keeps the flow style and the comment behind it
            else:
                block[key] = new
    out = io.StringIO()
    yaml.dump(document, out)
    _validated(YAML(typ="safe").load(out.getvalue()), path)
    if changes:
        temporary = path.with_name(path.name + ".part")
        temporary.write_text(out.getvalue(), encoding="utf-8")
        temporary.replace(path)
    return changes


def parameter_names(path: Path = PARAMS_FILE) -> list[str]:
    """List the names of all parameters in params.yaml, each with its blocks (`train.units`)."""
    return _leaves(read_yaml(path))


def read_preset(name: str, path: Path = PRESETS_FILE) -> dict[str, str]:
    """The parameters that go by one name, for `set_params`.

    Raises:
        InputError: there is no such preset.
    """
    presets = read_yaml(path)
    if name not in presets:
        raise InputError(f"{path} has no preset {name!r}; {did_you_mean(name, presets)}")
    return {key: str(value) for key, value in presets[name].items()}


def _validated(values: Any, path: Path) -> Params:
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        problems: dict[str, str] = {}
        for detail in error.errors():
            where = ".".join(str(part) for part in detail["loc"] if part not in _UNION_BRANCHES)
            # A union gives one problem per branch: one line with both.
            if where in problems:
                problems[where] = problems[where].replace(". Received", f", or {detail['msg'].lower()}. Received")
            else:
                problems[where] = _explained(where, detail)
        raise InputError(f"{path}: " + "; ".join(problems.values())) from None


def _explained(where: str, detail: Any) -> str:
    """One problem found by pydantic, in the words of params.yaml."""
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(where, _known_keys(detail['loc']))}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}. Received: {detail['input']!r}" if where else message


def _known_keys(unknown: tuple[int | str, ...]) -> list[str]:
    """The full names that may have been meant by the unknown key at this place."""
    keys = []
    for name, field in Params.model_fields.items():
        keys.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, Block):
            keys += [f"{name}.{key}" for key in field.annotation.model_fields]
    if unknown[0] == "datasets":
        keys += [f"datasets.{unknown[1]}.{key}" for key in DatasetParams.model_fields]
    return keys


def _leaves(document: Any, prefix: str = "") -> list[str]:
    names = []
    for key, value in document.items():
        names += _leaves(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return names


def _full_name(name: str, leaves: list[str], dataset: str) -> str:
    if name in leaves:
        return name
    selected = [leaf for leaf in leaves if not leaf.startswith("datasets.") or leaf.startswith(f"datasets.{dataset}.")]
    matches = [leaf for leaf in selected if leaf.rpartition(".")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise InputError(f"the parameter name {name!r} is ambiguous; write one of {', '.join(matches)}")
    known = leaves if "." in name else {leaf.rpartition(".")[2] for leaf in selected}
    raise InputError(f"unknown parameter {name!r}; {did_you_mean(name, known)}")


def _parsed(name: str, text: str, old: Any) -> Any:
    if isinstance(old, list) and not text.lstrip().startswith("["):
        text = f"[{text}]"
    try:
        return YAML(typ="safe").load(text)
    except YAMLError:
        raise InputError(f"the value of {name} cannot be read. Received: {text!r}") from None


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)
