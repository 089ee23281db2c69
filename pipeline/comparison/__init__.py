"""Which model is better: statistics, the verdict, costs and telling texts."""
