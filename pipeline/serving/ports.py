"""Check that a server of ours can listen, write its address, and name the hosts that it trusts."""

import socket

from pipeline.core.command import InputError

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def check_port(host: str, port: int) -> None:
    """Find out now whether a server will be able to listen there.

    Raises:
        InputError: another one does, or the address is none of this machine.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that has just stopped is no obstacle
        try:
            attempt.bind((host, port))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InputError(f"port {port} of {host} cannot be used: {reason}; try another one (PORT=...)") from None


def address(host: str, port: int) -> str:
    """Write the address of a server.

    >>> address("::1", 5000)
    'http://[::1]:5000'
    """
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def trusted_hosts(host: str) -> list[str]:
    """Name the hosts by which a browser may ask a server that listens on `host`; `*` is any.

    On this machine alone, only its own: a page from elsewhere could give its own name our address.
    """
    return ["127.0.0.1", "localhost", "[::1]"] if host in _LOOPBACK else ["*"]
