"""One contender with one load: what it did, by the vendor's ground truth, and what it cost."""

from __future__ import annotations

import time
from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from redis import Redis

from . import gauge, truth
from .load import marker

if TYPE_CHECKING:
    from collections.abc import Callable

    from .arrivals import Arrivals
    from .contender import Contender

#: A fault strikes when this share of the jobs has been accepted.
_STRIKE_AT = 1 / 3
#: How long a dead worker or a stopped server stays away, in seconds.
_AWAY_SECONDS = 1.0


def kill_a_worker(contender: Contender) -> None:
    """Kill a worker process without notice; its supervisor starts another a second later."""
    contender.kill_worker()
    time.sleep(_AWAY_SECONDS)


def restart_redis(contender: Contender) -> None:
    """Stop Redis, which writes its append-only file, and start it a second later on the same data."""
    contender.stop_redis()
    time.sleep(_AWAY_SECONDS)
    contender.start_redis()


def run(
    contender: Contender,
    *,
    fault: Callable[[Contender], None] | None = None,
    patience_seconds: float = 60.0,
    longest_seconds: float = 600.0,
) -> dict[str, Any]:
    """Run the load and return the figures.

    Args:
        contender: Whom to measure; started already.
        fault: What goes wrong in the middle.
        patience_seconds: Without a new result for so long, the jobs that are left count as stranded.
        longest_seconds: When to stop anyway.
    """
    jobs = contender.load.jobs
    with (
        Redis.from_url(contender.redis_url) as redis,
        contender.arrivals() as arrivals,
        gauge.Sampler(contender.redis_url) as sampler,
    ):
        before, data_before = gauge.counters(redis), gauge.dataset_bytes(redis)
        cpu_before = gauge.cpu_seconds(contender.pids())
        began = time.monotonic()
        contender.pause()
        try:
            contender.enqueue()
        finally:
            contender.go_on()
        enqueued = time.monotonic()
        if fault is not None:
            _wait_for_acceptance(contender, round(jobs * _STRIKE_AT), patience_seconds)
            fault(contender)
        _wait_for_all(contender, arrivals, patience_seconds, began + longest_seconds)
        ended = time.monotonic()
        cpu = gauge.cpu_seconds(contender.pids()) - cpu_before
        done = gauge.counters(redis).since(before) if fault is None else None
        own = arrivals.own_calls + sampler.own_calls
        figures = {
            **_figures(contender, arrivals),
            "enqueue_seconds": enqueued - began,
            "seconds": ended - began,
            "machine_load": sampler.machine_load,
            "cpu_cores": cpu / (ended - enqueued),
        }
        if done is not None:
            figures |= {
                "cpu_ms_per_job": cpu / jobs * 1000,
                "redis_commands_per_job": (done.commands - arrivals.own_calls) / jobs,
                "redis_calls_per_job": (done.calls - own) / jobs,
                "redis_bytes_per_job": (done.bytes_in + done.bytes_out) / jobs,
                "redis_peak_bytes_per_job": (sampler.dataset_bytes_max - data_before) / jobs,
                "redis_commands": {
                    name: round(count / jobs, 2)
                    for name, count in sorted(done.by_command.items(), key=lambda each: -each[1])
                    if count / jobs >= 0.05
                },
            }
        return figures


def _wait_for_acceptance(contender: Contender, count: int, patience_seconds: float) -> None:
    gauge.wait_until(
        lambda: truth.summary(contender.simulator_url)["accepted"] >= count,
        patience_seconds,
        f"{contender.name}: {count} jobs accepted",
    )


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


def _figures(contender: Contender, arrivals: Arrivals) -> dict[str, Any]:
    load = contender.load
    summary, accepted = truth.summary(contender.simulator_url), truth.tasks(contender.simulator_url)
    told = set(arrivals.at_ms)
    if len(told) < load.jobs:
        told |= contender.late_results()
    accepted_by_marker = Counter(task["marker"] for task in accepted)
    told_markers = {task["marker"] for task in accepted if task["task_id"] in told}
    wanted = {marker(number) for number in range(load.jobs)}
    missing = wanted - told_markers
    mean_seconds = truth.mean_duration_seconds(accepted, load.speed)
    lags_ms = sorted(
        arrivals.at_ms[task["task_id"]] - task["completed_at_ms"]
        for task in accepted
        if task["task_id"] in arrivals.at_ms and task["completed_at_ms"] is not None
    )
    ideal = truth.ideal_makespan_seconds(accepted, load.cap, load.speed)
    makespan = summary["makespan_seconds"] or 0.0
    last_ms = max(arrivals.at_ms.values(), default=0.0)
    first_ms = accepted[0]["accepted_at_ms"] if accepted else 0
    return {
        "contender": contender.name,
        "jobs": load.jobs,
        "finished": len(told_markers & wanted),
        "never_sent": len(wanted - set(accepted_by_marker)),
        "stranded": len((wanted & set(accepted_by_marker)) - told_markers),
        "unknown": len(contender.unknown(missing)) if missing else 0,
        "paid_twice": sum(1 for times in accepted_by_marker.values() if times > 1),
        "told_twice": arrivals.count - len(arrivals.at_ms),
        "slot_use": summary["slot_use"],
        "in_flight_max": summary["in_flight_max"],
        "above_cap": summary["violations_of_cap"],
        "requests_window_max": summary["requests_window_max"],
        "cap": load.cap,
        "rate": load.rate,
        "speed": load.speed,
        "count_429": sum(summary["count_429"].values()),
        "throttled_per_job": sum(summary["count_429"].values()) / load.jobs,
        "polls_per_job": summary["polls_per_task"]["mean"],
        "makespan_seconds": makespan,
        "ideal_seconds": ideal,
        "makespan_ratio": makespan / ideal if ideal else None,
        "first_to_last_result_ratio": (last_ms - first_ms) / 1000 / ideal if ideal and last_ms else None,
        "mean_duration_seconds": mean_seconds,
        "lag_mean_seconds": fmean(lags_ms) / 1000 if lags_ms else None,
        "lag_median_seconds": median(lags_ms) / 1000 if lags_ms else None,
        "lag_p95_seconds": lags_ms[int(len(lags_ms) * 0.95)] / 1000 if lags_ms else None,
        "lag_mean_share": fmean(lags_ms) / 1000 / mean_seconds if lags_ms else None,
        "lag_median_share": median(lags_ms) / 1000 / mean_seconds if lags_ms else None,
    }
