"""Messages as other Celery code may send them: odd, delayed, expired or broken; none stops a worker or holds a slot."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import caller_app
import pytest
from celery import chain
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job
from wanimate import InvalidRequest, JobCancelled, JobFailed
from wanimate.contract import ENQUEUE_TASK, ENTRY_QUEUE, GENERATE_TASK, Keys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis
    from wanimate import Client
    from wanimate_worker.local.processes import Process
    from wanimate_worker.local.stack import Stack


@pytest.fixture
def app(stack: Stack, caller_worker: Process, vendor: Vendor, redis: Redis) -> Iterator[Celery]:
    url = stack.redis.url
    caller_app.app.conf.update(broker_url=url, result_backend=url)
    caller_app.app.set_current()
    yield caller_app.app
    redis.delete("notes")


def send(app: Celery, marker: str, **options: Any) -> Any:
    kwargs = {"type": "animate", **fields_of(marker)}
    return app.send_task(GENERATE_TASK, kwargs=kwargs, queue=ENTRY_QUEUE, **options)


def get(result: Any) -> Any:
    return result.get(timeout=PATIENCE_SECONDS)


def test_a_stamped_job_is_resumed_with_its_stamps(app: Celery) -> None:
    signature = job("stamped").signature()
    signature.stamp(dry_run=False, count=0)
    assert get(signature.apply_async())["urls"]


def test_a_delayed_job_is_refused_and_costs_nothing(app: Celery, vendor: Vendor) -> None:
    with pytest.raises(InvalidRequest, match="countdown"):
        get(send(app, "delayed", countdown=300))
    assert not vendor.tasks()


def test_an_expired_job_is_cancelled_and_costs_nothing(app: Celery, vendor: Vendor) -> None:
    with pytest.raises(JobCancelled, match="expired"):
        get(send(app, "expired", expires=datetime.now(UTC) - timedelta(seconds=5)))
    assert not vendor.tasks()


def test_an_expiry_does_not_reach_a_job_that_is_recorded(app: Celery, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True)
    expires = datetime.now(UTC) + timedelta(seconds=4)
    result = send(app, "expires-soon", expires=expires)
    eventually(lambda: vendor.task_of("expires-soon"), "it is recorded")
    eventually(lambda: datetime.now(UTC) > expires, "its time is up")
    vendor.set_faults()
    assert get(result)["urls"]


def test_a_time_limit_of_the_caller_kills_nothing(app: Celery) -> None:
    assert get(send(app, "limited", time_limit=0.01, soft_time_limit=0.01))["urls"]


def test_the_next_task_of_a_chain_gets_its_own_arguments_unchanged(app: Celery, redis: Redis) -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    tail = caller_app.note.si((moment.isoformat(), str(uuid.UUID(int=7))), "notes")
    typed = caller_app.note_type.si(moment, "notes")
    get(chain(job("typed").signature(), typed, tail).apply_async())
    assert redis.lrange("notes", 0, 0) == ["datetime"]


def test_one_job_that_cannot_be_recorded_fails_alone(app: Celery, client: Client, vendor: Vendor) -> None:
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    requests = [
        (good, {"type": "animate", **fields_of("good")}),
        (bad, {"type": "animate", **fields_of("bad"), "seed": 2**70}),
    ]
    app.send_task(ENQUEUE_TASK, kwargs={"jobs": requests}, queue=ENTRY_QUEUE)
    assert client.job(good).wait(timeout=PATIENCE_SECONDS).urls
    with pytest.raises(JobFailed, match="seed"):
        client.job(bad).wait(timeout=PATIENCE_SECONDS)
    assert vendor.accepted() == {"good": 1}


@pytest.mark.parametrize("body", ["[]", "[[], null, {}]", "{}", "null", '{"args": [], "kwargs": null}'])
def test_a_message_that_nobody_can_read_stops_no_worker(app: Celery, redis: Redis, stack: Stack, body: str) -> None:
    headers = {"task": GENERATE_TASK, "id": str(uuid.uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    message = {
        "body": body,
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": headers,
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": ENTRY_QUEUE},
            "correlation_id": headers["id"],
            "delivery_mode": 2,
            "priority": 0,
        },
    }
    redis.lpush(ENTRY_QUEUE, json.dumps(message))
    eventually(lambda: redis.llen(ENTRY_QUEUE) == 0, "it is taken")
    assert get(job("after-it").signature().apply_async())["urls"]
    assert stack.ended() is None
    # It is kept where `wanimate-worker dead` shows it.
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    redis.delete(Keys("default").dead)
