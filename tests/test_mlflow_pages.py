"""What a browser shows of the runs: MLflow's own pages, opened at the address that `make ui` prints."""

import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Project, clean_environment
from runs import MODELS
from selenium import webdriver
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from pipeline.comparison.titles import colour_of
from pipeline.trained.names import ModelName

BROWSER = (shutil.which("chromium") or shutil.which("google-chrome")) if shutil.which("chromedriver") else None
pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no chromium with its driver here")]

CHARTS = "return [...document.querySelectorAll('[data-testid=experiment-view-compare-runs-card]')]"
TITLES = f"{CHARTS}.map(card => card.innerText.split('\\n')[0])"
# The name of every run in the table, with the colour of its dot.
DOTS = """
return Object.fromEntries([...document.querySelectorAll('[data-testid=experiment-view-table-run-color]')].map(
    dot => [dot.parentElement.querySelector('a').innerText, dot.querySelector('input').value.toUpperCase()]))
"""
CURVES = f"{CHARTS}.map(card => [...card.querySelectorAll('.scatterlayer .lines path')].map(line => line.style.stroke))"
# From left to right: the page makes the cells in the order in which it learns of the columns.
HEADINGS = """
return [...document.querySelectorAll('.ag-header-cell-text, .ag-header-cell [data-testid^=sort-header]')]
    .map(cell => [cell.getBoundingClientRect().left, cell.innerText.trim()])
    .sort((one, other) => one[0] - other[0]).map(placed => placed[1])
"""


@pytest.fixture(scope="module")
def page(trained_project: Project) -> Iterator[str]:
    """The address that `make ui` prints as soon as it answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        ["python", "-m", "pipeline", "ui", "--port", str(port)], cwd=trained_project.root, env=clean_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    yield next(line for line in process.stdout if line.startswith("MLflow UI")).split()[-1]  # MLflow has lines, too
    os.killpg(process.pid, signal.SIGTERM)
    process.wait()


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[WebDriver]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(BROWSER)
    for option in (
        *("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1900,1200"),
        f"--user-data-dir={tmp_path}",
    ):
        options.add_argument(option)
    driver = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    yield driver
    driver.quit()


def shown(browser: WebDriver, script: str) -> Any:
    """What a script returns, once it returns something that has content."""
    return WebDriverWait(browser, 60).until(lambda driver: driver.execute_script(script))


def test_the_first_page_shows_the_curves_and_the_test_accuracy_in_the_models_colours(
    page: str, browser: WebDriver
) -> None:
    browser.get(page)
    WebDriverWait(browser, 60).until(lambda driver: len(driver.execute_script(TITLES)) == 4)
    assert browser.execute_script(TITLES) == [
        "by_epoch/validation/loss", "test/accuracy", "by_epoch/validation/accuracy", "test/log_loss",
    ]  # fmt: skip
    dots = shown(browser, DOTS)
    assert {name: dots[name] for name in MODELS} == {
        name: colour_of(ModelName.parse(name).kind).upper() for name in MODELS
    }
    WebDriverWait(browser, 60).until(lambda driver: len(driver.execute_script(CURVES)[0]) == 2 * 4)
    lines = browser.execute_script(CURVES)[0]
    drawn = {"#" + "".join(f"{int(part):02X}" for part in re.findall(r"\d+", line)) for line in lines}
    assert drawn == {colour_of("lstm").upper(), colour_of("gru").upper()}


@pytest.mark.parametrize(
    ("view", "expected"),
    [
        ("lstm-against-gru", ["model", "seed", "test/accuracy", "validation/accuracy", "test/log_loss"]),
        ("all-seeds", ["model", "seed", "test/accuracy", "validation/accuracy", "test/log_loss"]),
        ("what-differs", ["model", "seed", "test/accuracy", "validation/accuracy"]),
    ],
)
def test_every_view_has_its_columns(page: str, browser: WebDriver, view: str, expected: list[str]) -> None:
    address = re.sub("&.*", f"&viewStateShareKey={view}", page)
    browser.get(address)
    WebDriverWait(browser, 60).until(lambda driver: expected[-1] in driver.execute_script(HEADINGS))
    headings = browser.execute_script(HEADINGS)
    assert [name for name in headings if name in expected] == expected


def test_the_page_for_agents_leads_to_the_runs(page: str, browser: WebDriver) -> None:
    """Where a click on the experiment in MLflow's list ends."""
    top, _, rest = page.partition("#")
    experiment = rest.split("/")[2]
    browser.get(f"{top}#/experiments/{experiment}/overview/usage?workflowType=genai")
    link = "return [...document.querySelectorAll('a')].filter(a => a.innerText.startsWith('LSTM against GRU'))"
    (found,) = shown(browser, link)
    assert found.get_attribute("href") == page
