"""`growth`: does anything become slower or larger as the backlog grows?"""

from __future__ import annotations

import contextlib
import time
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from redis import Redis
from wanimate.contract import ENTRY_QUEUE, Keys
from wanimate_worker.queues import queue_lengths

from rig import gauge, truth
from rig.wanimate import Wanimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from wanimate import Client

    from rig.profile import Profile

#: Between two urgent jobs that measure how long the way to the vendor is, in seconds.
_PROBE_SECONDS = 0.25
#: How long recording a part of the backlog is waited for, at least, and for each job, in seconds.
_RECORD_SECONDS = 60.0
_RECORD_SECONDS_PER_JOB = 0.002


def run_growth(profile: Profile, tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """Fill the backlog up to each length and watch what goes on meanwhile."""
    rows = []
    with (
        Wanimate(profile.growth, has_callbacks=False) as contender,
        contender.client() as client,
        Redis.from_url(contender.redis_url) as redis,
    ):
        empty_bytes = gauge.dataset_bytes(redis)
        for length in profile.growth_lengths:
            tell(f"{length:,} waiting")
            rows.append(_watch(contender, client, redis, length, profile.growth_seconds, empty_bytes))
    return rows


def _watch(
    contender: Wanimate, client: Client, redis: Redis, length: int, seconds: float, empty_bytes: int
) -> dict[str, Any]:
    waiting = Keys("default").waiting
    missing = length - int(redis.zcard(waiting)) + contender.load.cap
    began = time.monotonic()
    client.submit_many(contender.load.job(number) for number in range(missing))
    enqueued = time.monotonic()
    # On a machine that is too busy it goes on with what is recorded by then; the table says how much that is.
    with contextlib.suppress(TimeoutError):
        gauge.wait_until(
            lambda: not queue_lengths(redis)[ENTRY_QUEUE],
            _RECORD_SECONDS + missing * _RECORD_SECONDS_PER_JOB,
            f"{missing} jobs recorded",
        )
    recorded = time.monotonic()
    stored = gauge.dataset_bytes(redis)
    rank = int(redis.zcard(waiting))
    left = length - rank
    calls_ms, way_ms, lags_ms = _probe(contender, client, seconds)
    return {
        "waiting": rank,
        "enqueue_per_second": missing / (enqueued - began),
        "record_per_second": (missing - max(left, 0)) / (recorded - began),
        "call_median_ms": median(calls_ms),
        "submit_median_ms": median(way_ms) if way_ms else None,
        "submit_p95_ms": sorted(way_ms)[int(len(way_ms) * 0.95)] if way_ms else None,
        "lag_mean_ms": fmean(lags_ms) if lags_ms else None,
        "lag_median_ms": median(lags_ms) if lags_ms else None,
        "slot_turns_per_second": len(lags_ms) / seconds,
        "worker_rss_mb": gauge.resident_bytes(contender.worker_pids()) / contender.load.workers / 1e6,
        "bytes_per_waiting_job": (stored - empty_bytes) / rank if rank else None,
    }


def _probe(contender: Wanimate, client: Client, seconds: float) -> tuple[list[float], list[float], list[float]]:
    """Return, in ms: how long `submit` takes, how long an urgent job needs to the vendor, how late ends are noticed."""
    known = truth.summary(contender.simulator_url)["accepted"]
    sent_ms: dict[str, float] = {}
    calls_ms = []
    began_ms, until = time.time() * 1000, time.monotonic() + seconds
    while time.monotonic() < until:
        name = f"urgent-{len(sent_ms)}-{known}"
        job = contender.load.job(0).model_copy(
            update={"image_url": f"https://example.com/0.png?marker={name}", "priority": 0}
        )
        sent_ms[name] = time.time() * 1000
        client.submit(job)
        calls_ms.append(time.time() * 1000 - sent_ms[name])
        time.sleep(_PROBE_SECONDS)
    gauge.wait_until(
        lambda: sent_ms.keys() <= {task["marker"] for task in truth.tasks(contender.simulator_url, known)},
        60,
        "urgent jobs accepted",
    )
    tasks = truth.tasks(contender.simulator_url)
    way_ms = [task["accepted_at_ms"] - sent_ms[task["marker"]] for task in tasks if task["marker"] in sent_ms]
    lags_ms = [
        task["first_told_at_ms"] - task["completed_at_ms"]
        for task in tasks
        if task["first_told_at_ms"] is not None and began_ms <= task["completed_at_ms"] <= began_ms + seconds * 1000
    ]
    return calls_ms, way_ms, lags_ms
