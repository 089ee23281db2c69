"""Run an ASGI application as a server that waits for nobody's request forever."""

import asyncio
from typing import Any

import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.h11_impl import H11Protocol, h11  # type: ignore[attr-defined]

_PATIENCE = 60.0  # seconds without a byte
_UNFINISHED = (h11.IDLE, h11.SEND_BODY)  # states of a client that has something to send


class Impatient(H11Protocol):
    """Closes a connection on which nothing of an unfinished request comes any more.

    uvicorn itself closes connections between two requests alone. Each open one costs memory and a file.
    """

    patience = _PATIENCE
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait from now on."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Wait anew, if something of the request is missing."""
        super().data_received(data)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        super().connection_lost(exc)
        self._cancel()

    def _wait(self) -> None:
        self._cancel()
        if self.conn.their_state in _UNFINISHED:
            self._timer = self.loop.call_later(self.patience, self._give_up)

    def _give_up(self) -> None:
        if self.flow.read_paused:  # it is we who do not read
            self._wait()
        elif self.conn.their_state in _UNFINISHED:  # and not between two requests, whose end we saw late
            self.transport.close()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()


def listen(app: Starlette, host: str, port: int, **options: Any) -> None:
    """Serve until a signal ends it. The options are uvicorn's."""
    uvicorn.run(app, host=host, port=port, http=Impatient, log_level="warning", **options)
