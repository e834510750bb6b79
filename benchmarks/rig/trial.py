"""One contender with one load: what it did, by the vendor's ground truth, and what it cost."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

from redis import Redis

from . import gauge, judge

if TYPE_CHECKING:
    from collections.abc import Callable

    from .contender import Arrivals, Contender

#: A fault strikes when this share of the jobs has been accepted.
_STRIKE_AT = 1 / 3
#: How long a dead worker or a stopped server stays away, in seconds.
_AWAY_SECONDS = 1.0
#: When a run is stopped anyway.
_MAX_SECONDS = 1_200.0


def kill_a_worker(contender: Contender) -> None:
    """Kill a worker process without notice; its supervisor starts another a second later."""
    contender.workers()[0].kill()
    time.sleep(_AWAY_SECONDS)


def restart_redis(contender: Contender) -> None:
    """Stop Redis, which writes its append-only file, and start it a second later on the same data."""
    contender.stack.redis.stop()
    time.sleep(_AWAY_SECONDS)
    contender.stack.redis.start()


def run(
    contender: Contender, *, fault: Callable[[Contender], None] | None = None, patience_seconds: float = 60.0
) -> dict[str, Any]:
    """Run the load and return the figures.

    Args:
        contender: Whom to measure; started already.
        fault: What goes wrong in the middle.
        patience_seconds: Without a new result for so long, the jobs that are left count as stranded.
    """
    jobs = contender.load.jobs
    with (
        Redis.from_url(contender.redis_url) as redis,
        contender.arrivals() as arrivals,
        gauge.Sampler(contender.redis_url) as sampler,
    ):
        before, data_before = gauge.Counters.of(redis), gauge.dataset_bytes(redis)
        cpu_before = gauge.cpu_seconds(contender.pids())
        began = time.monotonic()
        # Everyone starts with the whole backlog.
        contender.signal(signal.SIGSTOP)
        try:
            contender.enqueue()
        finally:
            contender.signal(signal.SIGCONT)
        enqueued = time.monotonic()
        if fault is not None:
            gauge.wait_until(
                lambda: judge.summary(contender.simulator_url)["accepted"] >= jobs * _STRIKE_AT,
                patience_seconds,
                f"{contender.name}: a part of the jobs accepted",
            )
            fault(contender)
        _wait_for_all(contender, arrivals, patience_seconds, began + _MAX_SECONDS)
        ended = time.monotonic()
        cpu = gauge.cpu_seconds(contender.pids()) - cpu_before
        if fault is not None:
            return judge.figures(contender, arrivals)
        done = gauge.Counters.of(redis).since(before)
        return {
            **judge.figures(contender, arrivals),
            "jobs_per_second": jobs / (ended - enqueued),
            "machine_load": sampler.machine_load,
            "cpu_cores": cpu / (ended - enqueued),
            "cpu_ms_per_job": cpu / jobs * 1000,
            "memory_mb": gauge.memory_mb(contender.pids()),
            "largest_mb": max(gauge.memory_mb([pid]) for pid in contender.pids()),
            "redis_commands_per_job": (done.commands - arrivals.own_calls) / jobs,
            "redis_calls_per_job": (done.calls - arrivals.own_calls - sampler.own_calls) / jobs,
            "redis_bytes_per_job": done.bytes / jobs,
            "redis_peak_bytes_per_job": (sampler.dataset_bytes_max - data_before) / jobs,
            "redis_most_commands": ", ".join(
                f"{name} {calls / jobs:.1f}"
                for name, calls in sorted(done.by_command.items(), key=lambda each: -each[1])[:8]
            ),
        }


def _wait_for_all(contender: Contender, arrivals: Arrivals, patience_seconds: float, until: float) -> None:
    seen, since, tended = 0, time.monotonic(), 0.0
    while len(arrivals.at_ms) < contender.load.jobs and time.monotonic() < until:
        if time.monotonic() - tended > _AWAY_SECONDS:
            contender.tend()
            tended = time.monotonic()
        if len(arrivals.at_ms) > seen:
            seen, since = len(arrivals.at_ms), time.monotonic()
        if time.monotonic() - since > patience_seconds:
            return
        time.sleep(0.01)
