"""The page: escaped, self-contained, the text whole, and the numbers right."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.image import imread
from samples import readings

from pipeline.explaining.gatepage import page

NASTY = "Not <script>alert(\"x\")</script> good & 'all'\n zzyx"


class Reader(HTMLParser):
    """Collects tags, attributes and the text of every paragraph of class `text`; fails on tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, *attribute) for attribute in attrs]
        if tag == "p" and ("class", "text") in attrs:
            self.texts.append("")
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, *attribute) for attribute in attrs]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "p" in self.open and self.texts and "details" not in self.open:
            self.texts[-1] += data


def read_page(
    text: str, classes: int = 2, label: str = "fresh", settings: dict[str, object] | None = None
) -> tuple[str, Reader]:
    words, read = readings(text, classes=classes, settings=settings)
    content = page(words, read, label, classes - 1, "films: inside the gates", ["a note & more"])
    reader = Reader()
    reader.feed(content)
    assert reader.open == []
    return content, reader


@pytest.mark.parametrize(
    "settings", [{}, {"max_tokens": 3}, {"max_tokens": 3, "keep": "head"}, {"max_tokens": 5, "keep": "head+tail"}]
)
def test_the_text_stands_there_whole_and_escaped(settings: dict[str, object]) -> None:
    content, reader = read_page(NASTY, settings=settings)
    assert reader.texts[:3] == [NASTY] * 3
    assert "<script" not in content
    assert ('class="unread"' in content) == bool(settings)
    assert "a note &amp; more" in content


@pytest.mark.parametrize("keep", ["head", "tail", "head+tail"])
def test_of_what_is_not_read_only_the_part_beside_it_is_shown(keep: str) -> None:
    text = "good " + "dull " * 500 + "all"
    _, reader = read_page(text, settings={"max_tokens": 5, "keep": keep})
    assert len(reader.texts[0]) < 300
    assert reader.texts[0].startswith("…" if keep == "tail" else "good")
    assert reader.texts[0].endswith("…" if keep == "head" else "all")
    assert reader.texts[0].count("…") == 1


def test_nothing_is_loaded_from_elsewhere() -> None:
    content, reader = read_page("not good at all")
    loads = [value or "" for _, name, value in reader.attributes if name in ("src", "href")]
    assert loads
    assert all(value.startswith("data:image/png;base64,") for value in loads)
    assert "http" not in content
    assert "url(" not in content


def test_a_heat_map_has_one_pixel_per_unit_and_token() -> None:
    content, _ = read_page("not good at all", label="<fresh>")
    pictures = re.findall(r'alt="([a-z ]+)"[^>]*src="data:image/png;base64,([^"]+)"', content)
    assert [name for name, _ in pictures] == [
        *("input gate", "forget gate", "output gate", "candidate", "cell state", "state"),
        *("update gate", "reset gate", "candidate", "state"),
    ]
    for _, encoded in pictures:
        assert imread(io.BytesIO(base64.b64decode(encoded))).shape == (16, 4, 4)
    assert "<fresh>" not in content


@pytest.mark.parametrize("text", ["\u03b6eta isn't 12 good", "not zzyx at all"])
def test_sub_words_repeat_no_letter(text: str) -> None:
    words, read = readings(text, kind="bpe")
    reader = Reader()
    reader.feed(page(words, read, "fresh", 1, "films", []))
    assert reader.texts[:2] == [text] * 2


def test_every_pass_is_a_group_of_rows_with_the_numbers_of_its_units() -> None:
    words, read = readings("not good", layers=2, bidirectional=True)
    content = page(words, read, "fresh", 1, "films", [])
    for title in ("layer 1", "layer 1 backward", "layer 2", "layer 2 backward"):
        assert content.count(f"<b>{title}</b>") == 2
        units = ", ".join(map(str, read[1].rankings[title][:16]))
        assert f"units, from the top: {units}" in content
    assert content.count('alt="update gate"') == 4
    assert 'alt="from -1 to 1"' in content


@pytest.mark.parametrize("classes", [2, 3])
def test_the_numbers_are_those_of_the_readings(classes: int) -> None:
    _, (lstm, gru) = readings("not good at all", classes=classes)
    content, _ = read_page("not good at all", classes)
    for reading in (lstm, gru):
        p = reading.probabilities[-1, classes - 1]
        assert f"p(fresh) = {p:.2f}" in content
        assert f"<td>all</td><td>{p:.3f}</td><td>{reading.occlusion[-1]:+.3f}</td>" in content
    heights = [float(height) for height in re.findall(r'height="([0-9.]+)" fill', content)]
    assert len(heights) == 8
    assert max(heights) <= 28
    assert np.ptp(heights) > 0
