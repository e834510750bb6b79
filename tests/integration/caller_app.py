"""A Celery app as a backend would have it: its own tasks on Celery's default queue, and no Wanimate task in it."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery

URL = os.environ.get("WANIMATE_REDIS_URL", "redis://127.0.0.1:1/0")

app = Celery("caller", broker=URL, backend=URL)
app.conf.update(
    worker_pool="threads",
    worker_concurrency=2,
    broker_connection_retry_on_startup=True,
    worker_enable_remote_control=False,
)


@app.task(name="caller.first_url")
def first_url(result: dict[str, Any]) -> str:
    """Take what a job returns."""
    return str(result["urls"][0])


@app.task(name="caller.count")
def count(results: list[Any]) -> int:
    """Take what a group of jobs returns."""
    return len(results)


@app.task(name="caller.note")
def note(value: Any, key: str) -> None:
    """Remember that this was called, and with what."""
    app.backend.client.rpush(key, str(value))


@app.task(name="caller.note_type")
def note_type(value: Any, key: str) -> None:
    """Remember of what type this argument arrived."""
    app.backend.client.rpush(key, type(value).__name__)


@app.task(name="caller.become", bind=True)
def become(self: Any, signature: Any) -> None:
    """Put another task in the place of this one."""
    self.replace(app.signature(signature))


@app.task(name="caller.note_failed_id")
def note_failed_id(task_id: str) -> None:
    """Take the id of the job that failed, as errbacks do that run on another worker than the job."""
    app.backend.client.rpush("failed-ids", task_id)
