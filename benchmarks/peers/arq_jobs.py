"""arq, one coroutine for each job; as many at once as there are slots, shared by the processes."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from setup_of_run import CAP, DONE, JOB_TIMEOUT_SECONDS, PROCESSES, REDIS_URL, SPEED, done, jobs
from vendor_async import generate as vendor_generate
from vendor_async import start, stop


async def generate(context: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    """Run one whole remote job."""
    status = await vendor_generate(context["http"], job)
    await context["redis"].rpush(DONE, done(job["marker"], status))
    return status


class WorkerSettings:
    """What `arq arq_jobs.WorkerSettings` runs with."""

    functions = (generate,)
    on_startup = start
    on_shutdown = stop
    redis_settings = RedisSettings.from_dsn(REDIS_URL)
    max_jobs = CAP // PROCESSES
    # The caller gets its result from the list above, so arq need not keep another.
    keep_result = 0
    job_timeout = JOB_TIMEOUT_SECONDS
    # arq's default is half a second.
    poll_delay = 0.5 / SPEED


async def enqueue() -> None:
    """Enqueue all jobs."""
    pool = await create_pool(RedisSettings.from_dsn(REDIS_URL))
    for job in jobs():
        await pool.enqueue_job("generate", job, _job_id=job["marker"])
    await pool.aclose()


if __name__ == "__main__" and sys.argv[1:] == ["enqueue"]:
    asyncio.run(enqueue())
