"""What the rig needs of a contender, and the caller that waits for its results."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from wanimate_devstack import Stack

    from .load import Load


class Contender(ABC):
    """A system that runs jobs: in a stack of its own, with its own Redis server, simulator and worker processes."""

    def __init__(self, name: str, load: Load, stack: Stack, processes: int) -> None:
        self.name, self.load, self.stack, self.processes = name, load, stack, processes
        self.redis_url = stack.redis.url
        #: Commands that the rig's caller has sent to Redis.
        self.caller_commands = 0

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

    def stop(self) -> None:
        """Stop everything, also if it stands still."""
        self.signal(signal.SIGCONT)
        self.stack.stop()

    @property
    def simulator_url(self) -> str:
        """Where the ground truth is."""
        return str(self.stack.simulator_url)

    @abstractmethod
    def enqueue(self) -> None:
        """Enqueue the jobs of the load."""

    @abstractmethod
    def results(self) -> Iterator[str | None]:
        """Yield the vendor's id of each task whose result the caller gets, and now and then None while there is none.

        It may begin again from the first result after an error of Redis.
        """

    @abstractmethod
    def start_worker(self) -> object:
        """Start one more worker process."""

    def tend(self) -> None:
        """Start processes in place of those that have ended, as a process supervisor does."""
        for _ in range(self.processes - sum(worker.is_running for worker in self.stack.workers)):
            self.start_worker()
        if self.stack.beat is not None and not self.stack.beat.is_running:
            self.stack.start_beat()

    def pids(self) -> list[int]:
        """Return the processes whose CPU and memory count: workers and what schedules or receives for them."""
        processes = [*self.stack.workers, *self.stack.keepers, self.stack.beat, self.stack.receiver]
        return [process.pid for process in processes if process is not None and process.is_running]

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


@contextlib.contextmanager
def arrivals(contender: Contender) -> Iterator[dict[str, float]]:
    """Take results in a thread; yields the Unix time in ms at which the result of each task arrived first."""
    at_ms: dict[str, float] = {}
    stop = threading.Event()

    def listen() -> None:
        while not stop.wait(0.1):
            with contextlib.suppress(RedisError, OSError):
                for task_id in contender.results():
                    if task_id is not None:
                        at_ms.setdefault(task_id, time.time() * 1000)
                    if stop.is_set():
                        return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield at_ms
    finally:
        stop.set()
        thread.join()
