from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import pytest
from wanimate import (
    AnimateJob,
    AsyncClient,
    CancelOutcome,
    ContentViolation,
    JobState,
    QueueUnavailable,
    Result,
    Settings,
    WaitTimeout,
)
from wanimate.aio import THREADS

from .conftest import FIELDS, RESULT, Database, Server, enqueue_stand_ins

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A loop that a wait blocks stands still until the wait times out, after a minute; a busy machine pauses for less.
STANDSTILL_SECONDS = 10.0


class Heartbeat:
    """Beats in the event loop and remembers the longest pause between two beats."""

    def __init__(self) -> None:
        self.longest_pause = 0.0
        self.most_threads = 0

    async def beat(self) -> None:
        last = time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - last)
            self.most_threads = max(self.most_threads, threading.active_count())
            last = now


def test_a_thousand_waiting_jobs_neither_block_the_loop_nor_hold_a_thread_each(
    settings: Settings, database: Database
) -> None:
    heartbeat = Heartbeat()
    before = threading.active_count()
    database.enqueue("warm-up", *(f"job-{n}" for n in range(1000)))

    def succeed_all() -> None:
        for n in range(1000):
            database.succeed(f"job-{n}")

    async def main() -> list[Result]:
        async with AsyncClient(settings) as client:
            await client.job("warm-up").status()  # connects, in a thread of its own
            beating = asyncio.create_task(heartbeat.beat())
            waits = [asyncio.create_task(client.job(f"job-{n}").wait(timeout=60)) for n in range(1000)]
            await asyncio.sleep(1)  # a second of nothing but waiting is what is measured
            await asyncio.to_thread(succeed_all)
            results = await asyncio.gather(*waits)
            beating.cancel()
            return results

    assert asyncio.run(main()) == [RESULT] * 1000
    assert heartbeat.longest_pause < STANDSTILL_SECONDS
    # One more is the thread that stores the results.
    assert heartbeat.most_threads <= before + THREADS + 1


def test_a_thousand_waiting_jobs_share_their_reads(settings: Settings, database: Database) -> None:
    database.enqueue(*(f"job-{n}" for n in range(1000)))

    def reads() -> int:
        return int(database.redis.info("commandstats").get("cmdstat_mget", {}).get("calls", 0))

    async def main() -> int:
        async with AsyncClient(settings) as client:
            before = reads()
            waits = [client.job(f"job-{n}").wait(timeout=1) for n in range(1000)]
            ended = await asyncio.gather(*waits, return_exceptions=True)
            assert all(isinstance(outcome, WaitTimeout) for outcome in ended)
            return reads() - before

    assert asyncio.run(main()) < 500


def test_the_first_use_does_not_block_the_loop_while_it_connects(settings: Settings, database: Database) -> None:
    heartbeat = Heartbeat()

    async def main() -> None:
        beating = asyncio.create_task(heartbeat.beat())
        async with AsyncClient(settings) as client:
            await client.animate(**FIELDS)
        beating.cancel()

    asyncio.run(main())

    assert heartbeat.longest_pause < 0.5


def test_the_async_client_does_all_that_the_blocking_one_does(stand_in_url: str) -> None:
    enqueue_stand_ins(stand_in_url)

    async def main() -> None:
        async with AsyncClient(Settings(redis_url=stand_in_url)) as client:
            one = await client.animate(**FIELDS, seed=7)
            assert await one.wait(timeout=20) == Result(urls=(FIELDS["video_url"],), task_id="task_7")
            assert (await one.status()).state is JobState.SUCCEEDED
            refused = await client.replace(**FIELDS, prompt="violate")
            with pytest.raises(ContentViolation):
                await refused.wait(timeout=20)
            handles = await client.submit_many(AnimateJob(**FIELDS, seed=n) for n in range(450))
            outcomes = await client.wait_all(handles, timeout=30)
            assert [outcome.task_id for outcome in outcomes] == [f"task_{n}" for n in range(450)]
            ended = {handle async for handle, _ in client.as_completed(handles, timeout=20)}
            assert ended == set(handles)
            assert await client.job("billed").cancel(timeout=20) is CancelOutcome.BILLED

    asyncio.run(main())


def test_an_error_reaches_every_waiting_job_as_its_own_object(own_server: Server) -> None:
    own_server.stop()

    async def main() -> list[object]:
        async with AsyncClient(Settings(redis_url=own_server.url())) as client:
            waits = [client.job(f"job-{n}").wait(timeout=30) for n in range(20)]
            return list(await asyncio.gather(*waits, return_exceptions=True))

    errors = asyncio.run(main())

    assert all(isinstance(error, QueueUnavailable) for error in errors)
    assert len({id(error) for error in errors}) == 20


def test_a_cancelled_wait_leaves_the_others_waiting(settings: Settings, database: Database) -> None:
    database.enqueue("job-1")

    async def main() -> Result:
        async with AsyncClient(settings) as client:
            impatient = asyncio.create_task(client.job("job-1").wait())
            patient = asyncio.create_task(client.job("job-1").wait(timeout=30))
            await asyncio.sleep(0)
            impatient.cancel()
            await asyncio.sleep(0.1)
            database.succeed("job-1")
            with pytest.raises(asyncio.CancelledError):
                await impatient
            return await patient

    assert asyncio.run(main()) == RESULT


def test_one_client_may_serve_one_event_loop_after_another(settings: Settings, database: Database) -> None:
    client = AsyncClient(settings)
    database.succeed("job-1")

    assert asyncio.run(client.job("job-1").wait(timeout=10)) == RESULT
    assert asyncio.run(client.job("job-1").wait(timeout=10)) == RESULT
    asyncio.run(client.close())


def test_enqueueing_many_leaves_the_loop_free(settings: Settings, database: Database) -> None:
    heartbeat = Heartbeat()
    database.enqueue("warm-up")

    def jobs() -> Iterator[AnimateJob]:
        for n in range(20_000):
            yield AnimateJob(**FIELDS, seed=n)

    async def main() -> tuple[int, float]:
        async with AsyncClient(settings) as client:
            await client.job("warm-up").status()
            beating = asyncio.create_task(heartbeat.beat())
            began = time.monotonic()
            handles = await client.submit_many(jobs())
            beating.cancel()
            return len(handles), time.monotonic() - began

    count, seconds = asyncio.run(main())
    assert count == 20_000
    assert heartbeat.longest_pause < seconds / 2, "the loop stood still while the jobs were enqueued"
