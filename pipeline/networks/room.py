"""Estimate the memory that a network needs in training, before anything is made of it."""

from pathlib import Path

import psutil

from pipeline import cells
from pipeline.core.command import InputError
from pipeline.core.params import TrainParams

_NUMBER = 4  # bytes of a float32
_LIMITS = (  # of a container: how much it may have, and has; the second file is of the older cgroups
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def check_room(cell: str, vocabulary: int, settings: TrainParams, batch_size: int, longest: int) -> None:
    """Check that a network can be trained in the memory that is free.

    Args:
        cell: its name.
        vocabulary: V, the number of words.
        settings: the `train` block of params.yaml.
        batch_size: B.
        longest: T, tokens of the longest text as it is read.

    Raises:
        InputError: it needs more, by an estimate that is too low rather than too high; with the largest parts.
    """
    needed = room(cell, vocabulary, settings, batch_size, longest)
    total, free = sum(needed.values()), free_memory()
    if total > free:
        largest = sorted(needed, key=needed.__getitem__, reverse=True)[:3]
        told = "; ".join(f"{_size(needed[part])} for {part}" for part in largest)
        raise InputError(f"training needs at least {_size(total)} of memory, and {_size(free)} are free: {told}")


def room(cell: str, vocabulary: int, settings: TrainParams, batch_size: int, longest: int) -> dict[str, int]:
    """Estimate the bytes of each part: all weights with their slopes and averages, and what one batch leaves behind."""
    made = cells.find(cell)
    E, U = settings.embedding_dim, settings.units
    directions = 1 + settings.bidirectional
    # Weights, slopes, and Adam's two means of these; the best weights, and the average.
    copies = 4 + (settings.patience > 0) + (settings.averaging > 0)
    inputs = [E] + [directions * U] * (settings.layers - 1)
    recurrent = sum(directions * made.blocks * U * (size + U + made.biases) for size in inputs)
    # At least the blocks and the state of each token are kept for the way back.
    states = settings.layers * directions * U * (made.blocks + 1)
    tokens = batch_size * longest * (1 + (settings.adversarial > 0))
    return {
        f"the vectors of {vocabulary:,} words (vocabulary, train.embedding_dim)": _NUMBER * copies * vocabulary * E,
        "the recurrent weights (train.units, train.layers)": _NUMBER * copies * recurrent,
        f"the states of a batch (batch_size, max_tokens; {longest:,} tokens, train.units)": _NUMBER * tokens * states,
        "the word vectors of a batch (batch_size, max_tokens, train.embedding_dim)": _NUMBER * tokens * E,
    }


def free_memory() -> int:
    """Get the bytes that this process may still take, of the machine or of the container around it."""
    free = [int(psutil.virtual_memory().available)]
    for most, used in _LIMITS:
        try:
            free.append(int(Path(most).read_text()) - int(Path(used).read_text()))
        except (OSError, ValueError):  # no container, or one without a limit ("max")
            continue
    return max(0, min(free))


def _size(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e8 else f"{number / 1e6:,.1f} MB"
