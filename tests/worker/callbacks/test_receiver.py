"""The receiver: whatever it is sent, it answers fast, believes nothing, and at most makes somebody look."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from wanimate_worker.callbacks.body import MAX_BODY_BYTES

from .conftest import BODY, OWN, post

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from .conftest import Place


def test_a_callback_makes_its_job_due_and_wakes_a_worker(place: Place) -> None:
    async def scenario() -> None:
        async with place.serve() as (client, receiver):
            answer = await client.post(place.url("a", submit.nonce), content=BODY)
            assert (answer.status_code, answer.content) == (200, b"")
            assert (receiver.counts.due, place.wakes()) == (1, 1)

    submit = place.start("a")
    assert place.due() == []
    asyncio.run(scenario())
    assert place.due() == ["a"]


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"\xff\xfe", b"null", b"x" * MAX_BODY_BYTES),
        b'{"data": {"taskId": "other", "state": "failed"}}',
        b'{"data": {"taskId": "task-a", "state": "success", "resultJson": "{\\"resultUrls\\":[\\"https://x.com/y\\"]}"}}',
        b'{"data": {"taskId": "task-a", "state": "failed", "failCode": "GENERATION_FAILED"}}',
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "application/xml", ""])
def test_whatever_the_body_says_the_job_is_only_looked_at(place: Place, body: bytes, content_type: str) -> None:
    submit = place.start("a")
    assert post(place, place.url("a", submit.nonce), body, **{"content-type": content_type}).status_code == 200
    assert place.due() == ["a"]
    job = place.ledger.records.read(["a"])[0]
    assert (job.stage, job.task_id, job.hint) == ("running", "task-a", None)


def test_a_task_id_is_kept_as_a_hint_only_while_the_answer_is_missing(place: Place) -> None:
    submit = place.begin("a")
    place.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    assert post(place, place.url("a", submit.nonce)).status_code == 200
    job = place.ledger.records.read(["a"])[0]
    assert (job.stage, job.task_id, job.hint) == ("unknown", None, "task-a")
    assert place.due() == ["a"]


def test_a_callback_that_names_another_task_than_the_one_being_checked_is_asked_to_come_again(place: Place) -> None:
    submit = place.begin("a")
    place.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    url = place.url("a", submit.nonce)
    assert post(place, url).status_code == 200
    assert post(place, url, b'{"data": {"taskId": "task-of-somebody"}}').status_code == 503
    assert post(place, url).status_code == 200
    assert place.ledger.records.read(["a"])[0].hint == "task-a"


def test_a_job_id_with_slashes_and_spaces_is_called_back_too(place: Place) -> None:
    submit = place.start("orders/17 ä?#")
    assert post(place, place.url("orders/17 ä?#", submit.nonce)).status_code == 200
    assert place.due() == ["orders/17 ä?#"]


def alter_signature(url: str) -> str:
    return url[:-1] + ("0" if url[-1] != "0" else "1")


@pytest.mark.parametrize(
    "forge",
    [
        lambda url, _: alter_signature(url),
        lambda url, _: url[:-1],
        lambda url, _: url.rpartition("/")[0] + "/",
        lambda url, _: url.rpartition("/")[0],
        lambda url, _: url.replace("/acct/", "/other/"),
        lambda url, _: url.replace("/a/", "/b/"),
        lambda url, _: url.upper().replace("HTTP://RECEIVER/V1/CALLBACKS", "http://receiver/v1/callbacks"),
        lambda url, other: url.rpartition("/")[0] + "/" + other.rpartition("/")[2],
        lambda url, other: "/".join([*url.split("/")[:-2], *other.split("/")[-2:]]),
        lambda url, _: url + "/",
        lambda url, _: url + "0",
    ],
)
def test_a_forged_callback_is_refused_and_changes_nothing(place: Place, forge: Callable[[str, str], str]) -> None:
    async def scenario() -> None:
        async with place.serve() as (client, receiver):
            forged = forge(place.url("a", submit.nonce), place.url("b", other.nonce))
            assert (await client.post(forged, content=BODY)).status_code == 403
            assert receiver.counts.forged == 1

    submit, other = place.start("a"), place.start("b")
    before = place.redis.hgetall("wanimate:{acct}:job:a")
    asyncio.run(scenario())
    assert place.due() == []
    assert place.redis.hgetall("wanimate:{acct}:job:a") == before


def test_a_callback_of_another_account_is_refused_although_it_is_signed(place: Place) -> None:
    submit = place.start("a")
    assert post(place, place.url("a", submit.nonce, account="other")).status_code == 403
    assert place.due() == []


def test_a_callback_of_an_older_attempt_is_taken_and_changes_nothing(place: Place) -> None:
    async def scenario() -> None:
        async with place.serve() as (client, receiver):
            answer = await client.post(place.url("a", old.nonce), content=BODY)
            assert (answer.status_code, receiver.counts.stale) == (200, 1)
            answer = await client.post(place.url("never-heard-of", old.nonce), content=BODY)
            assert (answer.status_code, receiver.counts.ended) == (200, 1)

    old = place.begin("a")
    assert place.ledger.jobs.release("a", old.nonce, "test") == ["a"]
    place.ledger.jobs.begin("a")
    before = place.redis.hgetall("wanimate:{acct}:job:a")
    asyncio.run(scenario())
    assert place.redis.hgetall("wanimate:{acct}:job:a") == before
    assert place.due() == []
    assert place.wakes() == 0


def test_replayed_callbacks_make_a_job_due_once(place: Place) -> None:
    async def scenario() -> None:
        async with place.serve() as (client, receiver):
            url = place.url("a", submit.nonce)
            assert (await client.post(url, content=BODY)).status_code == 200
            assert place.due() == ["a"]
            answers = await asyncio.gather(*(client.post(url, content=BODY) for _ in range(50)))
            assert {answer.status_code for answer in answers} == {200}
            assert (receiver.counts.due, receiver.counts.noted) == (1, 50)

    submit = place.start("a")
    asyncio.run(scenario())
    assert place.due() == []


def test_callbacks_that_come_together_share_a_look(place: Place) -> None:
    async def scenario() -> None:
        async with place.serve() as (client, _):
            urls = [place.url(job_id, submit.nonce) for job_id, submit in submits.items()]
            await asyncio.gather(*(client.post(url, content=BODY) for url in urls))

    submits = {f"job-{number}": place.start(f"job-{number}") for number in range(60)}
    asyncio.run(scenario())
    assert place.due() == sorted(submits)
    assert place.wakes() == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "HEAD"])
def test_only_a_post_is_a_callback(place: Place, method: str) -> None:
    async def scenario() -> int:
        async with place.serve() as (client, _):
            return (await client.request(method, place.url("a", submit.nonce))).status_code

    submit = place.start("a")
    assert asyncio.run(scenario()) == 405
    assert place.due() == []


def test_without_redis_the_vendor_is_told_to_call_again_and_health_says_so(
    place: Place, closed_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        async with place.serve(absent) as (client, receiver):
            assert (await client.post(url, content=BODY)).status_code == 503
            assert (await client.get("http://receiver/health")).status_code == 503
            assert receiver.counts.unavailable == 1

    url = place.url("a", "nonce")
    with Redis(port=closed_port, retry=Retry(NoBackoff(), 0)) as absent, caplog.at_level(logging.DEBUG):
        caplog.set_level(logging.WARNING, logger="httpx")  # the one that calls here
        asyncio.run(scenario())
    assert url.rpartition("/")[2] not in caplog.text, "a signature is in the log"


def test_health_is_well_while_redis_answers(place: Place) -> None:
    async def scenario() -> httpx.Response:
        async with place.serve() as (client, _):
            return await client.get("http://receiver/health")

    answer = asyncio.run(scenario())
    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"


def test_a_callback_that_a_failover_would_forget_is_asked_for_again(place: Place) -> None:
    async def scenario() -> None:
        async with place.serve(limits=replace(OWN, intent_replicas=1, intent_timeout_ms=50)) as (client, receiver):
            assert (await client.post(place.url("a", submit.nonce), content=BODY)).status_code == 503
            assert (receiver.counts.unavailable, receiver.counts.due) == (1, 0)

    submit = place.start("a")
    asyncio.run(scenario())
