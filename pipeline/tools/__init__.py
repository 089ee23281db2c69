"""What a person runs by hand, or make does: each is `python -m pipeline.tools.<name>`."""
