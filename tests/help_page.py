"""docs/commands.md, made from the help texts.

python -m tests.help_page > docs/commands.md
"""

from click.testing import CliRunner

from pipeline.__main__ import COMMANDS, main
from pipeline.core.command import HELP_OPTIONS

REWRITE = "python -m tests.help_page > docs/commands.md"


def help_of(*words: str) -> str:
    """Show the help of a command as in a terminal of 100 columns."""
    result = CliRunner().invoke(main, [*words, "--help"], terminal_width=100, help_option_names=HELP_OPTIONS)
    assert result.exit_code == 0, result.output
    return result.output


def page() -> str:
    """Write the whole page."""
    parts = ["# The commands\n", f"Made from the help texts: `{REWRITE}`.\n"]
    parts += ["`python -m pipeline` is the same as `gatewise`, and needs no installed command.\n"]
    parts += [f"```text\n{help_of()}```\n"]
    parts += [f"## gatewise {name}\n\n```text\n{help_of(name)}```\n" for name in COMMANDS]
    return "\n".join(parts)


if __name__ == "__main__":
    print(page(), end="")
