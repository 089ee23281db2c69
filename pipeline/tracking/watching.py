"""The watcher of the training stages: MLflow's live curves, the progress on the terminal, the times, the logged model.

This is what a stage may import without DVC's knowledge: nothing here can change a byte of a model.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from pipeline.comparison.latency import TRAINING_SECONDS, latency
from pipeline.core.command import progress, waiting
from pipeline.corpus.reviews import read_split
from pipeline.packaging.classifier import Classifier
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import decode
from pipeline.tracking.record import finish, run_params
from pipeline.tracking.tracked_run import TrackedRun
from pipeline.tracking.tracker import Tracker
from pipeline.trained.trained import CARD, Trained
from pipeline.trained.watching import Harmless, Watcher

_TOKENIZER, _TOKENS, _REVIEWS = "tokenizer.json", "tokens.npz", "reviews.parquet"


@contextmanager
def watching(name: str, stage: str, asked: Mapping[str, Any]) -> Iterator[Watcher]:
    """Watch the training of one model, in a run of MLflow that fails if the block does.

    Args:
        name: of the model, and of the run.
        stage: the stage of dvc.yaml.
        asked: what was asked for: `model`, `seed`, `dataset`, `settings`.
    """
    with ExitStack() as stack:
        yield Harmless(_RunWatcher(name, stage, asked, stack))


class _RunWatcher(Watcher):
    def __init__(self, name: str, stage: str, asked: Mapping[str, Any], stack: ExitStack) -> None:
        self._name, self._stage, self._asked, self._stack = name, stage, asked, stack
        self._run: TrackedRun

    def started(self) -> None:
        asked = self._asked
        item = {"model": asked["model"], "seed": asked["seed"]}
        with waiting("open MLflow"):
            run = Tracker(asked["dataset"]).run(self._name, self._stage, item=item)
            self._run = self._stack.enter_context(run)
        self._run.params(run_params(asked))
        self._bar: Any = None  # of a model that learns in batches
        self._first = self._stack.enter_context(ExitStack())  # until the first batch is learnt
        if asked["seed"] is not None:
            self._first.enter_context(waiting(f"compile {self._name}"))
        self._began = self._last = time.perf_counter()
        self._epochs = 0

    def resumed(self, history: Sequence[Mapping[str, float]], seconds: float) -> None:
        for epoch, numbers in enumerate(history, start=1):
            self._run.epoch(epoch, dict(numbers))
        self._epochs = len(history)
        self._began -= seconds
        print(f"{self._name}: an earlier run was stopped; training goes on after epoch {self._epochs}")

    def batch(self, batch: int, batches: int) -> None:
        self._first.close()
        if self._bar is None:
            self._bar = self._stack.enter_context(progress(desc=self._name, unit=" batches"))
        self._bar.total = batches
        self._bar.update()

    def epoch(self, epoch: int, numbers: Mapping[str, float]) -> None:
        seconds, self._last = time.perf_counter() - self._last, time.perf_counter()
        self._epochs = epoch
        self._run.epoch(epoch, dict(numbers), {"time/epoch_seconds": seconds})
        shown = ", ".join(f"{key.replace('_', ' ')} {value:.4f}" for key, value in numbers.items())
        self._bar.reset()
        self._bar.write(f"{self._name} epoch {epoch}: {shown} ({seconds:.1f} s)")

    def finished(self, folder: Path) -> None:
        ended = self._last if self._epochs else time.perf_counter()
        if self._bar is not None:
            self._bar.close()
        self._run.metrics({TRAINING_SECONDS: ended - self._began})
        trained = Trained.load(folder)
        inputs = {Path(name).name: Path(name) for name in trained.card["inputs"]}
        tokenizer = inputs.get(_TOKENIZER)
        classifier = Classifier(trained.weights, folder / CARD, tokenizer)
        with waiting(f"measure the latency of {self._name}"):
            self._run.metrics(latency(classifier.predict, _validation_texts(inputs)))
        with waiting(f"log {self._name} to MLflow"):
            finish(self._run, trained, tokenizer or Path())


def _validation_texts(inputs: Mapping[str, Path]) -> Sequence[str]:
    """Read the validation texts from what a model learnt from, by the names of the files."""
    if _REVIEWS in inputs:
        return [text for rows in read_split(inputs[_REVIEWS], "validation", ["text"]) for text in rows["text"]]
    tokens = TokenizedSplits.load(inputs[_TOKENS]).tokens["validation"]
    return decode(Tokenizer.from_file(str(inputs[_TOKENIZER])), tokens)
