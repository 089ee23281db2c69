"""The folder that every training stage leaves, and how its predictions are scored."""
