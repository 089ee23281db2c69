"""Make options of a tool from the words on a command line.

Besides options, every tool takes `NAME=value` in capitals, as make does: `TEXT="not good" MODELS=lstm-1` is
`--models lstm-1 "not good"`.
"""

import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import click
from click.core import ParameterSource

from pipeline.core.command import HELP_OPTIONS, InputError, did_you_mean

_OF_MAKE = ("ALL", "COVERAGE", "GPU", "PYTHON", "UV", "VENV")  # variables that are for make itself
_WORD = re.compile(r"(?:\\.|[^\\ ])+", re.DOTALL)
_ESCAPED = re.compile(r"\\(.)|\$\$", re.DOTALL)
_CAPITALS = re.compile(r"([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

MODEL = click.option("--model", help="models:/…, runs:/…, a folder, or a name in data/models. Default: the champion.")


def where(port: int) -> Decorator:
    """Add the options `--port` and `--host` of a server."""

    def decorated(command: Callable[..., Any]) -> Callable[..., Any]:
        host = click.option(
            "--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 lets others in."
        )
        return click.option("--port", default=port, show_default=True, help="Port to listen on.")(host(command))

    return decorated


def made_folder(path: Path) -> Path:
    """Make the folder that an option `--output` names, if it is not there.

    Raises:
        InputError: it cannot be made or written: a file is in its place, for one.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            return path
    except OSError as error:
        problem = error.strerror or error
        raise InputError(f"--output must be a folder that can be written. Received: {path} ({problem})") from None


def from_make(overrides: str) -> list[str]:
    r"""Read the variables on the command line of make, each as it was typed.

    >>> from_make(r"GPU=1 UNITS=$$(x) MODEL=my\ model")
    ['MODEL=my model', 'UNITS=$(x)']

    Args:
        overrides: MAKEOVERRIDES of GNU make, the last variable first. A backslash stands before blanks and backslashes,
            and a `$` is doubled.
    """
    words = [
        re.sub(r"\\(.)|\$\$", lambda found: found[1] or "$", word, flags=re.DOTALL) for word in _WORD.findall(overrides)
    ]
    pairs = [(name.rstrip(":?+"), value) for name, _, value in (word.partition("=") for word in reversed(words))]
    return [f"{name}={value}" for name, value in pairs if name not in _OF_MAKE]


class Tool(click.Command):
    """A command that takes `NAME=value` for its options, and several words behind an option that may be repeated."""

    def __init__(self, *args: Any, **options: Any) -> None:
        options.setdefault("context_settings", {"help_option_names": HELP_OPTIONS})
        super().__init__(*args, **options)

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        """Read the words of a command line.

        Raises:
            click.UsageError: a name that the command does not have, has no value, or has twice.
        """
        dashes = args.index("--") if "--" in args else len(args)
        named, words = {}, []
        for word in args[:dashes]:
            if found := _CAPITALS.fullmatch(word):
                parameter = self._named(found[1], context)
                named[str(parameter.name)] = _value(parameter, word, found[2], context)
            else:
                words.append(word)
        context.default_map = {**(context.default_map or {}), **named}
        rest = super().parse_args(context, [*self._repeated(words), *args[dashes:]])
        for parameter in self.params:
            name = str(parameter.name)
            if name in named and context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
                raise click.UsageError(f"{_capitals(parameter)}= is given twice.", context)
        return rest

    def _named(self, name: str, context: click.Context) -> click.Parameter:
        known = {_capitals(parameter): parameter for parameter in self.params}
        if name not in known:
            near = f" ({did_you_mean(name, known)})" if known else ""
            raise click.UsageError(
                f"{self.name} takes no {name}={near}. If a text begins with {name}=, put -- before it.", context
            )
        return known[name]

    def _repeated(self, words: list[str]) -> list[str]:
        """Write `--keep a b` as `--keep a --keep b`, which is what click takes."""
        many = {name for parameter in self.params if parameter.multiple for name in parameter.opts}
        result: list[str] = []
        option = None
        for word in words:
            if word.startswith("-"):
                option = word if word in many else None
            elif option is not None and result[-1] != option:
                result.append(option)
            result.append(word)
        return result


def _capitals(parameter: click.Parameter) -> str:
    """Name a parameter as `NAME=value` does: by its long option, or by what the help calls an argument."""
    name = parameter.opts[0] if isinstance(parameter, click.Option) else parameter.human_readable_name
    return name.strip("-[]").replace("-", "_").upper()


def _value(parameter: click.Parameter, word: str, value: str, context: click.Context) -> Any:
    """Give the value of `NAME=value` the form of a parameter's default."""
    if not value:
        raise click.UsageError(f"{word} has no value.", context)
    if parameter.multiple:
        return value.split()
    return [value] if parameter.nargs == -1 else value
