"""`wanimate-worker callbacks`, `ops`, `keep` and `flower`: the processes beside the workers."""

from __future__ import annotations

from typing import Final

import click
from wanimate.program import epilog

from .session import reported_errors

_PORT: Final = click.IntRange(1, 65_535)
_HOST_OPTION: Final = click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")


@click.command(epilog=epilog("wanimate-worker callbacks --host 0.0.0.0 --port 8000"))
@_HOST_OPTION
@click.option("--port", default=8000, show_default=True, type=_PORT, help="The port to listen on.")
def callbacks(host: str, port: int) -> None:
    """Serve the endpoint for the vendor's callbacks.

    WANIMATE_CALLBACK_BASE_URL must be the public address of this endpoint.
    """
    from ..callbacks.receiver import run_receiver

    run_receiver(host, port)


@click.command(epilog=epilog("wanimate-worker ops --port 8001"))
@_HOST_OPTION
@click.option("--port", default=8001, show_default=True, type=_PORT, help="The port to listen on.")
def ops(host: str, port: int) -> None:
    """Serve the limits page, its JSON and Prometheus metrics.

    Without WANIMATE_OPS_AUTH only a loopback --host is accepted.
    """
    from ..health.page import run_ops

    run_ops(host, port)


@click.command(epilog=epilog("wanimate-worker keep --threads 16"))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 64), help="Videos copied at once.")
def keep(threads: int) -> None:
    """Copy finished videos to the store of WANIMATE_KEEP_URL.

    It needs no API key. Workers copy videos too, unless WANIMATE_KEEP_THREADS is 0.
    """
    from ..keeping.process import run_keeper

    with reported_errors():
        run_keeper(threads)


@click.command(
    context_settings={"ignore_unknown_options": True},
    epilog=epilog("wanimate-worker flower --port 5555 --url_prefix=flower"),
)
@click.option("--host", help="The address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=_PORT, help="The port to listen on.  [default: 5555]")
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def flower(host: str | None, port: int | None, options: tuple[str, ...]) -> None:
    """Serve Flower, which lists and cancels jobs.

    OPTIONS of Flower itself are passed on, as --name=value; FLOWER_* variables are read too. Without
    WANIMATE_FLOWER_AUTH Flower cannot cancel jobs, and only a loopback --host is accepted.
    """
    # Tornado and Celery take half a second.
    from ..bridge.flower.server import run_flower

    run_flower(host, port, options)
