"""The commands in the documentation and in alerts are those of the programs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest
from wanimate.cli import main as producer
from wanimate_worker.cli import cli as worker

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
PROGRAMS: Final[dict[str, click.Command]] = {"wanimate": producer, "wanimate-worker": worker}
PAGES: Final = sorted(
    page
    for pattern in ("README.md", "docs/**/*.md", "*/README.md", "deploy/**/*.md")
    for page in ROOT.glob(pattern)
    if "decisions" not in page.parts
)
#: What may stand before a program on its line: a prompt, variables, the command that runs it in a container.
_CALL: Final = re.compile(r"(?:^|\s)(?P<program>wanimate(?:-worker)?)(?P<words>(?: [^\s#|>;&`]+)+)")
_CODE: Final = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")


def calls_in(text: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the programs that a text calls, in fences and in code among words, each with its arguments."""
    fenced = [
        line
        for fence in re.findall(r"^ *```console\n(.*?)```", text, re.DOTALL | re.MULTILINE)
        for line in re.sub(r"\\\n\s*", "", fence).splitlines()
        if line.lstrip().startswith("$ ")
    ]
    inline = _CODE.findall(re.sub(r"^ *```.*?```", "", text, flags=re.DOTALL | re.MULTILINE))
    for code in (*fenced, *inline):
        # A quoted argument is one word. Names of Kubernetes' objects are no programs, but what runs in them is.
        words = re.sub(r'"[^"]*"', "TEXT", " ".join(code.split()))
        words = re.sub(r"kubectl (?:(?! -- ).)*", "", words)
        for call in _CALL.finditer(words):
            yield call["program"], call["words"].split()


def fault_of(program: str, words: list[str]) -> str | None:
    """Return what a call names that its program does not have."""
    command: click.Command = PROGRAMS[program]
    context = click.Context(command, info_name=program)
    while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z][a-z-]*", words[0]):
        found = command.get_command(context, words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
        context = click.Context(command, parent=context, info_name=command.name)
    known = {
        option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)
    }
    unknown = [word for word in words if word.startswith("--") and word.partition("=")[0] not in known]
    return f"no option {unknown[0]} of {command.name}" if unknown else None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_of_a_page_exists_with_its_options(page: Path) -> None:
    faults = {" ".join((program, *words)): fault_of(program, words) for program, words in calls_in(page.read_text())}
    assert not {call: fault for call, fault in faults.items() if fault}


def test_a_command_that_does_not_exist_is_noticed() -> None:
    fence = "```console\n$ docker compose exec worker wanimate-worker jobs --stat x  # all\n```"
    page = f"Run `wanimate-worker jobz`.\n\n{fence}\n"
    assert [fault_of(*call) for call in calls_in(page)] == ["no option --stat of jobs", "no command jobz"]
