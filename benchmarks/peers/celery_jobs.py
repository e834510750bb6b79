"""Celery as its documentation suggests: retry with back-off on 429, poll by `retry(countdown=5)`.

As "Celery, semaphore" a job that gets no slot of a Redis semaphore retries with back-off instead of asking the vendor.
The semaphore is the usual one, a sorted set of holders with the time they took it; holders older than the longest job
are taken for dead.

Celery's own `autoretry_for` with `retry_backoff` rounds to whole seconds, which would be 20 simulated ones at speed 20;
the same back-off is written out here. Acknowledged late, so that a killed worker's messages come back.
"""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from redis import Redis
from setup_of_run import (
    CAP,
    CONTENDER,
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
from vendor_sync import status as vendor_status
from vendor_sync import submit as vendor_submit

app = Celery("celery_jobs", broker=REDIS_URL, backend=REDIS_URL)
app.conf.update(
    # The caller gets its result from the list below, so Celery need not store another.
    task_ignore_result=True,
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    broker_connection_retry_on_startup=True,
    # Celery's default is an hour.
    broker_transport_options={"visibility_timeout": max(3600 / SPEED, 30)},
    # Polls do not stand behind the backlog.
    task_routes={"celery_jobs.poll": {"queue": "poll"}},
)
redis = Redis.from_url(REDIS_URL)

HAS_SEMAPHORE = CONTENDER == "Celery, semaphore"
SLOTS = "bench:slots"
_acquire = redis.register_script(
    """
    local now = redis.call('TIME')
    now = now[1] + now[2] / 1e6
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[3])
    if redis.call('ZSCORE', KEYS[1], ARGV[1]) then return 1 end
    if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then return 0 end
    redis.call('ZADD', KEYS[1], now, ARGV[1])
    return 1
    """
)


@app.task(bind=True, max_retries=None)
def submit(self: Any, job: dict[str, Any]) -> None:
    """Submit a job; without a slot of the semaphore, or on 429, come back later."""
    if HAS_SEMAPHORE and not _acquire(keys=[SLOTS], args=[job["marker"], CAP, JOB_TIMEOUT_SECONDS]):
        raise self.retry(countdown=backoff_seconds(self.request.retries))
    try:
        task_id = vendor_submit(job)
    except Throttled as error:
        if HAS_SEMAPHORE:
            redis.zrem(SLOTS, job["marker"])
        raise self.retry(exc=error, countdown=backoff_seconds(self.request.retries)) from None
    poll.apply_async((job["marker"], task_id), countdown=POLL_SECONDS)


@app.task(bind=True, max_retries=None)
def poll(self: Any, marker: str, task_id: str) -> dict[str, Any]:
    """Poll a task every five seconds until it has ended, then free its slot."""
    try:
        status = vendor_status(task_id)
    except Throttled as error:
        raise self.retry(exc=error, countdown=POLL_SECONDS + backoff_seconds(1)) from None
    if status is None:
        raise self.retry(countdown=POLL_SECONDS)
    if HAS_SEMAPHORE:
        redis.zrem(SLOTS, marker)
    redis.rpush(DONE, done(marker, status))
    return status


if __name__ == "__main__" and sys.argv[1:] == ["enqueue"]:
    for each in jobs():
        submit.delay(each)
