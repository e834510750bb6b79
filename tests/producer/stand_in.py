"""Stand-ins for the worker's tasks: they read the messages for real and make up what the vendor would say.

What a job's prompt says decides its end; what a job's id says decides what a request to cancel it gives.
"""

from __future__ import annotations

from typing import Any

from celery import Celery
from wanimate import errors
from wanimate.contract import Result, parse_job
from wanimate.redis.transport import celery_settings
from wanimate.settings import Settings

app = Celery("stand_in")
app.conf.update(celery_settings(Settings.load()))


def end(kwargs: dict[str, Any]) -> dict[str, Any]:
    job = parse_job(kwargs)
    match job.prompt:
        case "violate":
            raise errors.ContentViolation("the vendor refused it", "CONTENT_VIOLATION", "task_2")
        case "stumble":
            raise KeyError("a mistake in the worker")
        case _:
            return Result(urls=(job.video_url,), task_id=f"task_{job.seed}").to_json()


@app.task(name="wanimate.generate")
def generate(**kwargs: Any) -> dict[str, Any]:
    return end(kwargs)


@app.task(name="wanimate.enqueue", bind=True)
def enqueue(self: Any, *, jobs: list[tuple[str, dict[str, Any]]]) -> None:
    assert self.request.ignore_result
    for job_id, kwargs in jobs:
        try:
            app.backend.mark_as_done(job_id, end(kwargs))
        except Exception as error:  # noqa: BLE001 - one bad job is kept from its neighbours
            app.backend.mark_as_failure(job_id, error)


@app.task(name="wanimate.cancel")
def cancel(job_id: str) -> str:
    if job_id == "nobody":
        raise errors.QueueUnavailable("no such job")
    return job_id
