"""The help of every command of a program, as a terminal of 80 columns shows it."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Final, NamedTuple

import click
from clicked import click_runner

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS: Final = 80


class HelpPage(NamedTuple):
    """The help of one command, and its parents, the program first."""

    names: tuple[str, ...]
    commands: tuple[click.Command, ...]
    text: str

    @property
    def example(self) -> list[str]:
        """The words of the one example; a line that ends in a backslash goes on in the next one."""
        blocks = re.findall(r"^ *Example:\n((?: +\S.*\n)+?)(?=\n| *Exit codes:|\Z)", f"{self.text}\n", re.MULTILINE)
        assert len(blocks) == 1, f"{' '.join(self.names)} has {len(blocks)} examples"
        return shlex.split(blocks[0].replace("\\\n", " "))


def help_pages(program: str, cli: click.Command) -> dict[str, HelpPage]:
    """Return the help of a program and of each of its commands, by name."""
    return {" ".join(page.names): page for page in _pages((program,), (cli,))}


def check_page(page: HelpPage) -> None:
    """Check what every help has: whole lines that fit, and, of a command, one example that its parser accepts."""
    for number, line in enumerate(page.text.splitlines()):
        assert len(line) <= COLUMNS, line
        assert "\\" not in line.removesuffix("\\"), f"an escape that click does not know: {line}"
        # The first line may end in "ID...".
        assert number == 0 or not line.endswith(("...", "…")), f"cut short: {line}"
    command = page.commands[-1]
    if isinstance(command, click.Group) and not command.invoke_without_command:
        return
    words = page.example
    assert words[: len(page.names)] == list(page.names), words
    context = None
    for name, group in zip(page.names[:-1], page.commands[:-1], strict=True):
        context = click.Context(group, info_name=name, parent=context)
    command.make_context(page.names[-1], words[len(page.names) :], parent=context).close()


def _pages(names: tuple[str, ...], commands: tuple[click.Command, ...]) -> Iterator[HelpPage]:
    arguments = [*names[1:], "--help"]
    shown = click_runner().invoke(commands[0], arguments, prog_name=names[0], env={"COLUMNS": str(COLUMNS)})
    assert shown.exit_code == 0, shown.output
    yield HelpPage(names, commands, shown.stdout)
    if isinstance(commands[-1], click.Group):
        for name, command in commands[-1].commands.items():
            yield from _pages((*names, name), (*commands, command))
