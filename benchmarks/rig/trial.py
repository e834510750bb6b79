"""One contender with one load: what it did, by the vendor's ground truth, and what it cost."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from redis import Redis

from . import gauge, judge
from .contender import arrivals

if TYPE_CHECKING:
    from collections.abc import Callable, Sized

    from .contender import Contender

#: A fault strikes when this share of the jobs has been accepted.
_STRIKE_AT = 1 / 3
#: How long a dead worker or a stopped server stays away, in seconds.
_AWAY_SECONDS = 1.0
#: When a run is stopped anyway.
_MAX_SECONDS = 2_400.0


def kill_a_worker(contender: Contender) -> None:
    """Kill a worker process without notice; its supervisor starts another a second later."""
    contender.stack.workers[0].kill()
    time.sleep(_AWAY_SECONDS)


def restart_redis(contender: Contender) -> None:
    """Stop Redis, which writes its append-only file, and start it a second later on the same data."""
    contender.stack.redis.stop()
    time.sleep(_AWAY_SECONDS)
    contender.stack.redis.start()


def run(
    contender: Contender, fault: Callable[[Contender], None] | None = None, patience_seconds: float = 60.0
) -> dict[str, Any]:
    """Run a started contender's load and return the figures; after a fault in the middle without those of costs.

    Without a new result for `patience_seconds`, the jobs that are left count as stranded.
    """
    jobs = contender.load.jobs
    with Redis.from_url(contender.redis_url) as redis, arrivals(contender) as arrived_ms:
        commands_before, bytes_before = gauge.redis_commands(redis), gauge.dataset_bytes(redis)
        cpu_before, machine_before = gauge.cpu_seconds(contender.pids()), gauge.machine_seconds()
        began = time.monotonic()
        # Everyone starts with the whole backlog.
        contender.signal(signal.SIGSTOP)
        try:
            contender.enqueue()
        finally:
            contender.signal(signal.SIGCONT)
        enqueued, stored = time.monotonic(), gauge.dataset_bytes(redis)
        if fault is not None:
            gauge.wait_until(
                lambda: judge.summary(contender.simulator_url)["accepted"] >= jobs * _STRIKE_AT,
                patience_seconds,
                f"{contender.name}: a part of the jobs accepted",
            )
            fault(contender)
        _wait_for_all(contender, arrived_ms, patience_seconds)
        ended = time.monotonic()
        if fault is not None:
            return judge.figures(contender, arrived_ms)
        cpu = gauge.cpu_seconds(contender.pids()) - cpu_before
        commands = gauge.redis_commands(redis) - commands_before - contender.caller_commands
        return {
            **judge.figures(contender, arrived_ms),
            "jobs_per_second": jobs / (ended - enqueued),
            "cpu_cores": cpu / (ended - enqueued),
            "cpu_ms_per_job": cpu / jobs * 1000,
            "redis_commands_per_job": commands / jobs,
            "redis_bytes_per_job": (max(stored, gauge.dataset_bytes(redis)) - bytes_before) / jobs,
            "memory_mb": gauge.memory_mb(contender.pids()),
            "largest_mb": max(gauge.memory_mb([pid]) for pid in contender.pids()),
            "machine_load": (gauge.machine_seconds() - machine_before) / (time.monotonic() - began),
        }


def _wait_for_all(contender: Contender, arrived: Sized, patience_seconds: float) -> None:
    began = since = tended = time.monotonic()
    seen = 0
    while len(arrived) < contender.load.jobs and time.monotonic() < began + _MAX_SECONDS:
        if time.monotonic() - tended > _AWAY_SECONDS:
            contender.tend()
            tended = time.monotonic()
        if len(arrived) > seen:
            seen, since = len(arrived), time.monotonic()
        if time.monotonic() - since > patience_seconds:
            return
        time.sleep(0.01)
