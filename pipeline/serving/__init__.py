"""Choose the model that answers, and open it."""
