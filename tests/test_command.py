"""How commands fail: one line and exit code 1 on bad input, a traceback on a bug."""

import os
import pty
import subprocess
import sys

import pytest
from conftest import ROOT, clean_environment

from pipeline.core.command import did_you_mean


def run_main(body: str, stdout: int = subprocess.PIPE, encoding: str = "utf-8") -> subprocess.CompletedProcess[str]:
    """Run a command whose `main` has this body, as a process of its own."""
    code = "import click\nfrom pipeline.core.command import InputError, run\n"
    code += f"@click.command()\ndef main():\n    {body}\nrun(main)\n"
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=clean_environment() | {"PYTHONIOENCODING": encoding}, encoding=encoding,
        stdout=stdout, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("raise InputError('units must be positive. Received: 0')", "error: units must be positive. Received: 0\n"),
        (r"raise InputError('a.csv cannot be read: expected 2 fields,\n saw 4\n')",
         "error: a.csv cannot be read: expected 2 fields, saw 4\n"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_1(body: str, line: str) -> None:
    result = run_main(body)
    assert (result.returncode, result.stdout, result.stderr) == (1, "", line)


@pytest.mark.parametrize("signal", ["SIGTERM", "SIGINT"])
def test_to_be_told_to_stop_is_to_be_interrupted(signal: str) -> None:
    result = run_main(f"import os, signal; os.kill(os.getpid(), signal.{signal}); print('not reached')")
    # Below what the terminal shows of Ctrl-C.
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "\nerror: interrupted\n")


def test_a_subclass_of_input_error_is_bad_input_too() -> None:
    result = run_main("raise type('UnreachableError', (InputError,), {})('nobody there')")
    assert (result.returncode, result.stderr) == (1, "error: nobody there\n")


def test_a_text_in_the_place_of_a_file_is_bad_input() -> None:
    result = run_main("open('a text ' * 1000)")
    assert result.returncode == 1
    assert result.stderr.startswith("error: this is too long for the name of a file. Received: 'a text a text")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("code", ["ENOSPC", "EROFS", "EACCES"])
def test_a_machine_that_cannot_is_one_line(code: str) -> None:
    result = run_main(f"import errno, os; raise OSError(errno.{code}, os.strerror(errno.{code}), 'data/models')")
    assert result.returncode == 1
    assert result.stderr.startswith("error: data/models cannot be used: ")
    assert result.stderr.count("\n") == 1


def test_a_bug_keeps_its_traceback() -> None:
    result = run_main("raise ValueError('a bug')")
    assert result.returncode == 1
    assert result.stderr.startswith("Traceback")
    assert result.stderr.endswith("ValueError: a bug\n")


def test_success_adds_nothing_to_the_output() -> None:
    result = run_main("print('done')")
    assert (result.returncode, result.stdout, result.stderr) == (0, "done\n", "")


@pytest.mark.parametrize("body", ["print('much')", "print('much', flush=True)"])
def test_an_output_that_nobody_reads_any_more_is_no_bug(body: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    result = run_main(body, stdout=writer)
    os.close(writer)
    assert (result.returncode, result.stderr) == (1, "")


def test_what_a_terminal_cannot_show_is_a_question_mark() -> None:
    result = run_main(r"print('na\u00efve \U0001f600 half \ud83d')", encoding="latin-1")
    assert (result.returncode, result.stdout, result.stderr) == (0, "naïve ? half ?\n", "")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("sedes", "did you mean seeds?"),
        ("train.unit", "did you mean train.units?"),
        ("zzz", "known: models, seeds, train.units"),
    ],
)
def test_the_nearest_known_name_is_proposed(name: str, answer: str) -> None:
    assert did_you_mean(name, ["train.units", "seeds", "models"]) == answer


def test_what_is_waited_for_is_said_on_a_terminal_and_goes() -> None:
    code = "from pipeline.core.command import waiting\nwith waiting('load it'): print('loaded')"
    command = [sys.executable, "-c", code]
    silent = subprocess.run(command, cwd=ROOT, env=clean_environment(), capture_output=True, text=True, check=True)
    assert (silent.stdout, silent.stderr) == ("loaded\n", "")
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    subprocess.run(command, cwd=ROOT, env=clean_environment(), stderr=theirs, check=True)
    said, gone, _ = os.read(ours, 1000).decode().split("\r")
    assert (said.strip(), gone.strip()) == ("load it ...", "")
    assert len(said) == len(gone) > 40  # all of the line, which may have shown something longer


def test_progress_hands_things_on_and_is_silent_in_a_pipe() -> None:
    result = run_main(
        "from pipeline.core.command import progress; print(list(progress(range(3), desc='count', unit=' things')))"
    )
    assert (result.stdout, result.stderr) == ("[0, 1, 2]\n", "")
