"""Bytes of a data set to one table of reviews with a split."""
