"""One text as one network reads it, token by token."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from pipeline.cells import Cell
from pipeline.core.command import InputError
from pipeline.core.text import valid_unicode
from pipeline.inside.importance import gradient_times_input, occlusion, slopes
from pipeline.inside.numpy_network import Network, Passes, probabilities
from pipeline.tokens.clipping import clip, ends
from pipeline.tokens.ragged import UNKNOWN
from pipeline.tokens.tokenizer import encode


@dataclass(frozen=True)
class Words:
    """A text and the tokens that a network sees of it.

    Attributes:
        text: as it came.
        ids: of the tokens, int32, (T,).
        spans: where each token stands in `text`: its start and its end.
        unread: how many tokens were left out because the text is longer than the network reads.
        gap: how many tokens stand before the unread ones: all, none, or those of the beginning.
    """

    text: str
    ids: np.ndarray
    spans: list[tuple[int, int]]
    unread: int
    gap: int

    @property
    def tokens(self) -> list[str]:
        """List the tokens as they stand in the text; `▁` is the mere beginning of a word, without a letter."""
        return [self.text[start:end] or "▁" for start, end in self.spans]

    @property
    def unknown(self) -> np.ndarray:
        """Mark the tokens that are not in the vocabulary, bool, (T,)."""
        return np.asarray(self.ids == UNKNOWN)


def split(text: str, tokenizer: Tokenizer, settings: dict[str, Any]) -> Words:
    """Cut a text into the tokens that a network reads.

    Args:
        text: any text.
        tokenizer: that of the data set.
        settings: on the card of a model; `max_tokens` and `keep` count.

    Raises:
        InputError: there is no word in the text.
    """
    text = valid_unicode(text)  # as `encode` does, so that the spans fit
    spans = tokenizer.encode(text, add_special_tokens=False).offsets
    if not spans:
        raise InputError(f"there is no word in the text. Received: {text[:40]!r}")
    ids = clip(encode(tokenizer, [text]), settings["max_tokens"], settings["keep"]).ids
    # The sub-word `▁` that only begins a word claims the word's first letter, which belongs to the next one.
    nexts = [*(start for start, _ in spans[1:]), len(text)]
    spans = [(start, min(end, following)) for (start, end), following in zip(spans, nexts, strict=True)]
    unread, (gap, _) = len(spans) - len(ids), ends(len(ids), settings["keep"])
    return Words(text, ids, spans[:gap] + spans[gap + unread :], unread, gap)


@dataclass(frozen=True)
class Reading:
    """One network's reading of a text.

    Attributes:
        name: of the trained model, like `lstm-1`.
        cell: the kind of its recurrent layers.
        probabilities: of every class if the text ended at each token, float64, (T, C).
        passes: pass to its gates and states, each (T, U), in the order of the text.
        occlusion: log-odds of the class that is explained which go when a token is blanked, float64, (T,).
        gradient: gradient × input of the same log-odds, float64, (T,).
        rankings: pass to its units, those first whose states matter most to the prediction, int, (U,).
        rereads: whether the network also reads from the end, so that every beginning had to be read again.
    """

    name: str
    cell: Cell
    probabilities: np.ndarray
    passes: Passes
    occlusion: np.ndarray
    gradient: np.ndarray
    rankings: dict[str, np.ndarray]
    rereads: bool


def read(network: Network, name: str, words: Words, code: int) -> Reading:
    """Read a text and keep everything, explaining the class `code`."""
    texts, codes = words.ids[None], np.array([code])
    vectors = network.embedding[texts]
    passes = network.run(vectors)
    back = slopes(network, passes, codes)
    return Reading(
        name,
        network.cell,
        probabilities(network.logits_so_far(vectors[0])),
        {title: {gate: values[0] for gate, values in gates.items()} for title, gates in passes.items()},
        occlusion(network, texts, codes)[0],
        gradient_times_input(vectors, back)[0],
        {title: _ranking(gates["state"][0], back.states[title][0]) for title, gates in passes.items()},
        network.bidirectional,
    )


def _ranking(states: np.ndarray, by_states: np.ndarray) -> np.ndarray:
    """Rank units by the size of slope × state over all tokens, both (T, U): the loss if the unit gave nothing."""
    return np.argsort(-np.abs(states * by_states).sum(axis=0), kind="stable")


def class_to_explain(networks: list[Network], words: Words) -> int:
    """Choose the second of two classes; of more, the one that the networks together find most likely."""
    if networks[0].classes == 2:
        return 1
    shares = [
        probabilities(network.logits(network.top(network.run(network.embedding[words.ids][None], kept=["state"]))))[0]
        for network in networks
    ]
    return int(np.mean(shares, axis=0).argmax())
