"""Being told how training goes, without a hand in it."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


class Watcher:
    """Is told how the training of a model goes; this one does nothing with it.

    A watcher hears nothing before everything that draws from a generator is made, is given copies and returns nothing.
    So it may log, draw a bar, take the time or fail, and the model has the same bytes. Training knows nothing of that:
    `pipeline.tracking.watching` has the watcher of the stages.
    """

    def started(self) -> None:
        """Hear that the model begins to learn."""

    def resumed(self, history: Sequence[Mapping[str, float]], seconds: float) -> None:
        """Hear what an earlier process has trained, which was killed: the numbers of each epoch, and the time."""

    def batch(self, batch: int, batches: int) -> None:
        """Hear that a batch, from 1, of so many in the epoch is learnt."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Hear that an epoch, from 1, is over, with its losses and accuracies by the names of history.csv."""

    def finished(self, folder: Path) -> None:
        """Hear that the model is whole, and where its files lie."""


class Harmless(Watcher):
    """Hands everything on to a watcher until that one fails: hours of training must not be lost with it.

    Args:
        watcher: hears no more after its first error, which standard error tells.
    """

    def __init__(self, watcher: Watcher) -> None:
        self._watcher: Watcher = watcher

    def started(self) -> None:
        """Hand it on."""
        self._tell("started")

    def resumed(self, history: Sequence[Mapping[str, float]], seconds: float) -> None:
        """Hand copies on."""
        self._tell("resumed", [dict(numbers) for numbers in history], seconds)

    def batch(self, batch: int, batches: int) -> None:
        """Hand it on."""
        self._tell("batch", batch, batches)

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Hand a copy on."""
        self._tell("epoch", epoch, dict(numbers))

    def finished(self, folder: Path) -> None:
        """Hand it on."""
        self._tell("finished", folder)

    def _tell(self, event: str, *content: Any) -> None:
        try:
            getattr(self._watcher, event)(*content)
        except Exception as error:  # of a bug, or of whatever it speaks to
            print(f"warning: training goes on unwatched: {type(error).__name__}: {error}", file=sys.stderr)
            self._watcher = Watcher()
