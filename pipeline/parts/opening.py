"""Trained networks opened for a look inside: the ones that were asked for, and nothing that they are not."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.parts.command import InputError, did_you_mean
from pipeline.parts.gates import Network, probabilities
from pipeline.parts.lineage import md5
from pipeline.parts.params import Params
from pipeline.parts.tokens import from_lists
from pipeline.parts.trained import CARD, NETWORK

# Between our float64 and the float32 of Keras, on probabilities.
_TOLERANCE = 1e-4
# What decides which tokens a network reads of a text.
_READ_BY = ("max_tokens", "keep")


def names(models: str | None, params: Params) -> list[str]:
    """The names of models in what was typed, like `lstm-1,gru-2`; the first seed of each model where nothing was.

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
    """The cards of networks that all read a text in the same way, with this tokenizer.

    Raises:
        InputError: a model is not there, is no network, or reads a text otherwise.
    """
    found = [_card(folder, name, tokenizer) for name in models]
    for name, card in zip(models, found, strict=True):
        if any(card["settings"][key] != found[0]["settings"][key] for key in _READ_BY):
            raise InputError(f"{models[0]} and {name} do not read the same tokens ({', '.join(_READ_BY)}): look at one")
    return found


def _card(folder: Path, name: str, tokenizer: Path) -> dict[str, Any]:
    if not (folder / name / CARD).exists():
        known = [card.parent.name for card in folder.glob(f"*/{CARD}")]
        hint = did_you_mean(name, known) if known else "train some with: dvc repro"
        raise InputError(f"{folder} holds no trained model {name!r}; {hint}")
    if not (folder / name / NETWORK).exists():
        raise InputError(f"{name} is no network: it has no gates")
    card: dict[str, Any] = json.loads((folder / name / CARD).read_text(encoding="utf-8"))
    if not tokenizer.exists() or md5(tokenizer) not in card["inputs"].values():
        raise InputError(f"{name} was not trained with the tokenizer that is in {tokenizer}: run `dvc repro`")
    return card


def open_network(folder: Path, card: dict[str, Any], text: np.ndarray) -> Network:
    """Open a network, and make sure on one text that what will be seen of it is what Keras computes.

    Args:
        folder: of the trained model.
        card: the content of its card.json.
        text: token ids, int32, (T,).

    Raises:
        InputError: it is built in a way that `gates` does not cover.
    """
    from pipeline.parts import networks  # slow: not before all else has been found in order

    model = networks.load(folder / NETWORK)
    network = Network.from_weights(networks.weights(model), card["settings"]["pooling"])
    ours = probabilities(network.logits_so_far(network.run(network.embedding[text][None])["state"])[0, -1])
    theirs = networks.predict(model, from_lists([text.tolist()]))[0]
    if np.abs(ours - theirs).max() > _TOLERANCE:
        raise InputError(f"{folder} is not built as its card says: came {ours.round(4)}, Keras says {theirs.round(4)}")
    return network
