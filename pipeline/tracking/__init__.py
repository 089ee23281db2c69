"""MLflow, git and the machine: where a result comes from, and its record."""
