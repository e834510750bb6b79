"""The end of a job, posted to its backend by a worker."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from harness import Vendor, eventually, job, stack_settings
from pydantic import SecretStr
from standardwebhooks import Webhook
from wanimate import Client, Settings
from wanimate.contract import Event, JobState
from wanimate_devstack import Stack, StackOptions, redis_of
from webhook_receiver import NETWORKS, SECRET, Receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

CAP = 5


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    settings = stack_settings(CAP, webhook_secret=SECRET, webhook_networks=NETWORKS)
    simulator = {"cap": str(CAP), "speed": "40"}
    with Stack(StackOptions(has_flower=False, simulator=simulator, settings=settings)) as stack:
        yield stack
        assert SECRET not in stack.log("worker1")
        assert "token=" not in stack.log("worker1"), "a webhook's URL may be signed"


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(stack.redis.url))) as client:
        yield client


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.stop()


def test_each_end_is_posted_once_and_tells_what_the_client_tells(
    client: Client, receiver: Receiver, vendor: Vendor
) -> None:
    handles = client.submit_many(
        job(f"m{number}", webhook_url=receiver.url(), labels={"number": str(number)}) for number in range(10)
    )
    cancelled = client.submit(job("waits", webhook_url=receiver.url()))
    cancelled.cancel()
    eventually(lambda: len(receiver.received) >= 11, "a webhook for each job")
    events = {}
    for received in receiver.received:
        event = Event.of_webhook(received.event_id, Webhook(SECRET).verify(received.body, received.headers))
        events[event.job_id] = event
    assert len(receiver.received) == len(events) == 11
    for number, handle in enumerate(handles):
        event = events[handle.id]
        assert event.labels == {"number": str(number)}
        assert event.result == handle.wait(timeout=30)
    assert events[cancelled.id].state is JobState.CANCELLED


def test_a_worker_that_is_killed_while_it_sends_loses_no_webhook(
    stack: Stack, client: Client, receiver: Receiver, vendor: Vendor
) -> None:
    receiver.answer = receiver.hangs
    handle = client.submit(job("killed", webhook_url=receiver.url()))
    eventually(lambda: receiver.received, "the webhook is being sent")
    stack.workers[0].kill()
    receiver.answer = receiver.answers(200)
    with redis_of(stack) as redis:
        # As if the lease had ended.
        for key in redis.scan_iter("*endpoint:*"):
            for event_id in redis.zrange(key, 0, -1):
                redis.zadd(key, {event_id: 0})
        for key in redis.scan_iter("*sending:*"):
            redis.delete(key)
        for key in redis.scan_iter("*endpoints"):
            for endpoint in redis.zrange(key, 0, -1):
                redis.zadd(key, {endpoint: 0})
    stack.start_worker()
    eventually(lambda: len(receiver.received) == 2, "the webhook is sent again")
    assert len({received.event_id for received in receiver.received}) == 1
    assert json.loads(receiver.received[1].body)["data"]["id"] == handle.id
