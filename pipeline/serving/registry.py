"""Keep the registered model of a data set in MLflow: its versions, the champion, and the former champions.

Aliases say which version serves: `champion` is the one to use, `challenger` the last one that was refused. The tag
`gatewise.champions` of the registered model lists the former champions, the latest last. A version carries in its
tags the hash of its weights, the digest of the texts that it was tested on and its accuracy there; its run has its
predictions. `gatewise.rolled_back` marks a champion that somebody took back: no candidate has to be as good as it.

A promotion is decided against one champion. With a SQLite store, a lock on a file next to it lets one in after the
other; on a server, who was overtaken meanwhile is refused.
"""

import os
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import mlflow
import mlflow.models
import mlflow.pyfunc
import numpy as np
import pandas as pd
from filelock import FileLock
from mlflow.entities import Run
from mlflow.entities.model_registry import ModelVersion, RegisteredModel
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature

from pipeline.core.arrays import save_arrays
from pipeline.core.command import InputError
from pipeline.tracking.address import in_short, without_login
from pipeline.tracking.store import EXPERIMENT, sqlite_file
from pipeline.tracking.tracker import connect
from pipeline.trained.trained import PREDICTIONS, Trained

CHAMPION, CHALLENGER = "champion", "challenger"
MLFLOW_SCHEMES = ("models:/", "runs:/")

_CODE_LOADER = "mlflow.pyfunc.loaders.code_model"  # of a model that is logged as code; others unpickle
_FORMER = "gatewise.champions"
_FINGERPRINT, _DIGEST, _NAME = "gatewise.fingerprint", "gatewise.test_digest", "gatewise.name"
_ACCURACY = "gatewise.test_accuracy"
_ROLLED_BACK = "gatewise.rolled_back"
_MISSING = "RESOURCE_DOES_NOT_EXIST"


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    Attributes:
        number: as MLflow counts.
        name: of the trained model, such as `gru-2`.
        fingerprint: SHA-256 of its weights.
        digest: of the texts that it was tested on.
        accuracy: on them.
        run_id: of its training run.
    """

    number: int
    name: str
    fingerprint: str
    digest: str
    accuracy: float
    run_id: str

    def __str__(self) -> str:
        return f"version {self.number} ({self.name})"


class Registry:
    """The registered model of one data set.

    Every method raises InputError when MLflow cannot be reached or refuses.
    """

    def __init__(self, dataset: str) -> None:
        self.model = EXPERIMENT.format(dataset=dataset)
        self.uri = connect()
        # Whatever the environment says: nothing that a model file pickled is run, here or in what is started from here.
        os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"

    def version_uri(self, version: Version) -> str:
        """Name a version as MLflow's commands do."""
        return f"models:/{self.model}/{version.number}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other promotion on this machine into a SQLite store; a server has no lock to offer.

        There, `crown` refuses once the champion is not the one that was decided on. Two promotions in the same tenth
        of a second can still pass: rare and visible, and not worth a lock of our own that a killed process leaves.
        """
        database = sqlite_file(self.uri)
        with FileLock(f"{database}.promotion.lock") if database is not None else nullcontext():
            yield

    def champion(self) -> Version | None:
        """Return the version to use, if there is one."""
        with self._asking():
            model = self._registered()
            number = model.aliases.get(CHAMPION) if model else None
            return None if number is None else self._version(number)

    def register(self, trained: Trained, run: Run, digest: str, accuracy: float, predictions: np.ndarray) -> Version:
        """Make a version of a model whose run is in MLflow, unless there is one, and keep its predictions there.

        Args:
            trained: the files of the model.
            run: its training run.
            digest: of the texts that it was tested on.
            accuracy: on them.
            predictions: for them, (texts, classes).

        Raises:
            InputError: the run has no model.
        """
        model_id, run_id = model_of(run), run.info.run_id
        tags = {_FINGERPRINT: trained.fingerprint, _DIGEST: digest, _NAME: trained.name, _ACCURACY: str(accuracy)}
        with self._asking() as client:
            if self._registered() is None:
                client.create_registered_model(self.model)
            for version in client.search_model_versions(f"name = '{self.model}'"):
                # Of another run, it may be gone: a run that was deleted is written again from the files.
                if version.run_id == run_id and tags.items() <= version.tags.items():
                    return _as_version(version)
            with tempfile.TemporaryDirectory() as folder:
                save_arrays(Path(folder) / PREDICTIONS, {"test": predictions})
                client.log_artifact(run_id, str(Path(folder) / PREDICTIONS), _folder(digest))
            source = f"models:/{model_id}"
            return _as_version(client.create_model_version(self.model, source, run_id, tags, model_id=model_id))

    def describe(self, version: Version, run: Run, markdown: str) -> None:
        """Set what the UI shows of a version, and of the model of its run."""
        with self._asking() as client:
            client.update_model_version(self.model, str(version.number), markdown)
            client.set_logged_model_tags(model_of(run), {"mlflow.note.content": markdown})

    def test_predictions(self, version: Version) -> np.ndarray:
        """Fetch what a version predicted for the texts that it was tested on: probabilities, (texts, classes)."""
        with self._asking() as client, tempfile.TemporaryDirectory() as folder:
            path = client.download_artifacts(version.run_id, f"{_folder(version.digest)}/{PREDICTIONS}", folder)
            with np.load(path, allow_pickle=False) as arrays:
                predictions: np.ndarray = arrays["test"]
                return predictions

    def crown(self, version: Version, instead_of: Version | None) -> None:
        """Move the alias `champion`, and remember the former one.

        Raises:
            InputError: the champion is not, or does not stay, the one that the decision was about.
        """
        with self._asking() as client:
            self._expect(instead_of)
            if instead_of is not None:
                self._remember([*self._former(), instead_of.number])
            client.set_registered_model_alias(self.model, CHAMPION, str(version.number))
            self._expect(version)
            client.delete_model_version_tag(self.model, str(version.number), _ROLLED_BACK)
            if self._aliases().get(CHALLENGER) == version.number:
                client.delete_registered_model_alias(self.model, CHALLENGER)

    def challenge(self, version: Version) -> None:
        """Move the alias `challenger`."""
        with self._asking() as client:
            client.set_registered_model_alias(self.model, CHALLENGER, str(version.number))

    def former_champions(self) -> list[Version]:
        """List the champions before this one, the latest last; without those that were deleted or rolled back."""
        with self._asking():
            versions = [self._existing(number) for number in self._former()]
            return [version for version in versions if version is not None]

    def rolled_back(self) -> list[Version]:
        """List the versions that were champion until somebody took them back."""
        with self._asking() as client:
            found = client.search_model_versions(f"name = '{self.model}' and tags.`{_ROLLED_BACK}` = 'true'")
            return sorted(map(_as_version, found), key=lambda version: version.number)

    def roll_back(self) -> tuple[Version, Version]:
        """Make the former champion the champion again: the latest one that is there and answers.

        Returns:
            The champion from now on, and the one until now.

        Raises:
            InputError: there is none, or no former one that answers.
        """
        deposed = self.champion()
        if deposed is None:
            raise InputError(f"{self.model} has no champion; name one with: make promote")
        with self._asking() as client:
            former = self._former()
            # A version that stands at the end although it is champion: the move was interrupted half-way.
            while former and former[-1] == deposed.number:
                former.pop()
            while former and (restored := self._answering(former[-1])) is None:
                former.pop()
            if not former or restored is None:
                raise InputError(f"{deposed} of {self.model} has no former champion to go back to")
            client.set_registered_model_alias(self.model, CHAMPION, str(restored.number))
            self._expect(restored)
            client.set_model_version_tag(self.model, str(deposed.number), _ROLLED_BACK, "true")
            client.delete_model_version_tag(self.model, str(restored.number), _ROLLED_BACK)
            self._remember(former[:-1])
            return restored, deposed

    def resolve(self, uri: str) -> str:
        """Check that MLflow has a model that takes raw text, and say which one it is.

        Args:
            uri: `models:/…` or `runs:/…` (of a run, its id is enough), or the folder of an MLflow model.

        Returns:
            A URI that MLflow's own commands take, of the very model: an alias may move on.

        Raises:
            InputError: there is no such model, it takes or gives something else, or opening it would unpickle.
        """
        kind, _, rest = uri.partition(":/")
        with self._asking() as client:
            if kind == "runs" and "/" not in rest:
                uri = f"models:/{model_of(client.get_run(rest))}"
            elif kind == "models" and "@" in rest:
                name, _, alias = rest.partition("@")
                uri = f"models:/{name}/{client.get_model_version_by_alias(name, alias).version}"
            info = mlflow.models.get_model_info(uri)
        _check_columns(uri, info.signature)
        flavour = info.flavors.get("python_function", {})
        if flavour.get("loader_module") != _CODE_LOADER or "model_code_path" not in flavour:
            raise InputError(f"{uri} is not logged as code; whatever it pickled would run when it is opened")
        return uri

    def load(self, uri: str) -> "LoadedModel":
        """Open a model by its MLflow URI, as `resolve` takes it.

        Raises:
            InputError: as `resolve`, or the model does not open.
        """
        uri = self.resolve(uri)
        try:
            return LoadedModel(uri)
        except Exception as error:  # the model brings code of its own, which may fail in any way
            raise InputError(f"{uri} cannot be opened: {in_short(error) or repr(error)}") from error

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        try:
            yield mlflow.MlflowClient(self.uri)
        except (MlflowException, OSError) as error:
            raise InputError(f"MLflow ({without_login(self.uri)}) did not do this: {in_short(error)}") from None

    def _registered(self) -> RegisteredModel | None:
        database = sqlite_file(self.uri)
        if database is not None and not database.exists():
            return None  # and asking would take seconds to make the tables of a store that nobody wants yet
        try:
            return mlflow.MlflowClient(self.uri).get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code == _MISSING:
                return None
            raise

    def _aliases(self) -> dict[str, int]:
        model = self._registered()
        return {alias: int(number) for alias, number in model.aliases.items()} if model else {}

    def _former(self) -> list[int]:
        model = self._registered()
        return [int(number) for number in (model.tags.get(_FORMER, "") if model else "").split()]

    def _remember(self, former: list[int]) -> None:
        numbers = " ".join(map(str, former[-100:]))
        mlflow.MlflowClient(self.uri).set_registered_model_tag(self.model, _FORMER, numbers)

    def _version(self, number: int | str) -> Version:
        return _as_version(mlflow.MlflowClient(self.uri).get_model_version(self.model, str(number)))

    def _existing(self, number: int) -> Version | None:
        try:
            return self._version(number)
        except MlflowException as error:
            if error.error_code == _MISSING:
                return None
            raise

    def _answering(self, number: int) -> Version | None:
        """Return a version; None, and a line on standard error, if it was deleted or does not answer."""
        version = self._existing(number)
        try:
            if version is None:
                raise InputError("it was deleted")
            self.load(self.version_uri(version)).predict([""])
        except InputError as error:
            print(f"skipped: version {number} of {self.model}: {error}", file=sys.stderr)
            return None
        return version

    def _expect(self, version: Version | None) -> None:
        number = self._aliases().get(CHAMPION)
        if number != (version.number if version else None):
            found = f"version {number}" if number else "none"
            raise InputError(
                f"another promotion changed the champion of {self.model} meanwhile: it is {found}, expected"
                f" {version or 'none'}; run this again"
            )


class LoadedModel:
    """A model as MLflow opens it, with the code that it was logged with, and not the one that is running."""

    def __init__(self, uri: str) -> None:
        self._code = _Code()
        with self._code:
            self._model = mlflow.pyfunc.load_model(uri)

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """Classify texts, as `Classifier.predict` does."""
        with self._code:
            # Of objects, because half an emoji does not fit into a string column.
            table: pd.DataFrame = self._model.predict(pd.DataFrame({"text": texts}, dtype=object))
            return table

    def knows(self, texts: Sequence[str]) -> np.ndarray | None:
        """Tell which texts have a token that the model has learnt; None: it brings code from before there was this."""
        with self._code:
            classifier = self._model.unwrap_python_model().classifier
            return classifier.knows(texts) if hasattr(classifier, "knows") else None


class _Code:
    """The copy of our package that a model brings: inside of the block, its modules stand in place of ours.

    They have the same names, so only one model at a time is inside, and no other thread may import ours meanwhile.
    """

    _one_at_a_time = threading.RLock()

    def __init__(self) -> None:
        self._modules: dict[str, ModuleType] = {}
        self._path = list(sys.path)

    def __enter__(self) -> None:
        self._one_at_a_time.acquire()
        self._swap()

    def __exit__(self, *_: object) -> None:
        self._swap()
        self._one_at_a_time.release()

    def _swap(self) -> None:
        package = __name__.partition(".")[0]
        present = [name for name in sys.modules if name.partition(".")[0] == package]
        aside = {name: sys.modules.pop(name) for name in present}
        sys.modules.update(self._modules)
        self._modules = aside
        self._path, sys.path[:] = list(sys.path), self._path


def model_of(run: Run) -> str:
    """Return the id of the model that a run logged.

    Raises:
        InputError: it logged none.
    """
    if not run.outputs or not run.outputs.model_outputs:
        name = run.info.run_name or run.info.run_id
        raise InputError(f"the run {name} has no model; `dvc repro -f -s evaluate` writes what is missing")
    return str(run.outputs.model_outputs[0].model_id)


def _check_columns(uri: str, signature: ModelSignature | None) -> None:
    inputs, outputs = (
        schema.input_names() if schema and schema.has_input_names() else []
        for schema in ((signature.inputs, signature.outputs) if signature else (None, None))
    )
    if inputs != ["text"]:
        raise InputError(f"{uri} is no model that takes raw text. Its inputs: {', '.join(inputs) or 'unknown'}")
    if outputs[:1] != ["label"] or len(outputs) < 2 or not all(name.startswith("p_") for name in outputs[1:]):
        raise InputError(
            f"{uri} is no model that answers with label and probabilities (label, p_…)."
            f" Its outputs: {', '.join(outputs) or 'unknown'}"
        )


def _as_version(version: ModelVersion) -> Version:
    tags = version.tags
    return Version(
        int(version.version),
        tags.get(_NAME, "?"),
        tags.get(_FINGERPRINT, ""),
        tags.get(_DIGEST, ""),
        float(tags.get(_ACCURACY, "nan")),
        version.run_id,
    )


def _folder(digest: str) -> str:
    """Name the folder of a run for its predictions of some test texts: the same model may meet others."""
    return f"tested-on-{digest[:12]}"
