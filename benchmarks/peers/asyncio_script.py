"""A plain script: a coroutine for each job behind a semaphore, results appended to a file.

Started again, it leaves out the jobs whose results are in the file.
"""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TextIO

from setup_of_run import CAP, JOBS, RESULTS, done, jobs
from vendor_async import generate, session

if TYPE_CHECKING:
    import aiohttp


async def run(http: aiohttp.ClientSession, slots: asyncio.Semaphore, job: dict[str, Any], results: TextIO) -> None:
    """Run one job and write its result."""
    async with slots:
        status = await generate(http, job)
    results.write(done(job["marker"], status) + "\n")
    results.flush()


async def main() -> None:
    """Run all jobs that have no result yet."""
    print("ready", flush=True)
    while not JOBS.exists():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    finished = set()
    if RESULTS.exists():
        finished = {json.loads(line)["marker"] for line in RESULTS.read_text().splitlines()}
    slots = asyncio.Semaphore(CAP)
    with RESULTS.open("a") as results:
        async with session() as http, asyncio.TaskGroup() as group:
            for job in jobs():
                if job["marker"] not in finished:
                    group.create_task(run(http, slots, job, results))
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
