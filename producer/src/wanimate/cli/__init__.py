"""The `wanimate` command."""

from __future__ import annotations

import click

from ..program import Program, completion_of
from .batch import batch
from .download import download
from .generate import animate, replace
from .jobs import cancel, status, wait
from .session import Exit

__all__ = ["main"]


@click.group(
    cls=Program,
    epilog=Exit.epilog(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="wanimate")
def main() -> None:
    """Enqueue Wan 2.2 Animate jobs and follow them.

    Redis is found through WANIMATE_REDIS_URL, a .env file or each command's --redis-url. Results go to stdout,
    everything else to stderr; --json makes every line on stdout one JSON object.
    """


for _command in (animate, replace, batch, status, wait, download, cancel, completion_of("wanimate", main)):
    main.add_command(_command)
