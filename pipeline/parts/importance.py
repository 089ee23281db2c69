"""How much a token matters to a verdict, measured in two ways that check each other.

Occlusion (Li, Monroe & Jurafsky 2016, arXiv:1612.08220) blanks a token, its vector set to zero, and reads the text
again. Gradient × input (Shrikumar et al. 2016, arXiv:1605.01713) asks for the slope instead: how fast the verdict
changes as the vector of the token is scaled. Of a linear model both are the same number, so where they differ, the
network is bent there. Both are in log-odds (nats) of one class, and positive where the token speaks for it.
"""

import numpy as np

from pipeline.parts.gates import Network, log_odds

# Step of the numerical derivative. In float64 this leaves an error of about 1e-9.
_STEP = 1e-4
# Tokens in memory at a time: with 64 units and all gates, 50 MB.
_TOKENS_AT_A_TIME = 16_384


def occlusion(network: Network, text: np.ndarray, code: int, places: np.ndarray | None = None) -> np.ndarray:
    """Log-odds of the class `code` that go when a token is blanked, float64, (places,).

    Args:
        network: the network.
        text: token ids, int, (T,).
        code: the class.
        places: the tokens to try, from 0; all of them where None.
    """
    whole = _log_odds_scaled(network, text, code, 1.0, np.array([0]))
    lost: np.ndarray = whole - _log_odds_scaled(network, text, code, 0.0, _all_or(places, text))
    return lost


def gradient_times_input(network: Network, text: np.ndarray, code: int, places: np.ndarray | None = None) -> np.ndarray:
    """Gradient of the log-odds of `code` by the vector of a token, times that vector, float64, (places,).

    By the chain rule this is the derivative by a factor in front of the vector, which is taken numerically.
    Arguments as for `occlusion`.
    """
    places = _all_or(places, text)
    more, less = (_log_odds_scaled(network, text, code, 1 + step, places) for step in (_STEP, -_STEP))
    slope: np.ndarray = (more - less) / (2 * _STEP)
    return slope


def _all_or(places: np.ndarray | None, text: np.ndarray) -> np.ndarray:
    return np.arange(len(text)) if places is None else places


def _log_odds_scaled(network: Network, text: np.ndarray, code: int, factor: float, places: np.ndarray) -> np.ndarray:
    """Log-odds of a class, one number per place, with the vector of the token there multiplied by a factor.

    What stands before the first of the places is read once for all of them.
    """
    whole = network.run(network.embedding[text][None])
    odds = np.empty(len(places))
    at_a_time = max(1, _TOKENS_AT_A_TIME // len(text))
    for start in range(0, len(places), at_a_time):
        chunk = places[start : start + at_a_time]
        first = chunk.min()
        vectors = np.repeat(network.embedding[text[first:]][None], len(chunk), axis=0)  # (B, T - first, E)
        vectors[np.arange(len(chunk)), chunk - first] *= factor
        before = {name: values[:, :first] for name, values in whole.items()}
        after = network.run(vectors, before)["state"]
        states = np.concatenate([np.repeat(before["state"], len(chunk), axis=0), after], axis=1)
        odds[start : start + at_a_time] = log_odds(network.logits_so_far(states)[:, -1], code)
    return odds
