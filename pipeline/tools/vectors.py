"""The word vectors that the networks started from, as a text file: for another data set, or for other programs.

Reads   data/processed/embeddings.npz and data/processed/tokenizer.json
Writes  the text format of word2vec: a line with how many there are and their size, then a word and its numbers per line
"""

from pathlib import Path

import click
from tokenizers import Tokenizer

from pipeline.core.command import PATH, InputError, run, whole
from pipeline.core.folders import check_files
from pipeline.tokens.wordvectors import WordVectors
from pipeline.tools.arguments import Tool
from pipeline.tracking.paths import EMBEDDINGS, TOKENIZER


def write(vectors: WordVectors, words: list[str], path: Path) -> int:
    """Write the vectors of all words that have one.

    Args:
        vectors: what embed wrote.
        words: word i belongs to row i.
        path: the file to write.

    Returns:
        How many they are.
    """
    rows = [row for row in vectors.known.nonzero()[0] if words[row].strip() == words[row]]
    temporary = path.with_name(f"{path.name}.part")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(f"{len(rows)} {vectors.vectors.shape[1]}\n")
        for row in rows:
            file.write(f"{words[row]} {' '.join(f'{number:.6g}' for number in vectors.vectors[row])}\n")
    temporary.replace(path)
    return len(rows)


@click.command(cls=Tool)
@click.option("--output", type=PATH, required=True, help="File to write.")
def main(output: Path) -> None:
    """Write the word vectors that the networks started from to a text file.

    Another data set may start from them, and other programs read them: the format is that of word2vec.

    \b
    Examples:
      gatewise vectors --output data/vectors/imdb.txt
      gatewise run dataset=rotten_tomatoes preset=strong vectors=imdb.txt
    """
    check_files(EMBEDDINGS, TOKENIZER)
    vectors = WordVectors.load(EMBEDDINGS)
    if not vectors.known.any():
        raise InputError(f"{EMBEDDINGS} holds no vectors: embeddings.vectors is none in params.yaml")
    with whole(TOKENIZER):
        tokenizer = Tokenizer.from_file(str(TOKENIZER))
    words = [str(tokenizer.id_to_token(row)) for row in range(len(vectors.known))]
    try:
        count = write(vectors, words, output)
    except OSError as error:
        raise InputError(f"{output} cannot be written: {error.strerror}") from None
    print(f"{count:,} vectors of {vectors.vectors.shape[1]} numbers in {output}")


if __name__ == "__main__":
    run(main)
