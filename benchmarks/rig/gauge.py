"""What a run costs: CPU of the contender's processes, and commands and memory of Redis."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

import psutil
from redis import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: How often memory and the machine's load are looked at, in seconds.
_LOOK_SECONDS = 0.5
#: Commands of connections, and of looking at the server.
CONNECTING: Final = {"setname", "setinfo", "auth", "hello", "select", "client", "info", "config", "ping"}


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return the CPU time that processes and their living children have used."""
    total = 0.0
    for process in _with_children(pids):
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            total += times.user + times.system
    return total


def resident_bytes(pids: Iterable[int]) -> int:
    """Return the resident memory of processes and their children."""
    total = 0
    for process in _with_children(pids):
        with contextlib.suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def _with_children(pids: Iterable[int]) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            found += [process, *process.children(recursive=True)]
    return found


@dataclass(frozen=True, slots=True)
class Counters:
    """What Redis has done so far.

    Args:
        commands: Commands carried out, those inside scripts included, without those of connecting.
        calls: Reads of the server from its connections; a pipeline or a script is about one, so these are round trips.
        bytes_in: Bytes received.
        bytes_out: Bytes sent.
        by_command: Commands by name.
    """

    commands: int
    calls: int
    bytes_in: int
    bytes_out: int
    by_command: dict[str, int] = field(default_factory=dict)

    def since(self, before: Counters) -> Counters:
        """Return what was done after another reading."""
        return Counters(
            self.commands - before.commands,
            self.calls - before.calls,
            self.bytes_in - before.bytes_in,
            self.bytes_out - before.bytes_out,
            {name: count - before.by_command.get(name, 0) for name, count in self.by_command.items()},
        )


def counters(redis: Redis) -> Counters:
    """Read Redis's counters."""
    stats: dict[str, Any] = redis.info("stats")
    commands: dict[str, Any] = redis.info("commandstats")
    by_command = {
        name.removeprefix("cmdstat_"): int(of["calls"])
        for name, of in commands.items()
        if name.removeprefix("cmdstat_").split("|")[0] not in CONNECTING
    }
    return Counters(
        sum(by_command.values()),
        int(stats["total_reads_processed"]),
        int(stats["total_net_input_bytes"]),
        int(stats["total_net_output_bytes"]),
        by_command,
    )


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
        while not self._stop.wait(_LOOK_SECONDS):
            self._machine.append(psutil.cpu_percent())
            with contextlib.suppress(RedisError, KeyError):
                self.dataset_bytes_max = max(self.dataset_bytes_max, dataset_bytes(self._redis))
                self.own_calls += 1


def wait_until(condition: Any, timeout_seconds: float, what: str) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not come about.
    """
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_seconds:.0f} s: {what}")
        time.sleep(0.05)
