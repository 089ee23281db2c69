"""A page to try the models: type a text, and all of them answer side by side.

The models are those that params.yaml names, of each kind the best on validation. The page needs no JavaScript and
nothing from elsewhere; what is typed is escaped, and goes no further than this machine unless --host says otherwise.
"""

import asyncio
from collections.abc import Collection, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import click
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline import cells
from pipeline.core.command import InputError, run, waiting
from pipeline.core.params import Metric, read_params
from pipeline.packaging.modelcard import kind
from pipeline.serving.listening import listen
from pipeline.serving.ports import address, check_port, trusted_hosts
from pipeline.serving.selection import TextModel, open_trained, ranked
from pipeline.tools.arguments import Tool, where
from pipeline.tracking.paths import MODELS
from pipeline.trained.names import kind_of
from pipeline.trained.trained import BASELINE, Trained

LONGEST = 10_000_000  # characters of a text
_BYTES = 12  # at the most, of a character in a form: four in UTF-8, each as %XX
_FORM = "application/x-www-form-urlencoded"
_BASELINE_COLOUR = "#777777"  # to be seen on white and on black
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_templates = Jinja2Templates(Path(__file__).with_name("templates"))


@dataclass(frozen=True)
class Entry:
    """A model on the page.

    Attributes:
        name: such as `gru-2`.
        kind: `baseline`, or a cell such as `lstm`.
        title: what people call it.
        accuracy: on validation.
        model: answers.
    """

    name: str
    kind: str
    title: str
    accuracy: float
    model: TextModel

    @property
    def colour(self) -> str:
        """Give the colour (`#rrggbb`) that the model has in all pictures."""
        return _BASELINE_COLOUR if self.kind == BASELINE else cells.find(self.kind).colour


def best_of_each(models: Path, dataset: str, names: Collection[str], metric: Metric = "accuracy") -> list[Trained]:
    """Choose the best model of every kind on validation, in the order of the names.

    Args:
        models: the folder with a folder per trained model.
        dataset: the data set that they are of.
        names: of the models that count, such as lstm-1.
        metric: what the best one is best in.

    Raises:
        InputError: there is none at all.
    """
    best: dict[str, Trained] = {}
    for trained in ranked(models, dataset, metric, names):
        best.setdefault(trained.model, trained)
    if not best:
        raise InputError(
            f"{models} holds no trained model of {dataset} that params.yaml names;"
            f" train with: make repro DATASET={dataset}"
        )
    return [best[kind] for kind in dict.fromkeys(map(kind_of, names)) if kind in best]


def make_app(dataset: str, entries: list[Entry], hosts: list[str]) -> Starlette:
    """Make the page as an ASGI application.

    Args:
        dataset: named on the page.
        entries: the models.
        hosts: names by which a browser may ask for the page (another site could give itself our address); `*` is any.
    """
    one_at_a_time = ThreadPoolExecutor(1)  # a prediction uses all cores as it is

    def show(request: Request, status: int = 200, **content: Any) -> Response:
        everything = {"dataset": dataset, "entries": entries, **content}
        return _templates.TemplateResponse(request, "demo.html", everything, status)

    def answers_to(text: str) -> list[tuple[Entry, dict[Hashable, Any]]]:
        return [(entry, entry.model.predict([text]).iloc[0].to_dict()) for entry in entries]

    async def page(request: Request) -> Response:
        if request.method != "POST":
            return show(request)
        text = await _text(request)
        if text is None or len(text) > LONGEST:
            problem = f"This text is too long: at most {LONGEST:,} characters are allowed."
            return show(request, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, problem=problem)
        answers = await asyncio.get_running_loop().run_in_executor(one_at_a_time, answers_to, text)
        return show(request, text=text, answers=answers)

    return Starlette(
        routes=[Route("/", page, methods=["GET", "POST"])],
        middleware=[
            Middleware(_WithHeaders),
            Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False),
        ],
        exception_handlers={ClientDisconnect: _gone},
    )


async def _text(request: Request) -> str | None:
    """Read the text that a form sends; None if it is longer than any text may be.

    The rest of such a request is read and dropped: a browser that is cut off while it sends shows no page.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {_FORM}")
    body, most = bytearray(), _BYTES * LONGEST + len("text=")
    async for chunk in request.stream():
        if len(body) <= most:
            body += chunk
    if len(body) > most:
        return None
    try:
        fields = parse_qs(body.decode("ascii"), keep_blank_values=True, max_num_fields=1)
    except ValueError:  # UnicodeDecodeError is one
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the form must have one field: text") from None
    return fields.get("text", [""])[0]


async def _gone(_: Request, __: Exception) -> Response:
    return Response(status_code=HTTPStatus.BAD_REQUEST)  # which nobody reads


class _WithHeaders:
    """Add the headers that forbid the browser everything that the page does not need."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        await self._app(scope, receive, send_protected)


def entries_of(trained: Sequence[Trained]) -> list[Entry]:
    """Open models for the page."""
    entries = []
    for one in trained:
        entries.append(Entry(one.name, one.model, kind(one), one.card["validation"]["accuracy"], open_trained(one)))
        entries[-1].model.predict([""])  # the first answer of a network takes a second
    return entries


@click.command(cls=Tool)
@where(5002)
def main(port: int, host: str) -> None:
    """Open a page where all models answer side by side.

    The best model of each kind answers, of those that params.yaml names. What you type stays on this machine, unless
    --host lets others in.

    \b
    Examples:
      gatewise demo              # http://127.0.0.1:5002
      gatewise demo --port 8080
    """
    check_port(host, port)
    params = read_params()
    with waiting("open the models"):
        entries = entries_of(best_of_each(MODELS, params.dataset, [*params.networks, BASELINE], params.metric))
    app = make_app(params.dataset, entries, trusted_hosts(host))
    print(f"demo: {address(host, port)} (stop it with Ctrl-C)", flush=True)
    listen(app, host, port)


if __name__ == "__main__":
    run(main)
