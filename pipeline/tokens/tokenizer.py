"""Turn texts into token ids: train a tokenizer, encode, decode.

Words are cut here, and nowhere else: networks, word vectors and n-grams have them from the same tokenizer.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Literal

import numpy as np
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

from pipeline.core.text import LINE_BREAK, valid_unicode
from pipeline.tokens.ragged import UNKNOWN, Tokens, concatenate, from_lists

SPECIAL_TOKENS = ["[PAD]", "[UNK]"]  # the tokens of the ids PAD and UNKNOWN
WORD_BEGINS = "▁"  # as a sub-word, or at the beginning of one

# In Oniguruma's syntax, whose \w is letters, their combining marks, digits and `_`. An invisible joiner (ZWNJ, ZWJ)
# belongs to the word around it, as in Persian and Marathi. A longer word comes in pieces: learning sub-words takes time
# by the square of a word's length (two words of 300,000 letters: 96 s).
LONGEST_WORD = 100
_LETTERS = rf"[\w']{{1,{LONGEST_WORD}}}"
_LETTERS_AND_JOINERS = rf"(?!\x{{FE0F}}){_LETTERS}(?:[\x{{200C}}\x{{200D}}]{_LETTERS})*"
# An emoji is a word: two letters of a flag, or one picture, without the tone of its skin. Those of a family come one by
# one. Of the signs that most people write as emoji although Unicode shows them as text, hearts and faces are words.
_FLAG_LETTERS, _SKINS = r"\x{1F1E6}-\x{1F1FF}", r"\x{1F3FB}-\x{1F3FF}"
_EMOJI = rf"[{_FLAG_LETTERS}]{{2}}|(?![{_FLAG_LETTERS}{_SKINS}])\p{{Emoji_Presentation}}|[☹☺♡♥❣❤]"
WORD = f"{_LETTERS_AND_JOINERS}|{_EMOJI}"

# Where more of the validation tokens are unknown, a model misses much of what a text says. The two data sets that come
# with the project have 3 and 7 %.
_MANY_UNKNOWN = 0.2

_ENCODED_AT_A_TIME = 1 << 20  # characters
_SPELT_AT_A_TIME = 1 << 18  # tokens
_NO_LIMIT = 1 << 40  # of words

TokenizerKind = Literal["word", "bpe", "char"]


def train_tokenizer(texts: Iterator[str], kind: TokenizerKind, vocabulary: int, min_occurrences: int = 1) -> Tokenizer:
    """Learn the most frequent words (or sub-words, or characters) of `texts`.

    A word is a run of letters with their marks, digits, `_` and apostrophes in lower case, or an emoji. Everything else
    separates words, and so does `<br />`.

    Args:
        texts: of the train split.
        kind: `word` takes whole words. `bpe` (Sennrich et al. 2016, https://aclanthology.org/P16-1162/) splits rare
            words into frequent parts, so that no word is unknown that is written in the characters of the training
            texts. `char` takes single characters, with a `▁` before each word.
        vocabulary: the most tokens that are learnt, two special tokens included (`bpe` keeps every character, though).
        min_occurrences: words and characters that occur less often are unknown, and `bpe` joins no parts that stand
            together less often.
    """
    limits: dict[str, Any] = {"vocab_size": vocabulary, "min_frequency": min_occurrences}
    if kind == "bpe":
        return _trained(Tokenizer(models.BPE(unk_token=SPECIAL_TOKENS[UNKNOWN])), _words(marked=True), texts, limits)
    if kind == "word":
        return _trained(_word_level({}), _words(), texts, limits)
    characters = pre_tokenizers.Sequence([_words(marked=True), pre_tokenizers.Split(Regex("."), behavior="isolated")])
    found = _trained(_word_level({}), characters, texts, limits)
    return _spelling(found.normalizer, _words(), found.get_vocab())


def with_all_words(tokenizer: Tokenizer, texts: Iterator[str]) -> Tokenizer:
    """Make a tokenizer that cuts the same words, and knows every one of `texts`, in alphabetical order."""
    found = _trained(_word_level({}), tokenizer.pre_tokenizer, texts, {"vocab_size": _NO_LIMIT}, tokenizer.normalizer)
    return with_words(tokenizer, found.get_vocab())


def with_words(tokenizer: Tokenizer, words: Iterable[str]) -> Tokenizer:
    """Make a tokenizer that cuts the same words, and knows these alone, in alphabetical order."""
    known = _word_level(_numbered(words))
    known.normalizer, known.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    return known


def in_characters(tokenizer: Tokenizer) -> Tokenizer:
    """Make a tokenizer that cuts the same words, and spells them in the characters of the vocabulary."""
    characters = {WORD_BEGINS, *(character for token in _plain(tokenizer.get_vocab()) for character in token)}
    return _spelling(tokenizer.normalizer, tokenizer.pre_tokenizer, _numbered(characters))


def spelt(tokens: Tokens, tokenizer: Tokenizer, characters: Tokenizer) -> Tokens:
    """Spell texts that are tokens already: the ids that `encode` with `in_characters` gives, without the texts.

    Args:
        tokens: of `tokenizer`, which knows every word of the texts, or parts of them.
        tokenizer: that made them.
        characters: what `in_characters` made of it.
    """
    known = range(len(SPECIAL_TOKENS), tokenizer.get_vocab_size())
    mark, ids = WORD_BEGINS if has_words(tokenizer) else "", characters.get_vocab()
    spellings = [[ids.get(letter, UNKNOWN) for letter in f"{mark}{tokenizer.id_to_token(token)}"] for token in known]
    letters = from_lists([[UNKNOWN]] * len(SPECIAL_TOKENS) + spellings)
    return concatenate(_replaced(some, letters) for some in tokens.parts(_SPELT_AT_A_TIME))


def _replaced(tokens: Tokens, letters: Tokens) -> Tokens:
    """Put the letters of every token in its place."""
    lengths = letters.lengths[tokens.ids]
    ends = np.cumsum(lengths)
    places = np.arange(lengths.sum()) + np.repeat(letters.offsets[tokens.ids] - ends + lengths, lengths)
    return Tokens(letters.ids[places], np.concatenate([[0], ends])[tokens.offsets])


def has_words(tokenizer: Tokenizer) -> bool:
    """Tell if the tokens are whole words, and not parts of them."""
    return isinstance(tokenizer.model, models.WordLevel)


def _words(marked: bool = False) -> pre_tokenizers.PreTokenizer:
    """Cut a text into words; if `marked`, with `▁` before each."""
    words = pre_tokenizers.Split(Regex(WORD), behavior="removed", invert=True)
    # `▁` tells a sub-word that begins a word from one inside. An end_of_word_suffix would too, but with it the
    # trainer numbers the last letters in the order of a randomly seeded hash map: other ids on every run.
    return pre_tokenizers.Sequence([words, _begin_marks()]) if marked else words


def _begin_marks() -> pre_tokenizers.PreTokenizer:
    return pre_tokenizers.Metaspace(replacement=WORD_BEGINS, prepend_scheme="always")


def _normalizer() -> normalizers.Normalizer:
    line_breaks = normalizers.Replace(Regex(LINE_BREAK), "\n")
    return normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase(), line_breaks])


def _trained(
    tokenizer: Tokenizer,
    cutting: pre_tokenizers.PreTokenizer,
    texts: Iterator[str],
    limits: dict[str, Any],
    normalizer: normalizers.Normalizer | None = None,
) -> Tokenizer:
    """Train a tokenizer on what `cutting` makes of `texts`."""
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer or _normalizer(), cutting
    trainer = trainers.BpeTrainer if isinstance(tokenizer.model, models.BPE) else trainers.WordLevelTrainer
    tokenizer.train_from_iterator(texts, trainer(special_tokens=SPECIAL_TOKENS, show_progress=False, **limits))
    # The trainer also makes the special tokens match in raw text: a review with "[PAD]" in it would hold padding.
    content = json.loads(tokenizer.to_str()) | {"added_tokens": []}
    return Tokenizer.from_str(json.dumps(content))


def _word_level(vocabulary: dict[str, int]) -> Tokenizer:
    return Tokenizer(models.WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNKNOWN]))


def _spelling(
    normalizer: normalizers.Normalizer, words: pre_tokenizers.PreTokenizer, vocabulary: dict[str, int]
) -> Tokenizer:
    """Make a tokenizer that spells words in characters, with `▁` before each word."""
    # Sub-words that are never joined: twice as fast as words of one letter each, which would have to be cut first.
    spelling = Tokenizer(models.BPE(vocabulary, [], unk_token=SPECIAL_TOKENS[UNKNOWN]))
    spelling.normalizer = normalizer
    spelling.pre_tokenizer = pre_tokenizers.Sequence([words, _begin_marks()])
    return spelling


def _plain(tokens: Iterable[str]) -> set[str]:
    return set(tokens) - set(SPECIAL_TOKENS)


def _numbered(tokens: Iterable[str]) -> dict[str, int]:
    """Number tokens in the order of the alphabet, behind the special ones."""
    return {token: number for number, token in enumerate([*SPECIAL_TOKENS, *sorted(_plain(tokens))])}


def unknown_warning(share: float, kind: TokenizerKind) -> str | None:
    """Say what to do where many of the validation tokens are unknown; None where few are.

    Args:
        share: of the tokens of the validation split, 0 to 1.
        kind: of the tokenizer.
    """
    if share <= _MANY_UNKNOWN:
        return None
    remedy = "raise `vocabulary`, or lower `min_occurrences`"
    if kind == "word":
        remedy = (
            "set `tokenizer` to bpe (or to char, for a language without blanks between words),"
            " or raise `vocabulary` if it is full"
        )
    return (
        f"{share:.0%} of the tokens of the validation split are unknown to the networks (more than"
        f" {_MANY_UNKNOWN:.0%}), so they miss much of what the texts say: {remedy}"
    )


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
    return [text.replace(" ", "").replace(WORD_BEGINS, " ") if WORD_BEGINS in text else text for text in words]
