"""The model that MLflow logs, as code: no pickle. MLflow runs this file when it loads the model.

It imports mlflow because a pyfunc has to be an mlflow class. What else it imports goes with the model, in a copy.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.exceptions import MlflowException

from pipeline.parts.classifier import Classifier, check_texts


class TextModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """`text: string` in; `label` and one probability per class out."""

    def load_context(self, context: Any) -> None:
        files = {name: Path(path) for name, path in context.artifacts.items()}
        self.classifier = Classifier(files["weights"], files["card"], files.get("tokenizer"))

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        texts = model_input["text"].tolist()
        try:
            check_texts(texts)
        except TypeError as error:
            raise MlflowException.invalid_parameter_value(str(error)) from None  # 400 from a server, and no 500
        return self.classifier.predict(texts)


mlflow.models.set_model(TextModel())
