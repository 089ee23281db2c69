"""Make padded batches of texts of about the same length.

B is the number of texts in a batch, T the number of tokens after padding. Reviews differ in length by a factor
of a hundred, so padding all to one length would double the work; sorting by length makes it almost nothing.
"""

import numpy as np

from pipeline.tokens.ragged import PAD, Tokens

# T is a multiple of this: fewer different shapes, each of which a backend may compile anew.
WIDTH_STEP = 8


def in_length_order(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Make the batches for prediction: every text once, longest first.

    Args:
        lengths: tokens per text, (texts,).
        batch_size: B.

    Returns:
        The indices of the texts of each batch.
    """
    order = np.argsort(-lengths, kind="stable")
    return _first_two_differ(_cut(order, batch_size), _widths(lengths))


def shuffled(lengths: np.ndarray, batch_size: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Make the batches for one epoch of training: every text once, with random texts of about its length.

    Texts of the same width are shuffled among themselves, cut into batches, and the batches shuffled.
    """
    noise = rng.permutation(len(lengths))
    widths = _widths(lengths)
    order = np.lexsort((noise, widths))
    batches = _cut(order, batch_size)
    batches = [batches[i] for i in rng.permutation(len(batches))]
    return _first_two_differ(batches, widths)


def pad(tokens: Tokens, texts: np.ndarray) -> np.ndarray:
    """Pad some texts on the right.

    Args:
        tokens: all texts.
        texts: the ones to take, (B,).

    Returns:
        int32, (B, T).
    """
    starts, lengths = tokens.offsets[texts], tokens.lengths[texts]
    width = int(_widths(lengths).max())
    places = np.arange(width)
    filled = places < lengths[:, None]
    batch = np.full((len(texts), width), PAD, np.int32)
    batch[filled] = tokens.ids[(starts[:, None] + places)[filled]]
    return batch


def _widths(lengths: np.ndarray) -> np.ndarray:
    widths: np.ndarray = -(-np.maximum(lengths, 1) // WIDTH_STEP) * WIDTH_STEP
    return widths


def _cut(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def _first_two_differ(batches: list[np.ndarray], widths: np.ndarray) -> list[np.ndarray]:
    """Let the first two batches differ in T if any two do: Keras takes the shape of all batches from them."""
    widest = [int(widths[texts].max()) for texts in batches]
    for other in range(1, len(batches)):
        if widest[other] != widest[0]:
            batches[1], batches[other] = batches[other], batches[1]
            break
    return batches
