"""The model that MLflow logs, as code: no pickle. MLflow runs this file when it loads the model.

It is the one file besides `tracking` that imports mlflow, because a pyfunc has to be an mlflow class.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd

from pipeline.parts.classifier import Classifier


class TextModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
    """`text: string` in; `label` and one probability per class out."""

    def load_context(self, context: Any) -> None:
        files = {name: Path(path) for name, path in context.artifacts.items()}
        self.classifier = Classifier(files["network"], files["tokenizer"], files["card"])

    def predict(self, context: Any, model_input: pd.DataFrame, params: dict[str, Any] | None = None) -> pd.DataFrame:
        return self.classifier.predict(model_input["text"].tolist())


mlflow.models.set_model(TextModel())
