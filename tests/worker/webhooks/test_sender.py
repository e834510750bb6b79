"""Senders on a real ledger, with real receivers."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr
from redis import Redis
from standardwebhooks import Webhook
from wanimate.contract import Event, JobState, Keys, Outcome, Result
from wanimate.errors import JobCancelled, SubmissionUnknown
from wanimate_devstack import RedisServer
from wanimate_worker.engine.runtime import Runtime
from wanimate_worker.ledger import Entry, Submit, endpoint_of
from wanimate_worker.webhooks import Sender, send_test
from webhook_receiver import OLD_SECRET, SECRET

from .conftest import eventually, settings_with

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from http.server import BaseHTTPRequestHandler

    from webhook_receiver import Receiver

KEYS = Keys("default")
DAY_MS = 86_400_000


class Post:
    """One account with senders, which are stopped at the end."""

    def __init__(self, server: RedisServer, redis: Redis) -> None:
        self.server = server
        self.redis = redis
        self.runtimes: list[Runtime] = []
        self.runtime = self.make_runtime()
        self.outbox = self.runtime.ledger.outbox
        self.senders: list[Sender] = []

    def make_runtime(self, **settings: object) -> Runtime:
        self.runtimes.append(Runtime(settings_with(redis_url=SecretStr(self.server.url), **settings)))
        return self.runtimes[-1]

    def start(self, **settings: object) -> Sender:
        sender = Sender(self.make_runtime(**settings))
        self.senders.append(sender)
        sender.start()
        return sender

    def end(self, job_id: str, url: str, **request: object) -> None:
        """Have a job end: cancelled, which takes the fewest steps."""
        request = {"type": "animate", "webhook_url": url, **request}
        jobs = self.runtime.ledger.jobs
        jobs.admit([Entry(job_id, 0, {}, request)])
        jobs.cancel(job_id, Outcome.failure(JobCancelled("cancelled")))

    def begin(self, job_id: str, url: str, **request: object) -> Submit:
        jobs = self.runtime.ledger.jobs
        jobs.admit([Entry(job_id, 0, {}, {"type": "animate", "webhook_url": url, **request})])
        return self.accept(job_id)

    def accept(self, job_id: str) -> Submit:
        jobs = self.runtime.ledger.jobs
        step = jobs.begin(job_id)
        assert isinstance(step, Submit)
        jobs.accept(job_id, step.nonce, task_id=f"task-{job_id}", first_poll_ms=600_000, begun_at_ms=0)
        return step

    def settle(self, job_id: str, step: Submit, outcome: Outcome | None = None) -> None:
        result = Result(urls=("https://vendor.example/v.mp4?signed=secret",), task_id=f"task-{job_id}")
        assert self.runtime.ledger.jobs.settle(job_id, step.nonce, outcome or Outcome.success(result))

    def close(self) -> None:
        for sender in self.senders:
            sender.stop(waits=False)
        for sender in self.senders:
            sender.stop()
        for runtime in self.runtimes:
            runtime.redis.close()

    def is_empty(self) -> bool:
        return not self.redis.exists(KEYS.deliveries, KEYS.outbox, KEYS.endpoints, KEYS.successors)

    def due_in_seconds(self, url: str) -> float:
        """Return when the only webhook of an endpoint is sent again."""
        [(_, due_ms)] = self.redis.zrange(KEYS.endpoint(endpoint_of(url)), 0, -1, withscores=True)
        seconds, microseconds = self.redis.time()
        return due_ms / 1000 - seconds - microseconds / 1_000_000

    def make_due(self, url: str, sender: Sender) -> None:
        """Have the webhooks of an endpoint sent again now."""
        endpoint = endpoint_of(url)
        for event_id in self.redis.zrange(KEYS.endpoint(endpoint), 0, -1):
            self.redis.zadd(KEYS.endpoint(endpoint), {event_id: 0})
        self.redis.zadd(KEYS.endpoints, {endpoint: 0})
        sender.wake()

    def failed(self) -> list[int]:
        """Return how often each webhook that failed was tried, once it is written down."""
        return [each.attempts for each in self.outbox.undelivered()]


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.fixture
def post(server: RedisServer) -> Iterator[Post]:
    with Redis.from_url(server.url, decode_responses=True) as redis:
        redis.flushdb()
        post = Post(server, redis)
        yield post
        post.close()


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[dict[str, Any]]]:
    """Read what was logged of webhooks, with the level."""
    caplog.set_level(logging.DEBUG)

    def read() -> list[dict[str, Any]]:
        records = (each for each in caplog.records if each.name.startswith("wanimate_worker.webhooks"))
        return [{"level": each.levelname, **each.msg} for each in records if isinstance(each.msg, dict)]

    return read


def test_the_end_of_a_job_is_delivered_once_with_a_good_signature(post: Post, receiver: Receiver) -> None:
    step = post.begin("a", receiver.url(), labels={"customer": "42"}, video_seconds=7.5)
    post.settle("a", step)
    post.start(webhook_secret=SecretStr(f"{SECRET} {OLD_SECRET}"))
    eventually(post.is_empty)
    [received] = receiver.received
    for secret in (SECRET, OLD_SECRET):
        body = Webhook(secret).verify(received.body, received.headers)
    assert body["type"] == "job.succeeded"
    event = Event.of_webhook(received.event_id, body)
    fields = post.outbox.event(received.event_id)
    assert fields
    assert event == Event.read(received.event_id, fields)
    assert (event.job_id, event.state, event.labels) == ("a", JobState.SUCCEEDED, {"customer": "42"})
    assert event.result
    assert event.result.task_id == "task-a"


def test_an_end_in_this_process_is_sent_at_once(post: Post, receiver: Receiver) -> None:
    sender = post.start()
    for number in range(10):
        before = len(receiver.received)
        post.end(f"{number}", receiver.url())
        sender._runtime.wake_sender()
        eventually(lambda: len(receiver.received) > before, 0.9)  # noqa: B023 - called in this round


def test_an_end_in_another_process_is_sent_soon(post: Post, receiver: Receiver) -> None:
    post.start()
    post.end("a", receiver.url())
    eventually(lambda: receiver.received, 5)


@pytest.mark.parametrize("how", ["status 500", "status 302", "no answer", "refused"])
def test_what_is_not_taken_is_sent_again_with_the_same_id_and_body(
    post: Post, receiver: Receiver, closed_port: int, how: str
) -> None:
    url = f"http://127.0.0.1:{closed_port}/hook" if how == "refused" else receiver.url()
    receiver.answer = {
        "status 500": receiver.answers(500),
        "status 302": receiver.answers(302, Location=receiver.url("/elsewhere")),
        "no answer": receiver.hangs,
        "refused": receiver.answers(200),
    }[how]
    post.end("a", url)
    sender = post.start(webhook_timeout_seconds=0.3)
    for attempt, (least, most) in enumerate([(3.75, 5), (7.5, 10), (15, 20)], start=1):
        eventually(lambda: post.failed() == [attempt])  # noqa: B023 - called in this round
        assert least - 2 <= post.due_in_seconds(url) <= most
        post.make_due(url, sender)
    [delivery] = post.outbox.undelivered()
    assert delivery.why
    assert post.redis.hget(f"{KEYS.prefix}counters", "webhooks:failed") != "0"
    if how != "refused":
        receiver.answer = receiver.answers(200)
        eventually(lambda: post.failed() in ([4], []))
        if not post.is_empty():
            post.make_due(url, sender)
        eventually(post.is_empty)
        assert len({(received.event_id, received.body) for received in receiver.received}) == 1
        for received in receiver.received:
            Webhook(SECRET).verify(received.body, received.headers)


def test_a_receiver_that_asks_to_wait_is_left_alone(post: Post, receiver: Receiver) -> None:
    receiver.answer = receiver.answers(503, Retry_After="600")
    post.end("a", receiver.url())
    post.start()
    eventually(lambda: post.failed() == [1])
    assert 590 < post.due_in_seconds(receiver.url()) <= 600


def test_a_receiver_that_is_gone_gets_no_second_try(
    post: Post, receiver: Receiver, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    receiver.answer = receiver.answers(410)
    post.end("a", receiver.url())
    post.start()
    eventually(post.outbox.given_up)
    assert len(receiver.received) == 1
    eventually(lambda: [line["level"] for line in lines()] == ["ERROR"])


def test_after_three_days_a_webhook_is_given_up_and_can_be_replayed(
    post: Post, receiver: Receiver, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    receiver.answer = receiver.answers(500)
    post.end("a", receiver.url())
    sender = post.start()
    eventually(lambda: post.failed() == [1])
    [(event_id, content)] = post.redis.hgetall(KEYS.deliveries).items()
    stored = json.loads(content)
    post.redis.hset(KEYS.deliveries, event_id, json.dumps({**stored, "first_ms": stored["first_ms"] - 3 * DAY_MS}))
    post.make_due(receiver.url(), sender)
    eventually(post.outbox.given_up)
    assert list(post.outbox.given_up()) == [event_id]
    eventually(lambda: [line["level"] for line in lines()] == ["WARNING", "ERROR"])
    receiver.answer = receiver.answers(200)
    delivery = post.outbox.get(event_id)
    assert delivery
    assert (delivery.attempts, delivery.why) == (2, "HTTP 500")
    post.outbox.replay(delivery)
    sender.wake()
    eventually(post.is_empty)
    assert [received.event_id for received in receiver.received] == [event_id] * 3


def test_webhooks_of_one_job_come_in_order(post: Post, receiver: Receiver) -> None:
    receiver.answer = receiver.answers(500)
    lost = Outcome.failure(SubmissionUnknown("the answer to the submission was lost"))
    post.settle("a", post.begin("a", receiver.url()), lost)
    ledger = post.runtime.ledger
    ledger.jobs.mark_delivered("a")
    ledger.failed.retry("a", priority=0, deadline_ms=None, result_key="celery-task-meta-a")
    post.settle("a", post.accept("a"))
    sender = post.start()
    eventually(lambda: sorted(post.failed()) == [0, 1])
    sender.wake()
    receiver.answer = receiver.answers(200)
    post.make_due(receiver.url(), sender)
    eventually(post.is_empty)
    types = [json.loads(received.body)["type"] for received in receiver.received]
    assert types == ["job.failed", "job.failed", "job.succeeded"]


def test_hanging_endpoints_delay_no_other(post: Post, make_receiver: Callable[..., Receiver]) -> None:
    hanging, living = [make_receiver() for _ in range(20)], make_receiver()
    for receiver in hanging:
        receiver.answer = receiver.hangs
        for number in range(10):
            post.end(f"{receiver.port}-{number}", receiver.url())
    sender = post.start(webhook_timeout_seconds=30)
    eventually(lambda: all(receiver.received for receiver in hanging))
    for number in range(20):
        before = len(living.received)
        post.end(f"{number}", living.url())
        sender.wake()
        eventually(lambda: len(living.received) > before, 5)  # noqa: B023 - called in this round
    connections = post.runtime.settings.webhook_connections
    assert all(len(receiver.received) <= connections for receiver in hanging)


def test_endpoints_that_fail_leave_room_for_others(post: Post) -> None:
    sender = Sender(post.runtime)
    sender._failing = {f"endpoint-{number}" for number in range(500)}
    for number in range(500):
        name = f"endpoint-{number}"
        sender._under_way[name] += max(0, sender._room_for(name))
    assert max(sender._under_way.values()) == 1
    assert sum(sender._under_way.values()) == 128
    assert sender._room_for("healthy") > 0


def test_an_endpoint_gets_so_many_at_once_from_all_processes_together(post: Post, receiver: Receiver) -> None:
    under_way, seen, lock = 0, [], threading.Lock()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        nonlocal under_way
        with lock:
            under_way += 1
            seen.append(under_way)
        time.sleep(0.02)
        with lock:
            under_way -= 1
        receiver.answers(200)(handler)

    receiver.answer = answer
    for number in range(40):
        post.end(f"{number}", receiver.url())
    for _ in range(2):
        post.start(webhook_connections=3)
    eventually(post.is_empty)
    assert max(seen) == 3
    assert len({received.event_id for received in receiver.received}) == len(receiver.received) == 40


def test_a_warm_stop_waits_for_what_is_under_way(post: Post, receiver: Receiver) -> None:
    goes_on = threading.Event()

    def answer(handler: BaseHTTPRequestHandler) -> None:
        goes_on.wait(20)
        receiver.answers(200)(handler)

    receiver.answer = answer
    post.end("a", receiver.url())
    sender = post.start()
    eventually(lambda: receiver.received)
    stopping = threading.Thread(target=sender.stop)
    stopping.start()
    eventually(sender._stopping.is_set)
    goes_on.set()
    stopping.join(20)
    assert not stopping.is_alive()
    assert post.is_empty()
    assert len(receiver.received) == 1


def test_what_a_cold_stop_drops_is_sent_when_its_lease_ends(post: Post, receiver: Receiver) -> None:
    receiver.answer = receiver.hangs
    post.end("a", receiver.url())
    sender = post.start()
    eventually(lambda: receiver.received)
    sender.stop(waits=False)
    assert sender._thread is not None
    sender._thread.join(5)
    assert not sender._thread.is_alive()
    assert post.failed() == [0]
    assert 0 < post.due_in_seconds(receiver.url()) <= 20
    receiver.answer = receiver.answers(200)
    post.make_due(receiver.url(), post.start())
    eventually(post.is_empty)


def test_without_a_secret_nothing_is_sent_or_asked(post: Post, receiver: Receiver) -> None:
    post.end("a", receiver.url())
    sender = post.start(webhook_secret=None)
    assert sender._thread is None
    sender._runtime.wake_sender()
    assert post.failed() == [0]


def test_webhooks_go_on_when_redis_is_back(make_receiver: Callable[..., Receiver], tmp_path: Any) -> None:
    receiver = make_receiver()
    with RedisServer(tmp_path) as server, Redis.from_url(server.url, decode_responses=True) as redis:
        post = Post(server, redis)
        sender = post.start(redis_timeout_seconds=1)
        post.end("a", receiver.url())
        eventually(lambda: len(receiver.received) == 1)
        eventually(post.is_empty)
        server.stop()
        sender.wake()
        server.start()
        post.end("b", receiver.url())
        eventually(post.is_empty)
        post.close()
        assert {json.loads(received.body)["data"]["id"] for received in receiver.received} == {"a", "b"}


def test_logs_have_no_secret_and_one_line_for_each_try(
    post: Post, receiver: Receiver, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    receiver.answer = receiver.answers(500)
    url = receiver.url()
    post.settle("a", post.begin("a", url))
    sender = post.start()
    eventually(lambda: post.failed() == [1])
    post.make_due(url, sender)
    eventually(lambda: post.failed() == [2])
    receiver.answer = receiver.answers(200)
    post.make_due(url, sender)
    eventually(post.is_empty)
    eventually(lambda: len(lines()) == 3)
    first, second, third = lines()
    assert (first["level"], first["attempt"], first["cause"]) == ("WARNING", 1, "HTTP 500")
    assert (second["level"], second["attempt"]) == ("INFO", 2)
    assert (third["level"], third["attempt"], third["event"]) == ("INFO", 3, "webhook delivered")
    assert {line["url"] for line in lines()} == {url.partition("?")[0]}
    assert {line["job_id"] for line in lines()} == {"a"}
    assert "secret" not in str(lines())
    assert SECRET[6:] not in str(lines())


def test_the_test_webhook_needs_no_ledger(receiver: Receiver) -> None:
    receiver.answer = receiver.answers(404)
    assert send_test(settings_with(redis_url=SecretStr("redis://127.0.0.1:1/0")), receiver.url()).why == "HTTP 404"
