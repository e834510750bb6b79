"""Celery as its documentation suggests: retry with back-off on 429, poll by `retry(countdown=5)`.

Celery's own `autoretry_for` with `retry_backoff` rounds to whole seconds, which would be 20 simulated ones at speed 20;
the same back-off is written out here. Acknowledged late, so that a killed worker's messages come back.
"""

from __future__ import annotations

import sys
from typing import Any

from celery import Celery
from redis import Redis
from setup_of_run import DONE, POLL_SECONDS, REDIS_URL, SPEED, backoff_seconds, done, jobs
from vendor_sync import Throttled
from vendor_sync import status as vendor_status
from vendor_sync import submit as vendor_submit

app = Celery("celery_retry", broker=REDIS_URL, backend=REDIS_URL)
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
    task_routes={"celery_retry.poll": {"queue": "poll"}},
)
redis = Redis.from_url(REDIS_URL)


@app.task(bind=True, max_retries=None)
def submit(self: Any, job: dict[str, Any]) -> None:
    """Submit a job; on 429 come back later."""
    try:
        task_id = vendor_submit(job)
    except Throttled as error:
        raise self.retry(exc=error, countdown=backoff_seconds(self.request.retries)) from None
    poll.apply_async((job["marker"], task_id), countdown=POLL_SECONDS)


@app.task(bind=True, max_retries=None)
def poll(self: Any, marker: str, task_id: str) -> dict[str, Any]:
    """Look at a task every five seconds until it has ended."""
    try:
        status = vendor_status(task_id)
    except Throttled as error:
        raise self.retry(exc=error, countdown=POLL_SECONDS + backoff_seconds(1)) from None
    if status is None:
        raise self.retry(countdown=POLL_SECONDS)
    redis.rpush(DONE, done(marker, status))
    return status


if __name__ == "__main__" and sys.argv[1:] == ["enqueue"]:
    for each in jobs():
        app.send_task("celery_retry.submit", (each,))
