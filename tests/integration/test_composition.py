"""A whole remote job composes like any Celery task, on the caller's own app."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import caller_app
import pytest
from celery import chain, chord, group
from celery.result import AsyncResult
from harness import PATIENCE_SECONDS, Vendor, eventually, fields_of, job
from wanimate import ContentViolation, GenerationFailed, IdempotencyConflict, InvalidRequest, JobState
from wanimate.contract import ENTRY_QUEUE, GENERATE_TASK, Keys
from wanimate_devstack import redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis
    from wanimate import Client
    from wanimate_devstack import Process, Stack

FAILING = "[fail]"
REFUSED = "[violation]"
KEYS = Keys("default")


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
    assert result["urls"] == [vendor.result_url(task)]


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
    assert "/results/task_" in redis.lrange("notes", 0, -1)[0]


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


# -- one key, any number of callers ---------------------------------------------------------------------------------


def test_a_chain_that_is_sent_again_runs_to_its_end_each_time_and_is_paid_once(
    app: Celery, client: Client, vendor: Vendor
) -> None:
    vendor.set_faults(stalled=True)
    keyed = job("again", idempotency_key="again")
    one = keyed.signature().apply_async()
    eventually(lambda: client.job(one.id).status().state is JobState.RUNNING, "one caller stands where the job stands")
    assert client.job(one.id).status().follows == keyed.job_id("default")
    sent = [chain(keyed.signature(), caller_app.first_url.s()).apply_async() for _ in range(2)]
    eventually(lambda: vendor.task_of("again"), "it runs")
    sent.append(chain(keyed.signature(), caller_app.first_url.s()).apply_async())
    vendor.set_faults()
    urls = {get(result) for result in sent}
    after_its_end = get(chain(keyed.signature(), caller_app.first_url.s()).apply_async())
    assert urls == {after_its_end}
    assert vendor.accepted() == {"again": 1}


def test_a_chord_of_one_key_runs_its_body(app: Celery, vendor: Vendor) -> None:
    keyed = job("chord-of-one", idempotency_key="chord-of-one").signature()
    assert get(chord([keyed, keyed, job("other").signature()], caller_app.count.s()).apply_async()) == 3
    assert vendor.accepted() == {"chord-of-one": 1, "other": 1}


def test_every_link_of_a_key_is_called(app: Celery, redis: Redis, client: Client, vendor: Vendor) -> None:
    keyed = job("links", idempotency_key="links")
    by_client = client.submit(keyed)
    for name in ("one", "two"):
        keyed.signature().apply_async(link=caller_app.note.si(name, "notes"))
        app.send_task(
            GENERATE_TASK,
            kwargs=keyed.to_kwargs(),
            task_id=by_client.id,
            queue=ENTRY_QUEUE,
            link=caller_app.note.si(f"{name}, by its id", "notes"),
        )
    eventually(lambda: redis.llen("notes") == 4, "each was called once")
    assert sorted(redis.lrange("notes", 0, -1)) == ["one", "one, by its id", "two", "two, by its id"]
    assert by_client.wait(timeout=PATIENCE_SECONDS).task_id
    assert vendor.accepted() == {"links": 1}


def test_every_errback_of_a_key_is_called(app: Celery, redis: Redis, vendor: Vendor) -> None:
    keyed = job("errbacks", prompt=FAILING, idempotency_key="errbacks")
    for name in ("one", "two"):
        result = keyed.signature().apply_async(link_error=caller_app.note.si(name, "failures"))
        with pytest.raises(GenerationFailed):
            get(result)
    eventually(lambda: redis.llen("failures") == 2, "each was called once")
    assert sorted(redis.lrange("failures", 0, -1)) == ["one", "two"]
    assert vendor.accepted() == {"errbacks": 1}


def test_a_task_of_the_caller_may_become_a_job_with_a_key(app: Celery, vendor: Vendor) -> None:
    keyed = job("replacement", idempotency_key="replacement").signature()
    results = [get(caller_app.become.delay(keyed)) for _ in range(2)]
    assert results[0] == results[1]
    assert results[0]["urls"]
    assert vendor.accepted() == {"replacement": 1}


def test_one_key_for_two_requests_is_a_conflict_whichever_door_comes_first(
    app: Celery, client: Client, vendor: Vendor, redis: Redis
) -> None:
    def ask(door: str, name: str, seed: int) -> Any:
        keyed = job(name, seed=seed, idempotency_key=name)
        if door == "signature":
            return get(keyed.signature().apply_async())["urls"]
        handles = client.submit_many([keyed]) if door == "bulk" else [client.submit(keyed)]
        return list(handles[0].wait(timeout=PATIENCE_SECONDS).urls)

    for first in ("client", "bulk", "signature"):
        for second in ("client", "bulk", "signature"):
            name = f"{first}-then-{second}"
            urls = ask(first, name, 1)
            with pytest.raises(IdempotencyConflict):
                ask(second, name, 2)
            assert ask(second, name, 1) == urls
            assert vendor.accepted()[name] == 1


def test_another_request_under_the_id_of_a_job_is_kept_and_its_callers_are_told(
    app: Celery, client: Client, vendor: Vendor, redis: Redis
) -> None:
    first = client.submit(job("of-the-id"))
    first.wait(timeout=PATIENCE_SECONDS)
    other = app.signature(GENERATE_TASK, kwargs={"type": "animate", **fields_of("of-another", seed=7)}, immutable=True)
    tail = caller_app.first_url.s()
    broken = chain(other.set(task_id=first.id, queue=ENTRY_QUEUE), tail).apply_async(
        link_error=caller_app.note.si("told", "failures")
    )
    with pytest.raises(IdempotencyConflict):
        get(broken)
    assert first.wait(timeout=PATIENCE_SECONDS).task_id
    assert vendor.accepted() == {"of-the-id": 1}
    [letter] = redis.lrange(KEYS.dead, 0, -1)
    assert '"conflict"' in letter
    redis.delete(KEYS.dead)


def test_positional_arguments_are_refused_with_what_to_do(app: Celery) -> None:
    fields = {"type": "animate", **fields_of("positional")}
    for sent in ({"args": [fields]}, {"args": [1], "kwargs": fields}):
        with pytest.raises(InvalidRequest, match="keyword arguments"):
            get(app.send_task(GENERATE_TASK, queue=ENTRY_QUEUE, **sent))


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
