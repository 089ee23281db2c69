"""Word vectors: learnt from raw text, read from files, and what starts from them."""

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, TINY_SOURCE, embeddings_params, tiny_reviews, train_params
from tokenizers import Tokenizer

from pipeline.core.command import InputError
from pipeline.embed import embed
from pipeline.networks import building, networks
from pipeline.preprocess import preprocess
from pipeline.tokens.ragged import Tokens, from_lists
from pipeline.tokens.tokenized import TokenizedSplits
from pipeline.tokens.tokenizer import encode
from pipeline.tokens.wordvectors import WordVectors, learn, read
from pipeline.tools.vectors import write

PIECES = {"[PAD]": 0, "[UNK]": 1, "good": 2, "bad": 3, "film": 4}


def pairs() -> Tokens:
    """Words 2 and 3 stand among the same words, 4 and 5 among others; 6 occurs once."""
    rng = np.random.default_rng(0)
    texts = [[int(rng.choice([2, 3])), 7, 8, int(rng.choice([2, 3])), 8, 7] for _ in range(300)]
    texts += [[int(rng.choice([4, 5])), 9, 10, int(rng.choice([4, 5])), 10, 9] for _ in range(300)]
    return from_lists([*texts, [6]])


def test_words_in_the_same_company_get_similar_vectors() -> None:
    found = learn(pairs(), vocabulary=12, dimension=8, settings=embeddings_params(passes=8, window=2))
    unit = found.vectors / np.maximum(np.linalg.norm(found.vectors, axis=1, keepdims=True), 1e-9)
    assert found.known.tolist() == [False] * 2 + [True] * 4 + [False] + [True] * 4 + [False]
    assert unit[2] @ unit[3] > unit[2] @ unit[4] + 0.1
    assert not found.vectors[~found.known].any()


def test_the_seed_alone_decides_the_bytes(tmp_path: Path) -> None:
    def saved(seed: int) -> bytes:
        learn(pairs(), 12, 8, embeddings_params(word2vec_seed=seed)).save(tmp_path / "embeddings.npz")
        return (tmp_path / "embeddings.npz").read_bytes()

    assert saved(1) == saved(1) != saved(2)


@pytest.fixture(scope="module")
def processed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny reviews, those of four films without their labels, preprocessed."""
    folder = tmp_path_factory.mktemp("embed")
    reviews = tiny_reviews()
    reviews["label"] = reviews["label"].mask(reviews["film"].isin([f"film {number}" for number in range(4)]))
    (folder / "raw").mkdir()
    (folder / "raw" / "source.yaml").write_text(TINY_SOURCE)
    reviews.to_csv(folder / "raw" / "reviews.csv", index=False)
    preprocess(folder / "raw", 0.25, 0.25, 1, "word", 200, folder)
    return folder


def run_embed(processed: Path, folder: Path, **changes: object) -> tuple[WordVectors, str]:
    return embed(
        embeddings_params(**changes),
        8,
        Tokenizer.from_file(str(processed / "tokenizer.json")),
        lambda: TokenizedSplits.load(processed / "tokens.npz").tokens["train"],
        processed / "reviews.parquet",
        folder,
    )


def test_word2vec_reads_the_train_texts_and_then_the_unlabelled_ones(processed: Path, tmp_path: Path) -> None:
    found, told = run_embed(processed, tmp_path, vectors="word2vec")
    table = pd.read_parquet(processed / "reviews.parquet")
    assert (table["split"] == "unlabelled").sum() == 48
    texts = [*table["text"][table["split"] == "train"], *table["text"][table["split"] == "unlabelled"]]
    tokenizer = Tokenizer.from_file(str(processed / "tokenizer.json"))
    size = tokenizer.get_vocab_size()
    expected = learn(encode(tokenizer, texts), size, 8, embeddings_params()).scaled(1.0)
    found.save(tmp_path / "found.npz")
    expected.save(tmp_path / "expected.npz")
    assert (tmp_path / "found.npz").read_bytes() == (tmp_path / "expected.npz").read_bytes()
    assert f"{expected.known.mean():.1%} of the vocabulary of {size}" in told


def test_vectors_of_a_file_cover_part_of_the_train_split(processed: Path, tmp_path: Path) -> None:
    (tmp_path / "my.txt").write_text("film" + " 0.5" * 8 + "\n")
    found, told = run_embed(processed, tmp_path, vectors="my.txt", scale=0.0)
    train = pd.read_parquet(processed / "reviews.parquet", filters=[("split", "==", "train")])["text"]
    words = train.str.lower().str.findall(r"[\w']+").explode()
    assert found.vectors[found.known].tolist() == [[0.5] * 8]
    assert f"{(words == 'film').mean():.1%} of the tokens of the train split" in told


def test_without_vectors_no_texts_are_read(processed: Path, tmp_path: Path) -> None:
    def refuse() -> Tokens:
        raise AssertionError("the train split was read")

    tokenizer = Tokenizer.from_file(str(processed / "tokenizer.json"))
    found, _ = embed(embeddings_params(), 8, tokenizer, refuse, tmp_path / "missing.parquet", tmp_path)
    assert found.vectors.shape == (tokenizer.get_vocab_size(), 0)


def test_a_mistyped_file_of_vectors_brings_up_the_nearest_one(processed: Path, tmp_path: Path) -> None:
    (tmp_path / "glove.txt").touch()
    with pytest.raises(InputError, match=r"Received: glov\.txt; did you mean glove\.txt\?"):
        run_embed(processed, tmp_path, vectors="glov.txt")


@pytest.mark.parametrize("change", [{"passes": 3}, {"window": 1}, {"negative": 2}, {"sample": 0.0}, {"min_count": 1}])
def test_every_setting_of_word2vec_counts(change: dict[str, float]) -> None:
    plain, changed = (learn(pairs(), 12, 8, embeddings_params(**changes)) for changes in ({}, change))
    assert not np.array_equal(plain.vectors, changed.vectors)
    assert changed.known[6] == (change == {"min_count": 1})  # it occurs once


@pytest.mark.parametrize("header", ["", "3 2\n"], ids=["GloVe", "word2vec"])
def test_a_file_gives_vectors_to_the_words_that_it_has(tmp_path: Path, header: str) -> None:
    (tmp_path / "vectors.txt").write_text(f"{header}Good 0.5 -1\nnowhere 3 3\nfilm 2 0.25 \ngood 9 9\n")
    found = read(tmp_path / "vectors.txt", PIECES, 2)
    assert found.known.tolist() == [False, False, True, False, True]
    assert found.vectors[[2, 4]].tolist() == [[0.5, -1.0], [2.0, 0.25]]


def test_vectors_that_are_written_are_read_again(tmp_path: Path) -> None:
    known = np.array([False, False, True, False, True])
    vectors = WordVectors(np.array([[0, 0], [0, 0], [0.5, -1e-7], [9, 9], [1 / 3, 2]], np.float32), known)
    assert write(vectors, list(PIECES), tmp_path / "vectors.txt") == 2
    found = read(tmp_path / "vectors.txt", PIECES, 2)
    assert found.known.tolist() == known.tolist()
    np.testing.assert_allclose(found.vectors[known], vectors.vectors[known], rtol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["vectors.txt"]


def test_the_last_numbers_of_a_line_are_the_vector_and_the_rest_is_the_word(tmp_path: Path) -> None:
    lines = ["\ufeffgood 1 2", "at name@domain.com 3 4", ". . . 5 6", "route 66 7 8"]
    lines += ["new\u00a0york 9 9", "Cafe\u0301 3 5"]
    (tmp_path / "vectors.txt").write_text("\r\n".join(lines), encoding="utf-8")
    pieces = PIECES | {"at": 5, "new york": 6, "caf\u00e9": 7}
    found = read(tmp_path / "vectors.txt", pieces, 2)
    assert found.vectors[found.known].tolist() == [[1, 2], [3, 5]]
    assert np.flatnonzero(found.known).tolist() == [2, 7]


def binary(words: dict[str, list[float]], end: bytes) -> bytes:
    sizes = f"{len(words)} 2\n".encode()
    return sizes + b"".join(word.encode() + b" " + np.array(row, "<f4").tobytes() + end for word, row in words.items())


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_binary_or_compressed_file_gives_the_same_vectors(tmp_path: Path, packed: bool, end: bytes) -> None:
    words = {"Good": [0.5, -1.0], "nowhere": [3.0, 3.0], "film": [2.0, 0.25]}
    text = "\n".join(f"{word} {' '.join(map(str, row))}" for word, row in words.items()).encode() + end
    for name, content in (("vectors.txt", text), ("vectors.bin", binary(words, end))):
        path = tmp_path / (f"{name}.gz" if packed else name)
        path.write_bytes(gzip.compress(content) if packed else content)
        found = read(path, PIECES, 2)
        assert found.known.tolist() == [False, False, True, False, True]
        assert found.vectors[[2, 4]].tolist() == [[0.5, -1.0], [2.0, 0.25]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.txt",
            b"good 1 2 3\n",
            r"line 1 must have a word and 2 numbers \(train.embedding_dim\). Received: 3 numbers",
        ),
        ("a.txt", b"2 300\ngood 1 2\n", "line 1 must have a word and 2 numbers .* Received: 300 numbers"),
        ("a.txt", b"good 1 2\nfilm 3\n", "line 2 must have a word and 2 numbers .* Received: 1 numbers"),
        ("a.txt", b"good 1 2\nbad 1 x\n", "line 2: could not convert string to float"),
        ("a.txt", b"good 1 2\nbad 1 nan\n", "line 2 must have finite numbers. Received: nan"),
        ("a.txt", b"2 2\ngood 1 2\nbad -inf 1\n", "line 3 must have finite numbers. Received: -inf"),
        ("a.bin", binary({"good": [1, float("nan")]}, b""), "word 1 must have finite numbers. Received: nan"),
        ("a.bin", binary({"good": [1, 2]}, b"")[:-1], "ends in word 1 of 1"),
        ("a.bin", b"good 1 2\n", "must begin with the number of words"),
        ("a.bin", b"1 300\n", "must have a word and 2 numbers .* Received: 300 numbers"),
        ("a.txt.gz", b"good 1 2\n", "cannot be read: Not a gzipped file"),
        ("a.txt.gz", gzip.compress(b"good 1 2\n" * 99, mtime=0)[:-12], "cannot be read: "),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read(tmp_path / name, PIECES, 2)


def test_every_component_gets_the_same_spread() -> None:
    known = np.array([False, True, True, True])
    found = WordVectors(np.array([[0, 0], [1, 5], [2, 5], [6, 5]], np.float32), known).scaled(0.5)
    np.testing.assert_allclose(found.vectors[known].std(axis=0), [0.5, 0], atol=1e-6)
    np.testing.assert_allclose(found.vectors[known].mean(axis=0), 0, atol=1e-6)
    assert found.vectors[0].tolist() == [0, 0]
    assert found.vectors.dtype == np.float32


def test_a_network_starts_from_the_vectors_and_from_random_ones_where_there_are_none() -> None:
    known = np.array([False, True, True, False])
    model = building.build("gru", 4, 2, train_params())
    (before,) = networks.weights(model)["embedding"]
    building.start_from(model, np.full((4, 8), 7, np.float32), known)
    (after,) = networks.weights(model)["embedding"]
    assert (after[known] == 7).all()
    np.testing.assert_array_equal(after[~known], before[~known])


def test_presets_name_parameters_and_the_default_one_is_what_params_yaml_has() -> None:
    from pipeline.core.params import read_params, read_preset, read_yaml

    params = read_params(ROOT / "params.yaml")
    names = ("default", "tutorial", "fast", "strong")
    default, *others = (read_preset(name, ROOT / "presets.yaml") for name in names)
    assert list(read_yaml(ROOT / "presets.yaml")) == list(names)
    of_texts = {"vocabulary", "max_tokens", "batch_size"}  # which `add` chooses for each data set
    assert all(preset.keys() == default.keys() | of_texts for preset in others)
    has = {**params.train.model_dump(), **params.embeddings.model_dump()}
    assert default == {name: str(has[name]) for name in default}
    with pytest.raises(InputError, match="did you mean strong"):
        read_preset("stong", ROOT / "presets.yaml")
