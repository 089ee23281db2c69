"""How much a token matters to a verdict, measured in two ways that check each other.

Occlusion (Li, Monroe & Jurafsky 2016, arXiv:1612.08220) blanks a token, its vector set to zero, and reads the text
again. Gradient × input (Shrikumar et al. 2016, arXiv:1605.01713) asks for the slope instead: how fast the verdict
changes as the vector of the token is scaled. Of a linear model both are the same number, so where they differ, the
network is bent there. Both are in log-odds (nats) of one class, and positive where the token speaks for it.
"""

import numpy as np

from pipeline.inside.numpy_network import Network, Passes, Slopes, log_odds, log_odds_slopes


def occlusion(network: Network, texts: np.ndarray, codes: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """Measure the log-odds of a class that go when a token is blanked, float64, (B, places).

    A network that reads from left to right reads what stands before the first of the places once for all of them.

    Args:
        network: the network.
        texts: token ids of texts of the same length, int, (B, T).
        codes: the class of each text, int, (B,).
        places: the tokens to try, from 0; all of them where None.
    """
    places = np.arange(texts.shape[1]) if places is None else places
    vectors = network.embedding[texts]
    whole = network.run(vectors, kept=network.cell.carried)
    odds = np.empty((len(texts), len(places)))
    at_a_time = max(1, network.texts_at_a_time(texts.shape[1]) // len(texts))
    for start in range(0, len(places), at_a_time):
        chunk = places[start : start + at_a_time]
        logits = network.logits(_blanked(network, vectors, whole, chunk))
        found = log_odds(logits, np.repeat(codes, len(chunk)))
        odds[:, start : start + at_a_time] = found.reshape(len(texts), len(chunk))
    lost: np.ndarray = log_odds(network.logits(network.top(whole)), codes)[:, None] - odds
    return lost


def slopes(network: Network, passes: Passes, codes: np.ndarray) -> Slopes:
    """Compute the slopes of the log-odds of each text's class by all that led to them, from all of `network.run`."""
    return network.slopes(passes, log_odds_slopes(network.logits(network.top(passes)), codes))


def gradient_times_input(vectors: np.ndarray, found: Slopes) -> np.ndarray:
    """Multiply the vector of each token by the slopes by it, float64, (B, T), from the vectors, (B, T, E)."""
    products: np.ndarray = (found.vectors * vectors).sum(axis=2)
    return products


def _blanked(network: Network, vectors: np.ndarray, whole: Passes, places: np.ndarray) -> np.ndarray:
    """Compute the states of the last layer over each text with one token blanked, (B places, T, D)."""
    # Who reads from the end has met the blank before it comes to the beginning.
    first = 0 if network.bidirectional else int(places.min())
    texts = np.repeat(vectors[:, first:], len(places), axis=0)
    texts[np.arange(len(texts)), np.tile(places - first, len(vectors))] = 0
    before = {
        title: {name: np.repeat(values[:, :first], len(places), axis=0) for name, values in gates.items()}
        for title, gates in whole.items()
    }
    after = network.top(network.run(texts, before=before, kept=["state"]))
    return np.concatenate([network.top(before), after], axis=1)
