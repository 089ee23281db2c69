"""Define the model that MLflow logs, as code: no pickle. MLflow runs this file when it loads the model.

It imports mlflow because a pyfunc has to be an mlflow class. What else it imports goes with the model, in a copy.
"""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from pipeline.packaging.classifier import Classifier, check_texts


class TextModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """`text: string` in; `label` and one probability per class out."""

    def load_context(self, context: Any) -> None:
        backend = (context.model_config or {}).get("keras_backend")
        if backend and find_spec(backend):
            os.environ.setdefault("KERAS_BACKEND", backend)  # read when Keras is imported, which comes next
        files = {name: Path(path) for name, path in context.artifacts.items()}
        self.classifier = Classifier(files["weights"], files["card"], files.get("tokenizer"))
        self.classifier.predict([""])  # the first answer imports and builds things: not while somebody waits

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        texts = model_input["text"].tolist()
        try:
            check_texts(texts)
        except TypeError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None  # 400 from a server, and no 500
        # On the index of the frame that asked, sorted, filtered or repeated: or an answer joins another row's text.
        return self.classifier.predict(texts).set_axis(model_input.index)


mlflow.models.set_model(TextModel())
