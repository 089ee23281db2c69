"""Record in MLflow what was trained, from which commit and on which machine."""
