"""What an operator sees of webhooks that are not delivered, and does about them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typed import run as typed
from wanimate.contract import Event, Outcome, Result
from wanimate_worker.ledger import Delivery, Entry, Submit

from ..webhooks.conftest import NETWORKS, SECRET, Receiver

if TYPE_CHECKING:
    from ..conftest import Run

URL = "https://receiver.example/ends?token=secret"
ENDPOINT = "https://receiver.example:443"


def lines(run: Run, *words: str, code: int = 0, environment: dict[str, str] | None = None) -> list[dict[str, Any]]:
    url = run.task.runtime.settings.redis_url.get_secret_value()
    done = typed("wanimate-worker", "webhooks", *words, "--json", WANIMATE_REDIS_URL=url, **(environment or {}))
    assert "Traceback" not in done.stderr
    assert done.returncode == code, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def finish(run: Run, job_id: str, url: str | None = URL) -> str:
    """Have a job succeed, and return the id of its event."""
    ledger = run.ledger
    request = {"type": "animate", "labels": {"customer": "42"}, **({} if url is None else {"webhook_url": url})}
    ledger.jobs.admit([Entry(job_id, 5, {"seen": True}, request)])
    step = ledger.jobs.begin(job_id)
    assert isinstance(step, Submit)
    ledger.jobs.accept(job_id, step.nonce, task_id="t", first_poll_ms=60_000, begun_at_ms=0)
    outcome = Outcome.success(Result(urls=("https://vendor.example/v.mp4",), task_id="t"))
    assert ledger.jobs.settle(job_id, step.nonce, outcome)
    assert ledger.jobs.mark_delivered(job_id) is not None
    return str(run.redis.hget(f"wanimate:{{default}}:job:{job_id}", "event_id"))


def claim(run: Run) -> list[Delivery]:
    run.ledger.outbox.sort()
    return list(run.ledger.outbox.claim(ENDPOINT, 10).deliveries)


def fail(run: Run, delay_ms: int | None, why: str = "HTTP 500") -> None:
    for delivery in claim(run):
        assert run.ledger.outbox.fail(replace(delivery, attempts=delivery.attempts + 1, first_ms=7, why=why), delay_ms)


def test_undelivered_webhooks_are_listed_with_plan_and_reason(run: Run) -> None:
    first = finish(run, "a")
    fail(run, None, "HTTP 410")
    second = finish(run, "b")
    fail(run, 60_000)
    third = finish(run, "c", "https://other.example/")
    found = lines(run, "list")
    assert [(each["event_id"], each["job_id"], each["attempts"]) for each in found] == [
        (first, "a", 1),
        (second, "b", 1),
        (third, "c", 0),
    ]
    assert [each["state"] for each in found] == ["succeeded"] * 3
    assert (found[0]["endpoint"], found[0]["why"], "given_up_at_ms" in found[0]) == (ENDPOINT, "HTTP 410", True)
    assert found[1]["next_try_at_ms"] > run.ledger.records.now_ms()
    assert [each["event_id"] for each in lines(run, "list", "--given-up")] == [first]
    assert [each["event_id"] for each in lines(run, "list", "--job", "b")] == [second]
    assert [each["event_id"] for each in lines(run, "list", "--endpoint", "https://other.example/any")] == [third]
    assert [each["event_id"] for each in lines(run, "list", "--limit", "1")] == [first]


def test_a_webhook_is_shown_as_it_is_sent_but_for_what_is_secret(run: Run) -> None:
    event_id = finish(run, "a")
    fail(run, 60_000)
    [shown] = lines(run, "show", event_id)
    delivery = run.ledger.outbox.get(event_id)
    assert delivery
    assert shown["body"] == Event.read(event_id, delivery.fields).to_webhook()
    assert (shown["url"], shown["headers"]["webhook-id"]) == ("https://receiver.example/ends", event_id)
    assert (shown["attempts"], shown["why"], shown["first_try_at_ms"]) == (1, "HTTP 500", 7)
    url = run.task.runtime.settings.redis_url.get_secret_value()
    for words in (["list"], ["show", event_id]):
        text = typed("wanimate-worker", "webhooks", *words, WANIMATE_REDIS_URL=url).stdout
        assert event_id in text
        assert "token" not in text, "the query of the URL"
    assert lines(run, "show", "1-1", code=1) == []


def test_webhooks_that_were_given_up_are_sent_again(run: Run) -> None:
    first = finish(run, "a")
    fail(run, None)
    finish(run, "b", "https://other.example/")
    [told] = lines(run, "replay", "--given-up")
    assert (told["event_id"], told["outcome"]) == (first, "replayed")
    assert run.ledger.outbox.given_up() == {}
    [again] = claim(run)
    assert (again.event_id, again.attempts) == (first, 0)


@pytest.mark.parametrize("words", [[], ["1-1", "--given-up"]])
def test_replay_asks_for_ids_or_for_a_choice(run: Run, words: list[str]) -> None:
    lines(run, "replay", *words, code=2)


def test_a_delivered_webhook_is_sent_again_under_the_same_id(run: Run) -> None:
    event_id = finish(run, "a")
    [delivery] = claim(run)
    assert run.ledger.outbox.finish(delivery)
    assert lines(run, "list") == []
    assert lines(run, "show", event_id)[0]["undelivered"] is False
    assert lines(run, "replay", event_id)[0]["outcome"] == "replayed"
    [again] = claim(run)
    assert (again.event_id, again.url) == (event_id, URL)


def test_an_event_without_an_address_needs_one_to_be_sent(run: Run) -> None:
    event_id = finish(run, "a", None)
    [told] = lines(run, "replay", event_id, code=1)
    assert "--url" in told["message"]
    lines(run, "replay", event_id, "--url", URL)
    [delivery] = claim(run)
    assert delivery.url == URL
    assert lines(run, "replay", "1-1", code=1)[0]["outcome"] == "not found"


def test_a_webhook_can_be_sent_to_another_endpoint(run: Run) -> None:
    event_id = finish(run, "a", "https://dead.example/")
    run.ledger.outbox.sort()
    lines(run, "replay", event_id, "--url", URL)
    assert [each.event_id for each in claim(run)] == [event_id]
    assert run.ledger.outbox.claim("https://dead.example:443", 9).deliveries == []


def test_a_receiver_is_tested_with_a_signed_webhook(run: Run) -> None:
    receiver = Receiver()
    try:
        environment = {"WANIMATE_WEBHOOK_SECRET": SECRET, "WANIMATE_WEBHOOK_NETWORKS": NETWORKS}
        [told] = lines(run, "test", receiver.url(), environment=environment)
        assert (told["taken"], told["status"]) == (True, 204)
        [received] = receiver.received
        assert json.loads(received.body)["type"] == "wanimate.test"
        [told] = lines(run, "test", receiver.url(), code=1, environment={"WANIMATE_WEBHOOK_SECRET": SECRET})
        assert "WANIMATE_WEBHOOK_NETWORKS" in told["why"], "no address that is not public, unless it is allowed"
        lines(run, "test", receiver.url(), code=2)
    finally:
        receiver.stop()


@pytest.mark.parametrize("name", ["list", "show", "replay", "test"])
def test_help_fits_into_80_columns_and_has_an_example(name: str) -> None:
    told = typed("wanimate-worker", "webhooks", name, "--help", COLUMNS="80").stdout
    assert f"wanimate-worker webhooks {name} " in told.partition("Example:")[2]
    assert max(map(len, told.splitlines())) <= 80
