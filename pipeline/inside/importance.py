"""How much a token matters to a verdict, measured in two ways that check each other.

Occlusion (Li, Monroe & Jurafsky 2016, arXiv:1612.08220) blanks a token, its vector set to zero, and reads the text
again. Gradient × input (Shrikumar et al. 2016, arXiv:1605.01713) asks for the slope instead: how fast the verdict
changes as the vector of the token is scaled. Of a linear model both are the same number, so where they differ, the
network is bent there. Both are in log-odds (nats) of one class, and positive where the token speaks for it.
"""

import numpy as np

from pipeline.inside.numpy_network import Network, Passes, Slopes, log_odds, log_odds_slopes


def occlusion(network: Network, text: np.ndarray, code: int, places: np.ndarray | None = None) -> np.ndarray:
    """Measure the log-odds of the class `code` that go when a token is blanked, float64, (places,).

    A network that reads from left to right reads what stands before the first of the places once for all of them.

    Args:
        network: the network.
        text: token ids, int, (T,).
        code: the class.
        places: the tokens to try, from 0; all of them where None.
    """
    places = np.arange(len(text)) if places is None else places
    vectors = network.embedding[text]
    whole = network.run(vectors[None], kept=network.cell.carried)
    odds = np.empty(len(places))
    at_a_time = network.texts_at_a_time(len(text))
    for start in range(0, len(places), at_a_time):
        chunk = places[start : start + at_a_time]
        odds[start : start + at_a_time] = log_odds(network.logits(_blanked(network, vectors, whole, chunk)), code)
    lost: np.ndarray = log_odds(network.logits(network.top(whole)), code) - odds
    return lost


def slopes(network: Network, passes: Passes, code: int) -> Slopes:
    """Compute the slopes of the log-odds of `code` by all that led to them, from all of `network.run`."""
    return network.slopes(passes, log_odds_slopes(network.logits(network.top(passes)), code))


def gradient_times_input(vectors: np.ndarray, found: Slopes) -> np.ndarray:
    """Multiply the vector of each token by the slopes by it, float64, (T,), from the vectors of one text, (T, E)."""
    products: np.ndarray = (found.vectors[0] * vectors).sum(axis=1)
    return products


def _blanked(network: Network, vectors: np.ndarray, whole: Passes, places: np.ndarray) -> np.ndarray:
    """Compute the states of the last layer over a text with one token blanked, (places, T, D)."""
    # Who reads from the end has met the blank before it comes to the beginning.
    first = 0 if network.bidirectional else int(places.min())
    texts = np.repeat(vectors[None, first:], len(places), axis=0)
    texts[np.arange(len(places)), places - first] = 0
    before = {title: {name: values[:, :first] for name, values in gates.items()} for title, gates in whole.items()}
    after = network.top(network.run(texts, before=before, kept=["state"]))
    return np.concatenate([np.repeat(network.top(before), len(places), axis=0), after], axis=1)
