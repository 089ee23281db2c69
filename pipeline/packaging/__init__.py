"""Pack what travels with a model into MLflow: code, card, requirements."""
