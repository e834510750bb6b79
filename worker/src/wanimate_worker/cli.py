"""`wanimate-worker`: the local stack and the settings reference."""

from __future__ import annotations

import signal
import sys

import click
from wanimate.errors import WanimateError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wanimate-worker")
def cli() -> None:
    """Run Wanimate on this machine.

    In production run `celery -A wanimate_worker worker`, `beat` and `flower` instead.
    """


@cli.command()
def demo() -> None:
    """Send forty jobs through the whole stack, with a simulated vendor."""
    from rich.console import Console

    from .local.demo import run_demo

    sys.exit(run_demo(Console()))


@cli.command()
def up() -> None:
    """Run Redis, worker, beat and Flower until Ctrl-C: on the vendor if WANIMATE_API_KEY is set, else simulated."""
    from rich.console import Console

    from .local.up import run_up

    sys.exit(run_up(Console()))


@cli.command(name="settings")
def settings_reference() -> None:
    """Print the settings reference, as Markdown."""
    from .reference import settings_page

    click.echo(settings_page(), nl=False)


def main() -> None:
    """Run the command line; what went wrong is one line, not a traceback."""
    # A stop by SIGTERM unwinds like Ctrl-C, so that the stack's processes are stopped too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        cli()
    except WanimateError as error:
        click.echo(f"wanimate-worker: {error}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
