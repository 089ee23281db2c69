"""Words to numbers, checked by hand."""

from pathlib import Path

import numpy as np
import pytest
from conftest import output_of
from tokenizers import Tokenizer

from pipeline.core.text import valid_unicode
from pipeline.tokens.clipping import Keep, clip, ends, read_ends
from pipeline.tokens.ragged import Tokens, concatenate, from_lists
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import TokenizerKind, decode, encode, train_tokenizer, unknown_warning

# the: 3, then a and é: 2 each, then 1 each: ties go by the alphabet.
TEXTS = ["The cat's a cat, the END.", "a dog -- the dog_2 É é"]
LOWER = ["low lower lowest low low new newer newest wide wider"]


def word_tokenizer(vocabulary: int = 100) -> Tokenizer:
    return train_tokenizer(iter(TEXTS), "word", vocabulary)


def lists(tokens: Tokens) -> list[list[int]]:
    return [tokens[text].tolist() for text in range(len(tokens))]


def ids(tokenizer: Tokenizer, *texts: str) -> list[list[int]]:
    return lists(encode(tokenizer, texts))


def test_the_most_frequent_words_come_first_and_ties_go_by_the_alphabet() -> None:
    assert word_tokenizer().get_vocab() == {
        "[PAD]": 0, "[UNK]": 1, "the": 2, "a": 3, "é": 4,
        "cat": 5, "cat's": 6, "dog": 7, "dog_2": 8, "end": 9,
    }  # fmt: skip


def test_texts_become_the_ids_of_their_words() -> None:
    assert ids(word_tokenizer(), "The END!", "the bird's dog", "cat/cat's", "E\u0301 = é") == [
        [2, 9],
        [2, 1, 7],
        [5, 6],
        [4, 4],
    ]


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("line_break", ["<br />", "<BR>", "<br/><br />", "<br  /> "])
def test_a_web_page_s_line_break_is_one_of_a_text(kind: TokenizerKind, line_break: str) -> None:
    raw, plain = (f"the cat.{separator}A dog" for separator in (line_break, "\n"))
    tokenizer = train_tokenizer(iter([raw] * 3), kind, 60)
    assert tokenizer.get_vocab() == train_tokenizer(iter([plain] * 3), kind, 60).get_vocab()
    assert ids(tokenizer, raw) == ids(tokenizer, plain)
    assert tokenizer.encode(raw).offsets[-1][1] == len(raw)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("सूखा सुख, मेल!", ["सूखा", "सुख", "मेल"]),  # vowel signs are marks
        ("שָׁלוֹם நன்றி", ["שָׁלוֹם", "நன்றி"]),
        ("नि\u200dय می\u200cخواهم\u200d", ["नि\u200dय", "می\u200cخواهم"]),  # joiners inside, none at the end
        ("film😀😀 👍🏽", ["film", "😀", "😀", "👍"]),  # the tone of the skin goes
        ("❤️ ♥ ☺", ["❤", "♥", "☺"]),  # and so does what makes an emoji of a heart
        ("👩\u200d👧 🇩🇪🇫🇷", ["👩", "👧", "🇩🇪", "🇫🇷"]),
        ("©2024 ★ ½ 1", ["2024", "1"]),
        ("a" * 250, ["a" * 100, "a" * 100, "a" * 50]),
    ],
)
def test_what_a_word_is(text: str, words: list[str]) -> None:
    cut = word_tokenizer().pre_tokenizer.pre_tokenize_str(text)
    assert [word for word, _ in cut] == words


def test_characters_spell_every_word_with_a_mark_before_it() -> None:
    tokenizer = train_tokenizer(iter(["The the cat", "电影 电"]), "char", 8)
    assert tokenizer.encode("the cat电").tokens == ["▁", "t", "h", "e", "▁", "[UNK]", "a", "t", "电"]
    assert tokenizer.get_vocab() == {"[PAD]": 0, "[UNK]": 1, "▁": 2, "t": 3, "e": 4, "h": 5, "电": 6, "a": 7}
    assert decode(tokenizer, encode(tokenizer, ["the 电", "He"])) == [" the 电", " he"]


def test_a_word_as_long_as_a_book_is_learnt_in_pieces() -> None:
    """As one word, the two would take sub-words a minute and a half."""
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list("abcdefgh"), 300_000)) for _ in range(2)]
    tokenizer = train_tokenizer(iter(texts), "bpe", 60)
    assert sum(token.startswith("▁") for token in tokenizer.encode(texts[0]).tokens) == 3_000


@pytest.mark.parametrize(("kind", "unknown"), [("word", ["dog", "cat"]), ("char", ["d", "g"])])
def test_what_occurs_once_is_unknown_if_asked_for(kind: TokenizerKind, unknown: list[str]) -> None:
    texts = ["the cat", "the hat dog", "hat hoc"]
    known = [set(train_tokenizer(iter(texts), kind, 60, times).get_vocab()) for times in (1, 2)]
    assert set(unknown) <= known[0] - known[1]
    assert known[1] >= ({"the", "hat"} if kind == "word" else {"▁", "t", "h", "o", "c"})


def test_many_unknown_tokens_bring_up_a_remedy() -> None:
    assert unknown_warning(0.2, "word") is None
    word = unknown_warning(0.894, "word")
    assert word is not None
    assert all(part in word for part in ("89%", "20%", "bpe", "char", "vocabulary"))
    assert "min_occurrences" in str(unknown_warning(0.5, "char"))


def test_the_vocabulary_ends_at_its_limit() -> None:
    tokenizer = word_tokenizer(4)
    assert tokenizer.get_vocab() == {"[PAD]": 0, "[UNK]": 1, "the": 2, "a": 3}
    assert ids(tokenizer, "a dog, the cat") == [[3, 1, 2, 1]]


@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
def test_the_names_of_special_tokens_are_plain_words_in_a_review(kind: TokenizerKind) -> None:
    tokenizer = train_tokenizer(iter(["pad unk [PAD] [UNK]"]), kind, 60)
    assert ids(tokenizer, "[PAD] [UNK]") == ids(tokenizer, "pad unk")
    assert min(encode(tokenizer, ["[PAD] [UNK] [PAD][UNK]"]).ids) > 1


@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
@pytest.mark.parametrize("text", ["", " \n", "...", "?!"])
def test_a_text_without_words_is_one_unknown_token(kind: TokenizerKind, text: str) -> None:
    assert ids(train_tokenizer(iter(TEXTS), kind, 60), "the", text)[1] == [1]


def test_sub_words_spell_words_that_were_never_seen() -> None:
    tokenizer = train_tokenizer(iter(LOWER), "bpe", 24)
    assert tokenizer.get_vocab_size() == 24
    assert tokenizer.encode("Lower, newest!").tokens == ["▁low", "er", "▁new", "es", "t"]
    assert tokenizer.encode("slow").tokens == ["▁", "s", "lo", "w"]
    assert ids(tokenizer, "xyz") == [[12, 1, 1, 1]]


@pytest.mark.parametrize("kind", ["word", "bpe", "char"])
def test_the_same_texts_give_the_same_tokenizer(kind: TokenizerKind) -> None:
    texts = [f"word{i % 97} other{i % 89} thing{i % 83}" for i in range(500)]
    first, second = (train_tokenizer(iter(texts), kind, 120).to_str() for _ in range(2))
    assert first == second


def test_a_saved_tokenizer_reads_texts_the_same_way(tmp_path: Path) -> None:
    word_tokenizer().save(str(tmp_path / "tokenizer.json"))
    loaded = Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert ids(loaded, "[PAD] the cat", "") == ids(word_tokenizer(), "[PAD] the cat", "") == [[1, 2, 5], [1]]


def test_half_an_emoji_is_no_part_of_a_word() -> None:
    assert valid_unicode("the \ud83d cat \ud83d\ude00") == "the ? cat ??"
    assert valid_unicode("é 😀") == "é 😀"
    assert ids(word_tokenizer(), "the \ud83d cat") == [[2, 5]]


RAGGED = [[2, 3, 4, 5], [6], [7, 8]]


def test_texts_lie_one_after_the_other() -> None:
    tokens = from_lists(RAGGED)
    assert tokens.ids.tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert tokens.offsets.tolist() == [0, 4, 5, 7]
    assert (str(tokens.ids.dtype), str(tokens.offsets.dtype)) == ("int32", "int64")
    assert tokens.lengths.tolist() == [4, 1, 2]
    assert lists(tokens) == RAGGED


@pytest.mark.parametrize(
    ("keep", "max_tokens", "expected"),
    [
        ("head", 2, [[2, 3], [6], [7, 8]]),
        ("tail", 2, [[4, 5], [6], [7, 8]]),
        ("head", 1, [[2], [6], [7]]),
        ("tail", 1, [[5], [6], [8]]),
        ("tail", 9, RAGGED),
        ("head+tail", 3, [[3, 4, 5], [6], [7, 8]]),
        ("head+tail", 9, RAGGED),
    ],
)
def test_long_texts_keep_their_head_or_tail(keep: Keep, max_tokens: int, expected: list[list[int]]) -> None:
    clipped = clip(from_lists(RAGGED), max_tokens, keep)
    assert lists(clipped) == expected
    assert clipped.offsets[-1] == len(clipped.ids)


def test_a_quarter_of_what_is_kept_of_both_ends_is_the_beginning() -> None:
    clipped = clip(from_lists([list(range(10)), [1, 2], list(range(8))]), 8, "head+tail")
    assert lists(clipped) == [[0, 1, 4, 5, 6, 7, 8, 9], [1, 2], list(range(8))]
    assert read_ends(*ends(8, "head+tail")) == "first 2 and last 6"
    assert read_ends(*ends(8, "tail")) == "last 8"


def test_parts_are_joined_in_order() -> None:
    parts = [from_lists(RAGGED[:1]), from_lists([]), from_lists(RAGGED[1:])]
    assert lists(concatenate(parts)) == RAGGED
    assert len(concatenate([])) == 0


def test_tokens_come_back_from_disk_and_are_the_same_bytes_each_time(tmp_path: Path) -> None:
    tokens = {split: from_lists(RAGGED[:count]) for split, count in (("train", 3), ("validation", 2), ("test", 1))}
    labels = {"train": np.array([1, 0, 1], np.int32), "validation": np.array([0, 1], np.int32)}
    splits = TokenizedSplits(tokens, labels, ["bad", "gut ü"], 9)
    splits.save(tmp_path / "a.npz")
    splits.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    loaded = TokenizedSplits.load(tmp_path / "a.npz")
    assert {split: lists(texts) for split, texts in loaded.tokens.items()} == {
        "train": RAGGED, "validation": RAGGED[:2], "test": RAGGED[:1],
    }  # fmt: skip
    assert {split: codes.tolist() for split, codes in loaded.labels.items()} == {
        "train": [1, 0, 1],
        "validation": [0, 1],
    }
    assert (loaded.label_names, loaded.vocabulary_size) == (["bad", "gut ü"], 9)


def test_texts_that_are_encoded_some_at_a_time_come_in_order() -> None:
    texts = ["the " * 100_000, "cat", "", "a " * 700_000, "dog", "the dog"]
    expected = [[2] * 100_000, [5], [1], [3] * 700_000, [7], [2, 7]]
    assert ids(word_tokenizer(), *texts) == expected
    assert ids(word_tokenizer()) == []


def test_many_long_texts_take_little_more_memory_than_their_tokens() -> None:
    code = (
        "import resource\n"
        "from pipeline.tokens.tokenizer import encode, train_tokenizer\n"
        "tokenizer = train_tokenizer(iter(['the cat']), 'word', 10)\n"
        "texts = ['the cat ' * 10_000] * 100\n"
        "encode(tokenizer, texts[:1])\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "assert len(encode(tokenizer, texts).ids) == 2_000_000\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    assert int(output_of(code)) * 1024 < 120_000_000
