"""Tell others how training goes, so that they cannot change it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Watcher:
    """Hear how the training of a model goes, and do nothing with it.

    A watcher is given copies and returns nothing, so whatever it does, the model has the same bytes. It may log, draw
    a bar or take the time. Training knows nothing of that: `pipeline.tracking.watching` has the watcher of the stages.
    """

    def started(self, asked: Mapping[str, Any]) -> None:
        """Hear that work begins.

        Args:
            asked: what was asked for: `model`, `seed`, `dataset`, `settings`.
        """

    def batch(self, batch: int, batches: int) -> None:
        """Hear that a batch, from 1, of so many in the epoch is learnt."""

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        """Hear that an epoch, from 1, is over, with its losses and accuracies by the names of history.csv."""

    def finished(self, folder: Path) -> None:
        """Hear that the model is whole, and where its files lie."""
