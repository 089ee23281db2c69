"""Turn texts into token ids: train a tokenizer, encode, decode."""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Literal

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from pipeline.core.text import LINE_BREAK, WORD, valid_unicode
from pipeline.tokens.ragged import UNKNOWN, Tokens, concatenate, from_lists

SPECIAL_TOKENS = ["[PAD]", "[UNK]"]  # the tokens of the ids PAD and UNKNOWN

_ENCODED_AT_A_TIME = 1 << 20  # characters

TokenizerKind = Literal["word", "bpe"]


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
    """Turn texts into token ids. A text without a word becomes one unknown token, so that no text is empty."""
    # The tokenizer needs a hundred bytes for a token of which four are kept: some of the texts at a time.
    ends = np.cumsum([len(text) for text in texts])
    parts = groupby(zip(ends // _ENCODED_AT_A_TIME, texts, strict=True), key=lambda pair: pair[0])
    return concatenate(_encode(tokenizer, [text for _, text in part]) for _, part in parts)


def _encode(tokenizer: Tokenizer, texts: list[str]) -> Tokens:
    clean = [valid_unicode(text) for text in texts]  # the tokenizer would refuse the whole batch
    encodings = tokenizer.encode_batch_fast(clean, add_special_tokens=False)
    return from_lists([encoding.ids or [UNKNOWN] for encoding in encodings])


def decode(tokenizer: Tokenizer, tokens: Tokens) -> list[str]:
    """Turn tokens back into texts, from which `encode` makes about the same tokens."""
    words = tokenizer.decode_batch([tokens[text].tolist() for text in range(len(tokens))], skip_special_tokens=False)
    # Sub-words come apart by blanks, with `▁` where a word begins.
    return [text.replace(" ", "").replace("▁", " ") if "▁" in text else text for text in words]
