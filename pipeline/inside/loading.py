"""Trained networks opened for a look inside: the ones that were asked for, and nothing that they are not."""

import io
import json
import re
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pipeline.core.command import InputError, did_you_mean, whole
from pipeline.core.hashes import md5
from pipeline.core.params import Params
from pipeline.inside.numpy_network import BACKWARD, Network, probabilities, turned
from pipeline.tokens.ragged import Tokens
from pipeline.trained.trained import CARD, NETWORK, Trained, read_card

# Between our float64 and the float32 of Keras, on states, which lie between -1 and 1.
_TOLERANCE = 1e-5
# The same on probabilities, which a GPU may have computed with shorter products; of so many texts.
_TOLERANCE_OF_ANSWERS = 1e-3
_ASKED = 16
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


def network_as_trained(trained: Trained, validation: Tokens) -> Network:
    """Open a network in NumPy, and check that it answers as Keras did when it was trained. Keras is not imported.

    Compared are the probabilities of the texts of which it was least sure: one that is sure hides a difference.

    Args:
        trained: the network, with its predictions.
        validation: the validation texts, clipped as it reads them.

    Raises:
        InputError: it is built in a way that `Network` does not cover, or answers otherwise.
    """
    with whole(trained.weights):
        layers = _read_weights(trained.weights)
    network = Network.from_weights(layers, trained.card["settings"]["pooling"])
    theirs = trained.predictions["validation"]
    if len(theirs) != len(validation):
        raise InputError(
            f"{trained.name} has answered {len(theirs):,} validation texts, and there are {len(validation):,}"
        )
    by_doubt = np.argsort(theirs.max(axis=1), kind="stable")
    for text in by_doubt[validation.lengths[by_doubt] > 0][:_ASKED]:
        passes = network.run(network.embedding[validation[text]][None], kept=["state"])
        (ours,) = probabilities(network.logits(network.top(passes)))
        difference = np.abs(ours - theirs[text]).max()
        if not difference <= _TOLERANCE_OF_ANSWERS:  # which NaN is not
            raise InputError(
                f"{trained.weights} is not built as its card says (pooling {network.pooling}), or its weights are no"
                f" numbers: a probability differs by {difference:.2g} from what Keras computed"
            )
    return network


def _read_weights(path: Path) -> dict[str, list[np.ndarray]]:
    """Read the arrays of every layer that has some, by its name, from a `.keras` file.

    Keras names layers by their class there, and numbers those of one class in the order of the configuration. To ask
    Keras would take seconds for its import.
    """
    weights, seen = {}, Counter[str]()
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        for layer in json.loads(archive.read("config.json"))["config"]["layers"]:
            # In the words of keras.src.utils.naming.to_snake_case.
            parted = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", layer["class_name"])
            kind = re.sub("([a-z])([A-Z])", r"\1_\2", parted).lower()
            number, seen[kind] = seen[kind], seen[kind] + 1
            place = f"layers/{kind}_{number}" if number else f"layers/{kind}"
            arrays = file.get(f"{place}/cell/vars", file.get(f"{place}/vars", {}))
            if len(arrays):
                weights[layer["config"]["name"]] = [np.asarray(arrays[str(at)]) for at in range(len(arrays))]
    return weights


def _computed(network: Network, text: np.ndarray) -> dict[str, np.ndarray]:
    """Compute the same as `networks.inside` gives, by the same names."""
    passes = network.run(network.embedding[text][None], kept=["state"])
    states = {}
    for title, gates in passes.items():
        read = turned(gates["state"]) if title.endswith(BACKWARD) else gates["state"]
        states[title.replace("layer ", f"{network.cell.name}_").replace(" ", "_")] = read[0]
    return states | {"pooled": network.pooled(network.top(passes))[0, -1]}
