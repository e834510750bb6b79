"""SAQ, one coroutine for each job; as many at once as there are slots, shared by the processes."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from saq import Queue
from setup_of_run import CAP, DONE, JOB_TIMEOUT_SECONDS, PROCESSES, REDIS_URL, SPEED, done, jobs
from vendor_async import generate as vendor_generate
from vendor_async import start, stop

queue = Queue.from_url(REDIS_URL)


async def generate(context: dict[str, Any], *, job: dict[str, Any]) -> dict[str, Any]:
    """Run one whole remote job."""
    status = await vendor_generate(context["http"], job)
    await queue.redis.rpush(DONE, done(job["marker"], status))
    return status


settings = {
    "queue": queue,
    "functions": [generate],
    "concurrency": CAP // PROCESSES,
    "startup": start,
    "shutdown": stop,
    # Gives back what dead workers held; SAQ's default is every 60 s.
    "timers": {"sweep": max(60 / SPEED, 1)},
}


async def enqueue() -> None:
    """Enqueue all jobs."""
    await queue.connect()
    for job in jobs():
        await queue.enqueue("generate", job=job, key=job["marker"], timeout=round(JOB_TIMEOUT_SECONDS), retries=5)
    await queue.disconnect()


if __name__ == "__main__" and sys.argv[1:] == ["enqueue"]:
    asyncio.run(enqueue())
