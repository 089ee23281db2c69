"""Which model answers, and how."""
