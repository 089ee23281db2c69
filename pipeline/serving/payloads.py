"""Read the body of a request, in any of MLflow's forms, as one list of texts.

JSON, of which one of these four is expected, or CSV with the texts in the column `text`; other columns are passed over:

    {"dataframe_records": [{"text": "Superb."}, {"text": "A dull film."}]}
    {"dataframe_split": {"columns": ["text"], "data": [["Superb."], ["A dull film."]]}}
    {"instances": ["Superb.", "A dull film."]}           # or [{"text": "Superb."}, …], or {"text": ["Superb.", …]}
    {"inputs": ["Superb.", "A dull film."]}              # the same three

MLflow's own reader makes texts of what is none (`null` is "None"), drops blank lines of CSV, lays texts out in a block
as wide as the longest, and answers with its stack or with what it was sent; so it is not used.
"""

import csv
import io
import json
from email.message import Message
from typing import Any, NoReturn

LONGEST = 32 * 1024 * 1024  # bytes of a body; 10 MB of text as JSON fit, with every character that is not ASCII escaped
MOST_TEXTS = 100_000  # of a body
LONGEST_TEXT = 10_000_000  # characters: while a text is cut into tokens, in some seconds, all others wait

_FORMS = ("dataframe_records", "dataframe_split", "inputs", "instances")
_JSON_NAMES = {
    dict: "an object",
    list: "a list",
    int: "a number",
    float: "a number",
    bool: "a truth value",
    str: "text",
    type(None): "null",
}


class RefusedError(Exception):
    """A request that gets no answer.

    Attributes:
        status: of HTTP.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


def read_texts(body: bytes, content_type: str) -> list[str]:
    """Return the texts in the body of a request.

    Args:
        body: at most LONGEST bytes.
        content_type: the header, empty where there is none.

    Raises:
        RefusedError: it is no list of texts, or too long; the sentence says where and why, and quotes nothing.
    """
    header = Message()
    header["Content-Type"] = content_type
    if len(body) > LONGEST:
        raise RefusedError(413, f"the body must not be longer than {LONGEST:,} bytes; send the texts in several")
    if header.get_content_charset("utf-8") != "utf-8":
        raise RefusedError(415, "the body must be UTF-8")
    if content_type and header.get_content_type() == "application/json":
        texts = _of_json(body)
    elif content_type and header.get_content_type() == "text/csv":
        texts = _of_csv(body)
    else:
        raise RefusedError(415, "Content-Type must be application/json or text/csv")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            _refuse(f"the text in row {row} must be a string. Received: {_name(text)}")
        if len(text) > LONGEST_TEXT:
            raise RefusedError(413, f"the text in row {row} must not be longer than {LONGEST_TEXT:,} characters")
    if len(texts) > MOST_TEXTS:
        raise RefusedError(413, f"at most {MOST_TEXTS:,} texts go into one request. Received: {len(texts):,}")
    return texts


def _of_csv(body: bytes) -> list[Any]:
    """Read CSV by `predict`'s rules: nothing is missing, so that "", NA and an empty line are texts.

    Not with pandas, which takes gigabytes for a line of commas.
    """
    csv.field_size_limit(LONGEST)
    rows = csv.reader(io.StringIO(_decoded(body), newline=""), strict=True)
    try:
        header = next(rows, [])
        if header.count("text") != 1:
            _refuse(f"the CSV must have one column 'text'. Received: {header.count('text')}")
        place, texts = header.index("text"), []
        for row in rows:
            if len(row) > len(header):
                _refuse(f"line {rows.line_num} has more fields than the header; a text with a comma belongs in quotes")
            texts.append(row[place] if place < len(row) else "")
        return texts
    except csv.Error as error:
        _refuse(f"the body is no CSV: {error} in line {rows.line_num}")


def _of_json(body: bytes) -> list[Any]:
    try:
        content = json.loads(_decoded(body))
    except json.JSONDecodeError as error:
        _refuse(f"the body is no JSON: {error.msg} at character {error.pos}")
    except RecursionError:
        _refuse("the body is nested too deeply")
    except ValueError:  # of Python, which reads no numbers of more than 4,300 digits
        _refuse("the body has a number that is too long")
    forms = [form for form in _FORMS if isinstance(content, dict) and form in content]
    if len(forms) != 1:
        _refuse(f"the body must be a JSON object with one of {', '.join(_FORMS)}. Received: {_received(content)}")
    (form,) = forms
    if form == "dataframe_records":
        return _of_rows(form, content[form])
    if form == "dataframe_split":
        return _of_split(form, content[form])
    if isinstance(content[form], dict):
        texts = _text_of(content[form], form)
        return texts if isinstance(texts, list) else [texts]
    if isinstance(content[form], list) and any(isinstance(row, dict) for row in content[form]):
        return _of_rows(form, content[form])
    return _list(content[form], form)


def _decoded(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        _refuse("the body is not UTF-8")


def _of_rows(form: str, rows: Any) -> list[Any]:
    return [_text_of(row, f"row {number} of {form}") for number, row in enumerate(_list(rows, form))]


def _of_split(form: str, split: Any) -> list[Any]:
    if not isinstance(split, dict):
        _refuse(f"{form} must be an object with columns and data. Received: {_name(split)}")
    columns = _list(split.get("columns"), f"columns of {form}")
    if columns.count("text") != 1:
        _refuse(f"{form} must have one column 'text'. Received: {columns.count('text')}")
    rows = _list(split.get("data"), f"data of {form}")
    for number, row in enumerate(rows):
        if len(_list(row, f"row {number} of {form}")) != len(columns):
            _refuse(f"row {number} of {form} must have {len(columns)} values, one per column. Received: {len(row)}")
    return [row[columns.index("text")] for row in rows]


def _text_of(row: Any, where: str) -> Any:
    if not isinstance(row, dict):
        _refuse(f"{where} must be an object with a text. Received: {_name(row)}")
    if "text" not in row:
        _refuse(f"{where} has no 'text'")
    return row["text"]


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        _refuse(f"{where} must be a list. Received: {_name(value)}")
    return value


def _received(content: Any) -> str:
    if not isinstance(content, dict):
        return _name(content)
    forms = [form for form in _FORMS if form in content]
    return " and ".join(forms) or "none of them"


def _name(value: Any) -> str:
    """Name the kind of a value as JSON does. The value itself may be of any length."""
    return _JSON_NAMES[type(value)]


def _refuse(problem: str) -> NoReturn:
    raise RefusedError(400, problem) from None
