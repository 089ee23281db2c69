"""The gates and the memory of a trained network, in NumPy."""
