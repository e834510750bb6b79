"""A backend that reads events: it writes each one down, and goes on after the last one whenever it is started.

It kills itself between reading an event and writing it down, or after that, where a token in Redis tells it to.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import redis
from wanimate import Client, QueueUnavailable, Settings
from wanimate.contract import Event
from wanimate.redis.transport import connection_pool

if TYPE_CHECKING:
    from typing import TextIO


def read_events(client: Client, tokens: redis.Redis, notes: TextIO, cursor: str | None) -> None:
    """Write down events for ever, or until Redis is away for long.

    Args:
        client: Reads them.
        tokens: Where it is told to die.
        notes: Where they are written down.
        cursor: The last one that was.
    """
    for event in client.events(after=cursor):
        _die_if_told(tokens, "read-and-write")
        notes.write(event.model_dump_json() + "\n")
        notes.flush()
        _die_if_told(tokens, "write-and-read")


def events_in(path: Path) -> list[Event]:
    """Return what was written down."""
    return [Event.model_validate_json(line) for line in path.read_text().splitlines()] if path.exists() else []


def _die_if_told(tokens: redis.Redis, point: str) -> None:
    with suppress(redis.RedisError):
        if tokens.lpop(f"chaos:SIGKILL:{point}"):
            os.kill(os.getpid(), signal.SIGKILL)


def main(path: Path) -> None:
    """Read for ever."""
    with Client() as client, path.open("a") as notes:
        tokens = redis.Redis.from_pool(connection_pool(Settings()))
        while True:
            written = events_in(path)
            with suppress(QueueUnavailable):
                read_events(client, tokens, notes, written[-1].id if written else None)
            time.sleep(0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
