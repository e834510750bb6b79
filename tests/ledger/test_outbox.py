"""Ends of jobs as events, and the webhooks of them: written with the end, sent in order, given up and replayed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Event, JobState
from wanimate_worker.ledger import Delivery, endpoint_of

from .bench import CANCELLED, LONG_MS, UNKNOWN, Bench, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

URL = "https://receiver.example/ends"
ENDPOINT = "https://receiver.example:443"


def settle(bench: Bench, job_id: str, **request: object) -> None:
    submit = bench.start(job_id, **request)
    assert bench.ledger.jobs.settle(job_id, submit.nonce, success("t"))


def events(bench: Bench) -> list[Event]:
    return [Event.read(event_id, fields) for event_id, fields in bench.redis.xrange(bench.keys.events)]  # type: ignore[union-attr]


def claim(bench: Bench, most: int = 10) -> list[Delivery]:
    bench.ledger.outbox.sort()
    return list(bench.ledger.outbox.claim(ENDPOINT, most).deliveries)


def nothing_is_left(bench: Bench) -> bool:
    keys = bench.keys
    return not bench.redis.exists(keys.deliveries, keys.outbox, keys.endpoints, keys.successors, keys.dead_webhooks)


def test_each_end_is_one_event_with_what_the_backend_needs(bench: Bench) -> None:
    settle(bench, "a", labels={"customer": "42"}, video_seconds=7.5, image_url="https://secret", prompt="secret")
    bench.admit("b", "c")
    bench.ledger.jobs.cancel("c", CANCELLED)
    bench.drain()
    assert [(event.job_id, event.state) for event in events(bench)] == [
        ("a", JobState.SUCCEEDED),
        ("c", JobState.CANCELLED),
        ("b", JobState.SUCCEEDED),
    ]
    first, second, _ = events(bench)
    assert (first.labels, first.billed_seconds, first.attempts) == ({"customer": "42"}, 7.5, 1)
    assert first.result
    assert first.result.task_id == "t"
    assert second.error
    assert second.error.type == "JobCancelled"
    assert "secret" not in str(bench.redis.xrange(bench.keys.events)), "neither URLs of the request nor its prompt"
    assert nothing_is_left(bench), "no webhook was wanted"


def test_a_job_cancelled_before_its_message_came_is_an_event_when_it_comes(bench: Bench) -> None:
    bench.ledger.jobs.cancel("a", CANCELLED)
    assert events(bench) == []
    bench.admit("a", webhook_url=URL)
    bench.admit("a", webhook_url=URL)
    (event,) = events(bench)
    assert (event.job_id, event.state) == ("a", JobState.CANCELLED)
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.finish(delivery)
    bench.drain()


def test_the_stream_of_events_is_bounded(bench: Bench) -> None:
    bench.limit(events_kept=10)
    for number in range(300):
        bench.admit(f"{number}")
        bench.ledger.jobs.cancel(f"{number}", CANCELLED)
    bench.drain()
    assert bench.redis.xlen(bench.keys.events) <= 10 + 100, "trimmed by nodes of a hundred"


def test_a_webhook_goes_where_the_job_says_else_where_the_account_says(bench: Bench) -> None:
    settle(bench, "a", webhook_url=URL)
    settle(bench, "nowhere")
    bench.limit(webhook_url="https://receiver.example/all")  # type: ignore[arg-type]
    settle(bench, "b")
    settle(bench, "c", webhook_url=URL)
    bench.drain()
    assert {each.job_id: each.url for each in claim(bench)} == {"a": URL, "b": "https://receiver.example/all", "c": URL}
    for delivery in list(bench.ledger.outbox.undelivered()):
        assert bench.ledger.outbox.finish(delivery)
    assert nothing_is_left(bench)


def test_endpoints_are_compared_in_one_spelling() -> None:
    assert endpoint_of("HTTPS://Host.Example/a?b") == endpoint_of("https://host.example:443/c")
    assert endpoint_of("http://[::1]:8080/") == "http://[::1]:8080"


def test_at_most_so_many_webhooks_are_sent_to_one_endpoint_at_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(endpoint_connections=2, max_in_flight=9)
    for name in "abcd":
        settle(bench, name, webhook_url=URL)
    settle(bench, "other", webhook_url="https://other.example/")
    bench.drain()
    first = claim(bench)
    assert len(first) == 2
    assert claim(bench) == []
    assert ENDPOINT not in bench.ledger.outbox.due_endpoints(10), "it is due again when there is room"
    assert bench.ledger.outbox.due_endpoints(10) == ["https://other.example:443"]
    assert bench.ledger.outbox.finish(first[0])
    assert ENDPOINT in bench.ledger.outbox.due_endpoints(10)
    (third,) = claim(bench)
    assert third.event_id not in {each.event_id for each in first}
    for delivery in list(bench.ledger.outbox.undelivered()):
        assert bench.ledger.outbox.finish(delivery)
    assert nothing_is_left(bench)


def test_a_webhook_whose_sender_died_is_sent_again_when_its_lease_ends(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(webhook_lease_ms=1)
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (first,) = claim(bench)
    bench.next_ms()
    bench.next_ms()
    (second,) = claim(bench)
    assert second == first
    assert bench.ledger.outbox.finish(first)
    assert not bench.ledger.outbox.finish(second), "the other one has delivered it"
    assert nothing_is_left(bench)


def test_a_webhook_that_failed_waits_for_its_next_try(bench: Bench) -> None:
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.fail(replace(delivery, attempts=1, first_ms=7, why="HTTP 500"), LONG_MS)
    assert claim(bench) == []
    assert bench.ledger.outbox.due_endpoints(10) == []
    kept = bench.ledger.outbox.get(delivery.event_id)
    assert kept
    assert (kept.attempts, kept.first_ms, kept.why, kept.fields) == (1, 7, "HTTP 500", delivery.fields)
    bench.ledger.outbox.replay(kept)
    (again,) = claim(bench)
    assert (again.event_id, again.attempts) == (delivery.event_id, 0)
    assert bench.ledger.outbox.finish(again)
    assert nothing_is_left(bench)


def test_a_webhook_that_was_given_up_is_kept_and_can_be_replayed(bench: Bench) -> None:
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.fail(replace(delivery, why="three days"), None)
    assert list(bench.ledger.outbox.given_up()) == [delivery.event_id]
    assert claim(bench) == []
    assert bench.ledger.polls.trim() == 0
    assert [each.why for each in bench.ledger.outbox.undelivered()] == ["three days"]
    bench.ledger.outbox.replay(delivery)
    assert bench.ledger.outbox.given_up() == {}
    (again,) = claim(bench)
    assert bench.ledger.outbox.finish(again)
    assert nothing_is_left(bench)


def test_what_was_given_up_long_ago_is_forgotten(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(failed_ttl_ms=1)
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.fail(delivery, None)
    bench.next_ms()
    bench.next_ms()
    bench.ledger.polls.trim()
    assert nothing_is_left(bench)


@pytest.mark.parametrize("ends", ["delivered", "given up"])
def test_webhooks_of_one_job_are_sent_in_the_order_of_its_ends(bench: Bench, ends: str) -> None:
    submit = bench.start("a", webhook_url=URL)
    assert bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    bench.drain()
    bench.ledger.failed.retry("a", priority=0, deadline_ms=None, result_key="celery-task-meta-a")
    bench.drain()
    assert [event.state for event in events(bench)] == [JobState.FAILED, JobState.SUCCEEDED]
    (first,) = claim(bench)
    assert claim(bench) == [], "the second waits for the first"
    assert Event.read(first.event_id, first.fields).state is JobState.FAILED
    if ends == "delivered":
        assert bench.ledger.outbox.finish(first)
    else:
        assert bench.ledger.outbox.fail(first, None)
    (second,) = claim(bench)
    assert Event.read(second.event_id, second.fields).state is JobState.SUCCEEDED
    assert bench.ledger.outbox.finish(second)
    if ends == "given up":
        assert bench.ledger.outbox.finish(first)
    assert nothing_is_left(bench)


def test_a_clock_that_was_set_back_delays_no_webhook(bench: Bench) -> None:
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.fail(delivery, LONG_MS)
    bench.ledger.outbox.set_back(2 * LONG_MS)
    assert bench.ledger.outbox.due_endpoints(10) == [ENDPOINT]
    (again,) = claim(bench)
    assert bench.ledger.outbox.finish(again)


def test_an_event_that_was_delivered_can_be_found_and_sent_again(bench: Bench, redis: Redis) -> None:
    settle(bench, "a", webhook_url=URL)
    bench.drain()
    (delivery,) = claim(bench)
    assert bench.ledger.outbox.finish(delivery)
    fields = bench.ledger.outbox.event(delivery.event_id)
    assert fields == dict(delivery.fields)
    bench.ledger.outbox.replay(Delivery(delivery.event_id, URL, fields))
    (again,) = claim(bench)
    assert again == delivery
    assert bench.ledger.outbox.finish(again)
    assert redis.exists(bench.keys.deliveries) == 0
