"""`wanimate-worker flower`."""

from __future__ import annotations

import click


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Without WANIMATE_FLOWER_AUTH it cancels nothing and refuses any address but loopback.",
)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(1, 65_535), help="The port to listen on.  [default: 5555]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def flower(host: str | None, port: int | None, options: tuple[str, ...]) -> None:
    """Show jobs in Flower, and cancel them there.

    More of Flower's own OPTIONS may follow, as --name=value; FLOWER_* variables are read too.
    """
    # Tornado and Celery take half a second.
    from ..bridge.flower.server import run_flower

    run_flower(host, port, options)
