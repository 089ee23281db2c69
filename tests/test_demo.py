"""The page: what it shows, what it escapes, and whom it answers. Real servers, and a browser where there is one."""

import html
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pytest
import uvicorn
from conftest import Project, clean_environment
from selenium import webdriver
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.core.command import InputError
from pipeline.serving.selection import open_trained
from pipeline.tools.demo import LONGEST, Entry, best_of_each, make_app
from pipeline.tracking.paths import MODELS

NAMES = ["lstm-1", "lstm-2", "gru-1", "gru-2", "baseline"]
BROWSER = (shutil.which("chromium") or shutil.which("google-chrome")) if shutil.which("chromedriver") else None


class Parrot:
    """Answers with what it was given, so that the page shows it."""

    def predict(self, texts: Sequence[str]) -> pd.DataFrame:
        return pd.DataFrame({"label": [f"<i>{texts[0][-20:]}"], "p_<i>bad": [0.25], "p_good": [0.75]})

    def knows(self, texts: Sequence[str]) -> None:
        return None


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    entries = [Entry(f"{kind}-1", kind, kind.upper(), 0.8, Parrot()) for kind in ("lstm", "gru", "baseline")]
    app = make_app("tiny", entries, ["127.0.0.1"])
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


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


def test_a_text_that_is_too_long_is_refused_on_the_page_itself(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Characters count, and not the nine bytes that a Chinese one takes in a request."""
    monkeypatch.setattr("pipeline.tools.demo.LONGEST", 1000)
    assert page(address, "影" * 1000).count("<article") == 3
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(address, "影" * 1001)
    assert refused.value.code == 413
    content = refused.value.read().decode()
    assert "This text is too long: at most 1,000 characters" in content
    assert '<label for="text">' in content


def test_a_request_larger_than_any_text_is_refused_on_the_page_itself(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.tools.demo.LONGEST", 1_000_000)
    with pytest.raises(urllib.error.HTTPError) as refused:
        page(address, "x" * 13_000_000)
    assert refused.value.code == 413
    assert "This text is too long: at most 1,000,000 characters" in refused.value.read().decode()
    assert "hello" in page(address, "hello")


def test_the_longest_text_gets_an_answer(address: str) -> None:
    assert page(address, "x" * LONGEST).count("<article") == 3


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"text=a&text=b", "application/x-www-form-urlencoded", 400),
        ("text=ü".encode(), "application/x-www-form-urlencoded", 400),
        (b"--x", "multipart/form-data; boundary=x", 415),
    ],
)
def test_what_is_no_form_of_the_page_is_refused(address: str, body: bytes, kind: str, status: int) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(address, body, {"Content-Type": kind}), timeout=30)
    assert refused.value.code == status
    assert "default-src 'none'" in refused.value.headers["Content-Security-Policy"]


@pytest.fixture(scope="module")
def demo(trained_project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of what `make demo` starts, with the models of the trained project."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    log = tmp_path_factory.mktemp("demo") / "log"
    with log.open("wb") as file:
        command = [sys.executable, "-m", "pipeline.tools.demo", "--port", port]
        process = subprocess.Popen(command, cwd=trained_project.root, env=clean_environment(), stdout=file, stderr=file)
    deadline = time.monotonic() + 120
    while f"demo: http://127.0.0.1:{port}" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(log.read_text())
        time.sleep(0.1)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    """Debian's packages chromium and chromium-driver; without the second, selenium looks for a driver itself."""
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", f"--user-data-dir={tmp_path}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="no chromium with its driver here")
def test_who_types_a_review_and_clicks_reads_the_answers_of_all_three(
    demo: str, browser: WebDriver, trained_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "The acting is wooden, and I hated <b>every</b> minute."
    browser.get(demo)
    browser.switch_to.active_element.send_keys(text)
    browser.find_element(By.XPATH, "//button[text()='Classify']").click()
    cards = WebDriverWait(browser, 60).until(lambda page: page.find_elements(By.TAG_NAME, "article"))
    shown = [card.text.splitlines() for card in cards]
    monkeypatch.chdir(trained_project.root)
    expected = []
    for title, trained in zip(("LSTM", "GRU", "N-gram baseline"), best_of_each(MODELS, "tiny", NAMES), strict=True):
        answer = open_trained(trained).predict([text]).iloc[0]
        chances = [f"{100 * answer[f'p_{label}']:.1f} %" for label in ("negative", "positive")]
        score = f"{trained.name}, {100 * trained.card['validation']['accuracy']:.1f} % right on validation"
        expected.append([title, score, answer["label"], "negative", chances[0], "positive", chances[1]])
    assert shown == expected
    assert browser.find_element(By.ID, "text").get_attribute("value") == text
    widths = [bar.size["width"] for bar in browser.find_elements(By.CSS_SELECTOR, ".bar i")]
    assert (widths[0] > widths[1]) == (expected[0][2] == "negative")
    logged = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert logged == []  # nothing that the page's own security policy forbids


def test_the_page_takes_the_best_of_each_kind_that_is_asked_for(trained_project: Project) -> None:
    models = trained_project.root / "data/models"
    for names in (["gru-2", "rnn-1", "lstm-1", "baseline"], ["gru-1", "lstm-2"]):
        assert [one.name for one in best_of_each(models, "tiny", names)] == [n for n in names if n != "rnn-1"]
    assert {one.model for one in best_of_each(models, "tiny", NAMES)} == {"lstm", "gru", "baseline"}
    for dataset, names in (("other", NAMES), ("tiny", ["gru-7"])):
        with pytest.raises(InputError, match=f"holds no trained model of {dataset} that params.yaml names"):
            best_of_each(models, dataset, names)
