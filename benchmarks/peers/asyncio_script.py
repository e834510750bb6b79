"""A plain script: a coroutine for each job behind a semaphore, results appended to a file.

Started again, it leaves out the jobs whose results are in the file.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from setup_of_run import CAP, JOBS, RESULTS, done, jobs
from vendor_async import generate, start, stop


async def main() -> None:
    """Run all jobs that have no result yet."""
    print("ready", flush=True)
    while not JOBS.exists():  # noqa: ASYNC110 - another process writes it
        await asyncio.sleep(0.01)
    RESULTS.touch()
    finished = {json.loads(line)["marker"] for line in RESULTS.read_text().splitlines()}
    slots = asyncio.Semaphore(CAP)
    context: dict[str, Any] = {}
    await start(context)
    with RESULTS.open("a", buffering=1) as results:

        async def run(job: dict[str, Any]) -> None:
            async with slots:
                status = await generate(context["http"], job)
            results.write(done(job["marker"], status) + "\n")

        await asyncio.gather(*(run(job) for job in jobs() if job["marker"] not in finished))
    await stop(context)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
