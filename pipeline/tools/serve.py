"""Serve a model over HTTP: raw text in, label and probabilities out.

Requests and answers are those of `mlflow models serve` (see payloads.py for the forms); `GET /ping` and `/health` say
that it is up. What is no list of texts gets status 400, 413 or 415, and a sentence. The model is loaded once: to serve
another champion, start the server again. A prediction uses all cores as it is, so one is made after the other. A long
request is answered in parts, between which others get their turn.
"""

import asyncio
from collections.abc import Hashable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

import click
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from pipeline.core.command import run, waiting
from pipeline.core.params import read_params
from pipeline.serving.listening import listen
from pipeline.serving.payloads import LONGEST, RefusedError, read_texts
from pipeline.serving.ports import address, check_port, trusted_hosts
from pipeline.serving.registry import Registry
from pipeline.serving.selection import TextModel, served_uri
from pipeline.tools.arguments import MODEL, Tool, where

_MOST_TEXTS, _MOST_CHARACTERS = 1_024, 1_000_000  # of a part


def make_app(model: TextModel, hosts: list[str]) -> Starlette:
    """Make the server as an ASGI application.

    Args:
        model: answers.
        hosts: names by which a client may ask (another site could give itself our address); `*` is any.
    """
    reader, one_at_a_time = ThreadPoolExecutor(1), ThreadPoolExecutor(1)

    def answer(texts: list[str]) -> list[dict[Hashable, Any]]:
        return model.predict(texts).to_dict("records")

    async def invocations(request: Request) -> Response:
        do = asyncio.get_running_loop().run_in_executor
        texts = await do(reader, read_texts, await _body(request), request.headers.get("content-type", ""))
        answers = [await do(one_at_a_time, answer, part) for part in parts(texts)]
        return await do(reader, JSONResponse, {"predictions": [row for part in answers for row in part]})

    return Starlette(
        routes=[
            Route("/invocations", invocations, methods=["POST"]),
            Route("/ping", _up),
            Route("/health", _up),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts, www_redirect=False)],
        exception_handlers={
            RefusedError: _refused,
            ClientDisconnect: _failed,
            HTTPException: _unknown,
            Exception: _failed,  # the log has it, too
        },
    )


def parts(texts: Sequence[str]) -> Iterator[list[str]]:
    """Divide texts into parts that take a model less than a second or so: a part is as long as one text may be."""
    part: list[str] = []
    characters = 0
    for text in texts:
        if part and (len(part) == _MOST_TEXTS or characters + len(text) > _MOST_CHARACTERS):
            yield part
            part, characters = [], 0
        part.append(text)
        characters += len(text)
    yield part  # of no text, too: its answer has no rows


async def _body(request: Request) -> bytes:
    """Read the body; of one that is too long, keep just enough to show that, and drop the rest.

    A client that was cut off while it still sends would see a broken connection, and no sentence.
    """
    body = bytearray()
    async for chunk in request.stream():
        if len(body) <= LONGEST:
            body += chunk
    return bytes(body)


async def _up(_: Request) -> Response:
    return PlainTextResponse("\n")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusedError)
    return _problem(error.status, str(error))


async def _unknown(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _problem(error.status_code, "expected POST to /invocations, or GET of /ping or /health", error.headers)


async def _failed(_: Request, __: Exception) -> Response:
    return _problem(
        HTTPStatus.INTERNAL_SERVER_ERROR, "the server failed to answer this request; its log has the reason"
    )


def _problem(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with an error in the form that MLflow gives it."""
    return JSONResponse({"error_code": HTTPStatus(status).name, "message": sentence}, status, headers)


@click.command(cls=Tool)
@MODEL
@where(5001)
def main(model: str | None, port: int, host: str) -> None:
    """Serve a model over HTTP: raw text in, label and probabilities out.

    Requests are those of `mlflow models serve`. To serve another champion, start the server again.

    \b
    Examples:
      gatewise serve                           # http://127.0.0.1:5001
      gatewise serve --model gru-1 --port 8000
      curl localhost:5001/invocations -H "Content-Type: application/json" \\
        -d '{"dataframe_records": [{"text": "A dull, lifeless film."}]}'
    """
    check_port(host, port)
    dataset = read_params().dataset
    uri = served_uri(model, dataset)
    with waiting(f"open {uri}"):
        loaded = Registry(dataset).load(uri)
        loaded.predict(["", "two words"])  # a network compiles once more when it first gets several
    app = make_app(loaded, trusted_hosts(host))
    print(f"serving {uri} on {address(host, port)} (stop it with Ctrl-C)", flush=True)
    listen(app, host, port)


if __name__ == "__main__":
    run(main)
