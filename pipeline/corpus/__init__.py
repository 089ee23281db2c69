"""Turn the bytes of a data set into one table of reviews with splits."""
