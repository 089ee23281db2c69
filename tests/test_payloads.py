"""Bodies of requests: every form gives the same texts, and what is no list of texts a sentence that quotes nothing."""

import json
from typing import Any

import pytest

from pipeline.serving.payloads import LONGEST, MOST_TEXTS, RefusedError, read_texts

JSON, CSV = "application/json", "text/csv"
TEXTS = ["Superb.", "", " \n", "NA", "None", 'a "quoted, part"', "<b>电影</b> 😀\0\r\nx"]


def as_csv(texts: list[str]) -> str:
    quoted = ['"{}"'.format(text.replace('"', '""')) for text in texts]
    return "\n".join(["id,text", *(f"7,{text}" for text in quoted)])


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_records": [{"id": 1, "text": text} for text in TEXTS]},
        {"dataframe_split": {"columns": ["id", "text"], "data": [[1, text] for text in TEXTS], "index": [3]}},
        *(
            {form: texts}
            for form in ("inputs", "instances")
            for texts in (TEXTS, [{"text": text} for text in TEXTS], {"text": TEXTS})
        ),
    ],
    ids=lambda content: next(f"{form} {type(content[form]).__name__}" for form in content),
)
def test_all_forms_of_json_are_the_same_texts(content: dict[str, Any]) -> None:
    for ascii_only in (True, False):
        body = json.dumps(content, ensure_ascii=ascii_only).encode()
        assert read_texts(body, JSON) == read_texts(body, "Application/JSON; charset=UTF-8") == TEXTS


def test_csv_is_the_same_texts_and_drops_none() -> None:
    assert read_texts(as_csv(TEXTS).encode(), CSV) == TEXTS
    assert read_texts("\ufefftext\r\nx\r\n\r\n   \r\nNA\r\n".encode(), "text/csv; charset=utf-8") == [
        "x",
        "",
        "   ",
        "NA",
    ]
    assert read_texts(b"id,text\n1\n\n2,b", CSV) == ["", "", "b"]
    assert read_texts(b"text\n", CSV) == []


def test_one_text_without_a_list_and_no_text_at_all() -> None:
    assert read_texts(b'{"inputs": {"text": "x"}}', JSON) == ["x"]
    for none in (
        b'{"inputs": []}',
        b'{"dataframe_records": []}',
        b'{"dataframe_split": {"columns": ["text"], "data": []}}',
    ):
        assert read_texts(none, JSON) == []


def test_half_an_emoji_comes_through() -> None:
    """The models answer it, as they do in Python and on the command line."""
    assert read_texts(b'{"inputs": ["\\ud83d"]}', JSON) == ["\ud83d"]


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ('{"inputs": [null]}', "the text in row 0 must be a string. Received: null"),
        ('{"inputs": [1, 2]}', "the text in row 0 must be a string. Received: a number"),
        ('{"inputs": ["x", true]}', "the text in row 1 must be a string. Received: a truth value"),
        ('{"inputs": [1.5]}', "the text in row 0 must be a string. Received: a number"),
        ('{"inputs": ["x", NaN]}', "the text in row 1 must be a string. Received: a number"),
        ('{"inputs": [["x"]]}', "the text in row 0 must be a string. Received: a list"),
        ('{"inputs": "x"}', "inputs must be a list. Received: text"),
        ('{"inputs": {"text": null}}', "the text in row 0 must be a string. Received: null"),
        ('{"inputs": {"review": ["x"]}}', "inputs has no 'text'"),
        ('{"instances": [{"text": null}]}', "the text in row 0 must be a string. Received: null"),
        ('{"instances": [{"text": "x"}, {"review": "x"}]}', "row 1 of instances has no 'text'"),
        ('{"instances": [{"text": "x"}, "x"]}', "row 1 of instances must be an object with a text. Received: text"),
        ('{"dataframe_records": "x"}', "dataframe_records must be a list. Received: text"),
        ('{"dataframe_records": [{"text": {}}]}', "the text in row 0 must be a string. Received: an object"),
        ('{"dataframe_split": []}', "dataframe_split must be an object with columns and data. Received: a list"),
        ('{"dataframe_split": {"data": [["x"]]}}', "columns of dataframe_split must be a list. Received: null"),
        ('{"dataframe_split": {"columns": ["a"], "data": []}}', "must have one column 'text'. Received: 0"),
        ('{"dataframe_split": {"columns": ["text", "text"], "data": []}}', "must have one column 'text'. Received: 2"),
        (
            '{"dataframe_split": {"columns": ["text"], "data": [["x"], []]}}',
            "row 1 of dataframe_split must have 1 values, one per column. Received: 0",
        ),
        ('{"dataframe_split": {"columns": ["text"], "data": ["x"]}}', "row 0 of dataframe_split must be a list."),
        ('["x"]', "must be a JSON object with one of dataframe_records, dataframe_split, inputs, instances. Received:"),
        ('{"text": "x"}', "Received: none of them"),
        ('{"inputs": ["x"], "instances": ["x"]}', "Received: inputs and instances"),
        ('{"inputs": ["x', "the body is no JSON: Unterminated string starting at at character 12"),
        ("", "the body is no JSON: Expecting value at character 0"),
        ("[" * 100_000, "the body is nested too deeply"),
        (f'{{"inputs": [{"1" * 5000}]}}', "the body has a number that is too long"),
        (b'{"inputs": ["\xff"]}', "the body is not UTF-8"),
    ],
    ids=range(28),
)
def test_json_that_is_no_list_of_texts_is_refused(body: str | bytes, problem: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_texts(body if isinstance(body, bytes) else body.encode(), JSON)
    assert problem in str(caught.value)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "the CSV must have one column 'text'. Received: 0"),
        (b"review\nx\n", "the CSV must have one column 'text'. Received: 0"),
        (b"text,text\nx,y\n", "the CSV must have one column 'text'. Received: 2"),
        (b"text\nx\na, b\n", "line 3 has more fields than the header; a text with a comma belongs in quotes"),
        (b'text\n"x\n', "the body is no CSV: unexpected end of data in line 2"),
        (b"text\n\xff\n", "the body is not UTF-8"),
        (b"," * 10_000_000, "the CSV must have one column 'text'. Received: 0"),
    ],
    ids=range(7),
)
def test_csv_that_is_no_list_of_texts_is_refused(body: bytes, problem: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_texts(body, CSV)
    assert (caught.value.status, str(caught.value)) == (400, problem)


@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "json", "text/csv; charset=x"])
def test_other_contents_are_refused(kind: str) -> None:
    with pytest.raises(RefusedError) as caught:
        read_texts(b'{"inputs": ["x"]}', kind)
    assert caught.value.status == 415


def test_what_is_too_long_is_refused() -> None:
    for body in (b'{"inputs": ["' + b"x" * LONGEST + b'"]}', json.dumps({"inputs": [""] * (MOST_TEXTS + 1)}).encode()):
        with pytest.raises(RefusedError) as caught:
            read_texts(body, JSON)
        assert caught.value.status == 413
    assert len(read_texts(json.dumps({"inputs": ["电影" * 1_600_000]}).encode(), JSON)[0]) == 3_200_000


def test_a_problem_never_quotes_what_was_sent() -> None:
    secret = "correct horse battery staple " * 1000
    for body in (
        secret,
        f'{{"inputs": ["{secret}"',
        f'{{"{secret}": 1}}',
        f'{{"inputs": [{{"{secret}": 1}}]}}',
        f'{{"inputs": [["{secret}"]]}}',
    ):
        with pytest.raises(RefusedError) as caught:
            read_texts(body.encode(), JSON)
        assert "horse" not in str(caught.value)
        assert len(str(caught.value)) < 200
