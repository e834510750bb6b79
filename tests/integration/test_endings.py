"""Ends of tasks: failures that pass are sent again, and videos are served for a time only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
from celery import Celery
from harness import PATIENCE_SECONDS, Vendor, eventually, job, stack_settings
from pydantic import SecretStr
from wanimate import Client, GenerationFailed, JobState, ResultExpired, Settings
from wanimate.contract import ENTRY_QUEUE, GENERATE_TASK, Keys
from wanimate_devstack import Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import JobHandle

#: How long videos are served, in seconds of the clock on the wall.
SERVED_SECONDS = 4.0
SPEED = 40


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """A stack whose vendor serves videos for a few seconds, and says so to its workers."""
    options = StackOptions(
        has_flower=False,
        simulator={"cap": "5", "speed": str(SPEED), "result-ttl-seconds": str(SERVED_SECONDS * SPEED)},
        settings=stack_settings(5, result_urls_ttl_seconds=str(SERVED_SECONDS)),
        worker_options=("--concurrency", "8"),
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture(scope="module")
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture(scope="module")
def redis(stack: Stack) -> Iterator[Redis]:
    with redis_of(stack) as redis:
        yield redis


def send_again(redis: Redis, handle: JobHandle, retries: int) -> None:
    """Wait until a job is parked for a retry, and end its delay."""
    eventually(lambda: handle.status().retries == retries, f"retry {retries}")
    assert handle.status().state is JobState.WAITING
    redis.zadd(Keys("default").due, {handle.id: 0})


def test_a_transient_failure_is_sent_again_and_all_callers_get_the_one_result(
    stack: Stack, client: Client, vendor: Vendor, redis: Redis
) -> None:
    wanted = job("again", prompt="[code:PROCESSING_TIMEOUT*1]", retry_transient=2, idempotency_key="again")
    handle = client.submit(wanted)
    with Celery(broker=stack.redis.url, set_as_current=False) as caller:
        follower = caller.send_task(GENERATE_TASK, kwargs=wanted.to_kwargs(), queue=ENTRY_QUEUE)
    send_again(redis, handle, 1)
    result = handle.wait(timeout=PATIENCE_SECONDS, allow_expired=True)
    assert vendor.accepted()["again"] == 2, "each attempt is a task that may be billed"
    status = handle.status()
    assert (status.state, status.attempts, status.retries) == (JobState.SUCCEEDED, 2, 1)
    assert status.transient_code == "PROCESSING_TIMEOUT"
    assert client.job(follower.id).wait(timeout=PATIENCE_SECONDS, allow_expired=True) == result


def test_retries_come_to_an_end(client: Client, vendor: Vendor, redis: Redis) -> None:
    handle = client.submit(job("never", prompt="[code:ModelUnavailable]", retry_transient=1))
    send_again(redis, handle, 1)
    with pytest.raises(GenerationFailed, match="after 1 retry") as caught:
        handle.wait(timeout=PATIENCE_SECONDS)
    assert caught.value.code == "ModelUnavailable"
    assert vendor.accepted()["never"] == 2


def test_a_result_expires_when_the_vendor_stops_serving_it(client: Client, vendor: Vendor) -> None:
    wanted = job("short-lived", idempotency_key="short-lived")
    result = client.submit(wanted).wait(timeout=PATIENCE_SECONDS, allow_expired=True)
    url = result.urls[0]
    eventually(lambda: result.is_expired, "the result expires")
    eventually(lambda: httpx.get(url, trust_env=False).status_code == 403, "the vendor no longer serves it", 5)
    again = client.submit(wanted)
    with pytest.raises(ResultExpired, match="new idempotency key") as caught:
        again.wait(timeout=PATIENCE_SECONDS)
    assert caught.value.result == result
    assert vendor.accepted()["short-lived"] == 1, "a repeated key is not billed"
    assert again.status().urls_expire_at == result.urls_expire_at
