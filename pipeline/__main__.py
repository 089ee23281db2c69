"""The command `gatewise`, and the table of all that it does. `python -m pipeline` is the same command.

A tool is imported when its command runs, and not before: TensorFlow and MLflow take seconds.
"""

import os
import sys
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from pipeline.core.command import did_you_mean, run, waiting
from pipeline.tools.arguments import from_make

# Command to what it does. Each is `main` of the file of its name in pipeline/tools, with one exception.
COMMANDS = {
    "add": "Make a data set of your files.",
    "run": "Set parameters and run the pipeline.",
    "compare": "Set two commits or experiments side by side.",
    "report": "Write the report anew.",
    "record": "Write the MLflow runs of all that is on disk again.",
    "ui": "Open the MLflow UI.",
    "explain": "Show how LSTM and GRU read a text.",
    "memory": "Show how long the units of networks remember.",
    "verify": "Prove that a commit gives its recorded results.",
    "lineage": "Trace a run to the files that made it.",
    "promote": "Make the best model the champion.",
    "rollback": "Make the former champion the champion again.",
    "predict": "Classify texts.",
    "score": "Classify Parquet files with Spark.",
    "serve": "Serve the champion over HTTP.",
    "demo": "Open a page where the models answer side by side.",
    "vectors": "Write the word vectors to a text file.",
    "clean": "Show how much disk all this takes, and free some.",
}
_ELSEWHERE = {"rollback": ("promote", "rollback")}


class Commands(click.Group):
    """The commands of the table."""

    def main(self, *args: Any, **options: Any) -> Any:
        """Run under the same name, however Python was started: completion goes by it."""
        return super().main(*args, **{**options, "prog_name": "gatewise"})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the tool of a command; None for a name that the table does not have."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute = _ELSEWHERE.get(cmd_name, (cmd_name, "main"))
        # MLflow and TensorFlow take seconds. The shell that completes a line must not see more than what it asked for.
        completing = "_GATEWISE_COMPLETE" in os.environ
        with nullcontext() if completing else waiting(f"load gatewise {cmd_name}"):
            command: click.Command = getattr(import_module(f"pipeline.tools.{module}"), attribute)
        command.name = cmd_name
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command, and hand the variables of make on to it.

        Raises:
            click.UsageError: the table does not have it.
        """
        if args[0] not in COMMANDS:
            ctx.fail(f"There is no command {args[0]!r}; {did_you_mean(args[0], COMMANDS)}")
        name, command, rest = super().resolve_command(ctx, args)
        return name, command, [*from_make(ctx.params["make"]), *rest]

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table, without an import of any tool."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the name of a command, without an import of any tool."""
        names = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return names + click.Command.shell_complete(self, ctx, incomplete)


@click.group(cls=Commands)
@click.version_option(package_name="gatewise")
@click.option("--make", default="", hidden=True, help="MAKEOVERRIDES of the make that starts this.")
def main(make: str) -> None:
    """Find out whether an LSTM or a GRU is better for your text.

    \b
    Examples:
      gatewise add ~/spam.csv
      gatewise run dataset=imdb preset=strong seeds=1,2
      gatewise explain "The acting is wooden, but I loved every minute."
      gatewise predict "A dull, lifeless film."

    NAME=value in capitals is the same as --name value: gatewise explain TEXT="not good" MODELS=lstm-1.

    \b
    The Tab key completes commands and options after this line in your shell:
      bash: eval "$(_GATEWISE_COMPLETE=bash_source gatewise)"
      zsh:  eval "$(_GATEWISE_COMPLETE=zsh_source gatewise)"
      fish: _GATEWISE_COMPLETE=fish_source gatewise | source

    \b
    Exit codes: 0 done, 1 an error, 2 a command line that is not understood,
    3 refused (promote), 130 interrupted.
    """


def _is_ours(code: Path) -> bool:
    """Tell if a folder `pipeline` is one of this project: others have that name, too."""
    return (code / "cells").is_dir() or (code / "parts").is_dir()


def gatewise() -> None:
    """Run the command with the code of the current folder, if that is another clone than the installed one."""
    code = Path.cwd() / "pipeline"
    if (code.parent / "dvc.yaml").exists() and _is_ours(code) and not code.samefile(Path(__file__).parent):
        if not (code / "__main__.py").exists():
            sys.exit(f"error: {code.parent} has an older version, which has no command gatewise; use make there")
        os.execv(sys.executable, [sys.executable, "-m", "pipeline", *sys.argv[1:]])
    run(main)


if __name__ == "__main__":
    run(main)
