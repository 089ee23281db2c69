"""Measure what the memory of one trained network does over the validation texts.

Reads   the folder of a trained network, tokens.npz, tokenizer.json
Writes  a JSON file as described in pipeline/inside/memory.py; an empty one of a network that is not as its card says

    python -m pipeline.memory --model data/models/lstm-1 --tokens data/processed/tokens.npz \
        --tokenizer data/processed/tokenizer.json --output data/memory/lstm-1.json
"""

import sys
from pathlib import Path

import click
from tokenizers import Tokenizer

from pipeline.core.command import PATH, InputError, run, waiting
from pipeline.core.folders import check_files, writing
from pipeline.inside.loading import network_as_trained
from pipeline.inside.memory import TEXTS, Memory, remember, sample
from pipeline.tokens.clipping import clip
from pipeline.tokens.ragged import Tokens
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.trained.trained import Trained


def measure(trained: Trained, validation: Tokens, vocabulary: dict[str, int]) -> Memory:
    """Measure the memory of a network; of one whose gates are not those of Keras, nothing is measured.

    Args:
        trained: the network.
        validation: the validation texts, not clipped.
        vocabulary: token to its id.
    """
    settings = trained.card["settings"]
    read = clip(validation, settings["max_tokens"], settings["keep"])
    try:
        network = network_as_trained(trained, read)
    except InputError as problem:  # no reason to stop the comparison of what was trained
        print(f"{trained.name}: its memory is not measured: {problem}", file=sys.stderr)
        return Memory()
    return remember(network, sample(read, TEXTS), vocabulary, trained.name)


@click.command(help="Measure what the memory of one trained network does over the validation texts.")
@click.option("--model", type=PATH, required=True, help="folder that train wrote")
@click.option("--tokens", type=PATH, required=True, help="tokens.npz that preprocess wrote")
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json that preprocess wrote")
@click.option("--output", type=PATH, required=True, help="file to write")
def main(model: Path, tokens: Path, tokenizer: Path, output: Path) -> None:
    check_files(tokens, tokenizer)
    trained = Trained.load(model)
    with writing(output) as path, waiting(f"measure the memory of {trained.name}"):
        validation = TokenizedSplits.load(tokens).tokens["validation"]
        memory = measure(trained, validation, Tokenizer.from_file(str(tokenizer)).get_vocab())
        path.write_text(memory.to_json(), encoding="utf-8")


if __name__ == "__main__":
    run(main)
