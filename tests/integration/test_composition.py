"""A whole remote job composes like any Celery task, on the caller's own app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import caller_app
import pytest
from celery import chain, chord, group
from celery.result import AsyncResult
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job
from wanimate import ContentViolation, GenerationFailed, InvalidRequest
from wanimate.contract import ENTRY_QUEUE, GENERATE_TASK
from wanimate_worker.local.stack import redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis
    from wanimate import Client
    from wanimate_worker.local.processes import Process
    from wanimate_worker.local.stack import Stack

FAILING = "[fail]"
REFUSED = "[violation]"


@pytest.fixture
def app(stack: Stack, caller_worker: Process, vendor: Vendor) -> Iterator[Celery]:
    url = stack.redis.url
    caller_app.app.conf.update(broker_url=url, result_backend=url)
    caller_app.app.set_current()
    yield caller_app.app
    with redis_of(stack) as redis:
        redis.delete("notes", "failures", "failed-ids")


def get(result: Any) -> Any:
    return result.get(timeout=PATIENCE_SECONDS)


def test_a_signature_gives_the_result_of_the_remote_job(app: Celery, vendor: Vendor) -> None:
    result = get(job("single").signature().apply_async())
    task = vendor.task_of("single")
    assert task is not None
    assert result["task_id"] == task["task_id"]
    assert result["urls"] == [f"https://results.example.com/{task['task_id']}.mp4"]


def test_other_celery_code_enqueues_by_name_without_this_library(app: Celery, vendor: Vendor) -> None:
    sent = app.send_task(GENERATE_TASK, kwargs={"type": "replace", **fields_of("by-name")}, queue=ENTRY_QUEUE)
    assert get(AsyncResult(sent.id, app=app))["urls"]
    assert vendor.accepted() == {"by-name": 1}


def test_other_celery_code_gets_the_same_exception_type(app: Celery, client: Client) -> None:
    kwargs = {"type": "animate", **fields_of("by-name-refused", prompt=REFUSED)}
    sent = app.send_task(GENERATE_TASK, kwargs=kwargs, queue=ENTRY_QUEUE)
    with pytest.raises(ContentViolation) as by_celery:
        get(sent)
    with pytest.raises(ContentViolation) as by_client:
        client.job(sent.id).wait(timeout=PATIENCE_SECONDS)
    assert by_celery.value.args == by_client.value.args
    assert by_celery.value.code == "CONTENT_VIOLATION"
    assert by_celery.value.task_id


def test_a_message_that_breaks_the_rules_fails_its_job_and_costs_nothing(app: Celery, vendor: Vendor) -> None:
    kwargs = {"type": "animate", **fields_of("bad"), "image_url": "ftp://example.com/a.png"}
    with pytest.raises(InvalidRequest, match="image_url"):
        get(app.send_task(GENERATE_TASK, kwargs=kwargs, queue=ENTRY_QUEUE))
    assert not vendor.tasks()


def test_a_chain_hands_the_result_on_when_the_remote_job_is_done(app: Celery, vendor: Vendor) -> None:
    url = get(chain(job("chained").signature(), caller_app.first_url.s()).apply_async())
    task = vendor.task_of("chained")
    assert task is not None
    assert url.endswith(f"{task['task_id']}.mp4")


def test_a_second_job_in_a_chain_starts_after_the_first_has_ended(app: Celery, vendor: Vendor) -> None:
    get(chain(job("one").signature(), job("two").signature(), caller_app.first_url.s()).apply_async())
    one, two = vendor.task_of("one"), vendor.task_of("two")
    assert one is not None
    assert two is not None
    assert one["completed_at_ms"] <= two["accepted_at_ms"]


def test_a_group_gives_all_results_in_order(app: Celery, vendor: Vendor) -> None:
    results = get(group(job(f"g{i}").signature() for i in range(8)).apply_async())
    marker_of = {task["task_id"]: task["marker"] for task in vendor.tasks()}
    assert [marker_of[result["task_id"]] for result in results] == [f"g{i}" for i in range(8)]


def test_a_chord_runs_its_body_once_all_remote_jobs_are_done(app: Celery) -> None:
    assert get(chord([job(f"c{i}").signature() for i in range(7)], caller_app.count.s()).apply_async()) == 7


def test_a_chord_of_chains_waits_for_the_end_of_each(app: Celery) -> None:
    header = [chain(job(f"cc{i}").signature(), caller_app.first_url.s()) for i in range(3)]
    assert get(chord(header, caller_app.count.s()).apply_async()) == 3


def test_a_link_is_called_once_with_the_result(app: Celery, redis: Redis) -> None:
    result = job("linked").signature().apply_async(link=caller_app.note.s("notes"))
    assert get(result)["task_id"]
    eventually(lambda: redis.llen("notes") == 1, "the link was called")
    assert "results.example.com" in redis.lrange("notes", 0, -1)[0]


def test_an_errback_is_called_once_with_the_id_of_the_failed_job(app: Celery, redis: Redis) -> None:
    errbacks = [caller_app.note_failed_id.s(), caller_app.note.si("failed", "failures")]
    result = job("err", prompt=FAILING).signature().apply_async(link_error=errbacks)
    with pytest.raises(GenerationFailed):
        get(result)
    eventually(lambda: redis.llen("failures") == 1 and redis.llen("failed-ids") == 1, "both errbacks were called")
    assert redis.lrange("failed-ids", 0, -1) == [result.id]


def test_the_next_task_of_a_chain_goes_to_the_queue_it_names(app: Celery, redis: Redis) -> None:
    chain(job("named-queue").signature(), caller_app.first_url.s().set(queue="elsewhere")).apply_async()
    eventually(lambda: redis.llen("elsewhere") == 1, "the message is in the named queue")
    redis.delete("elsewhere", "_kombu.binding.elsewhere")


def test_a_chain_stops_at_a_failed_job_and_calls_its_errback(app: Celery, redis: Redis) -> None:
    broken = chain(job("broken", prompt=FAILING).signature(), caller_app.note.s("notes"))
    result = broken.on_error(caller_app.note.si("failed", "failures")).apply_async()
    eventually(lambda: redis.llen("failures") == 1, "the errback was called")
    with pytest.raises(GenerationFailed):
        get(result.parent)
    assert redis.llen("notes") == 0


def test_a_chord_with_a_failed_job_fails_and_does_not_run_its_body(app: Celery, redis: Redis) -> None:
    header = [job("ok").signature(), job("not-ok", prompt=FAILING).signature()]
    body = caller_app.note.si("body", "notes").on_error(caller_app.note.si("failed", "failures"))
    chord(header, body).apply_async()
    eventually(lambda: redis.llen("failures") >= 1, "the errback was called")
    assert redis.llen("notes") == 0


def test_celery_sees_a_job_started_while_the_vendor_renders_it(app: Celery, vendor: Vendor) -> None:
    vendor.set_faults(stalled=True)
    result = job("seen").signature().apply_async()
    eventually(lambda: result.state == "STARTED", "the vendor has it, and Celery sees it")
    assert vendor.task_of("seen")
    vendor.set_faults()
    get(result)
    assert result.state == "SUCCESS"


def test_a_long_task_of_the_caller_is_not_taken_from_its_worker(app: Celery, redis: Redis) -> None:
    """kombu's sweep gives back whatever lies too long in its list of held messages, whoever holds it."""
    redis.zadd("unacked_index", {"held-by-the-caller": 1})
    redis.hset("unacked", "held-by-the-caller", '["{}", "", "celery"]')
    get(job("meanwhile").signature().apply_async())
    swept = redis.get("wanimate.unacked.mutex")
    eventually(lambda: redis.get("wanimate.unacked.mutex") != swept or swept is None, "the workers have swept")
    assert redis.hexists("unacked", "held-by-the-caller")
    redis.delete("unacked", "unacked_index")
