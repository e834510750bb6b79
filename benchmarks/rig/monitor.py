"""Which commands clients send to Redis, and which of them scripts make of those."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from .gauge import CONNECTING


class Monitor:
    """Counts what the server carries out, by Redis's own MONITOR. It slows the server down: take no times meanwhile.

    Args:
        redis_url: The server.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url)
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._is_watching = threading.Event()
        #: Commands by name, without those of connecting.
        self.sent: Counter[str] = Counter()
        self.in_scripts: Counter[str] = Counter()

    def __enter__(self) -> Self:
        self._thread.start()
        self._is_watching.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_watching.clear()
        # Something to hear, should nobody else say anything.
        self._redis.echo("over")
        self._thread.join()
        self._redis.close()

    def _watch(self) -> None:
        with contextlib.suppress(RedisError, OSError), self._redis.monitor() as stream:
            self._is_watching.set()
            for told in stream.listen():
                if not self._is_watching.is_set():
                    break
                name = told["command"].split(maxsplit=1)[0].lower()
                if name not in CONNECTING:
                    (self.in_scripts if told["client_type"] == "lua" else self.sent)[name] += 1
        self._is_watching.set()
