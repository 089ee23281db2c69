"""`python -m pipeline.tools.reproduce`: the former name of `gatewise run`."""

from pipeline.core.command import run
from pipeline.tools.run import main

if __name__ == "__main__":
    run(main)
