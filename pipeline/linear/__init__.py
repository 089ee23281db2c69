"""Fit linear models on n-grams."""
