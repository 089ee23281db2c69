"""A real HTTP proxy before a real server, which delays, fails, hangs or wants a login."""

import base64
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Proxy:
    """What stands between a client and the server, and how it behaves from now on.

    Attributes:
        target: address of the server.
        seconds: that every request is held up.
        hangs: requests get no answer.
        failures: so many of the next requests are answered with `status`.
        login: user and password without which nobody gets through.
        calls: method and path of every request that came.
    """

    target: str
    address: str = ""
    seconds: float = 0.0
    hangs: bool = False
    failures: int = 0
    status: int = 503
    login: tuple[str, str] | None = None
    calls: list[str] = field(default_factory=list)
    hangs_at: str = ""
    ended: threading.Event = field(default_factory=threading.Event)

    def answers(self, handler: BaseHTTPRequestHandler) -> tuple[int, bytes]:
        """Pass a request on, or do what this proxy does in place of that."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        self.calls.append(f"{handler.command} {handler.path}")
        self.hangs |= bool(self.hangs_at) and self.hangs_at in handler.path
        if self.hangs:
            self.ended.wait()
            return 504, b""
        time.sleep(self.seconds)
        if self.failures:
            self.failures -= 1
            return self.status, b"not now"
        if self.login and handler.headers.get("Authorization") != _basic(*self.login):
            return 401, b"who are you?"
        kept = {name: value for name, value in handler.headers.items() if name.lower() in ("content-type", "range")}
        request = urllib.request.Request(self.target + handler.path, body or None, kept, method=handler.command)
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


@contextmanager
def proxy_before(target: str) -> Iterator[Proxy]:
    """Start a proxy before a server."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            status, body = proxy.answers(self)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815 (names of http.server)

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            with suppress(OSError):  # the client has given up
                super().handle()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    proxy.address = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield proxy
    finally:
        proxy.ended.set()
        server.shutdown()
        server.server_close()
