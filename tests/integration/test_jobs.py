"""A job from its enqueueing to its end, and every way it can end."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job
from wanimate import (
    AsyncClient,
    CancelOutcome,
    ContentViolation,
    GenerationFailed,
    IdempotencyConflict,
    InvalidRequest,
    JobCancelled,
    JobNotFound,
    JobState,
    Settings,
    SubmissionUnknown,
)
from wanimate.contract import UNACKED_KEY, Keys
from wanimate_worker.queues import queue_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import Client, JobHandle
    from wanimate.contract import Job
    from wanimate_devstack import Stack


def test_a_job_gives_the_vendors_result_and_tells_its_times(client: Client, vendor: Vendor) -> None:
    handle = client.submit(job("plain", labels={"customer": "seven"}))
    result = handle.wait(timeout=PATIENCE_SECONDS)
    task = vendor.task_of("plain")
    assert task is not None
    assert result.task_id == task["task_id"]
    assert result.urls == (vendor.result_url(task),)
    assert result.created_at is not None
    assert abs(result.created_at - datetime.now(UTC)) < timedelta(minutes=2)
    assert result.cost_time_ms == pytest.approx(task["duration_seconds"] * 1000, abs=1)
    status = handle.status()
    assert status.state is JobState.SUCCEEDED
    assert (status.attempts, status.task_id, status.labels) == (1, task["task_id"], {"customer": "seven"})
    assert status.waiting_at is not None
    assert status.submitted_at is not None
    assert status.settled_at is not None
    assert status.waiting_at <= status.submitted_at <= status.settled_at


@pytest.mark.parametrize(
    ("prompt", "error", "code"),
    [
        ("[violation]", ContentViolation, "CONTENT_VIOLATION"),
        ("[fail]", GenerationFailed, "GENERATION_FAILED"),
        ("[reject]", InvalidRequest, "400"),
    ],
)
def test_a_failure_of_the_vendor_is_a_typed_error_with_its_code(
    client: Client, vendor: Vendor, prompt: str, error: type[Exception], code: str
) -> None:
    handle = client.submit(job("failing", prompt=prompt))
    with pytest.raises(error) as caught:
        handle.wait(timeout=PATIENCE_SECONDS)
    assert caught.value.code == code  # type: ignore[attr-defined]
    assert str(caught.value)
    assert handle.status().state is JobState.FAILED
    if code != "400":
        task = vendor.task_of("failing")
        assert task is not None
        assert caught.value.task_id == task["task_id"]  # type: ignore[attr-defined]


def test_jobs_over_the_cap_wait_and_cost_no_message_and_no_worker(client: Client, vendor: Vendor, redis: Redis) -> None:
    vendor.set_faults(stalled=True)
    handles = client.submit_many(job(f"backlog-{i}") for i in range(60))
    eventually(lambda: redis.zcard("wanimate:{default}:waiting") == 55, "all but five wait")
    eventually(lambda: not any(queue_lengths(redis).values()), "no message is queued")
    eventually(lambda: redis.hlen(UNACKED_KEY) == 0, "no worker holds a message")
    last = handles[-1].status()
    assert last.state is JobState.WAITING
    assert last.position == 55
    eventually(lambda: vendor.summary()["accepted"] == 5, "the slots are used")
    for handle in handles[5:]:
        assert handle.cancel() is CancelOutcome.CANCELLED
    vendor.set_faults()
    assert len(client.wait_all(handles[:5], timeout=PATIENCE_SECONDS)) == 5


def test_cancelling_a_waiting_job_is_free_and_its_caller_learns_of_it(client: Client, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True)
    running = client.submit_many(job(f"running-{i}") for i in range(5))
    # Another thread might record the next one first.
    eventually(lambda: vendor.summary()["accepted"] == 5, "all slots are taken")
    waiting = client.submit(job("waiting"))
    eventually(lambda: waiting.status().state is JobState.WAITING, "it waits")
    assert waiting.cancel() is CancelOutcome.CANCELLED
    with pytest.raises(JobCancelled):
        waiting.wait(timeout=PATIENCE_SECONDS)
    assert waiting.status().state is JobState.CANCELLED
    vendor.set_faults()
    client.wait_all(running, timeout=PATIENCE_SECONDS)
    assert vendor.accepted()["waiting"] == 0


def test_cancelling_a_submitted_job_says_that_it_is_billed_and_its_result_still_comes(
    client: Client, vendor: Vendor
) -> None:
    vendor.set_faults(stalled=True)
    handle = client.submit(job("submitted"))
    eventually(lambda: handle.status().state is JobState.RUNNING, "it runs")
    assert handle.cancel() is CancelOutcome.BILLED
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).urls
    assert handle.cancel() is CancelOutcome.FINISHED
    assert vendor.accepted() == {"submitted": 1}


def test_a_job_cancelled_before_any_worker_saw_it_is_never_submitted(
    client: Client, vendor: Vendor, redis: Redis
) -> None:
    entry = job("early", idempotency_key="cancelled-early")
    handle = client.job(entry.job_id("default"))
    with pytest.raises(JobNotFound):
        handle.cancel()
    # As if its message were still on its way to a worker.
    redis.zadd(Keys("default").enqueued, {handle.id: time.time() * 1000})
    assert handle.cancel() is CancelOutcome.CANCELLED
    client.submit(entry)
    with pytest.raises(JobCancelled):
        handle.wait(timeout=PATIENCE_SECONDS)
    assert not vendor.tasks()


def test_one_idempotency_key_is_one_job_and_one_payment(client: Client, vendor: Vendor) -> None:
    once = [client.submit(job("once", idempotency_key="order-1")) for _ in range(5)]
    many = client.submit_many(job("once", idempotency_key="order-1") for _ in range(5))
    assert len({handle.id for handle in [*once, *many]}) == 1
    first = once[0].wait(timeout=PATIENCE_SECONDS)
    # Also after its end.
    assert client.submit(job("once", idempotency_key="order-1")).wait(timeout=PATIENCE_SECONDS) == first
    with pytest.raises(IdempotencyConflict):
        client.submit(job("another", idempotency_key="order-1"))
    assert vendor.accepted() == {"once": 1}


def test_urgent_jobs_overtake_the_backlog_and_equals_keep_their_order(
    client: Client, vendor: Vendor, redis: Redis
) -> None:
    vendor.set_faults(stalled=True)
    blocking = client.submit_many(job(f"blocking-{i}") for i in range(5))
    eventually(lambda: vendor.summary()["accepted"] == 5, "all slots are taken")
    ordinary = client.submit_many(job(f"ordinary-{i}") for i in range(10))
    eventually(lambda: ordinary[-1].status().position == 10, "the backlog waits")
    urgent = client.submit(job("urgent", priority=0))
    eventually(lambda: urgent.status().position == 1, "it is next")
    vendor.set_faults()
    client.wait_all([*blocking, *ordinary, urgent], timeout=PATIENCE_SECONDS)

    def slot_taken_ms(handle: JobHandle) -> int:
        # Threads may submit in another order than they were given their slots.
        history = str(redis.hget(f"wanimate:{{default}}:job:{handle.id}", "history")).splitlines()
        [at_ms] = [line.split(" ")[0] for line in history if line.split(" ")[1] == "admitted"]
        return int(at_ms)

    given = [slot_taken_ms(handle) for handle in [*blocking, urgent, *ordinary]]
    assert given == sorted(given)


def test_async_and_sync_clients_do_the_same(stack: Stack, vendor: Vendor) -> None:
    async def enqueue_and_wait() -> list[str]:
        settings = Settings(redis_url=stack.redis.url)  # type: ignore[arg-type]
        async with AsyncClient(settings) as client:
            handles = [await client.animate(**fields_of(f"async-{i}")) for i in range(6)]
            results = await asyncio.gather(*(handle.wait(timeout=PATIENCE_SECONDS) for handle in handles))
            return [result.task_id for result in results]

    task_ids = asyncio.run(enqueue_and_wait())
    marker_of = {task["task_id"]: task["marker"] for task in vendor.tasks()}
    assert [marker_of[task_id] for task_id in task_ids] == [f"async-{i}" for i in range(6)]


def test_a_lost_answer_is_never_paid_twice(client: Client, vendor: Vendor) -> None:
    vendor.set_faults(drop_answer_rate=1.0)
    handle = client.submit(job("lost"))
    with pytest.raises(SubmissionUnknown, match="may have accepted and billed"):
        handle.wait(timeout=PATIENCE_SECONDS)
    assert vendor.accepted() == {"lost": 1}


def test_a_lost_answer_is_submitted_again_only_where_the_job_asks_for_it(client: Client, vendor: Vendor) -> None:
    vendor.set_faults(drop_answer_rate=1.0)
    handle = client.submit(job("again", on_unknown="resubmit"))
    eventually(lambda: vendor.accepted()["again"], "its answer is lost")
    vendor.set_faults()
    assert handle.wait(timeout=PATIENCE_SECONDS).urls
    # More often than twice only if that look came late.
    assert handle.status().attempts == vendor.accepted()["again"] >= 2


def test_submit_many_reads_its_input_as_it_sends_it(client: Client, vendor: Vendor, redis: Redis) -> None:
    def jobs() -> Iterator[Job]:
        for number in range(500):
            if number == 300:
                eventually(lambda: redis.zcard("wanimate:{default}:waiting") > 0, "the first ones have arrived")
                vendor.set_faults()
            yield job(f"stream-{number}")

    vendor.reset(mean_seconds=1)
    vendor.set_faults(stalled=True)
    handles = client.submit_many(jobs())
    outcomes = client.wait_all(handles, timeout=PATIENCE_SECONDS)
    assert len(outcomes) == 500
    assert set(vendor.accepted().values()) == {1}
