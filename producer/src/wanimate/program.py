"""What the commands `wanimate` and `wanimate-worker` share."""

from __future__ import annotations

import io
import math
import signal
import sys
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, Self

import click
from click.shell_completion import get_completion_class

from .errors import WanimateError
from .text import indented_lines, one_line

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What sets up completion in each shell.
_HOW: Final[Mapping[str, str]] = {
    "bash": 'eval "$({program} completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$({program} completion zsh)"    in ~/.zshrc, after compinit',
    "fish": "{program} completion fish > ~/.config/fish/completions/{program}.fish",
}


class ExitCode(IntEnum):
    """A program's exit code, and what it means."""

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        """Make a member, which is written as code and text; enum calls this."""
        member = int.__new__(cls, code)
        member._value_, member.text = code, text
        return member

    @classmethod
    def epilog(cls) -> str:
        """Return the table of all codes, as the end of a command's help."""
        return "\n".join(["\b", "Exit codes:", *(f"  {code.value:<3}  {code.text}" for code in cls)])


class Seconds(click.FloatRange):
    """A number of seconds that ends: neither `nan` nor `inf`, which pass click's own comparisons."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read an option; click calls this."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"a number of seconds is expected, got {seconds:g}; leave it out for no bound", param, ctx)
        return seconds


#: What is given to `--timeout` everywhere.
SECONDS: Final = Seconds(min=0)


def read_label(text: str) -> tuple[str, str]:
    """Return the name and the value in `name=value`: the type of `--label` everywhere."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"name=value is expected, got {text!r}")
    return name, value


class Program(click.Group):
    """A group of commands that writes to any terminal.

    A character that the encoding of stdout or stderr does not have is written as an escape instead of ending the
    command, and a message about wrong usage repeats an argument without its control characters.
    """

    def main(self, *args: Any, **options: Any) -> Any:
        """Run the program; click calls this."""
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **options)

    def invoke(self, context: click.Context) -> Any:
        """Run a command; click calls this."""
        try:
            return super().invoke(context)
        except click.ClickException as error:
            error.message = indented_lines(error.message)  # type: ignore[misc] # final only since click 8.2
            raise


def run(program: str, cli: click.Group) -> None:
    """Run the command line of a program that a signal stops; what went wrong is one line, not a traceback."""
    # A stop by SIGTERM unwinds like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except WanimateError as error:
        click.echo(f"{program}: {one_line(str(error))}", err=True)
        sys.exit(2)


def completion_of(program: str, cli: click.Group) -> click.Command:
    """Return the `completion` command of a program.

    Args:
        program: The name it is called by.
        cli: Its commands.
    """
    how = "\n".join(["\b", *(f"  {line.format(program=program)}" for line in _HOW.values())])

    @click.command(help=f"Print the script that completes commands and options in a shell.\n\n{how}")
    @click.argument("shell", type=click.Choice(list(_HOW)))
    def completion(shell: str) -> None:
        kind = get_completion_class(shell)
        assert kind is not None, "click knows all three"  # noqa: S101
        variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
        click.echo(kind(cli, {}, program, variable).source())

    return completion
