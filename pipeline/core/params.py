"""Read params.yaml and the settings of data sets into typed objects: validated here, once, for every stage and tool.

The settings of the data set `mine` stand in data/sources/mine.yaml, beside its source; their full names are
`datasets.mine.test` and so on. Blocks in params.yaml, where they stood once, are read all the same.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

# ruamel.yaml reads what people write (params.yaml, presets.yaml, source.yaml): it follows YAML 1.2 as DVC does (for
# PyYAML, `1e-3` is a string), and it keeps comments. PyYAML is for what programs write.
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from pipeline.core.command import InputError, did_you_mean

PARAMS_FILE = Path("params.yaml")
PRESETS_FILE = Path("presets.yaml")
DEFAULT_PRESET = "default"
SETTINGS_FOLDER = Path("data/sources")  # below the folder of params.yaml
# A cell is a file of its folder, with a name in small letters, digits and `_`. Nothing of it is imported here.
_CELL_NAME = re.compile(r"(?!baseline$)[a-z][a-z0-9_]*")
CELLS = sorted(
    file.stem for file in (Path(__file__).parent.parent / "cells").glob("*.py") if _CELL_NAME.fullmatch(file.stem)
)
# What a block in params.yaml says where it says nothing of it: such blocks are older than these settings of data sets.
_SAID_ELSEWHERE = {"tokenizer": "word", "min_occurrences": 1}
# Names that pydantic puts into the location of a problem inside a union.
_UNION_BRANCHES = ("literal['given']", "constrained-float")


def _from_to(low: float, high: float, unit: str = "") -> AfterValidator:
    """Bound a number; beyond the bounds, nothing useful can come of a run that may take days."""
    return _bounded(lambda value: low <= value <= high, f"from {low:,} to {high:,} {unit}")


def _bounded(holds: Callable[[float], bool], bounds: str) -> AfterValidator:
    def checked(value: float) -> float:
        if not holds(value):  # as for a NaN
            raise ValueError(f"must be {bounds.strip()}")
        return value

    return AfterValidator(checked)


Share = Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]
Dropout = Annotated[float, _bounded(lambda value: 0 <= value < 1, "at least 0 and below 1, a share")]
LARGEST_SEED = 2**32 - 1
Metric = Literal["accuracy", "macro_f1"]  # by which models are chosen and compared
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


Regularisation = Annotated[float, _bounded(lambda value: 0 < value <= 1e6, "above 0 and at most 1,000,000")]


class Block(BaseModel):
    """Hold a block of params.yaml: fixed keys, no conversions (`"3"` is not 3), never changed after reading."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class DatasetParams(Block):
    """Hold what depends on the data set. `test: given` takes the test split that the source brings.

    `preset` names what `gatewise run` sets when it selects the data set, if anything; no stage reads it.
    """

    test: Literal["given"] | Share
    validation: Share
    tokenizer: Literal["word", "bpe", "char"]
    vocabulary: Annotated[int, _from_to(10, 2_000_000, "words")]
    min_occurrences: Annotated[int, _from_to(1, 10_000, "times")]
    max_tokens: Annotated[int, _from_to(1, 100_000, "tokens")]
    batch_size: Annotated[int, _from_to(1, 65_536, "texts")]
    preset: str | None = None


class PreprocessParams(Block):
    """Hold the seed of the splits."""

    seed: Seed


class EmbeddingsParams(Block):
    """Hold how word vectors are made. `vectors` is `none`, `word2vec`, or the name of a file in data/vectors."""

    vectors: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    passes: Annotated[int, _from_to(1, 1000, "passes over the texts")]
    window: Annotated[int, _from_to(1, 100, "words on either side")]
    negative: Annotated[int, _from_to(1, 1000, "words")]
    sample: Dropout
    min_count: Annotated[int, _from_to(1, 1_000_000, "times")]
    word2vec_seed: Seed
    scale: Annotated[float, _from_to(0, 1000, "(a standard deviation)")]


class TrainParams(Block):
    """Hold what a network is made of, and how it is trained."""

    embedding_dim: Annotated[int, _from_to(1, 4096, "components")]
    units: Annotated[int, _from_to(1, 4096, "units")]
    bidirectional: bool
    layers: Annotated[int, _from_to(1, 16, "layers")]
    dropout: Dropout
    word_dropout: Dropout
    output_dropout: Dropout
    pooling: Literal["last", "max", "mean", "max+mean", "attention"]
    keep: Literal["head", "tail", "head+tail"]
    learning_rate: Annotated[float, _bounded(lambda value: 0 < value <= 10, "above 0 and at most 10, for each step")]
    decay: Annotated[float, _bounded(lambda value: 0 < value <= 1, "above 0 and at most 1, for each epoch")]
    clip_norm: Annotated[float, _from_to(0, 1_000_000, "(a length)")]
    averaging: Dropout
    adversarial: Annotated[float, _from_to(0, 100, "lengths of a word's vector")]
    epochs: Annotated[int, _from_to(1, 10_000, "epochs")]
    patience: Annotated[int, _from_to(0, 10_000, "epochs")]
    class_weight: Literal["none", "balanced"]


class BaselineParams(Block):
    """Hold which n-grams the baseline counts, and which regularisations it tries."""

    ngrams: Annotated[int, _from_to(1, 5, "words")]
    characters: Annotated[int, _from_to(0, 6, "characters")]
    min_texts: Annotated[int, _from_to(1, 1_000_000, "texts")]
    inverse_regularisation: Annotated[list[Regularisation], Field(min_length=1, max_length=100)]


class Params(Block):
    """Hold the whole of params.yaml, and the settings of all data sets."""

    dataset: str
    models: Annotated[list[str], Field(min_length=1)]
    seeds: Annotated[list[Seed], Field(min_length=1, max_length=1000)]
    metric: Metric
    datasets: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")], DatasetParams]
    preprocess: PreprocessParams
    embeddings: EmbeddingsParams
    train: TrainParams
    baseline: BaselineParams

    @field_validator("models", "seeds")
    @classmethod
    def _without_repeats(cls, values: list[Any]) -> list[Any]:
        if len(set(values)) < len(values):
            raise ValueError("each value may occur once")
        return values

    @field_validator("models")
    @classmethod
    def _have_cells(cls, models: list[str]) -> list[str]:
        for model in models:
            if model not in CELLS:
                raise ValueError(f"{model!r} is not a cell; {did_you_mean(model, CELLS)}")
        return models

    @model_validator(mode="after")
    def _dataset_has_a_block(self) -> "Params":
        if self.dataset not in self.datasets:
            raise ValueError(_no_block(self.dataset, self.datasets))
        return self

    @property
    def networks(self) -> list[str]:
        """List the names of the training runs, such as `lstm-1`: one per model and seed."""
        return [f"{model}-{seed}" for model in self.models for seed in self.seeds]

    @property
    def data(self) -> DatasetParams:
        """Get the settings of the selected data set."""
        return self.datasets[self.dataset]


def read_params(path: Path = PARAMS_FILE) -> Params:
    """Read and validate params.yaml and the settings of all data sets.

    Raises:
        InputError: a file is missing, is not YAML, or has an unknown key or a value that is not allowed.
    """
    files = settings_files(path)
    return _validated(_joined(read_yaml(path), {name: read_yaml(file) for name, file in files.items()}, path), path)


def settings_files(path: Path = PARAMS_FILE) -> dict[str, Path]:
    """Map data sets to the files with their settings."""
    files = sorted((path.parent / SETTINGS_FOLDER).glob("*.yaml"))
    return {file.stem: file for file in files if not file.name.startswith(".")}


def must_be_unchanged(settings: Any, read: Callable[[Params], Any], path: Path = PARAMS_FILE) -> None:
    """Check that the parameters still have the values with which a stage began: DVC records those at its end.

    Args:
        settings: the values that the stage has used.
        read: takes the same values out of what the file says now.
        path: the file.

    Raises:
        InputError: a file was changed meanwhile.
    """
    if read(read_params(path)) != settings:
        raise InputError(
            f"{path}, or the settings of the data set, changed while this stage ran."
            " Its result is not kept; run it again"
        )


def read_yaml(path: Path) -> Any:
    """Read one YAML 1.2 file as plain dicts, lists and numbers.

    Raises:
        InputError: the file is missing or is not YAML.
    """
    return _loaded(YAML(typ="safe"), path)


def _loaded(yaml: YAML, path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; run this from the top folder of the project") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except (YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not valid YAML: {_where(error)}") from None


def _joined(values: Any, settings: Mapping[str, Any], path: Path) -> Any:
    """Put the settings of data sets under `datasets`, where the names of parameters have them.

    Args:
        values: of params.yaml.
        settings: data set to the content of its file.
        path: params.yaml.

    Raises:
        InputError: a data set has a block in params.yaml, too.
    """
    if not isinstance(values, dict):
        return values
    blocks = values.get("datasets") or {}
    if not isinstance(blocks, dict):
        return values
    if twice := sorted(set(blocks) & set(settings)):
        raise InputError(
            f"{path} has a block datasets.{twice[0]}, and {SETTINGS_FOLDER / twice[0]}.yaml has these settings, too."
            " Delete one of them"
        )
    if blocks and isinstance(values.get("preprocess"), dict):  # of the same age
        said = {key: values["preprocess"].pop(key) for key in _SAID_ELSEWHERE if key in values["preprocess"]}
        old = _SAID_ELSEWHERE | said
        blocks = {name: {**old, **block} if isinstance(block, dict) else block for name, block in blocks.items()}
    return values | {"datasets": {**blocks, **settings}}


def _no_block(dataset: str, datasets: Iterable[str]) -> str:
    near = did_you_mean(dataset, datasets)
    return f"there is no {SETTINGS_FOLDER / dataset}.yaml, as `gatewise add` makes one of your files; {near}"


def _where(error: YAMLError | UnicodeDecodeError) -> str:
    """Say the problem and its line, without the parser's own terms."""
    if isinstance(error, MarkedYAMLError) and error.problem_mark:
        return f"{error.problem}, line {error.problem_mark.line + 1}, column {error.problem_mark.column + 1}"
    return str(error)


def set_params(assignments: dict[str, str], path: Path = PARAMS_FILE) -> list[str]:
    """Change values in params.yaml and in the settings of data sets, leaving comments and order as they are.

    Args:
        assignments: name to value, as typed on a command line. A name is the dotted path (`train.units`) or its
            last part where only one key has it (`units`); the settings of data sets that are not selected do not
            count. A list may be written without brackets (`1,2,3`).
        path: params.yaml.

    Returns:
        One line `name: old -> new` per value that changed. A file is written only if there are any in it.

    Raises:
        InputError: an unknown name, or values that do not validate. The files are left as they were.
    """
    params = read_params(path)
    documents = _documents(path)
    names = [name for prefix, document in documents.items() for name in _leaves(document, prefix)]
    dataset = assignments.get("dataset", params.dataset)
    if dataset not in params.datasets:
        raise InputError(f"{path}: {_no_block(dataset, params.datasets)}")
    changes, changed = [], set()
    for name, text in assignments.items():
        full = _full_name(name, names, dataset)
        house = next(prefix for prefix in documents if (prefix and full.startswith(prefix)) or not prefix)
        *blocks, key = full.removeprefix(house).split(".")
        block = documents[house]
        for part in blocks:
            block = block[part]
        old, new = block[key], _parsed(name, text, block[key])
        if new != old:
            changes.append(f"{full}: {as_written(old)} -> {as_written(new)}")
            changed.add(house)
            if isinstance(old, list):
                old[:] = new  # keeps the flow style and the comment behind it
            else:
                block[key] = new
    _write({house: documents[house] for house in changed}, path)
    return changes


def write_settings(name: str, values: Mapping[str, Any], path: Path = PARAMS_FILE) -> Path:
    """Write settings of a data set into its file, beside those that it has; comments stay.

    Returns:
        The file.

    Raises:
        InputError: the result would not be valid. The file is left as it was.
    """
    prefix = f"datasets.{name}."
    document = _documents(path).get(prefix, CommentedMap())
    document.update(values)
    _write({prefix: document}, path)
    return path.parent / SETTINGS_FOLDER / f"{name}.yaml"


def move_blocks(path: Path = PARAMS_FILE) -> list[str]:
    """Move the blocks of data sets out of params.yaml, where they stood once, into files of their own.

    Returns:
        A sentence per block.
    """
    document = _documents(path)[""]
    blocks = document.get("datasets") or {}
    if blocks:
        settings = {name: block.model_dump(exclude_unset=True) for name, block in read_params(path).datasets.items()}
        for key in _SAID_ELSEWHERE:
            document["preprocess"].pop(key, None)
        files = {f"datasets.{name}.": block for name, block in blocks.items()}
        for name, block in blocks.items():
            block.update(settings[name])
    if "datasets" in document:
        del document["datasets"]
        _write(files | {"": document} if blocks else {"": document}, path)
    return [f"datasets.{name} moved from {path} to {SETTINGS_FOLDER / name}.yaml" for name in blocks]


def _round_trip() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml


def _documents(path: Path) -> dict[str, Any]:
    """Read the files with their comments: `datasets.mine.` to the settings of each data set, and `` to params.yaml.

    Raises:
        InputError: one is missing, is not YAML, or holds something else than names with values.
    """
    files = {f"datasets.{name}.": file for name, file in settings_files(path).items()} | {"": path}
    documents = {prefix: _loaded(_round_trip(), file) for prefix, file in files.items()}
    for prefix, document in documents.items():
        if not isinstance(document, dict):
            came = "nothing" if document is None else type(document).__name__
            raise InputError(f"{files[prefix]} must hold names with values. Received: {came}")
    return documents


def _write(documents: Mapping[str, Any], path: Path) -> None:
    """Write files, given as `_documents` does, all at once: if the result would not be valid, none.

    Raises:
        InputError: it would not, or a file cannot be written.
    """
    texts = {}
    for prefix, document in documents.items():
        out = io.StringIO()
        _round_trip().dump(document, out)
        name = prefix.removeprefix("datasets.").removesuffix(".")
        texts[path.parent / SETTINGS_FOLDER / f"{name}.yaml" if prefix else path] = out.getvalue()
    new = {file: YAML(typ="safe").load(text) for file, text in texts.items()}
    files = {file.stem: file for file in [*settings_files(path).values(), *new] if file != path}
    settings = {name: new[file] if file in new else read_yaml(file) for name, file in files.items()}
    _validated(_joined(new[path] if path in new else read_yaml(path), settings, path), path)
    parts = {file: file.with_name(f"{file.name}.part") for file in texts}
    try:
        for file, text in texts.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            parts[file].write_text(text, encoding="utf-8")
        for file in sorted(texts, key=lambda file: file == path):  # params.yaml last: its blocks have a house by then
            parts[file].replace(file)
    except OSError as error:
        raise InputError(f"{error.filename or path} cannot be written: {error.strerror}") from None
    finally:
        for part in parts.values():
            if part.is_file():
                part.unlink()


def parameter_names(path: Path = PARAMS_FILE) -> list[str]:
    """List the names of all parameters, each with its blocks (`train.units`)."""
    return [name for prefix, document in _documents(path).items() for name in _leaves(document, prefix)]


def read_preset(name: str, path: Path = PRESETS_FILE) -> dict[str, str]:
    """Read the parameters of a preset, for `set_params`; see `preset_values`."""
    return {key: str(value) for key, value in preset_values(name, path).items()}


def preset_values(name: str, path: Path = PRESETS_FILE) -> dict[str, Any]:
    """Read the parameters of a preset.

    Raises:
        InputError: the file has no preset of that name.
    """
    presets = read_yaml(path)
    if name not in presets:
        raise InputError(f"{path} has no preset {name!r}; {did_you_mean(name, presets)}")
    values: dict[str, Any] = presets[name]
    return values


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
        files = settings_files(path)
        own = [f" ({files[name]})" if (name := f"{where}..".split(".")[1]) in files else "" for where in problems]
        raise InputError(
            f"{path}: " + "; ".join(f"{text}{file}" for text, file in zip(problems.values(), own, strict=True))
        ) from None


def _explained(where: str, detail: Any) -> str:
    """Say one problem that pydantic found, with the names of params.yaml."""
    if detail["type"] == "extra_forbidden":
        return f"unknown key {where}; {did_you_mean(where, _known_keys(detail['loc']))}"
    if detail["type"] == "missing":
        return f"{where} is missing"
    message = detail["msg"].removeprefix("Value error, ")
    return f"{where}: {message}. Received: {detail['input']!r}" if where else message


def _known_keys(unknown: tuple[int | str, ...]) -> list[str]:
    """List the full names that the unknown key at this place may stand for."""
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


def as_written(value: Any) -> str:
    """Write a value as the file has it: true, not True."""
    if isinstance(value, list):
        return ",".join(map(as_written, value))
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
