"""Make word vectors without labels: learn them with word2vec from raw text, or read them from a file.

Row i belongs to token i of the tokenizer. Tokens without a vector have a row of zeros, and `known` says which.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.core.arrays import save_arrays
from pipeline.core.command import InputError, did_you_mean
from pipeline.core.params import EmbeddingsParams
from pipeline.tokens.ragged import Tokens


@dataclass(frozen=True)
class WordVectors:
    """Hold the content of embeddings.npz.

    Attributes:
        vectors: float32, (vocabulary, E); (vocabulary, 0) if none are wanted.
        known: which tokens have one, bool, (vocabulary,).
    """

    vectors: np.ndarray
    known: np.ndarray

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz, the same bytes for the same vectors."""
        save_arrays(path, {"vectors": self.vectors, "known": self.known})

    @classmethod
    def load(cls, path: Path) -> "WordVectors":
        """Read the file that `save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(arrays["vectors"], arrays["known"])

    def scaled(self, deviation: float) -> "WordVectors":
        """Shift and stretch every component to mean 0 and this standard deviation over the words.

        A step of Adam is about as long in every weight: the shorter the vectors, the faster training changes them.
        From vectors as short as word2vec's, the network learns rare words by heart.
        """
        vectors = np.zeros_like(self.vectors)
        found = self.vectors[self.known].astype(np.float64)
        spread = found.std(axis=0)
        vectors[self.known] = deviation * (found - found.mean(axis=0)) / np.where(spread > 0, spread, 1)
        return WordVectors(vectors, self.known)

    @classmethod
    def none(cls, vocabulary: int) -> "WordVectors":
        """Make an object without vectors: the network starts from random ones."""
        return cls(np.zeros((vocabulary, 0), np.float32), np.zeros(vocabulary, bool))


def learn(tokens: Tokens, vocabulary: int, dimension: int, settings: EmbeddingsParams) -> WordVectors:
    """Learn vectors with word2vec, skip-gram with negative sampling (Mikolov et al. 2013, arXiv:1310.4546).

    Args:
        tokens: texts, with labels or without.
        vocabulary: token ids are below this.
        dimension: E.
        settings: the `embeddings` block of params.yaml. Its seed decides the first vectors and the samples.
    """
    from gensim.models import Word2Vec

    model = Word2Vec(
        sentences=_Sentences(tokens),
        vector_size=dimension,
        window=settings.window,
        epochs=settings.passes,
        seed=settings.word2vec_seed,
        sg=1,
        negative=settings.negative,
        sample=settings.sample,
        min_count=settings.min_count,
        workers=1,  # with more, the order of updates, and so the bytes, would depend on the system
    )
    vectors, known = np.zeros((vocabulary, dimension), np.float32), np.zeros(vocabulary, bool)
    places = np.array([int(word) for word in model.wv.index_to_key])
    vectors[places], known[places] = model.wv.vectors, True
    return WordVectors(vectors, known)


class _Sentences:
    """Give gensim the texts as lists of strings, as often as it wants them."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def __iter__(self) -> Iterator[list[str]]:
        for text in range(len(self._tokens)):
            yield [str(token) for token in self._tokens[text].tolist()]


def find(name: str, folder: Path) -> Path:
    """Find the file of vectors with this name.

    Raises:
        InputError: the folder does not have it.
    """
    path = folder / name
    if not path.is_file():
        found = [file.name for file in folder.iterdir() if not file.name.startswith(".")]
        hint = did_you_mean(path.name, found) if found else "the folder has no file"
        raise InputError(f"embeddings.vectors must be none, word2vec or a file in {folder}. Received: {name}; {hint}")
    return path


def read(path: Path, pieces: dict[str, int], dimension: int) -> WordVectors:
    """Read the text format of GloVe and word2vec: a word and its numbers per line, word2vec with a line of sizes first.

    Args:
        path: the file; words are taken in lower case, as our tokenizer has them.
        pieces: token to its id.
        dimension: E.

    Raises:
        InputError: the file cannot be read, or a line has not E numbers.
    """
    vectors, known = np.zeros((len(pieces), dimension), np.float32), np.zeros(len(pieces), bool)
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for number, line in enumerate(lines, start=1):
                word, *values = line.rstrip("\n").rstrip(" ").split(" ")
                if number == 1 and len(values) == 1:
                    continue  # how many words there are, and E
                if len(values) != dimension:
                    raise InputError(
                        f"{path}: line {number} must have a word and {dimension} numbers (train.embedding_dim)."
                        f" Received: {len(values)} numbers"
                    )
                place = pieces.get(word.lower())
                if place is not None and not known[place]:
                    vectors[place], known[place] = np.array(values, np.float32), True
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"{path}: line {number}: {error}") from None
    return WordVectors(vectors, known)
