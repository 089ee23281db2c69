"""How every stage and tool starts and fails: one clear line and exit code 1, never a traceback, on bad input."""

import difflib
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from tqdm import tqdm


class InputError(Exception):
    """Something outside the code is wrong: a parameter, a file, the network.

    The message names the thing, what is allowed and what came, because it is all that the user sees.
    """


def run(main: Callable[[], None]) -> None:
    """Run a command's `main` and turn an `InputError` into one line on standard error and exit code 1."""
    try:
        main()
    except InputError as error:
        sys.exit(f"error: {' '.join(str(error).split())}")  # messages of libraries may have line breaks
    except KeyboardInterrupt:
        sys.exit("error: interrupted")


def search_path() -> str:
    """`PATH` with this environment's commands first, for what starts `python` or another of them by its name."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to `name`, or list them all when none is near.

    >>> did_you_mean("sedes", ["seeds", "models"])
    'did you mean seeds?'
    """
    known = sorted(known)
    nearest = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(known)}"


def progress(things: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """A progress bar (the options are tqdm's) that goes when it is done, and that only a terminal gets."""
    return tqdm(things, leave=False, disable=None, **options)
