"""The registered model of a data set in MLflow: its versions, which one is the champion, and which ones were.

Aliases say which version serves: `champion` is the one to use, `challenger` the last one that was refused. The tag
`gatewise.champions` of the registered model lists the former champions, the latest last. A version carries in its
tags the hash of its weights and the digest of the data that it was tested on, and its run has its predictions.

With a SQLite store, a lock on a file next to it lets one promotion after the other through. A server gives no lock:
there, the champion is compared with the expected one just before it is set and read again afterwards, so that of two
promotions at the same moment at least one finds out and says so.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
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

from pipeline.parts.command import InputError
from pipeline.parts.store import EXPERIMENT, sqlite_file
from pipeline.parts.tracking import connect
from pipeline.parts.trained import PREDICTIONS, Trained

CHAMPION, CHALLENGER = "champion", "challenger"
MLFLOW_SCHEMES = ("models:/", "runs:/")

_FORMER = "gatewise.champions"
_FINGERPRINT, _DIGEST, _NAME = "gatewise.fingerprint", "gatewise.dataset_digest", "gatewise.name"


@dataclass(frozen=True)
class Version:
    """A version of the registered model.

    Attributes:
        number: as MLflow counts.
        name: of the trained model, such as `gru-2`.
        fingerprint: SHA-256 of its weights.
        digest: of the data set that it was tested on.
        run_id: of its training run.
    """

    number: int
    name: str
    fingerprint: str
    digest: str
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

    @property
    def champion_uri(self) -> str:
        """What MLflow's commands call the champion."""
        return f"models:/{self.model}@{CHAMPION}"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Let no other promotion on this machine in; nothing is locked on a server."""
        database = sqlite_file(self.uri)
        if database is None:
            yield
            return
        with FileLock(f"{database}.promotion.lock"):
            yield

    def champion(self) -> Version | None:
        """The version to use, if there is one."""
        with self._asking():
            model = self._registered()
            number = model.aliases.get(CHAMPION) if model else None
            return None if number is None else self._version(number)

    def register(self, trained: Trained, run: Run, digest: str, description: str) -> Version:
        """Make a version of a model whose run is in MLflow, unless there is one, and keep its predictions there.

        Args:
            trained: the files of the model.
            run: its training run.
            digest: of the data that it was tested on.
            description: Markdown for the UI.

        Raises:
            InputError: the run has no model.
        """
        if not run.outputs or not run.outputs.model_outputs:
            raise InputError(
                f"the run of {trained.name} has no model; `dvc repro -f -s evaluate` writes what is missing"
            )
        tags = {_FINGERPRINT: trained.fingerprint, _DIGEST: digest, _NAME: trained.name}
        with self._asking() as client:
            if self._registered() is None:
                client.create_registered_model(self.model)
            for version in client.search_model_versions(f"name = '{self.model}'"):
                if tags.items() <= version.tags.items():
                    return _as_version(version)
            client.log_artifact(run.info.run_id, str(trained.folder / PREDICTIONS), _folder(digest))
            model_id = run.outputs.model_outputs[0].model_id
            source, run_id = f"models:/{model_id}", run.info.run_id
            return _as_version(
                client.create_model_version(
                    self.model, source, run_id, tags, description=description, model_id=model_id
                )
            )

    def test_predictions(self, version: Version) -> np.ndarray:
        """What a version predicted for the test texts, float32, (texts, classes)."""
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
            if self._aliases().get(CHALLENGER) == version.number:
                client.delete_registered_model_alias(self.model, CHALLENGER)

    def challenge(self, version: Version) -> None:
        """Move the alias `challenger`."""
        with self._asking() as client:
            client.set_registered_model_alias(self.model, CHALLENGER, str(version.number))

    def roll_back(self) -> tuple[Version, Version]:
        """Make the former champion the champion again.

        Returns:
            The champion from now on, and the one until now.

        Raises:
            InputError: there is none, or no former one.
        """
        deposed = self.champion()
        if deposed is None:
            raise InputError(f"{self.model} has no champion; name one with: make promote")
        with self._asking() as client:
            # A version that stands at the end although it is champion: the move was interrupted half-way.
            former = [number for number in self._former() if number != deposed.number]
            if not former:
                raise InputError(f"{deposed} of {self.model} is the only champion there ever was")
            restored = self._version(former[-1])
            client.set_registered_model_alias(self.model, CHAMPION, str(restored.number))
            self._expect(restored)
            self._remember(former[:-1])
            return restored, deposed

    def resolve(self, uri: str) -> str:
        """Check that MLflow has a model that takes raw text, and say which one it is.

        Args:
            uri: `models:/…` or `runs:/…`; of a run, its id is enough.

        Returns:
            A URI that MLflow's own commands take.

        Raises:
            InputError: there is no such model, or it takes something else.
        """
        kind, _, rest = uri.partition(":/")
        with self._asking() as client:
            if kind == "runs" and "/" not in rest:
                outputs = client.get_run(rest).outputs
                if not outputs or not outputs.model_outputs:
                    raise InputError(f"the run {rest} has no model")
                uri = f"models:/{outputs.model_outputs[0].model_id}"
            signature = mlflow.models.get_model_info(uri).signature
        names = signature.inputs.input_names() if signature and signature.inputs else []
        if names != ["text"]:
            raise InputError(
                f"{uri} is no model that takes raw text. Its inputs: {', '.join(map(str, names)) or 'unknown'}"
            )
        return uri

    def load(self, uri: str) -> "LoadedModel":
        """Open a model by its MLflow URI, as `resolve` takes it.

        Raises:
            InputError: there is no such model, or it takes something else.
        """
        with self._asking(), _without_our_code():
            return LoadedModel(mlflow.pyfunc.load_model(self.resolve(uri)))

    @contextmanager
    def _asking(self) -> Iterator[Any]:
        try:
            yield mlflow.MlflowClient(self.uri)
        except (MlflowException, OSError) as error:
            raise InputError(f"MLflow ({self.uri}) did not do this: {str(error).splitlines()[0]}") from None

    def _registered(self) -> RegisteredModel | None:
        database = sqlite_file(self.uri)
        if database is not None and not database.exists():
            return None  # and asking would take seconds to make the tables of a store that nobody wants yet
        try:
            return mlflow.MlflowClient(self.uri).get_registered_model(self.model)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
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

    def _expect(self, version: Version | None) -> None:
        number = self._aliases().get(CHAMPION)
        if number != (version.number if version else None):
            found = f"version {number}" if number else "none"
            raise InputError(
                f"somebody else moved the champion of {self.model}: it is {found}, expected {version or 'none'}; "
                "look, and run this again"
            )


class LoadedModel:
    """A model as MLflow opened it, with the code that it was logged with."""

    def __init__(self, model: mlflow.pyfunc.PyFuncModel) -> None:
        self._model = model

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        """As `Classifier.predict`."""
        # Of objects, because half an emoji does not fit into a string column.
        table: pd.DataFrame = self._model.predict(pd.DataFrame({"text": texts}, dtype=object))
        return table


@contextmanager
def _without_our_code() -> Iterator[None]:
    """Let a model import the copy of our code that it brings, and not the one that is running."""
    package = __name__.partition(".")[0]
    path = list(sys.path)
    ours = {name: module for name, module in sys.modules.items() if name.partition(".")[0] == package}
    for name in ours:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == package]:
            del sys.modules[name]
        sys.modules.update(ours)
        sys.path[:] = path


def _as_version(version: ModelVersion) -> Version:
    tags = version.tags
    return Version(
        int(version.version), tags.get(_NAME, "?"), tags.get(_FINGERPRINT, ""), tags.get(_DIGEST, ""), version.run_id
    )


def _folder(digest: str) -> str:
    """Where a run keeps its predictions for one state of the data: the same model may meet another test split."""
    return f"tested-on-{digest[:12]}"
