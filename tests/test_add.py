"""`gatewise add`: what it finds in files that we wrote in many ways, what it writes, and what it leaves alone."""

import csv
import gzip
import json
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from conftest import ROOT
from ruamel.yaml import YAML

from pipeline.adding.columns import choose_label, choose_split, choose_text
from pipeline.adding.encodings import find_encoding
from pipeline.adding.gathering import name_of
from pipeline.core.command import InputError
from pipeline.core.params import read_params
from pipeline.corpus.labels import alike
from pipeline.corpus.sources import Reviews, read_source
from pipeline.download import download
from pipeline.preprocess import preprocess
from pipeline.tools.add import _brought, main

Rows = list[tuple[str, str]]
Add = Callable[..., str]

PRAISE = ["warm", "clever", "superb", "funny", "naïve charm", "a treat"]
BLAME = ["cold", "clumsy", "wooden", "dull", "clichés", "a bore"]


def reviews(number: int = 60, labels: tuple[str, str] = ("good", "bad"), seed: int = 1) -> Rows:
    """Texts that differ, each with a label, the rarer label first."""
    chance = random.Random(seed)
    rows = []
    for i in range(number):
        label, words = (labels[0], PRAISE) if i % 5 < 2 else (labels[1], BLAME)
        rows.append((f"Film {i}, they say, is {' and '.join(chance.sample(words, 3))}", label))
    return rows


def write_table(path: Path, rows: Rows, encoding: str = "utf-8", header: bool = True, **dialect: str) -> Path:
    path.parent.mkdir(exist_ok=True)
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, lineterminator="\n", **dialect)  # type: ignore[arg-type]
        writer.writerows([("text", "label"), *rows] if header else rows)
    return path


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the user's files, beside an empty project, in which the command runs."""
    project = tmp_path / "project"
    (project / "data" / "sources").mkdir(parents=True)
    for name in ("params.yaml", "presets.yaml", "data/sources/rotten_tomatoes.yaml"):
        (project / name).write_bytes((ROOT / name).read_bytes())
    monkeypatch.chdir(project)
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def call(*words: str | Path) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def add(*words: str | Path) -> str:
    result = call(*words)
    assert result.exception is None, result.exception
    return " ".join(result.output.split())


def refusal(*words: str | Path) -> str:
    result = call(*words)
    assert isinstance(result.exception, InputError), (result.output, result.exception)
    return str(result.exception)


def sources() -> list[str]:
    return sorted(path.name for path in Path("data/sources").iterdir() if path.name != "rotten_tomatoes.yaml")


def stated(name: str) -> dict[str, object]:
    found: dict[str, object] = YAML(typ="safe").load(Path("data/sources", name, "source.yaml"))
    return found


def learnt(name: str) -> Rows:
    folder = Path("data/sources", name)
    tables = list(Reviews(read_source(folder), folder))
    return [(text, label) for table in tables for text, label in zip(table["text"], table["label"], strict=True)]


DIALECTS = [
    ("utf-8", {}, True),
    ("cp1252", {"delimiter": ";"}, False),
    ("utf-16", {"delimiter": "\t"}, True),
    ("utf-8-sig", {"delimiter": "|"}, False),
    ("mac_roman", {"delimiter": "~"}, True),
    ("utf-8", {"quotechar": "'"}, True),
]


@pytest.mark.parametrize(("encoding", "dialect", "header"), DIALECTS)
def test_a_dialect_is_found_and_stated_and_read_back(
    home: Path, encoding: str, dialect: dict[str, str], header: bool
) -> None:
    rows = reviews()
    add(write_table(home / "films.csv", rows, encoding, header, **dialect))
    assert learnt("films") == rows
    found = stated("films")
    assert found["encoding"] == encoding.removesuffix("-sig")
    assert (found["delimiter"], found["header"]) == (dialect.get("delimiter", ","), header)
    assert found["labels"] == ["bad", "good"]


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("cp1251", "Очень хороший фильм, мне он понравился\n"),
        ("gb18030", "https://example.org/a/long/address/of/a/film,positive,很好看\n"),
        ("gb18030", "这部电影很好看，我喜欢这个故事\n"),
        ("cp932", "この映画はとても面白かったです。また見たいと思います\n"),
        ("cp1252", "it’s fun – really, a naïve joy\n"),
        ("cp1250", "Bardzo dobry film, świetna gra aktorów. Nie podobało mi się zakończenie\n"),
        ("utf-16-le", "no mark, and yet two bytes a letter\n"),
        ("utf-8", "plain ASCII\n"),
        ("utf-8", "déjà vu\n"),
    ],
)
def test_encodings_are_found(tmp_path: Path, encoding: str, text: str) -> None:
    (tmp_path / "text.csv").write_bytes((text * 5).encode(encoding))
    with gzip.open(tmp_path / "text.csv.gz", "wb") as file:
        file.write((text * 5).encode(encoding))
    assert [find_encoding([path]).name for path in sorted(tmp_path.iterdir())] == [encoding] * 2


def test_a_line_of_another_encoding_is_a_bad_row_and_a_file_of_another_encoding_is_refused(home: Path) -> None:
    path = write_table(home / "films.csv", reviews(100))
    path.write_bytes(path.read_bytes() + "déjà vu,good\n".encode("cp1252"))
    told = add(path)
    assert f"{path}, line 102" in told
    assert (stated("films")["encoding"], stated("films")["bad_rows"]) == ("utf-8", "set_aside")
    other = write_table(home / "more.csv", reviews(), "cp1252")
    assert "one encoding" in refusal(path, other, "--name", "both")


def test_utf_16_beside_ascii_is_refused_and_one_such_text_among_many_is_a_bad_row(home: Path) -> None:
    train = [(text.encode("ascii", "ignore").decode(), label) for text, label in reviews()]
    wide = write_table(home / "test.csv", reviews(20, seed=2), "utf-16")
    assert "one encoding" in refusal("--name", "both", "--train", write_table(home / "a.csv", train), "--test", wide)
    assert "not in the encoding utf-16" in refusal(home / "a.csv", "--encoding", "utf-16")
    for number, (text, label) in enumerate(train):
        (home / "films" / label).mkdir(parents=True, exist_ok=True)
        (home / "films" / label / f"{number}.txt").write_text(text)
    (home / "films" / "good" / "other.txt").write_text("A joy", "utf-16")
    assert "good/other.txt" in add(home / "films")
    assert sorted(learnt("films")) == sorted(train)


def test_without_texts_to_learn_from_nothing_is_written(home: Path) -> None:
    path = write_table(home / "films.csv", reviews())
    assert "stands in the test split" in refusal("--name", "films", "--test", path, "--train", path)
    assert "--train must name texts" in refusal("--test", path)
    assert sources() == []


def test_quotes_that_mean_nothing_are_letters(home: Path) -> None:
    rows = [(f'"{text}' if i % 9 == 0 else text, label) for i, (text, label) in enumerate(reviews())]
    path = home / "films.tsv"
    path.write_text("text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in rows))
    add(path)
    assert stated("films")["quote"] == "none"
    assert learnt("films") == rows


@pytest.mark.parametrize("lines", ["\n", " "], ids=["of two lines", "of one line"])
def test_a_quote_that_never_closes_is_told_and_cuts_no_other_row(home: Path, lines: str) -> None:
    rows = [(f"{text},{lines}{i}", label) for i, (text, label) in enumerate(reviews(300))]
    written = [f'"{text}",{label}\n' if i != 150 else f'"oops,{label}\n' for i, (text, label) in enumerate(rows)]
    path = home / "films.csv"
    path.write_text("text,label\n" + "".join(written))
    line = 2 + 150 * (1 + lines.count("\n"))
    assert f'{path}, line {line}: "oops' in add(path)
    assert set(learnt("films")) == {*rows[:150], *rows[152 if lines == "\n" else 151 :]}


def test_what_is_named_is_read_or_refused(home: Path) -> None:
    table = write_table(home / "test.csv", reviews())
    (home / "films").mkdir()
    for label in ("good", "bad"):
        texts = [text for text, other in reviews() if other == label]
        (home / "films" / f"{label}.txt").write_text("\n".join(texts))
    assert f"{home / 'films'} gives no texts" in refusal("--train", home / "films", "--test", table)
    assert sources() == []


def test_folders_in_folders_lose_no_label(home: Path) -> None:
    for number, (text, label) in enumerate(reviews()):
        for folder in (home / "films" / label, home / "shelves" / label / "new", home / "shelves" / label / "old"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{number}.txt").write_text(text)
    assert "texts below bad and below good have the label" in add(home / "shelves")
    (home / "films" / "bad" / "replies").mkdir()
    (home / "films" / "bad" / "replies" / "1.txt").write_text("No, it was fine")
    assert f"{home / 'films' / 'bad'} holds 36 files beside the folder replies" in refusal(home / "films")


def test_a_file_in_several_encodings_is_refused(home: Path) -> None:
    path = home / "films.csv"
    path.write_bytes(b"".join(f"déjà vu {i},good\n".encode("utf-8" if i % 3 else "cp1252") for i in range(60)))
    assert "40 lines beyond ASCII are UTF-8, and 20 are not" in refusal(path)


def test_settings_that_were_removed_are_written_again(home: Path) -> None:
    path = write_table(home / "films.csv", reviews())
    add(path)
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("dataset: rotten_tomatoes", "dataset: films"))
    before = Path("data/sources/films.yaml").read_text()
    Path("data/sources/films.yaml").unlink()
    add(path)
    assert Path("data/sources/films.yaml").read_text() == before


def test_a_table_called_txt_is_a_table(home: Path) -> None:
    path = home / "collection"
    path.write_text("".join(f"{label}\t{text}\n" for text, label in reviews()))
    add(path)
    assert sorted(file.name for file in Path("data/sources/collection").iterdir()) == ["collection.csv", "source.yaml"]
    assert learnt("collection") == reviews()


def as_jsonl(path: Path, rows: Rows) -> None:
    path.write_text("".join(json.dumps({"body": text, "id": i, "kind": x}) + "\n" for i, (text, x) in enumerate(rows)))


def as_json(path: Path, rows: Rows) -> None:
    path.write_text(json.dumps([{"body": text, "kind": label} for text, label in rows]))


def as_parquet(path: Path, rows: Rows) -> None:
    pd.DataFrame(rows, columns=["body", "kind"]).assign(id=range(len(rows))).to_parquet(path)


@pytest.mark.parametrize(("ending", "write"), [("jsonl", as_jsonl), ("json", as_json), ("parquet", as_parquet)])
def test_tables_of_other_forms_are_read(home: Path, ending: str, write: Callable[[Path, Rows], None]) -> None:
    write(home / f"films.{ending}", reviews())
    add(home / f"films.{ending}")
    assert learnt("films") == reviews()
    assert (stated("films")["text"], stated("films")["label"]) == ("body", "kind")
    assert "between fields" not in add(home / f"films.{ending}")  # of a data set that is there, as of a new one


def write_texts(folder: Path, rows: Rows) -> None:
    for number, (text, label) in enumerate(rows):
        (folder / label).mkdir(parents=True, exist_ok=True)
        (folder / label / f"{number}.txt").write_text(text)


def test_folders_of_texts_with_a_split_bring_it(home: Path) -> None:
    write_texts(home / "aclFilms" / "train", reviews(60, ("pos", "neg")))
    write_texts(home / "aclFilms" / "test", reviews(30, ("pos", "neg"), seed=2))
    write_texts(home / "aclFilms" / "train", [("nobody said", "unsup")])
    (home / "aclFilms" / "README").write_text("about")
    (home / "aclFilms" / "films.vocab").write_text("warm")
    told = add(home / "aclFilms")
    assert "train 60, test 30" in told
    assert "films.vocab" in told
    assert read_params().datasets["aclfilms"].test == "given"
    assert (stated("aclfilms")["format"], stated("aclfilms")["labels"]) == ("files", ["neg", "pos"])
    assert not Path("data/sources/aclfilms/README").exists()


def test_a_file_per_label_has_a_text_a_line(home: Path) -> None:
    for label in ("good", "bad"):
        (home / f"{label}.txt").write_text("".join(f"{text}\n" for text, other in reviews() if other == label))
    add(home / "good.txt", home / "bad.txt", "--name", "films")
    assert sorted(learnt("films")) == sorted(reviews())


def test_a_label_that_sounds_like_a_split_can_be_one(home: Path) -> None:
    for label, rows in (("valid", reviews(40)), ("invalid", reviews(40, seed=2))):
        (home / f"{label}.txt").write_text("".join(f"{text}\n" for text, _ in rows))
    files = (home / "valid.txt", home / "invalid.txt", "--name", "forms")
    assert "'valid' is a label and no split, say --ignore-splits" in add(*files, "--dry-run")
    assert "too few" not in add(*files, "--ignore-splits")


def test_a_table_of_a_split_that_has_other_columns_is_not_passed_over_in_silence(home: Path) -> None:
    write_table(home / "films" / "train.csv", reviews(50))
    pd.DataFrame(reviews(20, seed=2), columns=["review", "kind"]).to_csv(home / "films" / "test.csv", index=False)
    told = " ".join(add(home / "films").split())
    assert "test.csv. Its name speaks of the test split, and the texts are split without it" in told


def test_files_to_train_and_to_test_with_stay_apart_whatever_their_names(home: Path) -> None:
    train = write_table(home / "test_of_time.csv", reviews(50))
    test = write_table(home / "b.csv", reviews(20, seed=2))
    add("--name", "films", "--train", train, "--test", test)
    folder = Path("data/sources/films")
    splits = pd.concat(Reviews(read_source(folder), folder))["split"]
    assert splits.value_counts().to_dict() == {"train": 50, "test": 20}
    assert read_params().datasets["films"].test == "given"


def test_a_column_of_splits_is_used_or_mixed(home: Path) -> None:
    table = pd.DataFrame(reviews(100), columns=["text", "label"])
    table.assign(part=["train"] * 70 + ["dev"] * 10 + ["test"] * 20).to_csv(home / "films.csv", index=False)
    assert "train 70, validation 10, test 20" in add(home / "films.csv")
    assert (stated("films")["split"], read_params().datasets["films"].test) == ("part", "given")
    add("--name", "films", "--ignore-splits")
    assert (stated("films")["ignore_splits"], read_params().datasets["films"].test) == (True, 0.2)


def test_chinese_is_read_in_sub_words(home: Path) -> None:
    rows = [(f"这部电影{'很好看' if i % 2 else '太难看了'}，第{i}次看", "正" if i % 2 else "反") for i in range(60)]
    told = add(write_table(home / "影评.csv", rows), "--name", "films")
    assert "make repro DATASET=films" in told
    assert read_params().datasets["films"].tokenizer == "bpe"


def test_words_that_blanks_separate_are_words_in_any_script(home: Path) -> None:
    rows = [(f"यह फिल्म {'अच्छी' if i % 2 else 'बुरी'} है {i}", "good" if i % 2 else "bad") for i in range(60)]
    add(write_table(home / "films.csv", rows))
    assert read_params().datasets["films"].tokenizer == "word"


def test_settings_fit_the_texts(home: Path) -> None:
    rows = [(" ".join(f"word{j}" for j in range(i % 30)) + f" only{i}", "ab"[i % 2]) for i in range(600)]
    add(write_table(home / "films.csv", rows))
    settings = read_params().datasets["films"]
    assert settings.vocabulary == 29 + 2  # those that come twice, padding and the unknown word
    assert settings.min_occurrences == 2
    assert (settings.max_tokens, settings.batch_size, settings.test, settings.validation) == (32, 32, 0.2, 0.1)


def test_a_small_class_gets_shares_in_which_it_stands_in_all_splits(home: Path) -> None:
    add(write_table(home / "films.csv", reviews(60) + [(f"so so, take {i}", "fair") for i in range(5)]))
    settings = read_params().datasets["films"]
    raw, output = Path("data/raw"), Path("data/processed")
    download(Path("data/sources/films"), Path("data/downloads"), None, raw)
    report = preprocess(raw, settings.test, settings.validation, 1, "word", settings.vocabulary, output)
    assert all(report["splits"][split]["labels"]["fair"] > 0 for split in ("train", "validation"))
    told = add(write_table(home / "more.csv", [*reviews(60), ("so so", "fair")]))
    assert "a run will stop: a test share of 0.2 needs 5 texts or more of each label. Received: 1 text labelled" in told
    assert "a run takes" not in told
    settings = read_params().datasets["more"]
    assert (settings.test, settings.validation) == (0.2, 0.1)  # no share is large enough


def test_texts_with_html_s_names_of_characters_are_warned_of(home: Path) -> None:
    rows = [(text.replace("they", "I&#039;ve"), label) for text, label in reviews()]
    told = " ".join(add(write_table(home / "films.csv", rows)).split())
    assert "100% of the texts hold HTML entities such as &#039;" in told
    output = Path("data/processed")
    download(Path("data/sources/films"), Path("data/downloads"), None, Path("data/raw"))
    report = preprocess(Path("data/raw"), 0.2, 0.1, 1, "word", 100, output)
    assert any("HTML entities" in warning for warning in report["warnings"])
    assert "HTML" not in add(write_table(home / "plain.csv", [(f"R&D; {text}", label) for text, label in reviews()]))


def test_a_second_run_changes_only_what_is_asked(home: Path) -> None:
    table = pd.DataFrame(reviews(), columns=["text", "label"]).assign(mood=["calm", "angry", "sad"] * 20)
    table.to_csv(home / "films.csv", index=False)
    add(home / "films.csv")
    source, settings = Path("data/sources/films/source.yaml"), Path("data/sources/films.yaml")
    source.write_text(source.read_text().replace("text: text", "text: text  # the long one"))
    settings.write_text(
        settings.read_text().replace("max_tokens: 16", "max_tokens: 99  # ours").replace("test: 0.2", "test: 0.3")
    )
    before = source.read_text(), settings.read_text()
    assert "nothing to change" in add(home / "films.csv")
    assert (source.read_text(), settings.read_text()) == before
    add(home / "films.csv", "--label", "mood")
    assert source.read_text() == before[0].replace("label: label", "label: mood").replace(
        "[bad, good]", "[angry, calm, sad]"
    )
    assert settings.read_text() == before[1]
    add("--name", "films", "--bad-rows", "set_aside")
    assert source.read_text().endswith("bad_rows: set_aside\n")
    assert settings.read_text() == before[1]


def test_a_second_run_in_a_project_of_before_moves_its_blocks(home: Path) -> None:
    add(write_table(home / "films.csv", reviews()))
    block = Path("data/sources/films.yaml").read_text().replace("vocabulary: ", "vocabulary: 1")
    Path("data/sources/films.yaml").unlink()
    with Path("params.yaml").open("a") as file:
        file.write("\ndatasets:\n  films:\n" + "".join(f"    {line}\n" for line in block.splitlines()))
    add("--name", "films", "--label", "label")
    assert Path("data/sources/films.yaml").read_text().strip() == block.strip()


def test_a_dry_run_and_a_refusal_write_nothing(home: Path) -> None:
    before = Path("params.yaml").read_bytes()
    told = add(write_table(home / "films.csv", reviews()), "--dry-run")
    assert "good 24 (40 %)" in told
    assert "bad 36 (60 %)" in told
    (home / "noise.csv").write_bytes(bytes(range(256)) * 20)
    (home / "cut.csv.gz").write_bytes(gzip.compress(b"text,label\n" + b"good film,good\n" * 500)[:-9])
    packed = gzip.compress("".join(f"{text},{label}\n" for text, label in reviews()).encode())
    (home / "damaged.csv.gz").write_bytes(packed[:40] + bytes(40) + packed[80:])
    (home / "films.xlsx").write_bytes(b"PK")
    (home / "empty.csv").write_text("")
    (home / "header.csv").write_text("text,label\n")
    (home / "object.json").write_text('{"data": [{"text": "fine", "label": "good"}]}')
    (home / "folder").mkdir()
    for path in (
        "noise.csv",
        "cut.csv.gz",
        "damaged.csv.gz",
        "films.xlsx",
        "missing.csv",
        "empty.csv",
        "header.csv",
        "object.json",
        "folder",
    ):
        assert str(home / path) in refusal(home / path)
    assert (sources(), Path("params.yaml").read_bytes()) == ([], before)


def test_nothing_stays_where_settings_cannot_be_written(home: Path) -> None:
    Path("data/sources/films.yaml.part").mkdir()
    assert "films.yaml" in refusal(write_table(home / "films.csv", reviews()))
    assert sources() == ["films.yaml.part"]


def test_another_data_set_of_the_same_name_is_left_alone(home: Path) -> None:
    add(write_table(home / "films.csv", reviews()))
    (home / "new").mkdir()
    other = write_table(home / "new" / "films.csv", reviews(40))
    assert "--name" in refusal(other)
    assert learnt("films") == reviews()
    (Path("data/sources/imdb")).mkdir()
    Path("data/sources/imdb/source.yaml").write_bytes((ROOT / "data/sources/imdb/source.yaml").read_bytes())
    assert "comes with gatewise" in refusal(other, "--name", "imdb")
    assert "Received: 'my films'" in refusal(other, "--name", "my films")


def test_files_that_lie_in_the_project_already_are_not_copied(home: Path) -> None:
    folder = Path("data/sources/Mine")
    folder.mkdir()
    write_table(folder / "r.csv", reviews())
    add(folder)
    add(folder / "r.csv")
    assert sources() == ["Mine", "Mine.yaml"]
    assert learnt("Mine") == reviews()
    assert "Mine" in read_params().datasets


def test_a_clone_gets_the_files_that_it_lacks(home: Path) -> None:
    path = write_table(home / "films.csv", reviews(), delimiter=";")
    add(path)
    copy, source = Path("data/sources/films/films.csv"), Path("data/sources/films/source.yaml")
    copy.unlink()
    before = source.read_bytes()
    add(path)
    assert copy.read_bytes() == path.read_bytes()
    assert source.read_bytes() == before


@pytest.mark.parametrize("option", [["--delimiter", ";;"], ["--encoding", "ebcdic"], ["--quote", "''"]])
def test_an_option_that_is_not_allowed_is_named(home: Path, option: list[str]) -> None:
    told = refusal(write_table(home / "films.csv", reviews()), *option)
    assert option[0].removeprefix("--") in told
    assert option[1] in told


def test_few_bad_rows_are_set_aside_and_many_refused_by_the_users_name_of_the_file(home: Path) -> None:
    path = home / "films.csv"
    path.write_text("text,label\n" + "".join(f'"{text}",{label}\n' for text, label in reviews(100)) + "half a row\n")
    assert f"{path}, line 102: half a row" in add(path)
    assert stated("films")["bad_rows"] == "set_aside"
    few = home / "few.csv"
    few.write_text('text,label\n"It starts slowly",good\nbut it is a joy\nAwful,bad\n')
    told = refusal(few)
    assert f"{few}, line 3: but it is a joy" in told
    assert "--bad-rows set_aside" in told
    assert sources() == ["films", "films.yaml"]


def test_numbers_of_any_length_are_different_labels_and_what_is_not_seen_makes_none() -> None:
    labels = ["1234567890123456789", "1234567890123456790", "007", "7.0", "neg", "neg\u200b", "NEG ", "a\u00adb"]
    assert {frozenset(ways) for ways in alike(labels)} == {
        frozenset(["1234567890123456789"]), frozenset(["1234567890123456790"]), frozenset(["007", "7.0"]),
        frozenset(["neg", "neg\u200b", "NEG "]), frozenset(["a\u00adb"]),
    }  # fmt: skip


def workbook(path: Path, rows: Sequence[Sequence[str]], hidden: Sequence[int] = ()) -> Path:
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(row)
    for number in hidden:
        book.active.row_dimensions[number].hidden = True
    book.save(path)
    return path


def test_what_stands_above_a_table_is_named(home: Path) -> None:
    table = write_table(home / "films.csv", reviews())
    table.write_text("Our survey\n\n" + table.read_text(encoding="utf-8"), encoding="utf-8")
    told = refusal(table)
    assert f"{table} has lines above" in told
    assert "'Our survey'" in told
    assert "line 3: 'text,label'" in told
    sheet = workbook(home / "films.xlsx", [["Our survey"], ["text", "label"], *reviews()])
    assert f"{sheet}: the first row must be the names of the columns" in refusal(sheet)
    assert "more cells in row 2" in refusal(sheet)


TITLES = {
    "one field": "Umfrage\ntext;label\n",
    "a comma in the texts": "Umfrage\n\ntext;label\n",
    "as Excel exports it": "Umfrage;\ntext;label\n",
    "as many fields": "Umfrage;2024\ntext;label\n",
    "no number": "Umfrage;Herbst\ntext;label\n",
}


@pytest.mark.parametrize("head", TITLES.values(), ids=TITLES)
def test_the_line_is_named_in_which_a_table_begins(home: Path, head: str) -> None:
    path = home / "films.csv"
    path.write_text(head + "".join(f"{text};{label}\n" for text, label in reviews()), encoding="utf-8")
    told = refusal(path)
    line = head.count("\n")
    assert "Umfrage" in told
    assert f"line {line}" in told or "the rows below it have more" in told


def test_what_is_no_title_is_none(home: Path) -> None:
    rows = reviews()
    words = write_table(home / "words.csv", [("inhalt", "art"), ("a post", "question"), *rows], header=False)
    assert "61 texts with" in add(words, "--text", "inhalt", "--label", "art", "--dry-run")
    first = write_table(home / "first.csv", [("no label yet", ""), *rows], header=False)
    assert "say --header or --no-header" in refusal(first)
    assert "60 texts with a label" in add(first, "--no-header", "--dry-run")
    path = home / "films.csv"
    path.write_text("text,label\n" + "".join(f"{i},{t.replace(',', '')},{r}\n" for i, (t, r) in enumerate(rows)))
    assert "Remove what stands above" not in refusal(path)  # a name is missing, as R writes it
    path.write_text("text\n" + "".join(f"{text}\n" for text, _ in rows))
    assert "Remove what stands above" not in refusal(path)
    told = add(
        write_table(home / "letters.csv", [(f"BZh %PDF PAR1 {text}", label) for text, label in rows]), "--dry-run"
    )
    assert "60 texts" in told


def test_workbooks_that_are_not_read_stop_nothing(home: Path) -> None:
    folder = home / "films"
    folder.mkdir()
    workbook(folder / "films.xlsx", [["text", "label"], *reviews()])
    workbook(folder / "notes.xlsx", [["Notes"], ["who", "said", "what"]], hidden=[2])
    workbook(folder / "empty.xlsx", [])
    told = add(folder, "--dry-run")
    assert "60 texts with a label" in told
    assert "hides" not in told


def test_a_label_with_a_line_break_does_not_change_what_quotes_mean(home: Path) -> None:
    rows = [(text.replace(",", ""), label) for text, label in reviews(1000)]
    rows[::100] = [(f"{text}, they say", label) for text, label in rows[::100]]
    path = write_table(home / "films.csv", [*rows, ("a dull film", "bad\nold")])
    assert "'bad\\nold' (1, first in" in refusal(path)
    told = add(write_table(home / "films.csv", [*rows, ("a dull film, too", "Bad")]), "--dry-run")
    assert "1,001 texts with a label" in told
    assert "taken for the label 'bad': 'Bad' (1)" in told


def test_add_divides_in_the_order_of_a_run(home: Path) -> None:
    folder = home / "films"
    for label, number, different in (("ham", 6, 3), ("ham-hard", 5, 5)):
        (folder / label).mkdir(parents=True)
        for i in range(number):
            (folder / label / f"{i}.txt").write_text(f"ham film {i % different}", encoding="utf-8")
    told = add(folder)
    settings = read_params().datasets["films"]
    download(Path("data/sources/films"), Path("data/downloads"), None, Path("data/raw"))
    preprocess(Path("data/raw"), settings.test, settings.validation, 1, "word", 100, Path("data/processed"))
    assert "a run takes about" in told


@pytest.mark.parametrize(
    ("preset", "units"),
    [("tutorial", 64), ("strong", 128), (None, 512)],  # None: the network of params.yaml stays
)
def test_a_run_is_estimated_with_the_network_that_the_data_set_brings(preset: str | None, units: int) -> None:
    train = read_params().train.model_copy(update={"units": 512, "layers": 1})
    assert _brought(train, preset).units == units


def test_a_preset_that_is_not_there_is_told_after_all_that_was_seen(home: Path) -> None:
    film = [(f"film {i}", "good" if i % 2 else "bad") for i in range(40)]
    table = write_table(home / "films.csv", film)
    add(table)
    settings = Path("data/sources/films.yaml")
    settings.write_text(settings.read_text().replace("preset: default", "preset: stong"))
    told = add(table)
    assert "40 texts with a label" in told
    assert "before a run, mend this: presets.yaml has no preset 'stong'; did you mean strong?" in told


def conflicting() -> str:
    return "".join(
        [
            *(f"film {i},good,\n" for i in range(40)),
            *(f"film {i},bad,\n" for i in range(20)),
            *(f"new {i},bad,\n" for i in range(4)),
        ]
    )


def one_group() -> str:
    good = [f"film {i},{label},g{i}\n" for i in range(30) for label in ("good", "bad")]
    return "".join([*good, *(f"an odd one {i},odd,f99\n" for i in range(20))])


def linked() -> str:
    of_groups = [(f"film {i},{('good', 'bad')[i % 2]},g{i}\n", f"seen often {i % 4},good,g{i}\n") for i in range(24)]
    return "".join(row for rows in of_groups for row in rows)


@pytest.mark.parametrize(
    ("rows", "words"), [(conflicting(), []), (one_group(), ["--group", "film"]), (linked(), ["--group", "film"])]
)
def test_add_promises_a_run_just_where_one_will_come_through(home: Path, rows: str, words: list[str]) -> None:
    path = home / "films.csv"
    path.write_text("text,label,film\n" + rows, encoding="utf-8")
    told = add(path, *words)
    settings = read_params().datasets["films"]
    download(Path("data/sources/films"), Path("data/downloads"), None, Path("data/raw"))
    stopped = ""
    try:
        preprocess(Path("data/raw"), settings.test, settings.validation, 1, "word", 100, Path("data/processed"))
    except InputError as error:
        stopped = str(error)
    assert (f"a run will stop: {stopped}" if stopped else "a run takes about") in told


def test_rows_that_excel_hides_are_read_and_told(home: Path) -> None:
    sheet = workbook(home / "films.xlsx", [["text", "label"], *reviews()], hidden=[5, 6, 9])
    told = add(sheet, "--dry-run")
    assert "60 texts with a label" in told
    assert "hides 3 rows from view, the first of them row 5" in told


@pytest.mark.parametrize(("name", "begin", "form"), [
    ("a.csv", b"PK\x03\x04....", "a ZIP archive"),
    ("a.tsv", b"SQLite format 3\0...", "a SQLite database"),
    ("a.jsonl", b"PAR1....", "Parquet"),
])  # fmt: skip
def test_what_is_no_text_is_called_what_it_is(home: Path, name: str, begin: bytes, form: str) -> None:
    (home / name).write_bytes(begin + b"\xff" * 100)
    assert f"{home / name} is no text: it begins as what is {form}" in refusal(home / name)


def test_the_first_row_of_a_file_none_of_whose_rows_can_be_read_is_told(home: Path) -> None:
    path = home / "films.jsonl"
    path.write_text('["a film", "good"]\n["a bore", "bad"]\n', encoding="utf-8")
    told = refusal(path)
    assert 'line 1: ["a film", "good"]: no JSON object' in told
    table = write_table(home / "films.csv", [(f"{text} façade", label) for text, label in reviews()], "cp1252")
    assert f"{table}, line 2 is not in the encoding utf-8" in refusal(table, "--encoding", "utf-8")


def test_a_word_that_is_no_split_is_told_with_its_line(home: Path) -> None:
    path = home / "films.csv"
    rows = [f"{text},{label},{'holdout' if i > 40 else 'train'}\n" for i, (text, label) in enumerate(reviews())]
    path.write_text("text,label,part\n" + "".join(row.replace(", they say,", "") for row in rows), encoding="utf-8")
    assert f"{path}, line 43, 'holdout': " in refusal(path, "--split", "part")


def test_equal_texts_count_once_where_a_class_is_divided(home: Path) -> None:
    rows = [*reviews(), *[("the same words", "odd")] * 30, *[("other words", "odd")] * 30]
    told = add(write_table(home / "films.csv", rows), "--dry-run")
    assert "1 text labelled 'odd', of which equal ones count once" in told


def test_groups_that_are_too_few_are_told(home: Path) -> None:
    path = home / "films.csv"
    rows = [f"{text.replace(',', '')},{label},{i % 2}\n" for i, (text, label) in enumerate(reviews())]
    path.write_text("text,label,film\n" + "".join(rows), encoding="utf-8")
    assert "Received (once the test texts are taken away): 1 group" in add(path, "--group", "film", "--dry-run")


def test_a_label_with_control_characters_is_refused_unless_source_yaml_says_what_it_means(home: Path) -> None:
    rows = [(text, {"good": "go\x1b[31mod", "bad": "bad\t"}[label]) for text, label in reviews()]
    path = write_table(home / "films.csv", rows)
    told = refusal(path)
    assert f"'bad\\t' (36, first in {path}, line 4)" in told
    path = write_table(home / "films.csv", [(text, label.replace("go\x1b[31mod", "good")) for text, label in rows])
    assert "taken for the label 'bad': 'bad\\t' (36)" in add(path, "--dry-run")


def test_labels_written_in_several_ways_are_joined_and_said(home: Path) -> None:
    rows = [(text, f"{label.upper()} " if i % 20 == 0 else label) for i, (text, label) in enumerate(reviews())]
    told = add(write_table(home / "films.csv", rows))
    assert "taken for the label 'good': 'GOOD ' (3)" in told
    assert stated("films")["labels"] == {"bad": ["bad"], "good": ["GOOD ", "good"]}
    assert {label for _, label in learnt("films")} == {"good", "bad"}


def test_tables_without_the_columns_are_left_out_unless_they_are_named(home: Path) -> None:
    folder = home / "kaggle"
    folder.mkdir()
    train = write_table(folder / "train.csv", reviews())
    (folder / "sample_submission.csv").write_text("id,label\n1,good\n")
    assert "sample_submission.csv" in add(folder)
    assert learnt("kaggle") == reviews()
    assert "no column 'text'" in refusal(train, folder / "sample_submission.csv", "--name", "both")


def table(**columns: list[object]) -> pd.DataFrame:
    return pd.DataFrame(columns, dtype="object")


def test_columns_that_could_be_labels_too_are_named() -> None:
    table = pd.DataFrame({"text": [f"a long text {i}" for i in range(40)]})
    table["state"], table["part"] = ["new", "old"] * 20, [f"part {i % 7}" for i in range(40)]
    chosen = choose_label(table, ["text"])
    assert chosen.name == "state"
    assert "with more: 'part' (7). --label takes another" in chosen.why


def test_lists_and_objects_inside_of_json_are_named(home: Path) -> None:
    rows = [{"text": text, "label": {"name": label}} for text, label in reviews()]
    path = home / "films.json"
    path.write_text(json.dumps({"films": rows}), encoding="utf-8")
    assert "'films' in it is a list: save that alone" in refusal(path)
    path.write_text(json.dumps(rows), encoding="utf-8")
    told = refusal(path, "--label", "label")
    assert "write the field that you need of a list or an object into a column of its own" in told
    assert "--bad-rows" not in told  # which would leave none


def test_a_name_of_a_column_may_hold_half_a_character(home: Path) -> None:
    path = home / "films.json"
    path.write_text(
        json.dumps([{"text": text, "\ud800": 1, "label": label} for text, label in reviews()]), encoding="utf-8"
    )
    assert "60 texts with a label" in add(path, "--dry-run")


def test_rare_classes_are_named_before_a_run(home: Path) -> None:
    told = add(write_table(home / "films.csv", reviews(60) + [(f"so so, take {i}", "fair") for i in range(15)]))
    assert "the test split will have fewer than 5 texts of fair (15)" in told


def test_dates_and_times_are_no_labels() -> None:
    moments = ["2024-01-05 10:00", "2024-01-06", "5.1.2024", "10:30"]
    table = pd.DataFrame(
        {"when": moments * 9, "kind": [f"kind {i % 9}" for i in range(36)], "text": ["a long text"] * 36}
    )
    assert choose_label(table, ["text"]).name == "kind"


def test_columns_are_chosen_by_name_then_by_what_they_hold() -> None:
    texts: list[object] = [f"a film of {i} words" for i in range(20)]
    links: list[object] = [f"https://example.org/reviews/{i}/of/a/film" for i in range(20)]
    mixed = table(id=list(range(20)), url=links, reviewText=texts, stars=[1, 5] * 10, seen=[True, False] * 10)
    assert choose_text(mixed) == ("reviewText", "its name")
    assert choose_label(mixed, ["reviewText"]) == ("stars", "its name")
    plain = table(a=list(range(20)), b=texts, c=["x", "y", "z", "x"] * 5, d=["train", "test"] * 10)
    assert choose_text(plain).name == "b"
    assert choose_split(plain, ["b"]) == ("d", "its values are splits")
    assert choose_label(plain, ["b", "d"]).name == "c"
    with pytest.raises(InputError, match="did you mean reviewText"):
        choose_text(mixed, "reviewtext")
    with pytest.raises(InputError, match=r"a \(20 different values\)"):
        choose_label(plain[["a", "b"]], ["b"])


@pytest.mark.parametrize(
    ("paths", "name"),
    [
        (["/home/IMDB Dataset.csv.gz"], "imdb_dataset"),
        (["/home/spam/train.csv"], "spam"),
        (["/home/spam_train.csv", "/home/spam_test.csv"], "spam"),
        (["/home/kritik/pos.txt", "/home/kritik/neg.txt"], "kritik"),
        (["/影评/影评.csv"], "mydata"),
    ],
)
def test_the_name_follows_from_the_files(paths: list[str], name: str) -> None:
    assert name_of([Path(path) for path in paths]) == name
