"""`completion`: what makes a shell complete the commands and options of a program."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click
from click.shell_completion import get_completion_class

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How each shell is told, once and for all.
_HOW: Final[Mapping[str, str]] = {
    "bash": 'eval "$({program} completion bash)"    in ~/.bashrc',
    "zsh": 'eval "$({program} completion zsh)"    in ~/.zshrc, after compinit',
    "fish": "{program} completion fish > ~/.config/fish/completions/{program}.fish",
}


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
