"""The verbs that a person runs: each is a command of `gatewise`, and `python -m pipeline.tools.<name>`."""
