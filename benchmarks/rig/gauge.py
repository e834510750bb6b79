"""What a run costs: CPU and memory of processes, commands and memory of Redis, and how busy the machine is."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING, Final

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from redis import Redis

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


def machine_seconds() -> float:
    """Return the CPU time of all cores that was used since the machine started, divided by the cores."""
    times = psutil.cpu_times()
    return float(times.user + times.nice + times.system) / (os.cpu_count() or 1)


def redis_commands(redis: Redis) -> int:
    """Return how many commands Redis has carried out, those inside scripts included, without those of connecting."""
    commands = {name.removeprefix("cmdstat_"): of["calls"] for name, of in redis.info("commandstats").items()}
    return sum(calls for name, calls in commands.items() if name.split("|")[0] not in _CONNECTING)


def dataset_bytes(redis: Redis) -> int:
    """Return the memory of what is stored, without buffers of connections."""
    return int(redis.info("memory")["used_memory_dataset"])


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
