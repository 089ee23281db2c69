"""The linear models on n-grams."""
