"""Where a server of ours can listen."""

import socket

from pipeline.parts.command import InputError


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
