"""The page: what it shows, what it escapes, and whom it answers. One real server, and a browser where there is one."""

import html
import shutil
import subprocess
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
from conftest import Project
from werkzeug.serving import make_server

from pipeline.parts.command import InputError
from pipeline.tools.demo import LONGEST, Entry, best_of_each, make_app

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


class Parrot:
    """Answers with what it was given, so that the page shows it."""

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame({"label": [f"<i>{texts[0][-20:]}"], "p_<i>bad": [0.25], "p_good": [0.75]})


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    entries = [Entry(f"{kind}-1", kind, kind.upper(), 0.8, Parrot()) for kind in ("lstm", "gru", "baseline")]
    server = make_server("127.0.0.1", 0, make_app("tiny", entries, ["127.0.0.1"]), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def page(address: str, text: str | None = None, headers: dict[str, str] | None = None) -> str:
    data = None if text is None else urllib.parse.urlencode({"text": text}).encode()
    with urllib.request.urlopen(urllib.request.Request(address, data, headers or {}), timeout=30) as response:
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        content: str = response.read().decode()
    return content


def test_the_page_starts_without_answers(address: str) -> None:
    content = page(address)
    assert '<label for="text">' in content
    assert "<article" not in content
    assert "http" not in content.replace("http-equiv", "")  # nothing from elsewhere


def test_every_model_answers_side_by_side(address: str) -> None:
    content = page(address, "hello")
    assert content.count("<article") == 3
    assert [content.index(kind) for kind in ("LSTM", "GRU", "BASELINE")] == sorted(
        content.index(kind) for kind in ("LSTM", "GRU", "BASELINE")
    )
    assert "75.0 %" in content
    assert "80.0 % right on validation" in content


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "</textarea><b>", '" onfocus="x', "{{ 7 * 7 }}", "\n\nlines", "", "\0 😀 这"]
)
def test_what_is_typed_is_shown_as_text(address: str, text: str) -> None:
    content = page(address, text)
    shown = content.partition("autofocus>\n")[2].partition("</textarea>")[0]
    assert html.unescape(shown).replace("\r", "") == text
    assert "<script" not in content
    assert "<i>bad" not in content


def test_another_name_for_this_machine_is_refused(address: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(address, headers={"Host": "evil.example"})
    assert refused.value.code == 400


def test_a_text_that_is_too_long_is_refused(address: str) -> None:
    with pytest.raises((urllib.error.HTTPError, ConnectionError, urllib.error.URLError)) as refused:
        page(address, "x" * (LONGEST + 1))
    assert getattr(refused.value, "code", 413) == 413
    assert "hello" in page(address, "hello")


@pytest.mark.skipif(BROWSER is None, reason="no browser here")
def test_a_browser_shows_the_answers(address: str, tmp_path: Path) -> None:
    (tmp_path / "send.html").write_text(
        f'<form id="f" method="post" action="{address}/"><input name="text" value="typed &lt;u&gt;"></form>'
        "<script>f.submit()</script>"
    )
    command = [str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}"]
    result = subprocess.run(
        [*command, "--virtual-time-budget=5000", "--dump-dom", (tmp_path / "send.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert result.stdout.count("<article") == 3
    assert "typed &lt;u&gt;" in result.stdout


def test_the_page_takes_the_best_of_each_kind(trained_project: Project) -> None:
    best = best_of_each(trained_project.root / "data/models", "tiny")
    assert [one.model for one in best] == ["lstm", "gru", "baseline"]
    with pytest.raises(InputError, match="holds no trained model of other"):
        best_of_each(trained_project.root / "data/models", "other")
