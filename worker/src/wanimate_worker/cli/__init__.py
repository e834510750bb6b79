"""`wanimate-worker`: what an operator does, the processes beside the workers, and the settings reference."""

from __future__ import annotations

import signal
import sys

import click
from wanimate.errors import WanimateError
from wanimate.program import Program, completion_of
from wanimate.text import one_line

from .cancel import cancel
from .dead import dead
from .doctor import doctor
from .end import end
from .flower import flower
from .hold import drain, pause, resume
from .jobs import jobs, show
from .limits import limits
from .ops import ops
from .resolve import resolve
from .retry import retry
from .top import top


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="wanimate-worker")
def cli() -> None:
    """Operate Wanimate.

    Workers and beat are run by `celery -A wanimate_worker worker` and `beat`.
    """


@cli.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65_535), help="The port to listen on.")
def callbacks(host: str, port: int) -> None:
    """Receive the vendor's callbacks, at WANIMATE_CALLBACK_BASE_URL."""
    from ..callbacks.server import run_receiver

    run_receiver(host, port)


@cli.command(name="settings")
def settings_reference() -> None:
    """Print the settings reference, as Markdown."""
    from ..reference import settings_page

    click.echo(settings_page(), nl=False)


@cli.command(name="failure-codes")
def failure_codes_reference() -> None:
    """Print what the vendor's failure codes mean, as Markdown."""
    from ..reference import failure_codes_page

    click.echo(failure_codes_page(), nl=False)


_COMPLETION = completion_of("wanimate-worker", cli)
for _command in (
    *(jobs, show, retry, resolve, end, cancel, dead),
    *(limits, pause, resume, drain),
    *(doctor, top, ops, flower, _COMPLETION),
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line; what went wrong is one line, not a traceback."""
    # A stop by SIGTERM unwinds like Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except WanimateError as error:
        click.echo(f"wanimate-worker: {one_line(str(error))}", err=True)
        sys.exit(2)
