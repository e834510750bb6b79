"""When the caller has each result."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from pathlib import Path

#: How often the places without a push are looked at, in seconds.
_LOOK_SECONDS = 0.005
#: Where peers push their results.
DONE = "bench:done"


class Arrivals:
    """A caller: a thread that takes results as they come.

    `at_ms` has for each vendor task the Unix time, in ms, at which its result arrived first; `count` is how many
    results came, repeats included.
    """

    def __init__(self) -> None:
        self.at_ms: dict[str, float] = {}
        self.count = 0
        #: Commands that the caller itself has sent to Redis.
        self.own_calls = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def arrived(self, task_id: str) -> None:
        """Note a result."""
        self.count += 1
        self.at_ms.setdefault(task_id, time.time() * 1000)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._collect()
            except (RedisError, OSError):
                self._stop.wait(0.1)

    def _collect(self) -> None:
        raise NotImplementedError


class ListArrivals(Arrivals):
    """Reads the list that peers push their results to."""

    def __init__(self, redis_url: str) -> None:
        super().__init__()
        self._url = redis_url
        self._read = 0

    def _collect(self) -> None:
        with Redis.from_url(self._url) as redis:
            while not self._stop.is_set():
                found: list[bytes] = redis.lrange(DONE, self._read, -1)
                self.own_calls += 1
                self._read += len(found)
                for line in found:
                    self.arrived(json.loads(line)["task_id"])
                self._stop.wait(_LOOK_SECONDS)


class FileArrivals(Arrivals):
    """Reads the file that the plain script appends its results to."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def _collect(self) -> None:
        read = ""
        while not self._stop.is_set():
            if self._path.exists():
                text = self._path.read_text()
                whole = text[: text.rfind("\n") + 1]
                for line in whole[len(read) :].splitlines():
                    self.arrived(json.loads(line)["task_id"])
                read = whole
            self._stop.wait(_LOOK_SECONDS)


class CeleryArrivals(Arrivals):
    """Hears what Celery's result backend publishes, as `AsyncResult.get()` does."""

    def __init__(self, redis_url: str) -> None:
        super().__init__()
        self._url = redis_url

    def _collect(self) -> None:
        with Redis.from_url(self._url) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe("celery-task-meta-*")
            while not self._stop.is_set():
                message = channel.get_message(timeout=0.2)
                if message is not None:
                    self._hear(json.loads(message["data"]))

    def _hear(self, meta: dict[str, Any]) -> None:
        if meta.get("status") == "SUCCESS" and isinstance(meta.get("result"), dict):
            with contextlib.suppress(KeyError):
                self.arrived(meta["result"]["task_id"])
