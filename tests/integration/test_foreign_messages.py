"""Messages as other Celery code may send them: odd, delayed, expired or broken; none stops a worker or holds a slot."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import caller_app
import pytest
from celery import Celery, chain
from celery.exceptions import NotRegistered
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, is_recorded, job
from wanimate import InvalidRequest, JobCancelled, JobFailed
from wanimate.contract import CANCEL_TASK, ENQUEUE_TASK, ENTRY_QUEUE, GENERATE_TASK, Keys
from wanimate_worker.bridge.dead_letters import DeadLetter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from redis import Redis
    from wanimate import Client
    from wanimate_devstack import Process, Stack


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


def test_a_job_of_an_app_with_other_priority_steps_is_read(stack: Stack, vendor: Vendor) -> None:
    url = stack.redis.url
    steps = {"priority_steps": list(range(10))}
    with Celery(broker=url, backend=url, broker_transport_options=steps, set_as_current=False) as theirs:
        assert get(send(theirs, "between", priority=5))["urls"]
        theirs.backend.client.close()


@pytest.mark.parametrize("name", ["resumed", "started", "record", "ending", "delayed", "expires", "revoked"])
def test_what_only_workers_tell_each_other_means_nothing_on_a_message_of_others(app: Celery, name: str) -> None:
    assert get(send(app, name, headers={f"wanimate_{name}": "0"}))["urls"]


def test_an_expiry_that_is_no_moment_is_refused_and_costs_nothing(app: Celery, vendor: Vendor) -> None:
    message = app.amqp.create_task_message(
        str(uuid.uuid4()), GENERATE_TASK, (), {"type": "animate", **fields_of("odd")}
    )
    message.headers["expires"] = "soon"
    with app.producer_pool.acquire() as producer:
        app.amqp.send_task_message(producer, GENERATE_TASK, message, queue=ENTRY_QUEUE)
    with pytest.raises(InvalidRequest, match="expires"):
        get(app.AsyncResult(message.headers["id"]))
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


def nested(levels: int) -> Any:
    """Return a list in a list in a list …"""
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("how", [{"serializer": "pickle"}, {"serializer": "yaml"}, {"compression": "rot13"}], ids=str)
def test_the_caller_of_a_job_that_cannot_be_read_is_told(
    app: Celery, redis: Redis, vendor: Vendor, how: dict[str, str]
) -> None:
    # Kombu encodes no such compression: the header alone says so.
    headers = {"compression": "rot13"} if "compression" in how else {}
    result = send(app, "unreadable", serializer=how.get("serializer", "json"), headers=headers)
    with pytest.raises(InvalidRequest, match="nothing is billed"):
        get(result)
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    assert not vendor.tasks()
    redis.delete(Keys("default").dead)


def test_the_caller_of_a_bulk_that_cannot_be_read_is_told(app: Celery, redis: Redis) -> None:
    result = app.send_task(ENQUEUE_TASK, kwargs={"jobs": [["a", {}]]}, queue=ENTRY_QUEUE, serializer="pickle")
    with pytest.raises(InvalidRequest, match="only JSON is accepted"):
        get(result)
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    redis.delete(Keys("default").dead)


def test_a_job_that_cannot_be_read_does_not_fail_one_that_is_recorded(app: Celery, redis: Redis) -> None:
    first = send(app, "sound")
    assert get(first)["urls"]
    send(app, "unreadable", serializer="pickle", task_id=first.id)
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    assert get(app.AsyncResult(first.id))["urls"]
    redis.delete(Keys("default").dead)


def test_a_bulk_with_a_value_of_an_unknown_type_fails_that_job_alone(
    app: Celery, client: Client, vendor: Vendor, redis: Redis
) -> None:
    good, bad = str(uuid.uuid4()), str(uuid.uuid4())
    typed = {"labels": {"__type__": "order", "__value__": "7"}}
    requests = {bad: fields_of("bad", **typed), good: fields_of("good")}
    jobs = [(job_id, {"type": "animate", **fields}) for job_id, fields in requests.items()]
    app.send_task(ENQUEUE_TASK, kwargs={"jobs": jobs}, queue=ENTRY_QUEUE)
    assert client.job(good).wait(timeout=PATIENCE_SECONDS).urls
    with pytest.raises(InvalidRequest, match="nothing is billed"):
        client.job(bad).wait(timeout=PATIENCE_SECONDS)
    assert vendor.accepted() == {"good": 1}
    [letter] = [DeadLetter.read(stored) for stored in redis.lrange(Keys("default").dead, 0, -1)]
    assert "1 of its jobs can be read" in letter.facts()["why"]
    assert bad in base64.b64decode(letter.content["body"]).decode()
    redis.delete(Keys("default").dead)


#: Headers that JSON cannot hold as they are, that surprise Celery, or that no encoder takes back.
ODD_HEADERS: dict[str, dict[str, Any]] = {
    "a decimal": {"amount": Decimal("9.99")},
    "bytes": {"blob": b"\xff\xfe"},
    "a huge number": {"number": 10**4000},
    "half a character": {"name": "\ud800"},
    "deep nesting": {"deep": nested(500)},
    "a moment": {"at": datetime(2026, 1, 2, tzinfo=UTC)},
}


def test_headers_of_any_kind_are_kept_with_the_message_and_stop_no_worker(
    app: Celery, redis: Redis, stack: Stack
) -> None:
    dead = Keys("default").dead
    sent = [app.send_task("shop.pay", queue=ENTRY_QUEUE, headers=headers) for headers in ODD_HEADERS.values()]
    for result in sent:
        with pytest.raises(NotRegistered, match=r"shop\.pay"):
            get(result)
    eventually(lambda: is_recorded(redis), "all are acknowledged")
    letters = [DeadLetter.read(stored) for stored in redis.lrange(dead, 0, -1)]
    assert {letter.content["id"] for letter in letters} == {result.id for result in sent}
    assert_worker_goes_on(stack, redis)


def assert_worker_goes_on(stack: Stack, redis: Redis) -> None:
    """A job is done by the worker that was there before; dead letters are removed."""
    assert get(job("after-it").signature().apply_async())["urls"]
    assert stack.ended() is None
    assert stack.log("worker1").count(" ready.") == 1, "the worker started anew"
    redis.delete(Keys("default").dead)


#: What Celery finds out about a message when it is too late: while it makes a request of it, or in the thread.
ODD_PARTS: dict[str, tuple[dict[str, Any], str]] = {
    "an id of half a character": ({"id": "\ud800"}, "[[], {}, {}]"),
    "an endless id": ({"id": "x" * 100_000}, "[[], {}, {}]"),
    "callbacks that are none": ({}, "[[], {}, 5]"),
    "stamps that are none": ({"stamped_headers": 5}, "[[], {}, {}]"),
    "a name that is none": ({"shadow": {"a": 1}}, "[[], {}, {}]"),
    "time limits that are none": ({"timelimit": 5}, "[[], {}, {}]"),
    "an unknown compression": ({"compression": "rot13"}, "[[], {}, {}]"),
    "an expiry that is none": ({"expires": {"a": 1}}, "[[], {}, {}]"),
    "an origin that hides a method": ({"as_execution_options": 5}, "[[], {}, {}]"),
    "keys that are no names": ({}, '[[], {"": 1, "\\ud800": 2}, {}]'),
    "keys of the worker": ({}, '[[], {"self": 1}, {"id": 5, "headers": 7}]'),
}


@pytest.mark.parametrize("task", [GENERATE_TASK, ENQUEUE_TASK, CANCEL_TASK])
def test_parts_of_any_kind_stop_no_worker(app: Celery, redis: Redis, stack: Stack, task: str) -> None:
    for headers, body in ODD_PARTS.values():
        push(redis, {"task": task, "id": str(uuid.uuid4()), "lang": "py", **headers}, body)
    eventually(lambda: is_recorded(redis), "all are taken and none is held")
    assert_worker_goes_on(stack, redis)


@pytest.mark.parametrize("task", [GENERATE_TASK, ENQUEUE_TASK, "shop.pay"])
@pytest.mark.parametrize(
    "broken", [{"properties": {"body_encoding": "base64"}}, {"properties": {"body_encoding": 7}}, {"properties": 5}]
)
def test_the_caller_of_a_message_whose_envelope_is_broken_is_told(
    app: Celery, redis: Redis, stack: Stack, task: str, broken: dict[str, Any]
) -> None:
    task_id = str(uuid.uuid4())
    push(redis, {"task": task, "id": task_id, "lang": "py"}, "no base64: é", **broken)
    with pytest.raises((InvalidRequest, NotRegistered)):
        get(app.AsyncResult(task_id))
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    assert_worker_goes_on(stack, redis)


def push(redis: Redis, headers: dict[str, Any], body: str, **parts: Any) -> None:
    """Put a message into the queue of new jobs as kombu would, were it not for its parts."""
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
        **parts,
    }
    redis.lpush(ENTRY_QUEUE, json.dumps(message))


@pytest.mark.parametrize("body", ["[]", "[[], null, {}]", "{}", "null", '{"args": [], "kwargs": null}'])
def test_an_unreadable_message_stops_no_worker(app: Celery, redis: Redis, stack: Stack, body: str) -> None:
    push(redis, {"task": GENERATE_TASK, "id": str(uuid.uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": ""}, body)
    eventually(lambda: redis.llen(ENTRY_QUEUE) == 0, "it is taken")
    # It is kept where `wanimate-worker dead` shows it.
    eventually(lambda: redis.llen(Keys("default").dead) == 1, "it is kept as a dead letter")
    assert_worker_goes_on(stack, redis)
