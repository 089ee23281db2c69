"""The comparison of models: statistics, the verdict, costs and telling texts."""
