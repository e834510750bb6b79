"""`wanimate-worker top`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import click
from redis.exceptions import RedisError
from wanimate.program import Seconds

from .exits import EXIT_CODES, Exit, reported_errors
from .session import open_runtime

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..ops import Reader


@click.command(epilog=EXIT_CODES)
@click.option("--once", is_flag=True, help="Print the figures once and end; so it does where there is no terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print them once, as one JSON object.")
@click.option(
    "--interval",
    type=Seconds(min=0.2, max=3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to look.",
)
def top(*, once: bool, as_json: bool, interval: float) -> None:
    """Show slots, waiting jobs, the request budget, the gate, cost and what needs somebody; Ctrl-C ends it."""
    with reported_errors():
        raise SystemExit(_show(interval, once=once, as_json=as_json))


def _show(interval: float, *, once: bool, as_json: bool) -> Exit:
    from rich.console import Console

    from ..ops import Reader
    from ..ops.facts import facts_of
    from ..ops.terminal import panel_of

    runtime, redis = open_runtime()
    runtime.ledger.check_database()
    reader = Reader(redis, runtime.settings)
    snapshot = reader.read()
    if as_json:
        click.echo(json.dumps(facts_of(snapshot)))
        return Exit.OK
    console = Console(emoji=False, markup=False, highlight=False)
    if once or not console.is_terminal:
        console.print(panel_of(snapshot))
        return Exit.OK
    _watch(console, reader, interval)
    return Exit.OK


def _watch(console: Console, reader: Reader, interval: float) -> None:
    from rich.live import Live

    from ..ops.terminal import away, panel_of

    shown: RenderableType = panel_of(reader.read())
    try:
        with Live(shown, console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(shown, refresh=True)
                time.sleep(interval)
                try:
                    shown = panel_of(reader.read())
                except RedisError as error:
                    shown = away(error)
    except KeyboardInterrupt:
        # The screen of before is back; the last figures stay to be read.
        console.print(shown)
