"""Words to numbers: training a tokenizer, and texts as ragged arrays of token ids."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from pathlib import Path
from typing import Literal

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from pipeline.core.arrays import Spool, save_arrays
from pipeline.core.text import LINE_BREAK, WORD, valid_unicode

PAD, UNKNOWN = 0, 1
SPECIAL_TOKENS = ["[PAD]", "[UNK]"]

_ENCODED_AT_A_TIME = 1 << 20  # characters

TokenizerKind = Literal["word", "bpe"]
Keep = Literal["head", "tail", "head+tail"]


@dataclass(frozen=True)
class Tokens:
    """Texts as token ids, one after the other without padding.

    Attributes:
        ids: int32, (sum of lengths,).
        offsets: int64, (texts + 1,); text i is `ids[offsets[i]:offsets[i + 1]]`.
    """

    ids: np.ndarray
    offsets: np.ndarray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, text: int) -> np.ndarray:
        return self.ids[self.offsets[text] : self.offsets[text + 1]]

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per text, int64, (texts,)."""
        return np.diff(self.offsets)


def train_tokenizer(texts: Iterator[str], kind: TokenizerKind, vocabulary: int) -> Tokenizer:
    """Learn the `vocabulary` most frequent words (or sub-words) of `texts`, two special tokens included.

    `word` splits as the tutorial does: lower case, a word is a run of letters, digits, `_` and apostrophes;
    everything else separates, and so does `<br />`. `bpe` (Sennrich et al. 2016,
    https://aclanthology.org/P16-1162/) splits rare words into frequent parts, so that no word is unknown that is
    written in the characters of the training texts.
    """
    if kind == "word":
        tokenizer = Tokenizer(models.WordLevel(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        trainer: trainers.Trainer = trainers.WordLevelTrainer(
            vocab_size=vocabulary, special_tokens=SPECIAL_TOKENS, show_progress=False
        )
    else:
        tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN]))
        trainer = trainers.BpeTrainer(vocab_size=vocabulary, special_tokens=SPECIAL_TOKENS, show_progress=False)
    line_breaks = normalizers.Replace(Regex(LINE_BREAK), "\n")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), line_breaks])
    words = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    # `▁` tells a sub-word that begins a word from one inside. An end_of_word_suffix would too, but with it the
    # trainer numbers the last letters in the order of a randomly seeded hash map: other ids on every run.
    marked = pre_tokenizers.Sequence([words, pre_tokenizers.Metaspace(prepend_scheme="always")])
    tokenizer.pre_tokenizer = words if kind == "word" else marked
    tokenizer.train_from_iterator(texts, trainer)
    # The trainer also makes the special tokens match in raw text: a review with "[PAD]" in it would hold padding.
    content = json.loads(tokenizer.to_str()) | {"added_tokens": []}
    return Tokenizer.from_str(json.dumps(content))


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Tokens:
    """Turn texts into token ids. A text without a single word becomes one unknown token, so that none is empty."""
    # The tokenizer needs a hundred bytes for a token of which four are kept: some of the texts at a time.
    ends = np.cumsum([len(text) for text in texts])
    parts = groupby(zip(ends // _ENCODED_AT_A_TIME, texts, strict=True), key=lambda pair: pair[0])
    return concatenate(_encode(tokenizer, [text for _, text in part]) for _, part in parts)


def _encode(tokenizer: Tokenizer, texts: list[str]) -> Tokens:
    clean = [valid_unicode(text) for text in texts]  # the tokenizer would refuse the whole batch
    encodings = tokenizer.encode_batch_fast(clean, add_special_tokens=False)
    return from_lists([encoding.ids or [UNKNOWN] for encoding in encodings])


def decode(tokenizer: Tokenizer, tokens: Tokens) -> list[str]:
    """Texts that `encode` turns into about these tokens: spelled the way the tokenizer sees words."""
    words = tokenizer.decode_batch([tokens[text].tolist() for text in range(len(tokens))], skip_special_tokens=False)
    # Sub-words come apart by blanks, with `▁` where a word begins.
    return [text.replace(" ", "").replace("▁", " ") if "▁" in text else text for text in words]


def from_lists(texts: Sequence[Sequence[int]]) -> Tokens:
    """Make `Tokens` from one list of ids per text."""
    lengths = np.fromiter(map(len, texts), np.int64, len(texts))
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    ids = np.fromiter(chain.from_iterable(texts), np.int32, int(offsets[-1]))
    return Tokens(ids, offsets)


def concatenate(parts: Iterable[Tokens]) -> Tokens:
    """Join the texts of several `Tokens` in order."""
    parts = list(parts)
    if not parts:
        return from_lists([])
    lengths = np.concatenate([part.lengths for part in parts])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Tokens(np.concatenate([part.ids for part in parts]), offsets)


def ends(max_tokens: int, keep: Keep) -> tuple[int, int]:
    """How many tokens of a longer text are read at its beginning and at its end.

    Of `head+tail`, a quarter is the beginning: the best split that Sun et al. 2019, arXiv:1905.05583, found on IMDB.
    """
    head = {"head": max_tokens, "tail": 0, "head+tail": max_tokens // 4}[keep]
    return head, max_tokens - head


def read_ends(head: int, tail: int) -> str:
    """So many tokens of both ends in words: `first 3`, `last 3`, `first 1 and last 2`."""
    return " and ".join(f"{end} {count}" for end, count in (("first", head), ("last", tail)) if count)


def clip(tokens: Tokens, max_tokens: int, keep: Keep) -> Tokens:
    """Keep at most `max_tokens` tokens of each text, from its beginning, its end or both."""
    lengths = np.minimum(tokens.lengths, max_tokens)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    head, _ = ends(max_tokens, keep)
    in_text = np.arange(offsets[-1]) - np.repeat(offsets[:-1], lengths)
    # What is left out of a text stands between its beginning and its end.
    skipped = np.repeat(tokens.lengths - lengths, lengths)
    places = np.repeat(tokens.offsets[:-1], lengths) + in_text + np.where(in_text < head, 0, skipped)
    return Tokens(tokens.ids[places], offsets)


def save_tokens(
    path: Path,
    tokens: Mapping[str, tuple[np.ndarray | Spool, np.ndarray]],
    labels: Mapping[str, np.ndarray],
    label_names: Sequence[str],
    vocabulary_size: int,
) -> None:
    """Write what `TokenizedSplits.load` reads, also where memory does not hold the tokens.

    Args:
        path: the file to write, an uncompressed .npz.
        tokens: split to the ids and the offsets of its texts, as in `Tokens`.
        labels: the other three as in `TokenizedSplits`.
        label_names: the class of code i.
        vocabulary_size: ids are below this.
    """
    arrays: dict[str, np.ndarray | Spool] = {}
    for split, (ids, offsets) in tokens.items():
        arrays |= {f"{split}_tokens": ids, f"{split}_offsets": offsets}
    arrays |= {f"{split}_labels": codes for split, codes in labels.items()}
    arrays |= {"label_names": np.array(label_names), "vocabulary_size": np.array(vocabulary_size)}
    save_arrays(path, arrays)


@dataclass(frozen=True)
class TokenizedSplits:
    """What `tokens.npz` holds: everything that training needs, and not the labels of the test split.

    Attributes:
        tokens: `train`, `validation` and `test` to their texts.
        labels: `train` and `validation` to int32 codes, (texts,).
        label_names: the class of code i.
        vocabulary_size: ids are below this.
    """

    tokens: dict[str, Tokens]
    labels: dict[str, np.ndarray]
    label_names: list[str]
    vocabulary_size: int

    def save(self, path: Path) -> None:
        """Write an uncompressed .npz, the same bytes for the same content."""
        tokens = {split: (tokens.ids, tokens.offsets) for split, tokens in self.tokens.items()}
        save_tokens(path, tokens, self.labels, self.label_names, self.vocabulary_size)

    @classmethod
    def load(cls, path: Path) -> "TokenizedSplits":
        with np.load(path, allow_pickle=False) as arrays:
            return cls(
                {split: Tokens(arrays[f"{split}_tokens"], arrays[f"{split}_offsets"]) for split in _TOKENIZED},
                {split: arrays[f"{split}_labels"] for split in _LABELLED},
                arrays["label_names"].tolist(),
                int(arrays["vocabulary_size"]),
            )


_TOKENIZED = ("train", "validation", "test")
_LABELLED = ("train", "validation")
