"""What the rig needs of whoever is measured."""

from __future__ import annotations

import os
import signal
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from .arrivals import Arrivals
    from .load import Load


class Contender(ABC):
    """Someone who runs jobs: with its own Redis server, its own simulator, and as many processes as the load says."""

    #: What it is called in reports.
    name: str
    load: Load
    redis_url: str
    simulator_url: str

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @abstractmethod
    def start(self) -> None:
        """Start everything and wait until it is ready for jobs."""

    @abstractmethod
    def stop(self) -> None:
        """Stop everything."""

    @abstractmethod
    def enqueue(self) -> None:
        """Enqueue the jobs of the load."""

    @abstractmethod
    def arrivals(self) -> Arrivals:
        """Return a caller that waits for the results."""

    @abstractmethod
    def pids(self) -> list[int]:
        """Return the processes whose CPU counts: workers and whatever schedules for them."""

    def pause(self) -> None:
        """Stop the workers' clocks, so that everyone starts with the whole backlog."""
        self._signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let the workers run."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        for pid in self.pids():
            # Each leads a group with its children.
            os.killpg(pid, number)

    @abstractmethod
    def kill_worker(self) -> None:
        """Kill one worker process without notice."""

    @abstractmethod
    def tend(self) -> None:
        """Do what a process supervisor does: start worker processes in place of those that have ended."""

    @abstractmethod
    def stop_redis(self) -> None:
        """Stop the server; its data stays."""

    @abstractmethod
    def start_redis(self) -> None:
        """Start the server again, on its data."""

    def late_results(self) -> set[str]:
        """Return tasks whose results a caller would find by asking, though it heard of none; read after faults."""
        return set()

    def unknown(self, markers: set[str]) -> set[str]:
        """Return those of some jobs of which it tells that nobody can know whether the vendor has them; after faults.

        Args:
            markers: Jobs without a result.
        """
        del markers
        return set()
