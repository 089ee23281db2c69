"""Make the word vectors that the networks start from: learnt from raw text, read from a file, or none.

Reads   tokenizer.json
        tokens.npz        for word2vec and files: the train split
        reviews.parquet   for word2vec: the unlabelled texts
        data/vectors/     for files
Writes  embeddings.npz as described in pipeline/tokens/wordvectors.py

    python -m pipeline.embed --reviews data/processed/reviews.parquet --tokens data/processed/tokens.npz \
        --tokenizer data/processed/tokenizer.json --vectors data/vectors --output data/processed/embeddings.npz
"""

from collections.abc import Callable
from pathlib import Path

import click
from tokenizers import Tokenizer

from pipeline.core.command import PATH, run, waiting
from pipeline.core.folders import check_files, writing
from pipeline.core.params import EmbeddingsParams, read_params
from pipeline.corpus.reviews import read_split
from pipeline.tokens.ragged import Tokens, concatenate
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import encode
from pipeline.tokens.wordvectors import WordVectors, find, learn, read


def embed(
    settings: EmbeddingsParams,
    dimension: int,
    tokenizer: Tokenizer,
    read_train: Callable[[], Tokens],
    reviews: Path,
    folder: Path,
) -> tuple[WordVectors, str]:
    """Learn the vectors, read them from a file, or do without.

    Args:
        settings: the `embeddings` block of params.yaml.
        dimension: E.
        tokenizer: of the data set.
        read_train: gives the tokens of the train split; not called if no vectors are wanted.
        reviews: reviews.parquet, whose unlabelled texts word2vec reads, too.
        folder: with the user's files of vectors.

    Returns:
        The vectors, and a sentence that says how much of the train split they cover.

    Raises:
        InputError: `folder` does not have the file, or it holds something else.
    """
    vocabulary = tokenizer.get_vocab_size()
    if settings.vectors == "none":
        return WordVectors.none(vocabulary), "no word vectors: the networks start from random ones"
    train = read_train()
    if settings.vectors == "word2vec":
        tokens = concatenate([train, _unlabelled(reviews, tokenizer)])
        with waiting(f"word2vec reads {len(tokens):,} texts {settings.passes} times"):
            vectors = learn(tokens, vocabulary, dimension, settings)
    else:
        with waiting(f"read {settings.vectors}"):
            vectors = read(find(settings.vectors, folder), tokenizer.get_vocab(), dimension)
    if settings.scale and vectors.known.any():
        vectors = vectors.scaled(settings.scale)
    return vectors, _coverage(vectors, train)


def _unlabelled(reviews: Path, tokenizer: Tokenizer) -> Tokens:
    """Encode the unlabelled texts: tokens.npz has none of them, because nothing else reads them."""
    return concatenate(encode(tokenizer, rows["text"].tolist()) for rows in read_split(reviews, "unlabelled", ["text"]))


def _coverage(vectors: WordVectors, train: Tokens) -> str:
    words = f"{vectors.known.mean():.1%} of the vocabulary of {len(vectors.known):,}"
    return f"word vectors for {words}, and {vectors.known[train.ids].mean():.1%} of the tokens of the train split"


@click.command(help="Make the word vectors that the networks start from.")
@click.option("--reviews", type=PATH, required=True, help="reviews.parquet that preprocess wrote")
@click.option("--tokens", type=PATH, required=True, help="tokens.npz that preprocess wrote")
@click.option("--tokenizer", type=PATH, required=True, help="tokenizer.json that preprocess wrote")
@click.option("--vectors", type=PATH, required=True, help="folder with the user's files of vectors")
@click.option("--output", type=PATH, required=True, help="file to write")
def main(reviews: Path, tokens: Path, tokenizer: Path, vectors: Path, output: Path) -> None:
    params = read_params()
    check_files(reviews, tokens, tokenizer)
    with writing(output) as path:
        learnt, told = embed(
            params.embeddings,
            params.train.embedding_dim,
            Tokenizer.from_file(str(tokenizer)),
            lambda: TokenizedSplits.load(tokens).tokens["train"],
            reviews,
            vectors,
        )
        learnt.save(path)
    print(told)


if __name__ == "__main__":
    run(main)
