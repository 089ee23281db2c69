"""Show the address of a store, and its errors, without the user and the password that may stand in them; find these."""

import os
import re
import urllib.parse

from pipeline.core.command import InputError

VARIABLE = "MLFLOW_TRACKING_URI"

_LONGEST = 500  # characters of an error that are shown
_NO_REASON = "(raised as a result of"  # so SQLAlchemy begins, with a hint to programmers, and the reason comes after it
_LOGIN = re.compile(r"(?<=://)[^/\s'\"]*@")


def without_login(text: str) -> str:
    """Leave `user:password@` out of every address in a text: this is the one way in which addresses are shown.

    >>> without_login("https://me@host:5000/mlflow did not answer")
    'https://host:5000/mlflow did not answer'
    """
    return _LOGIN.sub("", text)


def in_short(error: object) -> str:
    """Show the first line of an error that gives a reason, cut and without control characters: a server may send any.

    >>> in_short("\\n\\x1b[31mfull at https://me@host/")
    '[31mfull at https://host/'
    """
    lines = [line.strip() for line in without_login(str(error)).splitlines()]
    reason = next((line for line in lines if line and not line.startswith(_NO_REASON)), "")
    shown = "".join(mark for mark in reason if mark.isprintable())
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]} …"


def split_login(uri: str) -> tuple[str, tuple[str, str]]:
    """Take user and password out of the address of a server, from where they would get into what is printed and kept.

    Args:
        uri: of any store; only an address of HTTP is split.

    Returns:
        The address without them, and both, decoded; empty where there are none.

    Raises:
        InputError: it is no address.
    """
    if not uri.startswith(("http://", "https://")):
        return uri, ("", "")
    try:
        parts = urllib.parse.urlsplit(uri)
        host, _ = parts.hostname, parts.port  # which raises ValueError for what is no number
    except ValueError:
        host = None
    if not host:
        # A password with a slash may stand anywhere in it, so it is not shown at all.
        raise InputError(
            f"{VARIABLE} must be an address such as https://host:5000. In a user or a password before the @, write / as"
            " %2F, ? as %3F, # as %23 and @ as %40. Received: another address, which is not shown"
        )
    login = tuple(urllib.parse.unquote(part or "") for part in (parts.username, parts.password))
    return without_login(uri), (login[0], login[1])


def login() -> tuple[str, str]:
    """Return user and password for the server: those in its address, else those that MLflow's variables name.

    Raises:
        InputError: `MLFLOW_TRACKING_URI` is no address.
    """
    _, found = split_login(os.environ.get(VARIABLE, ""))
    if any(found):
        return found
    return os.environ.get("MLFLOW_TRACKING_USERNAME", ""), os.environ.get("MLFLOW_TRACKING_PASSWORD", "")


def wants_login() -> bool:
    """Tell if the environment has a user or a password for the store, in its address or beside it.

    Raises:
        InputError: `MLFLOW_TRACKING_URI` is no address.
    """
    uri = os.environ.get(VARIABLE, "")
    return uri != without_login(uri) or any(login())
