"""Ids that nothing is known about, and jobs that are known only by a message, or only by their record."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from wanimate import (
    AnimateJob,
    AsyncClient,
    Client,
    GenerationFailed,
    JobNotFound,
    JobState,
    Settings,
    WaitTimeout,
    WorkerUnavailable,
)
from wanimate.contract import ENQUEUE_TASK, GENERATE_TASK, UNACKED_KEY, Keys, Outcome
from wanimate.redis.transport import celery_settings

from .conftest import FIELDS, RESULT, Database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from wanimate import JobHandle

KEYS = Keys("default")
KWARGS = {"type": "animate", **FIELDS}
QUESTIONS: list[Callable[[Client, str], object]] = [
    lambda client, job_id: client.job(job_id).status(),
    lambda client, job_id: client.job(job_id).wait(),
    lambda client, job_id: client.job(job_id).wait(timeout=0),
    lambda client, job_id: client.job(job_id).cancel(),
    lambda client, job_id: client.wait_all([client.job("done"), client.job(job_id)]),
    lambda client, job_id: list(client.as_completed([client.job(job_id)])),
]
NAMES = ["status", "wait", "look", "cancel", "wait_all", "as_completed"]


@pytest.mark.parametrize("ask", QUESTIONS, ids=NAMES)
def test_an_id_that_nothing_is_known_about_is_told_at_once(
    client: Client, database: Database, ask: Callable[[Client, str], object]
) -> None:
    database.succeed("done")
    client.animate(**FIELDS)
    started = time.monotonic()

    with pytest.raises(JobNotFound, match="job mistyped was not found") as caught:
        ask(client, "mistyped")

    assert time.monotonic() - started < 5
    assert isinstance(caught.value, LookupError)
    assert "billed" not in str(caught.value)
    assert database.messages("wanimate.control") == []


def test_the_async_client_tells_it_too(settings: Settings, database: Database) -> None:
    async def main() -> None:
        async with AsyncClient(settings) as client:
            job = client.job("mistyped")
            for ask in (job.status(), job.wait(), job.cancel(), client.wait_all([job])):
                with pytest.raises(JobNotFound):
                    await ask
            with pytest.raises(JobNotFound):
                _ = [ended async for ended in client.as_completed([job])]

    asyncio.run(main())


def test_jobs_that_have_ended_come_before_one_that_is_not_known(client: Client, database: Database) -> None:
    database.succeed("done")
    ended = client.as_completed([client.job("mistyped"), client.job("done")])

    assert next(ended)[0].id == "done"
    with pytest.raises(JobNotFound):
        next(ended)


def test_an_enqueued_job_is_known_from_the_moment_its_message_is(client: Client, database: Database) -> None:
    handles = [client.animate(**FIELDS), *client.submit_many(AnimateJob(**FIELDS, seed=n) for n in range(300))]

    assert {handle.status().state for handle in handles[::50]} == {JobState.QUEUED}
    assert {job_id for job_id, _ in database.redis.zscan_iter(KEYS.enqueued)} == {handle.id for handle in handles}
    score = database.redis.zscore(KEYS.enqueued, handles[0].id)
    assert score == pytest.approx(time.time() * 1000, abs=60_000)
    assert 0 < database.redis.ttl(KEYS.enqueued) <= 3 * 86_400
    with pytest.raises(WaitTimeout):
        client.wait_all(handles, timeout=0.2)
    with pytest.raises(WorkerUnavailable):
        handles[0].cancel(timeout=0.1)


@pytest.fixture
def caller(settings: Settings) -> Iterator[Celery]:
    """A Celery app that sends jobs without this library's client."""
    app = Celery("caller", set_as_current=False)
    app.conf.update(celery_settings(settings))
    yield app
    app.close()


def take(database: Database, key: str) -> None:
    """Take a message as a worker does that has not recorded it yet."""
    text = database.redis.rpop(key)
    database.redis.hset(UNACKED_KEY, "tag", f'[{text},"","wanimate"]')


@pytest.mark.parametrize("is_taken", [False, True])
@pytest.mark.parametrize("protocol", [1, 2])
def test_a_job_that_other_code_has_sent_is_found_by_its_message(
    client: Client, database: Database, caller: Celery, protocol: int, *, is_taken: bool
) -> None:
    caller.conf.task_protocol = protocol
    sent = caller.send_task(GENERATE_TASK, kwargs=KWARGS, queue="wanimate", priority=3, task_id="ünï")
    assert client.job(sent.id).status().state is JobState.QUEUED
    if is_taken:
        take(database, "wanimate\x06\x163")

    assert client.job(sent.id).status().state is JobState.QUEUED
    with pytest.raises(WaitTimeout):
        client.job(sent.id).wait(timeout=0)
    with pytest.raises(WorkerUnavailable):
        client.job(sent.id).cancel(timeout=0.1)
    with pytest.raises(JobNotFound):
        client.job("mistyped").status()
    database.redis.delete(UNACKED_KEY)
    caller.backend.client.close()


def test_a_job_of_many_in_one_message_is_found_when_it_waits_for_longer_than_it_is_noted(
    client: Client, database: Database
) -> None:
    handles = client.submit_many(AnimateJob(**FIELDS, seed=n) for n in range(3))
    database.redis.delete(KEYS.enqueued)

    assert database.messages()[0]["headers"]["task"] == ENQUEUE_TASK
    assert {handle.status().state for handle in handles} == {JobState.QUEUED}


def test_a_job_that_is_kept_as_a_dead_letter_is_known(client: Client, database: Database) -> None:
    letter = {"reason": "newer contract", "headers": {"task": GENERATE_TASK, "id": "newer"}, "body": ""}
    database.redis.lpush(KEYS.dead, f"7 {json.dumps(letter)}", "8 {}", "")

    assert client.job("newer").status().state is JobState.QUEUED
    with pytest.raises(JobNotFound):
        client.job("mistyped").status()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "[[]]",
        "{}",
        "7",
        '{"headers": [], "body": ""}',
        json.dumps({"headers": {"task": GENERATE_TASK, "id": ["mistyped"]}, "body": "", "properties": {}}),
        json.dumps({"headers": {"task": ENQUEUE_TASK}, "body": "?", "properties": {"body_encoding": "base64"}}),
        json.dumps({"headers": {"task": ENQUEUE_TASK}, "body": '[[], {"jobs": [[[], 1], 7]}]', "properties": {}}),
        json.dumps({"headers": {"task": "shop.pay", "id": "other"}, "body": "mistyped", "properties": {}}),
    ],
)
def test_what_is_no_message_of_a_job_does_not_hide_that_an_id_is_not_known(
    client: Client, database: Database, text: str
) -> None:
    database.redis.lpush("wanimate", text)
    database.redis.hset(UNACKED_KEY, "tag", text)

    with pytest.raises(JobNotFound):
        client.job("mistyped").status()
    database.redis.delete(UNACKED_KEY)


def test_more_messages_than_one_look_reads_leave_it_open(
    client: Client, database: Database, caller: Celery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wanimate.redis.presence.MAX_MESSAGES", 60)
    for number in range(30):
        caller.send_task(GENERATE_TASK, kwargs=KWARGS, queue="wanimate", task_id=f"job-{number}")
    with pytest.raises(JobNotFound):
        client.job("mistyped").status()
    for number in range(30, 90):
        caller.send_task(GENERATE_TASK, kwargs=KWARGS, queue="wanimate", task_id=f"job-{number}")

    # It cannot be told from one of those that were not read.
    assert client.job("mistyped").status().state is JobState.QUEUED
    assert client.job("job-0").status().state is JobState.QUEUED
    with pytest.raises(WaitTimeout):
        client.job("mistyped").wait(timeout=0.1)
    caller.backend.client.close()


FAILED = Outcome.failure(GenerationFailed("no", "X", "task_2"))


def deliver(database: Database, job_id: str, outcome: Outcome) -> None:
    database.record(job_id, stage="delivered", request="{}", outcome=outcome.model_dump_json())


def test_an_ended_job_whose_result_was_ignored_or_has_expired_answers_from_its_record(
    client: Client, database: Database
) -> None:
    deliver(database, "done", Outcome.success(RESULT))
    deliver(database, "failed", FAILED)

    assert client.job("done").wait() == RESULT
    with pytest.raises(GenerationFailed) as caught:
        client.job("failed").wait()
    assert caught.value.args == ("no", "X", "task_2", None)
    done, failed = client.wait_all([client.job("done"), client.job("failed")])
    assert (done, type(failed)) == (RESULT, GenerationFailed)


def wait_beside_one_that_is_done(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[JobHandle, Any]]:
    """Begin to wait for `job-1`, which runs, and return the wait once it has looked at it."""
    monkeypatch.setattr("wanimate.waiting.MIN_CHECK_SECONDS", 0.1)
    database.record("job-1", stage="running", request="{}")
    waiting = client.as_completed([client.job("job-1"), client.job("done")], timeout=30)
    database.succeed("done")
    assert next(waiting)[0].id == "done"
    return waiting


def test_a_job_that_ends_without_a_result_during_a_wait_ends_the_wait(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = wait_beside_one_that_is_done(client, database, monkeypatch)

    deliver(database, "job-1", Outcome.success(RESULT))

    assert [outcome for _, outcome in waiting] == [RESULT]


def test_a_wait_ends_when_redis_has_lost_the_job(
    client: Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = wait_beside_one_that_is_done(client, database, monkeypatch)

    database.redis.delete(KEYS.job("job-1"))

    with pytest.raises(JobNotFound):
        next(waiting)


def test_a_job_that_has_a_slot_and_no_record_is_known(client: Client, database: Database) -> None:
    database.redis.zadd(KEYS.slots, {"job-1": 1})

    with pytest.raises(WaitTimeout):
        client.job("job-1").wait(timeout=0)
