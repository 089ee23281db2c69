"""One text as one network reads it, token by token."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from pipeline.parts.command import InputError
from pipeline.parts.gates import Gates, Network, probabilities
from pipeline.parts.importance import gradient_times_input, occlusion
from pipeline.parts.tokens import UNKNOWN, clip, encode


@dataclass(frozen=True)
class Words:
    """A text and the tokens that a network sees of it.

    Attributes:
        text: as it came.
        ids: of the tokens, int32, (T,).
        spans: where each token stands in `text`: its start and its end.
        unread: how many tokens were cut off because the text is longer than the network reads.
        keep: which end of such a text is read, `head` or `tail`.
    """

    text: str
    ids: np.ndarray
    spans: list[tuple[int, int]]
    unread: int
    keep: str

    @property
    def tokens(self) -> list[str]:
        """The tokens as they stand in the text."""
        return [self.text[start:end] for start, end in self.spans]

    @property
    def unknown(self) -> np.ndarray:
        """Which tokens are not in the vocabulary, bool, (T,)."""
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
    text = text.encode("utf-8", "replace").decode("utf-8")  # as `encode` does, so that the spans fit
    spans = tokenizer.encode(text, add_special_tokens=False).offsets
    if not spans:
        raise InputError(f"there is no word in the text. Received: {text[:40]!r}")
    ids = clip(encode(tokenizer, [text]), settings["max_tokens"], settings["keep"]).ids
    kept = spans[: len(ids)] if settings["keep"] == "head" else spans[-len(ids) :]
    return Words(text, ids, kept, len(spans) - len(ids), settings["keep"])


@dataclass(frozen=True)
class Reading:
    """What a network made of a text.

    Attributes:
        name: of the trained model, like `lstm-1`.
        cell: `lstm` or `gru`.
        verdicts: probability of every class had the text ended at each token, float64, (T, C).
        gates: what `gates.Network.run` recorded, each (T, U).
        occlusion: log-odds of the class that is explained which go when a token is blanked, float64, (T,).
        gradient: gradient × input of the same log-odds, float64, (T,).
        ranking: the units, those first whose state moves the verdict most, int, (U,).
    """

    name: str
    cell: str
    verdicts: np.ndarray
    gates: Gates
    occlusion: np.ndarray
    gradient: np.ndarray
    ranking: np.ndarray


def read(network: Network, name: str, words: Words, code: int) -> Reading:
    """Read a text and keep everything, explaining the class `code`."""
    gates = network.run(network.embedding[words.ids][None])
    verdicts = probabilities(network.logits_so_far(gates["state"]))[0]
    gates = {gate: values[0] for gate, values in gates.items()}
    kernel, _ = network.head
    weights = kernel[:, code] - np.delete(kernel, code, axis=1).mean(axis=1)
    ranking = np.argsort(-np.abs(weights) * np.ptp(np.pad(gates["state"], ((1, 0), (0, 0))), axis=0), kind="stable")
    blanked, slopes = (measure(network, words.ids, code) for measure in (occlusion, gradient_times_input))
    return Reading(name, network.cell, verdicts, gates, blanked, slopes, ranking)


def class_to_explain(networks: list[Network], words: Words) -> int:
    """The second of two classes; of more, the one that the networks together find most likely."""
    if networks[0].classes == 2:
        return 1
    ends = [
        network.logits_so_far(network.run(network.embedding[words.ids][None])["state"])[0, -1] for network in networks
    ]
    return int(np.mean([probabilities(end) for end in ends], axis=0).argmax())
