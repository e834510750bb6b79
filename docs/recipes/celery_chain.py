"""A Celery app that runs its own tasks after a job."""

import os
import sqlite3

from celery import Celery, chain
from wanimate import AnimateJob

REDIS_URL = os.environ["WANIMATE_REDIS_URL"]
app = Celery("celery_chain", broker=REDIS_URL, backend=REDIS_URL)


@app.task
def enqueue(name: str, image_url: str, video_url: str) -> str:
    job = AnimateJob(image_url=image_url, video_url=video_url, idempotency_key=f"video-{name}")
    return chain(job.signature(), succeeded.s(name)).apply_async(link_error=failed.s(name)).parent.id


@app.task
def succeeded(result: dict, name: str) -> None:
    store(name, "succeeded", result["urls"][0])


@app.task
def failed(job_id: str, name: str) -> None:
    store(name, "failed", None)


def store(name: str, state: str, url: str | None) -> None:
    with sqlite3.connect("videos.db") as database:
        database.execute("CREATE TABLE IF NOT EXISTS videos (name PRIMARY KEY, state, url)")
        database.execute("REPLACE INTO videos VALUES (?, ?, ?)", (name, state, url))
