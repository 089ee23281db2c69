"""Record in MLflow what was trained, from which commit and on which machine."""

import os

# Before anybody imports MLflow: a thread of its telemetry draws from Python's `random` whenever its server answers, and
# a network is built from that generator.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
