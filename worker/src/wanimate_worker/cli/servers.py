"""`wanimate-worker callbacks`, `ops`, `keep` and `flower`: the processes beside the workers."""

from __future__ import annotations

from typing import Final

import click

from .session import reported_errors

_PORT: Final = click.IntRange(1, 65_535)
_HOST_OPTION: Final = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")


@click.command
@_HOST_OPTION
@click.option("--port", default=8000, show_default=True, type=_PORT, help="The port to listen on.")
def callbacks(host: str, port: int) -> None:
    """Receive the vendor's callbacks, at WANIMATE_CALLBACK_BASE_URL."""
    from ..callbacks.receiver import run_receiver

    run_receiver(host, port)


@click.command(epilog="Without WANIMATE_OPS_AUTH it refuses any address but loopback.")
@_HOST_OPTION
@click.option("--port", default=8001, show_default=True, type=_PORT, help="The port to listen on.")
def ops(host: str, port: int) -> None:
    """Serve the limits page, the same as JSON, and metrics for Prometheus."""
    from ..health.page import run_ops

    run_ops(host, port)


@click.command(epilog="It needs no API key. Workers copy videos themselves unless WANIMATE_KEEP_THREADS is 0.")
@click.option(
    "--threads", default=8, show_default=True, type=click.IntRange(1, 64), help="Videos that are copied at once."
)
def keep(threads: int) -> None:
    """Copy finished videos to the store of WANIMATE_KEEP_URL."""
    from ..keeping.process import run_keeper

    with reported_errors():
        run_keeper(threads)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog="Without WANIMATE_FLOWER_AUTH it cancels nothing and refuses any address but loopback.",
)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=_PORT, help="The port to listen on.  [default: 5555]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def flower(host: str | None, port: int | None, options: tuple[str, ...]) -> None:
    """Show jobs in Flower, and cancel them there.

    More of Flower's own OPTIONS may follow, as --name=value; FLOWER_* variables are read too.
    """
    # Tornado and Celery take half a second.
    from ..bridge.flower.server import run_flower

    run_flower(host, port, options)
