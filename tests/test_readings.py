"""Texts cut into what a network reads, and what it made of them."""

import numpy as np
import pytest
from samples import SETTINGS, random_network, readings, tokenizer

from pipeline.core.command import InputError
from pipeline.explaining.readings import Words, class_to_explain, read, split
from pipeline.tokens.clipping import Keep, clip
from pipeline.tokens.tokenizer import TokenizerKind, encode


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize(
    "text", ["The acting -- is WOODEN!", "Cafe\u0301 isn't good", "ein 🎬 film \ud83d at all", "<b>not</b>\n\tgood"]
)
def test_tokens_are_those_of_the_pipeline_and_stand_in_the_text(kind: TokenizerKind, text: str) -> None:
    words = split(text, tokenizer(kind), SETTINGS)
    assert words.ids.tolist() == encode(tokenizer(kind), [text]).ids.tolist()
    assert len(words.spans) == len(words.ids)
    assert [words.text[start:end] or "▁" for start, end in words.spans] == words.tokens
    assert words.text == text.encode("utf-8", "replace").decode()
    assert all(token.strip() for token in words.tokens)


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("text", ["\u03b6eta isn't 12 good", "zzyx not", "\u4e0d\u597d \u4e0d\u597d good"])
def test_every_letter_belongs_to_one_token_at_the_most(kind: TokenizerKind, text: str) -> None:
    words = split(text, tokenizer(kind), SETTINGS)
    ends = [0, *(end for _, end in words.spans)]
    assert all(start >= before for (start, _), before in zip(words.spans, ends, strict=False))
    left_out = "".join(text[end:start] for end, (start, _) in zip(ends, words.spans, strict=False))
    assert not left_out.strip()


def test_a_sub_word_that_only_begins_a_word_has_no_letter() -> None:
    words = split("zzyx", tokenizer("bpe"), SETTINGS)
    assert words.tokens[0] == "▁"
    assert words.tokens[1:] == ["z", "z", "y", "x"]


def test_words_keep_their_case_and_unknown_ones_are_marked() -> None:
    words = split("The ACTING isn't zzyx.", tokenizer(), SETTINGS)
    assert words.tokens == ["The", "ACTING", "isn't", "zzyx"]
    assert words.unknown.tolist() == [False, False, False, True]


@pytest.mark.parametrize(
    ("keep", "left", "gap"),
    [
        ("tail", ["is", "not", "good", "at", "all"], 0),
        ("head", ["this", "film", "is", "not", "good"], 5),
        ("head+tail", ["this", "not", "good", "at", "all"], 1),
    ],
)
def test_of_a_long_text_the_ends_that_the_network_reads_are_kept(keep: Keep, left: list[str], gap: int) -> None:
    words = split("this film is not good at all", tokenizer(), {"max_tokens": 5, "keep": keep})
    assert words.tokens == left
    assert (words.unread, words.gap) == (2, gap)
    all_ids = encode(tokenizer(), ["this film is not good at all"])
    assert words.ids.tolist() == clip(all_ids, 5, keep).ids.tolist()
    whole = split("not good at all", tokenizer(), {"max_tokens": 5, "keep": keep})
    assert (whole.unread, whole.tokens) == (0, ["not", "good", "at", "all"])


@pytest.mark.parametrize("text", ["", "  \n", "?!…"])
def test_a_text_without_a_word_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no word in the text"):
        split(text, tokenizer(), SETTINGS)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_reading_has_everything_of_every_token(classes: int) -> None:
    _, (lstm, gru) = readings("not good, but I loved it", classes=classes)
    assert lstm.probabilities.shape == gru.probabilities.shape == (6, classes)
    assert {values.shape for reading in (lstm, gru) for values in reading.passes["layer 1"].values()} == {(6, 20)}
    assert lstm.occlusion.shape == lstm.gradient.shape == (6,)
    assert sorted(lstm.rankings["layer 1"].tolist()) == list(range(20))
    assert not lstm.rereads
    np.testing.assert_allclose(lstm.probabilities.sum(axis=1), 1)


def test_the_unit_whose_state_moves_the_verdict_most_comes_first() -> None:
    network = random_network("gru")
    network.head[0][:] = 0
    network.head[0][7, 1] = -1.0
    network.head[0][3, 1] = 0.01
    network.passes["layer 1"][1][:] = 0  # no unit speaks through another one
    ranking = read(network, "gru-1", split("not good at all", tokenizer(), SETTINGS), 1).rankings["layer 1"]
    assert ranking[:2].tolist() == [7, 3]


def test_every_pass_of_a_deep_network_in_both_directions_is_kept() -> None:
    words, (lstm,) = readings("not good, but I loved it", ("lstm",), layers=2, bidirectional=True)
    assert list(lstm.passes) == list(lstm.rankings) == [f"layer {n}{way}" for n in (1, 2) for way in ("", " backward")]
    assert lstm.rereads
    network = random_network("lstm", layers=2, bidirectional=True)
    beginning = read(network, "lstm-1", Words(words.text, words.ids[:3], words.spans[:3], 0, 0), 1)
    np.testing.assert_allclose(lstm.probabilities[2], beginning.probabilities[-1], atol=1e-12)
    # Who reads from the end is still at its beginning there.
    first = beginning.passes["layer 1 backward"]["state"][0]
    assert np.abs(lstm.passes["layer 1 backward"]["state"][0] - first).max() > 0.01


def test_the_second_of_two_classes_is_explained_and_the_likeliest_of_more() -> None:
    words = split("not good", tokenizer(), SETTINGS)
    assert class_to_explain([random_network("lstm")], words) == 1
    for code in range(3):
        network = random_network("gru", 3)
        network.head[1][code] = 50
        assert class_to_explain([network, random_network("lstm", 3)], words) == code
