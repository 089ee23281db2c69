"""Find out what a stranger's files are: how they are written, which column is what, and what settings fit them."""
