"""`wanimate-worker ops`."""

from __future__ import annotations

import click


@click.command(epilog="Without WANIMATE_OPS_AUTH it refuses any address but loopback.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8001, show_default=True, type=click.IntRange(1, 65_535), help="The port to listen on.")
def ops(host: str, port: int) -> None:
    """Serve the limits page, the same as JSON, and metrics for Prometheus."""
    from ..health.page import run_ops

    run_ops(host, port)
