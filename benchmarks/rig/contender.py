"""What the rig needs of whoever is measured, and of the caller that waits for its results."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from pathlib import Path

    from wanimate_devstack import Process, Stack

    from .load import Load

#: How often the places without a push are checked, in seconds.
_CHECK_SECONDS = 0.005
#: Where peers push their results.
DONE = "bench:done"


class Contender(ABC):
    """A system that runs jobs: with its own Redis server, its own simulator, and as many processes as the load says.

    Args:
        name: What it is called in reports.
        load: What it is given to do.
        stack: Server and simulator, and what else of it belongs to the product.
    """

    def __init__(self, name: str, load: Load, stack: Stack) -> None:
        self.name, self.load, self.stack = name, load, stack
        self.redis_url = stack.redis.url
        self.simulator_url = ""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start everything and wait until it is ready for jobs."""
        self.stack.start()
        self.simulator_url = str(self.stack.simulator_url)

    def stop(self) -> None:
        """Stop everything, also if it stands still."""
        self.signal(signal.SIGCONT)
        self.stack.stop()

    @abstractmethod
    def enqueue(self) -> None:
        """Enqueue the jobs of the load."""

    @abstractmethod
    def arrivals(self) -> Arrivals:
        """Return a caller that waits for the results."""

    @abstractmethod
    def workers(self) -> list[Process]:
        """Return every worker process that was started, the oldest first."""

    @abstractmethod
    def tend(self) -> None:
        """Do what a process supervisor does: start processes in place of those that have ended."""

    def pids(self) -> list[int]:
        """Return the processes whose CPU and memory count: workers and whatever schedules or receives for them."""
        processes = [*self.workers(), self.stack.beat, self.stack.receiver]
        return [process.pid for process in processes if process is not None and process.is_running]

    def missing_workers(self, wanted: int) -> int:
        """Return how many workers have ended."""
        return wanted - sum(worker.is_running for worker in self.workers())

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes: SIGSTOP while jobs are enqueued, then SIGCONT."""
        for pid in self.pids():
            # Each leads a group with its children.
            os.killpg(pid, number)

    def late_results(self) -> set[str]:
        """Return tasks whose results a caller would find by asking, though it heard of none; read after faults."""
        return set()

    def unknown(self, markers: set[str]) -> set[str]:
        """Return the jobs, of those without a result, that it has on record as submissions of unknown outcome."""
        del markers
        return set()


class Arrivals:
    """A caller: a thread that takes results as they come.

    `at_ms` has for each vendor task the Unix time, in ms, at which its result arrived first; `count` is how many
    results came, repeats included.
    """

    def __init__(self, source: Any) -> None:
        self._source = source
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
    """Reads the list, at a Redis URL, that peers push their results to."""

    def _collect(self) -> None:
        with Redis.from_url(self._source) as redis:
            while not self._stop.is_set():
                found: list[bytes] = redis.lrange(DONE, self.count, -1)
                self.own_calls += 1
                for line in found:
                    self.arrived(json.loads(line)["task_id"])
                self._stop.wait(_CHECK_SECONDS)


class FileArrivals(Arrivals):
    """Reads the file that the plain script appends its results to."""

    def _collect(self) -> None:
        path: Path = self._source
        while not self._stop.wait(_CHECK_SECONDS):
            lines = path.read_text().splitlines(keepends=True)[self.count :] if path.exists() else []
            for line in lines:
                if line.endswith("\n"):
                    self.arrived(json.loads(line)["task_id"])


class CeleryArrivals(Arrivals):
    """Hears what Celery's result backend, at a Redis URL, publishes, as `AsyncResult.get()` does."""

    def _collect(self) -> None:
        with Redis.from_url(self._source) as redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
            channel.psubscribe("celery-task-meta-*")
            while not self._stop.is_set():
                message = channel.get_message(timeout=0.2)
                meta = json.loads(message["data"]) if message is not None else {}
                if meta.get("status") == "SUCCESS" and isinstance(meta.get("result"), dict):
                    with contextlib.suppress(KeyError):
                        self.arrived(meta["result"]["task_id"])
