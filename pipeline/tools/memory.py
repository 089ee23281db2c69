"""Show what the memory of trained networks does over a data set: half-lives, distance, and words that move units.

Reads   data/models/<model>-<seed>, and of data/processed the validation texts and the tokenizer
Writes  memory.png into --output; DVC does not know this folder, and git ignores it
"""

from pathlib import Path

import click

from pipeline.core.command import PATH, InputError, run
from pipeline.tools.arguments import Tool, made_folder
from pipeline.tracking.paths import MODELS, TOKENIZER, TOKENS


def look(names: list[str], output: Path) -> str:
    """Measure the memory of an LSTM and a GRU (or of one of them), draw it, and put it into a table.

    Raises:
        InputError: two models of one cell, or one that cannot be opened.
    """
    import pandas as pd
    from tabulate import tabulate
    from tokenizers import Tokenizer

    from pipeline.inside import loading as opening
    from pipeline.inside import memory
    from pipeline.reporting import figures, memoryfigures
    from pipeline.tokens.clipping import clip
    from pipeline.tokens.tokenized import TokenizedSplits
    from pipeline.trained.trained import NETWORK

    cards = opening.cards(MODELS, names, TOKENIZER)
    if len({card["model"] for card in cards}) < len(cards):
        raise InputError(f"--models must name at most one model of each cell. Received: {', '.join(names)}")
    settings, dataset = cards[0]["settings"], cards[0]["dataset"]
    validation = TokenizedSplits.load(TOKENS).tokens["validation"]
    texts = clip(memory.sample(validation, memory.TEXTS), settings["max_tokens"], settings["keep"])
    vocabulary = Tokenizer.from_file(str(TOKENIZER)).get_vocab()
    memories = {}
    for name, card in zip(names, cards, strict=True):
        network = opening.checked_network(MODELS / name / NETWORK, card["settings"], texts[0])
        memories[card["model"]] = memory.remember(network, texts, vocabulary, name)
    title = f"{dataset}: the memory of {' and '.join(names)}, {len(texts):,} validation texts"
    figures.save(memoryfigures.memory_figure(memories, title), made_folder(output) / "memory.png")
    facts = pd.DataFrame({name: memory.summary(of) for name, of in zip(names, memories.values(), strict=True)})
    table = tabulate(facts.reset_index().to_numpy().tolist(), headers=["", *names], disable_numparse=True)
    left_out = [
        f"no row on {kind}: none of its words is in these texts ({', '.join(words[:3])}, …; they are English)"
        for kind, words in memory.WORDS.items()
        if not any(kind in of.kinds for of in memories.values())
    ]
    return "\n".join([title, "", table, *left_out])


@click.command(cls=Tool)
@click.option("--models", help="Names such as lstm-1,gru-1. Default: the first seed of each model.")
@click.option("--output", type=PATH, default="data/explain", show_default=True, help="Folder to write.")
def main(models: str | None, output: Path) -> None:
    """Show how long the units of trained networks remember.

    The networks read validation texts. A table and a picture show half-lives, and the words that move units most.

    \b
    Examples:
      gatewise memory
      gatewise memory --models lstm-2,gru-2
    """
    # Imported here and above, where it is used: --help must not wait for TensorFlow.
    from pipeline.core.params import read_params
    from pipeline.inside.loading import names

    print(look(names(models, read_params()), output))
    print(f"\nthe figure: {output}/memory.png")


if __name__ == "__main__":
    run(main)
