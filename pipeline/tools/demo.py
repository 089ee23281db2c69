"""A page to try the models: type a text, and LSTM, GRU and baseline answer side by side.

The models are those on disk, of each kind the best on validation. The page needs no JavaScript and nothing from
elsewhere; what is typed is escaped, and goes no further than this machine unless --host says otherwise.
"""

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from flask import Flask, Response, render_template, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.serving import make_server

from pipeline.core.command import InputError, run
from pipeline.core.params import read_params
from pipeline.packaging.modelcard import kind
from pipeline.serving.ports import check_port
from pipeline.serving.selection import MODELS, TextModel, open_trained, ranked
from pipeline.tools.arguments import Tool, where
from pipeline.trained.trained import Trained

LONGEST = 10_000_000  # characters of a text
_LARGEST = 4 * LONGEST + 1000  # bytes of a request, in which a character has up to four
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ORDER = ("lstm", "gru", "baseline")
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Entry:
    """A model on the page.

    Attributes:
        name: such as `gru-2`.
        kind: `lstm`, `gru` or `baseline`, which has its own colour.
        title: what people call it.
        accuracy: on validation.
        model: answers.
    """

    name: str
    kind: str
    title: str
    accuracy: float
    model: TextModel


def best_of_each(models: Path, dataset: str) -> list[Trained]:
    """Of every kind of model, the best on validation: LSTM, GRU, baseline.

    Raises:
        InputError: there is none at all.
    """
    best: dict[str, Trained] = {}
    for trained in ranked(models, dataset):
        best.setdefault(trained.model, trained)
    if not best:
        raise InputError(f"{models} holds no trained model of {dataset}; train with: make repro DATASET={dataset}")
    return [best[kind] for kind in _ORDER if kind in best]


def make_app(dataset: str, entries: list[Entry], hosts: list[str] | None) -> Flask:
    """The page as a WSGI application.

    Args:
        dataset: named on the page.
        entries: the models.
        hosts: names by which a browser may ask for the page (another site could give itself our address); None for
            any.
    """
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=_LARGEST, MAX_FORM_MEMORY_SIZE=_LARGEST, TRUSTED_HOSTS=hosts)
    one_at_a_time = threading.Lock()  # a prediction uses all cores as it is

    def show(**content: Any) -> str:
        return render_template("demo.html", dataset=dataset, entries=entries, **content)

    @app.route("/", methods=["GET", "POST"])
    def page() -> str:
        text = request.form.get("text", "")
        if len(text) > LONGEST:
            raise RequestEntityTooLarge
        answers = []
        if request.method == "POST":
            with one_at_a_time:
                answers = [(entry, entry.model.predict([text]).iloc[0].to_dict()) for entry in entries]
        return show(text=text, answers=answers)

    @app.errorhandler(RequestEntityTooLarge)
    def refuse(_: RequestEntityTooLarge) -> tuple[str, int]:
        return show(problem=f"This text is too long: {LONGEST:,} characters are the most."), 413

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    return app


@click.command(cls=Tool)
@where(5002)
def main(port: int, host: str) -> None:
    """Open a page where LSTM, GRU and baseline answer side by side.

    The best model of each kind on disk answers. What you type stays on this machine, unless --host lets others in.

    \b
    Examples:
      gatewise demo              # http://127.0.0.1:5002
      gatewise demo --port 8080
    """
    check_port(host, port)
    dataset = read_params().dataset
    entries = []
    for trained in best_of_each(MODELS, dataset):
        accuracy = trained.card["validation"]["accuracy"]
        entries.append(Entry(trained.name, trained.model, kind(trained), accuracy, open_trained(trained)))
        entries[-1].model.predict([""])  # the first answer of a network takes a second
    app = make_app(dataset, entries, ["localhost", "127.0.0.1", "[::1]"] if host in LOOPBACK else None)
    server = make_server(host, port, app, threaded=True)
    print(f"demo: http://{host}:{port} (stop it with Ctrl-C)", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    run(main)
