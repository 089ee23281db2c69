"""Make word vectors without labels: learn them with word2vec from raw text, or read them from a file.

Row i belongs to token i of the tokenizer. Tokens without a vector have a row of zeros, and `known` says which.
"""

import codecs
import gzip
import unicodedata
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

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
    """Read vectors of GloVe, fastText or word2vec, for the words that are in a vocabulary.

    A text file has a word and its numbers per line; the word itself may hold blanks, as in the largest GloVe file. A
    first line of two sizes may come before. Binary files of word2vec end in `.bin`. Each may be compressed (`.gz`).

    Args:
        path: the file; words are taken in lower case and in Unicode's composed form (NFC), as our tokenizer has them.
            Of words that are then the same, the first one counts.
        pieces: token to its id.
        dimension: E.

    Raises:
        InputError: the file cannot be read, has vectors of another length, or one of a known word is no number.
    """
    vectors, known = np.zeros((len(pieces), dimension), np.float32), np.zeros(len(pieces), bool)
    try:
        with _opened(path) as file:
            rows = _binary_rows if ".bin" in path.suffixes[-2:] else _text_rows
            for where, word, numbers in rows(file, path, dimension):
                place = pieces.get(unicodedata.normalize("NFC", word.lower()))
                if place is None or known[place]:
                    continue
                vectors[place], known[place] = _finite(numbers, f"{path}: {where}"), True
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return WordVectors(vectors, known)


def _opened(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path) if path.suffix == ".gz" else path.open("rb"))


def _finite(numbers: np.ndarray | list[bytes], where: str) -> np.ndarray:
    try:
        vector = np.array(numbers, np.float32)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if not np.isfinite(vector).all():
        raise InputError(f"{where} must have finite numbers. Received: {vector[~np.isfinite(vector)][0]}")
    return vector


_Rows = Iterator[tuple[str, str, np.ndarray | list[bytes]]]  # where it stands, the word, and E numbers


def _text_rows(file: BinaryIO, path: Path, dimension: int) -> _Rows:
    for number, raw in enumerate(file, start=1):
        line = raw.removeprefix(codecs.BOM_UTF8)
        if number == 1:
            fields = line.split()
            if len(fields) == 2 and all(field.isdigit() for field in fields):
                _check_length(int(fields[1]), f"{path}: line 1", dimension)
                continue
            # Only here, because a word with blanks may end in a number. The lines of one file are of one kind.
            _check_length(_numbers_at_end(fields), f"{path}: line 1", dimension)
        word, *numbers = line.rstrip(b" \r\n").rsplit(b" ", dimension)
        _check_length(len(numbers), f"{path}: line {number}", dimension)
        yield f"line {number}", word.decode("utf-8", "replace"), numbers


def _numbers_at_end(fields: list[bytes]) -> int:
    """Count the numbers behind the word of a line, which has one field at least."""
    for count, field in enumerate(reversed(fields[1:])):
        try:
            float(field)
        except ValueError:
            return count
    return max(len(fields) - 1, 0)


def _check_length(found: int, where: str, dimension: int) -> None:
    if found != dimension:
        raise InputError(
            f"{where} must have a word and {dimension} numbers (train.embedding_dim). Received: {found} numbers"
        )


def _binary_rows(file: BinaryIO, path: Path, dimension: int) -> _Rows:
    """Read what word2vec writes with `-binary 1`: sizes, then per word its bytes, a blank and 32-bit numbers."""
    sizes = file.readline(100).split()
    if len(sizes) != 2 or not all(size.isdigit() for size in sizes):
        raise InputError(f"{path} must begin with the number of words and of numbers. Received: {b' '.join(sizes)!r}")
    _check_length(int(sizes[1]), f"{path}: a word", dimension)
    for number in range(1, int(sizes[0]) + 1):
        word = b""
        while (letter := file.read(1)) not in (b" ", b""):
            word += letter
        numbers = file.read(4 * dimension)
        if len(numbers) < 4 * dimension:
            raise InputError(f"{path} ends in word {number:,} of {int(sizes[0]):,}")
        # Some programs end every vector with a line break.
        yield f"word {number}", word.lstrip(b"\n").decode("utf-8", "replace"), np.frombuffer(numbers, "<f4")
