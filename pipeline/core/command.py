"""How every stage and tool starts and fails: one clear line and exit code 1, never a traceback, on bad input."""

import difflib
import errno
import io
import os
import shutil
import signal
import sys
import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from tqdm import tqdm

HELP_OPTIONS = ["-h", "--help"]
INTERRUPTED = 130  # exit code, the one that shells give to a command which Ctrl-C has ended
PATH = click.Path(path_type=Path)  # of an option or argument


class InputError(Exception):
    """Error outside the code: in a parameter, a file, or the network.

    The message names the thing, what is allowed and what came, because it is all that the user sees.
    """

    in_lines = False  # the message is a report of several lines


_OF_THE_MACHINE = (  # errors of the system that no code is to blame for: a disk that is full or read-only, say
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM),
    *(errno.EIO, errno.EMFILE, errno.ENFILE, errno.ELOOP),
)
_DAMAGE = (
    *(ValueError, TypeError, LookupError, AttributeError, RuntimeError, EOFError, OSError),
    *(zipfile.BadZipFile, zlib.error, tokenize.TokenError),  # the last one is NumPy's, of the head of an array
)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Tell of a file that the pipeline wrote, and that cannot be read back: a loss of power or a full disk cut it.

    Raises:
        InputError: the block ends in what damaged bytes end in.
    """
    try:
        yield
    except Exception as error:
        is_damage = isinstance(error, _DAMAGE) or type(error) is Exception  # tokenizers raises nothing more special
        if isinstance(error, FileNotFoundError) or not is_damage:
            raise
        told = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise InputError(f"{path} is damaged ({told}). Remove it, and make it anew: make repro") from None


def run(main: click.Command) -> None:
    """Run a command; bad input ends it as `clear_errors` says.

    A command line that is not understood gives exit code 2, as everywhere.
    """
    with clear_errors():
        main.main(standalone_mode=False, help_option_names=HELP_OPTIONS)


@contextmanager
def clear_errors() -> Iterator[None]:
    """Turn an `InputError`, and errors of the machine such as a full disk, into one line and exit code 1.

    A signal to stop (`kill`) interrupts the command, so that it tidies up, as Ctrl-C does. The exit code is then 130.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:  # by `pipeline`, until there is something to tidy up
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of few characters shows ? for the others; a log file has every line when it is printed.
        sys.stdout.reconfigure(errors="replace", line_buffering=True)
    try:
        yield
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except InputError as error:
        if error.in_lines:
            sys.exit(f"error: {error}")
        sys.exit(f"error: {' '.join(str(error).split())}")  # messages of libraries may have line breaks
    except BrokenPipeError:  # who reads our output has seen enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at the end
        sys.exit(1)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:  # a text, say, where the name of a file or a model was meant
            sys.exit(f"error: this is too long for the name of a file. Received: {str(error.filename)[:60]!r} …")
        if error.errno not in _OF_THE_MACHINE:
            raise
        sys.exit(f"error: {error.filename or 'a file'} cannot be used: {error.strerror}. Mend that, and run this again")
    except (KeyboardInterrupt, click.Abort):
        if "DVC_STAGE" not in os.environ:  # where DVC says so, or `gatewise run`
            print("error: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)


def search_path() -> str:
    """Put this environment's commands first on `PATH`, for programs that start `python` or another one by name."""
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
    """Show a progress bar (the options are tqdm's) that goes when it is done, and that only a terminal gets."""
    return tqdm(things, leave=False, disable=None, **options)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what is waited for, as long as the block takes, and only on a terminal."""

    def show(line: str) -> None:
        if sys.stderr.isatty():  # over all of the line, which may show a progress bar
            print(line.ljust(shutil.get_terminal_size().columns - 1), end="\r", file=sys.stderr, flush=True)

    show(f"{what} ...")
    try:
        yield
    finally:
        show("")
