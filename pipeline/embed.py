"""Vectors of words to start the networks from: learnt from raw text, read from a file, or none.

Reads   reviews.parquet (train and unlabelled texts), tokenizer.json; data/vectors/<file> where params.yaml names one
Writes  embeddings.npz as described in pipeline/tokens/wordvectors.py

    python -m pipeline.embed --reviews data/processed/reviews.parquet --tokenizer data/processed/tokenizer.json \
        --vectors data/vectors --output data/processed/embeddings.npz
"""

from itertools import chain
from pathlib import Path

import click
from tokenizers import Tokenizer

from pipeline.core.command import PATH, InputError, did_you_mean, run, waiting
from pipeline.core.folders import check_files
from pipeline.core.params import EmbeddingsParams, read_params
from pipeline.corpus.reviews import read_split
from pipeline.tokens.tokens import Tokens, concatenate, encode
from pipeline.tokens.wordvectors import WordVectors, learn, read

LEARNT_FROM = ("train", "unlabelled")


def embed(
    settings: EmbeddingsParams, dimension: int, reviews: Path, tokenizer: Tokenizer, folder: Path
) -> tuple[WordVectors, str]:
    """Learn or read the vectors.

    Args:
        settings: the `embeddings` block of params.yaml.
        dimension: E.
        reviews: reviews.parquet.
        tokenizer: that of the data set.
        folder: where files of vectors lie.

    Returns:
        The vectors, and in words how much of the train split they cover.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
    vocabulary = tokenizer.get_vocab_size()
    if settings.vectors == "none":
        return WordVectors.none(vocabulary), "no word vectors: the networks start from random ones"
    if settings.vectors == "word2vec":
        tokens = _tokens(reviews, tokenizer, LEARNT_FROM)
        with waiting(f"word2vec reads {len(tokens):,} texts {settings.passes} times"):
            vectors = learn(tokens, vocabulary, dimension, settings)
    else:
        vectors = read(find(settings.vectors, folder), tokenizer.get_vocab(), dimension)
    if settings.scale and vectors.known.any():
        vectors = vectors.scaled(settings.scale)
    return vectors, _coverage(vectors, _tokens(reviews, tokenizer, ("train",)))


def find(name: str, folder: Path) -> Path:
    """The file of vectors with this name.

    Raises:
        InputError: there is none.
    """
    path = folder / name
    if not path.is_file():
        found = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
        hint = did_you_mean(path.name, found) if found else "there is no file"
        raise InputError(f"embeddings.vectors must be none, word2vec or a file in {folder} ({hint}). Received: {name}")
    return path


def _tokens(reviews: Path, tokenizer: Tokenizer, splits: tuple[str, ...]) -> Tokens:
    tables = chain.from_iterable(read_split(reviews, split, ["text"]) for split in splits)
    return concatenate(encode(tokenizer, rows["text"].tolist()) for rows in tables)


def _coverage(vectors: WordVectors, train: Tokens) -> str:
    words = f"{vectors.known.mean():.1%} of the vocabulary of {len(vectors.known):,}"
    return f"word vectors for {words}, and {vectors.known[train.ids].mean():.1%} of the tokens of the train split"


@click.command(help="Vectors of words to start the networks from.")
@click.option("--reviews", type=PATH, required=True, help="reviews.parquet that preprocess wrote")
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json that preprocess wrote")
@click.option("--vectors", type=PATH, required=True, help="folder with the user's files of vectors")
@click.option("--output", type=PATH, required=True, help="file to write")
def main(reviews: Path, tokenizer: Path, vectors: Path, output: Path) -> None:
    params = read_params()
    check_files(reviews, tokenizer)
    words = Tokenizer.from_file(str(tokenizer))
    learnt, told = embed(params.embeddings, params.train.embedding_dim, reviews, words, vectors)
    learnt.save(output)
    print(told)


if __name__ == "__main__":
    run(main)
