"""The `wanimate` command."""

from __future__ import annotations

import click

from ..program import Program, completion_of, epilog
from .batch import batch
from .download import download
from .generate import animate, replace
from .jobs import cancel, status, wait
from .session import Exit

__all__ = ["main"]


@click.group(
    cls=Program,
    epilog=epilog("wanimate batch jobs.jsonl", Exit),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="wanimate")
def main() -> None:
    """Enqueue Wan 2.2 Animate jobs and get their results.

    Set WANIMATE_REDIS_URL, in the environment or in .env, or give --redis-url to a command. Results go to stdout,
    messages to stderr.
    """


for _command in (animate, replace, batch, status, wait, download, cancel, completion_of("wanimate", main)):
    main.add_command(_command)
