"""dramatiq with its rate limiter: a thread holds a slot of `ConcurrentRateLimiter` for the whole remote job."""

from __future__ import annotations

import sys
import time
from typing import Any

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits import ConcurrentRateLimiter
from dramatiq.rate_limits.backends import RedisBackend
from redis import Redis
from setup_of_run import (
    CAP,
    DONE,
    JOB_TIMEOUT_SECONDS,
    POLL_SECONDS,
    REDIS_URL,
    SPEED,
    Throttled,
    backoff_seconds,
    done,
    jobs,
)
from vendor_sync import status, submit

# dramatiq's default heartbeat time-out is 60 s. Not below 15 s: a process that stands still for a moment is not dead.
broker = RedisBroker(url=REDIS_URL, heartbeat_timeout=round(max(60 / SPEED, 15) * 1000))
dramatiq.set_broker(broker)
redis = Redis.from_url(REDIS_URL)
slots = ConcurrentRateLimiter(
    RedisBackend(client=redis), "bench-slots", limit=CAP, ttl=round(JOB_TIMEOUT_SECONDS * 1000)
)


@dramatiq.actor(
    max_retries=100_000,
    min_backoff=round(1000 / SPEED),
    max_backoff=round(60_000 / SPEED),
    time_limit=round(JOB_TIMEOUT_SECONDS * 1000),
)
def generate(job: dict[str, Any]) -> None:
    """Run one whole remote job; without a slot, come back later."""
    with slots.acquire():
        task_id = submit(job)
        throttled = 0
        while True:
            time.sleep(POLL_SECONDS + (backoff_seconds(throttled) if throttled else 0))
            try:
                ended = status(task_id)
            except Throttled:
                throttled += 1
                continue
            throttled = 0
            if ended is not None:
                break
    redis.rpush(DONE, done(job["marker"], ended))


if __name__ == "__main__" and sys.argv[1:] == ["enqueue"]:
    for each in jobs():
        generate.send(each)
