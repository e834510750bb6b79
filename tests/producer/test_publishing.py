from __future__ import annotations

import base64
import json
import os
from typing import TYPE_CHECKING, Any

import pytest
from celery import Celery
from wanimate import AnimateJob, Client, InvalidRequest, JobHandle, JobState, QueueUnavailable, ReplaceJob, Settings
from wanimate.contract import Keys, parse_job
from wanimate.redis.transport import celery_settings

from .conftest import FIELDS, Database, Server, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator


def body_of(message: dict[str, Any]) -> Any:
    return json.loads(base64.b64decode(message["body"]))


def test_one_job_is_one_generate_message_under_its_own_id(client: Client, database: Database) -> None:
    job = AnimateJob(**FIELDS, prompt="go", seed=42, labels={"order": "7"})

    handle = client.submit(job)

    (message,) = database.messages()
    headers = message["headers"]
    args, kwargs, _ = body_of(message)
    assert headers["task"] == "wanimate.generate"
    assert headers["id"] == headers["root_id"] == message["properties"]["correlation_id"] == handle.id
    assert headers["wanimate_contract"] == 1
    assert not headers["ignore_result"]
    assert args == []
    assert parse_job(kwargs) == job
    assert headers["argsrepr"] == "()"
    assert headers["kwargsrepr"] == "{'type': 'animate', 'resolution': '480p', 'labels': {'order': '7'}}"


def test_messages_are_those_that_celery_would_send(settings: Settings, client: Client, database: Database) -> None:
    job = AnimateJob(**FIELDS, priority=3, labels={"order": "7"})
    app = Celery("theirs", set_as_current=False)
    app.conf.update(celery_settings(settings))
    handle = client.submit(job)
    theirs = job.signature()
    app.send_task(theirs.task, kwargs=theirs.kwargs, task_id=handle.id, ignore_result=False, **theirs.options)
    app.close()

    ours, sent_by_celery = (_comparable(message) for message in database.messages())

    assert ours == sent_by_celery


def _comparable(message: dict[str, Any]) -> dict[str, Any]:
    """A message without what differs between two, what workers do not read, and what `send_task` repeats."""
    properties, headers = message["properties"], message["headers"]
    for ignored in (properties.pop("delivery_tag"), properties.pop("reply_to"), headers.pop("origin")):
        assert isinstance(ignored, str)
    for repeated in ("argsrepr", "kwargsrepr"):
        properties.pop(repeated, None)
    return {**message, "body": json.loads(base64.b64decode(message["body"]))}


def test_replace_enqueues_a_replace_job(client: Client, database: Database) -> None:
    client.replace(**FIELDS)

    assert parse_job(body_of(database.messages()[0])[1]) == ReplaceJob(**FIELDS)


@pytest.mark.parametrize(("priority", "step"), [(0, ""), (2, ""), (3, "\x06\x163"), (6, "\x06\x166"), (9, "\x06\x169")])
def test_a_job_waits_in_the_band_of_its_priority(client: Client, database: Database, priority: int, step: str) -> None:
    client.animate(**FIELDS, priority=priority)

    assert database.redis.llen(f"wanimate{step}") == 1


def test_many_jobs_are_few_messages_that_name_each_job(client: Client, database: Database) -> None:
    jobs = [AnimateJob(**FIELDS, seed=n) for n in range(250)]

    handles = client.submit_many(iter(jobs))

    messages = database.messages()
    sent = [pair for message in messages for pair in body_of(message)[1]["jobs"]]
    assert [message["headers"]["kwargsrepr"] for message in messages] == ["{'jobs': 200}", "{'jobs': 50}"]
    assert [job_id for job_id, _ in sent] == [handle.id for handle in handles]
    assert [parse_job(kwargs) for _, kwargs in sent] == jobs
    for message in messages:
        assert message["headers"]["task"] == "wanimate.enqueue"
        assert message["headers"]["ignore_result"]
        assert message["headers"]["argsrepr"] == "()"
        assert message["headers"]["wanimate_contract"] == 1


def test_what_is_not_a_job_ends_the_call_and_the_error_carries_what_was_enqueued(
    client: Client, database: Database
) -> None:
    jobs: list[Any] = [*(AnimateJob(**FIELDS) for _ in range(250)), None]

    with pytest.raises(InvalidRequest, match="item 250") as caught:
        client.submit_many(jobs)

    (message,) = database.messages()
    enqueued: list[JobHandle] = list(caught.value.enqueued)
    assert [handle.id for handle in enqueued] == [job_id for job_id, _ in body_of(message)[1]["jobs"]]


def test_when_redis_dies_in_the_middle_the_error_carries_what_was_enqueued(own_server: Server) -> None:
    def jobs() -> Iterator[AnimateJob]:
        for number in range(1000):
            if number == 401:  # the second message has been sent, the third is being filled
                own_server.stop()
            yield AnimateJob(**FIELDS)

    with Client(Settings(redis_url=own_server.url())) as client:
        with pytest.raises(QueueUnavailable) as caught:
            client.submit_many(jobs())

        assert len(caught.value.enqueued) == 400
        assert all(isinstance(handle, JobHandle) for handle in caught.value.enqueued)


def test_a_client_reconnects_by_itself_after_a_restart_of_redis(own_server: Server) -> None:
    with Client(Settings(redis_url=own_server.url())) as client:
        client.animate(**FIELDS)
        own_server.stop()
        own_server.start()

        handle = client.animate(**FIELDS)

        assert client.job(handle.id).status().state == "queued"
        left = Database(own_server.url())
        assert [message["headers"]["id"] for message in left.messages()] == [handle.id]
        left.redis.close()


def test_the_variables_of_celery_do_not_lead_jobs_elsewhere(
    monkeypatch: pytest.MonkeyPatch, client: Client, database: Database
) -> None:
    for name in ("CELERY_BROKER_URL", "CELERY_BROKER_WRITE_URL", "CELERY_RESULT_BACKEND"):
        monkeypatch.setenv(name, "redis://nobody.invalid:1/0")

    client.animate(**FIELDS)

    assert len(database.messages()) == 1


def test_enqueueing_leaves_no_subscription_and_no_connection_per_job_behind(own_server: Server) -> None:
    beside = Database(own_server.url())
    with Client(Settings(redis_url=own_server.url())) as client:
        handles = [client.animate(**FIELDS) for _ in range(20)]

        assert len(handles) == 20
        assert beside.redis.pubsub_channels() == []
        assert (
            int(beside.redis.info("clients")["connected_clients"]) <= 4
        )  # one of them has looked whose database it is
    eventually(lambda: int(beside.redis.info("clients")["connected_clients"]) == 1)
    beside.redis.close()


def test_a_job_is_enqueued_and_noted_over_a_unix_socket(server: Server, database: Database) -> None:
    with Client(Settings(redis_url=f"unix://{server.socket}?db=1")) as client:
        handle = client.animate(**FIELDS)
        assert handle.status().state is JobState.QUEUED

    assert [message["headers"]["id"] for message in database.messages()] == [handle.id]
    assert database.redis.zrange(Keys("default").enqueued, 0, -1) == [handle.id]


def test_a_forked_process_does_not_write_to_its_parents_connections(client: Client, database: Database) -> None:
    client.animate(**FIELDS)
    child = os.fork()
    if child == 0:
        try:
            for _ in range(20):
                client.animate(**FIELDS)
            os._exit(0)
        finally:
            os._exit(1)

    for _ in range(20):
        client.animate(**FIELDS)

    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert len(database.messages()) == 41


def test_a_closed_client_says_so(settings: Settings) -> None:
    client = Client(settings)
    client.close()

    with pytest.raises(RuntimeError, match="closed"):
        client.animate(**FIELDS)
