"""`wanimate-worker top`."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import click
from redis.exceptions import RedisError
from wanimate.program import Seconds

from .session import Exit, Session, command

if TYPE_CHECKING:
    from rich.console import Console

    from ..health.reading import Reader

_INTERVAL: Final = Seconds(min=0.2, max=3600)


@command("top --once")
@click.option("--once", is_flag=True, help="Print the figures once and exit (default with --json or no terminal).")
@click.option("--interval", type=_INTERVAL, default=2.0, show_default=True, help="How often to read the figures.")
def top(session: Session, *, once: bool, interval: float) -> Exit:
    """Show live figures: slots, queue, requests, cost, problems.

    Ctrl-C ends it.
    """
    from rich.console import Console

    from ..health.exports import to_json
    from ..health.reading import Reader
    from ..health.terminal import panel_of

    reader = Reader(session.runtime.redis, session.runtime.settings)
    if session.as_json:
        click.echo(json.dumps(to_json(reader.read())))
        return Exit.OK
    console = Console(emoji=False, markup=False, highlight=False)
    if once or not console.is_terminal:
        console.print(panel_of(reader.read()))
    else:
        _watch(console, reader, interval)
    return Exit.OK


def _watch(console: Console, reader: Reader, interval: float) -> None:
    from rich.live import Live
    from rich.text import Text

    from ..health.terminal import panel_of

    now, away = reader.read(), ""
    try:
        with Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
            while True:
                live.update(Text(away, "red") if away else panel_of(now, console), refresh=True)
                time.sleep(interval)
                try:
                    now, away = reader.read(), ""
                except RedisError as error:
                    away = f"Redis does not answer ({type(error).__name__}). Retrying. See wanimate-worker doctor."
    except KeyboardInterrupt:
        # The previous screen is restored: print the last figures below it.
        console.print(panel_of(now))
