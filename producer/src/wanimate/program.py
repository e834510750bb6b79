"""What the programs `wanimate`, `wanimate-worker` and `wanimate-devstack` share."""

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
    from collections.abc import Iterable, Mapping

#: How to set up completion in each shell.
_HOW: Final[Mapping[str, str]] = {
    "bash": 'add to ~/.bashrc: eval "$({program} completion bash)"',
    "zsh": 'add to ~/.zshrc after compinit: eval "$({program} completion zsh)"',
    "fish": "write the output to ~/.config/fish/completions/{program}.fish",
}


class ExitCode(IntEnum):
    """A program's exit code, and what it means."""

    text: str

    def __new__(cls, code: int, text: str) -> Self:
        """Make a member from a code and its meaning; enum calls this."""
        member = int.__new__(cls, code)
        member._value_, member.text = code, text
        return member


def epilog(example: str = "", codes: Iterable[ExitCode] = ()) -> str:
    r"""Return the end of a command's help: one example, then exit codes.

    Args:
        example: A complete command line; a long one is broken with `\` and a line break.
        codes: The exit codes that the command can return.
    """
    parts = []
    if example:
        parts.append("\n".join(["\b", "Example:", *(f"  {line}" for line in example.splitlines())]))
    table = [f"  {code.value:<3}  {code.text}" for code in codes]
    if table:
        parts.append("\n".join(["\b", "Exit codes:", *table]))
    return "\n\n".join(parts)


class Seconds(click.FloatRange):
    """A finite number of seconds, at least 0: `nan` and `inf` would pass click's own comparisons."""

    name = "seconds"

    def _describe_range(self) -> str:
        # Help texts need no "[x>=0]" beside SECONDS.
        return ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read an option; click calls this."""
        seconds = super().convert(value, param, ctx)
        if not math.isfinite(seconds):
            self.fail(f"expected a finite number of seconds, got {seconds:g}; omit the option for no limit", param, ctx)
        return seconds


#: The type of every option in seconds.
SECONDS: Final = Seconds(min=0)


def read_label(text: str) -> tuple[str, str]:
    """Return the name and the value in `name=value`: the type of every `--label`."""
    name, separator, value = text.partition("=")
    if not separator or not name:
        raise click.BadParameter(f"expected name=value, got {text!r}")
    return name, value


class Program(click.Group):
    """A group of commands whose output works on every terminal.

    Characters that the encoding of stdout or stderr cannot represent are written as escapes. Usage errors repeat
    arguments without their control characters.
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
    """Run the command line of a program until it ends or a signal stops it; print errors as one line, no traceback."""
    # SIGTERM unwinds the stack like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except WanimateError as error:
        click.echo(f"{program}: {one_line(str(error))}", err=True)
        sys.exit(2)


def completion_of(program: str, cli: click.Group) -> click.Command:
    """Return the `completion` command of a program.

    Args:
        program: The name that users type.
        cli: Its commands.
    """
    how = "\n".join(["\b", *(f"{shell:<5} {line.format(program=program)}" for shell, line in _HOW.items())])

    @click.command(
        help=f"Print a script that completes commands and options.\n\n{how}",
        epilog=epilog(f"{program} completion bash"),
    )
    @click.argument("shell", type=click.Choice(list(_HOW)))
    def completion(shell: str) -> None:
        kind = get_completion_class(shell)
        assert kind is not None, "click knows all three"  # noqa: S101
        variable = f"_{program.upper().replace('-', '_')}_COMPLETE"
        click.echo(kind(cli, {}, program, variable).source())

    return completion
