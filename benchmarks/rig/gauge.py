"""What a run costs: CPU and memory of the contender's processes, and commands and memory of Redis."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import psutil
from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: How often memory and the machine's load are sampled, in seconds.
_SAMPLE_SECONDS = 0.5
#: Commands of connections, and of looking at the server.
_CONNECTING: Final = {"setname", "setinfo", "auth", "hello", "select", "client", "info", "config", "ping"}


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time, of user and system, that processes and their living children have used."""
    total = 0.0
    for process in _with_children(pids):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def memory_mb(pids: Iterable[int]) -> float:
    """Return the memory of processes and their children: PSS, or the resident set where the system has no PSS."""
    total = 0
    for process in _with_children(pids):
        with contextlib.suppress(psutil.Error):
            info = process.memory_full_info()
            total += getattr(info, "pss", info.rss)
    return total / 1e6


def _with_children(pids: Iterable[int]) -> Iterator[psutil.Process]:
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            yield from (process, *process.children(recursive=True))


@dataclass(frozen=True, slots=True)
class Counters:
    """What Redis has done so far.

    Args:
        by_command: Commands carried out, those inside scripts included, without those of connecting.
        calls: Reads of the server from its connections; a pipeline or a script is about one, so these are round trips.
        bytes: Bytes received and sent.
    """

    by_command: dict[str, int]
    calls: int
    bytes: int

    @classmethod
    def of(cls, redis: Redis) -> Counters:
        """Read Redis's counters."""
        stats: dict[str, Any] = redis.info("stats")
        commands = {name.removeprefix("cmdstat_"): of["calls"] for name, of in redis.info("commandstats").items()}
        return cls(
            {name: calls for name, calls in commands.items() if name.split("|")[0] not in _CONNECTING},
            int(stats["total_reads_processed"]),
            int(stats["total_net_input_bytes"]) + int(stats["total_net_output_bytes"]),
        )

    @property
    def commands(self) -> int:
        """All commands."""
        return sum(self.by_command.values())

    def since(self, before: Counters) -> Counters:
        """Return what was done after another reading."""
        by_command = {name: calls - before.by_command.get(name, 0) for name, calls in self.by_command.items()}
        return Counters(by_command, self.calls - before.calls, self.bytes - before.bytes)


def dataset_bytes(redis: Redis) -> int:
    """Return the memory of what is stored, without buffers of connections."""
    return int(redis.info("memory")["used_memory_dataset"])


class Sampler:
    """Watches Redis's memory and the machine's load while a run goes on.

    Args:
        redis_url: The server.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis = Redis.from_url(redis_url)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._machine: list[float] = []
        self.dataset_bytes_max = 0
        #: INFO commands of its own.
        self.own_calls = 0

    def __enter__(self) -> Self:
        psutil.cpu_percent()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._redis.close()

    @property
    def machine_load(self) -> float | None:
        """Share of all cores in use, on average; the run itself, and whatever else runs on this machine."""
        return sum(self._machine) / len(self._machine) / 100 if self._machine else None

    def _watch(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._machine.append(psutil.cpu_percent())
            with contextlib.suppress(RedisError, KeyError):
                self.dataset_bytes_max = max(self.dataset_bytes_max, dataset_bytes(self._redis))
                self.own_calls += 1


def wait_until(condition: Callable[[], bool], timeout_seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_seconds:.0f} s: {what}")
        time.sleep(0.05)
