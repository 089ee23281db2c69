"""Trained networks opened for a look inside: the ones that were asked for, and nothing that they are not."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.core.command import InputError, did_you_mean, whole
from pipeline.core.hashes import md5
from pipeline.core.params import Params
from pipeline.inside.numpy_network import BACKWARD, Network, turned
from pipeline.trained.trained import CARD, NETWORK, read_card

# Between our float64 and the float32 of Keras, on states, which lie between -1 and 1.
_TOLERANCE = 1e-5
# What decides which tokens a network reads of a text.
_READ_BY = ("max_tokens", "keep")


def names(models: str | None, params: Params) -> list[str]:
    """Read the names of models from what was typed, like `lstm-1,gru-2`; by default, the first seed of each model.

    Raises:
        InputError: there is no name in it.
    """
    if models is None:
        return [f"{model}-{params.seeds[0]}" for model in params.models]
    typed = [name.strip() for name in models.split(",") if name.strip()]
    if not typed:
        raise InputError(f"--models names no model. Received: {models!r}")
    return list(dict.fromkeys(typed))


def cards(folder: Path, models: Sequence[str], tokenizer: Path) -> list[dict[str, Any]]:
    """Read the cards of networks that all read a text in the same way, with this tokenizer.

    Raises:
        InputError: a model is not there, is no network, or reads a text otherwise.
    """
    found = [_card(folder, name, tokenizer) for name in models]
    for name, card in zip(models, found, strict=True):
        if any(card["settings"][key] != found[0]["settings"][key] for key in _READ_BY):
            raise InputError(
                f"{models[0]} and {name} do not read the same tokens ({', '.join(_READ_BY)}): name one alone, as in"
                f" MODELS={name}"
            )
    return found


def _card(folder: Path, name: str, tokenizer: Path) -> dict[str, Any]:
    if not (folder / name / CARD).exists():
        known = [card.parent.name for card in folder.glob(f"*/{CARD}")]
        hint = did_you_mean(name, known) if known else "train some with: dvc repro"
        raise InputError(f"{folder} holds no trained model {name!r}; {hint}")
    if not (folder / name / NETWORK).exists():
        raise InputError(f"{name} is no network: it has no gates")
    card = read_card(folder / name)
    if not tokenizer.exists() or md5(tokenizer) not in card["inputs"].values():
        raise InputError(f"{name} was not trained with the tokenizer that is in {tokenizer}: run `dvc repro`")
    return card


def checked_network(weights: Path, settings: dict[str, Any], text: np.ndarray) -> Network:
    """Open a network in NumPy, and check on one text that it computes what Keras computes.

    Compared are the states of every recurrent layer and what is pooled of them, so that a difference cannot hide
    behind a verdict that is sure either way.

    Args:
        weights: the file of the network.
        settings: on the card of the model; `pooling` counts.
        text: token ids, int32, (T,).

    Raises:
        InputError: it is built in a way that `gates` does not cover, or not as its card says.
    """
    from pipeline.networks import networks  # slow: not before all else has been found in order

    with whole(weights):
        model = networks.load(weights)
    network = Network.from_weights(networks.weights(model), settings["pooling"])
    theirs = networks.inside(model, text)
    for name, values in _computed(network, text).items():
        difference = np.abs(values - theirs[name]).max() if values.shape == theirs[name].shape else np.inf
        if not difference <= _TOLERANCE:  # which NaN is not
            raise InputError(
                f"{weights} is not built as its card says (pooling {network.pooling}), or its weights are no numbers:"
                f" {name} differs by {difference:.2g} from what Keras computes"
            )
    return network


def _computed(network: Network, text: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the same as `networks.inside` gives, by the same names."""
    passes = network.run(network.embedding[text][None], kept=["state"])
    states = {}
    for title, gates in passes.items():
        read = turned(gates["state"]) if title.endswith(BACKWARD) else gates["state"]
        states[title.replace("layer ", f"{network.cell.name}_").replace(" ", "_")] = read[0]
    return states | {"pooled": network.pooled(network.top(passes))[0, -1]}
