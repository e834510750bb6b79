"""What Celery and kombu on Redis are known to lose or to hang on; here nothing is lost and everything goes on."""

from __future__ import annotations

import json
import signal
import sys
from typing import TYPE_CHECKING

import pytest
from celery import Celery
from harness import CRASHING_PATH, PATIENCE_SECONDS, Vendor, eventually, job
from pydantic import SecretStr
from redis import Redis
from wanimate import Client, Settings
from wanimate.contract import CONTROL_QUEUE, DATABASE_KEY, ENTRY_QUEUE, UNACKED_KEY, Keys
from wanimate.redis.transport import celery_settings
from wanimate_devstack import Process, RedisServer, Stack, StackOptions, redis_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENVELOPE = {
    "headers": {},
    "content-type": "application/json",
    "content-encoding": "utf-8",
    "properties": {
        "delivery_tag": "a-tag",
        "delivery_info": {"exchange": "", "routing_key": ENTRY_QUEUE},
        "body_encoding": "base64",
    },
}
NO_MESSAGES = {
    "text": b"garbage",
    "bytes": b"\xff\xfe\x00",
    "a list": b"[]",
    "a number": b"17",
    "no properties": b'{"body": ""}',
    "no tag": b'{"body": "", "properties": {"delivery_info": {"exchange": "", "routing_key": "wanimate"}}}',
    "numbers for text": b'{"properties": {"delivery_tag": 5, "delivery_info": {"exchange": 1, "routing_key": 2}}}',
    "a broken body": json.dumps({**ENVELOPE, "body": "!"}).encode(),
    "JSON to Lua alone": json.dumps({**ENVELOPE, "body": 7}).replace("7", "0x1f").encode(),
    "a type unknown to kombu": json.dumps({**ENVELOPE, "body": {"__type__": "uuid", "__value__": "x"}}).encode(),
}


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    """A stack of its own, whose worker dies where it is told to, and whose server may be restarted."""
    options = StackOptions(
        has_flower=False,
        worker_app="crashing_worker",
        simulator={"speed": "40"},
        settings={
            "PYTHONPATH": CRASHING_PATH,
            "WANIMATE_POLL_TICK_SECONDS": "0.1",
            "WANIMATE_POLL_FLOOR_SECONDS": "0.1",
            "WANIMATE_LEASE_SECONDS": "2",
        },
        worker_options=("--concurrency", "4"),
    )
    with Stack(options) as stack:
        yield stack


@pytest.fixture
def own_client(own_stack: Stack) -> Iterator[Client]:
    with Client(Settings(redis_url=SecretStr(own_stack.redis.url))) as client:
        yield client


@pytest.fixture
def own_redis(own_stack: Stack) -> Iterator[Redis]:
    with redis_of(own_stack) as redis:
        yield redis


@pytest.mark.parametrize("queue", [ENTRY_QUEUE, CONTROL_QUEUE])
@pytest.mark.parametrize("what", NO_MESSAGES)
def test_what_is_no_message_is_kept_and_ends_no_worker(
    stack: Stack, client: Client, vendor: Vendor, redis: Redis, what: str, queue: str
) -> None:
    dead = Keys("default").dead
    redis.lpush(queue, NO_MESSAGES[what])
    eventually(lambda: redis.llen(dead) == 1, "it is kept as a dead letter")
    assert client.submit(job("after-it")).wait(timeout=PATIENCE_SECONDS).urls
    eventually(lambda: redis.hlen(UNACKED_KEY) == 0, "it is acknowledged")
    assert stack.ended() is None
    assert stack.log("worker1").count(" ready.") == 1, "the worker started anew"
    redis.delete(dead)


@pytest.mark.parametrize("point", ["take-and-run", "run-and-record"])
def test_a_worker_that_dies_before_it_has_recorded_a_job_does_not_lose_its_message(
    own_stack: Stack, own_client: Client, own_redis: Redis, point: str
) -> None:
    assert own_stack.beat is not None
    own_stack.beat.stop()  # its ticks would come to that point first
    eventually(lambda: own_redis.llen(CONTROL_QUEUE) == 0 and own_redis.hlen(UNACKED_KEY) == 0, "no tick is left")
    own_redis.lpush(f"chaos:SIGKILL:{point}", "die")
    handle = own_client.submit(job("taken"))
    eventually(lambda: not own_stack.workers[0].is_running, "the worker is dead")
    own_stack.start_worker()
    own_stack.start_beat()
    assert handle.wait(timeout=PATIENCE_SECONDS).urls


def test_a_frozen_worker_that_is_killed_takes_no_message_with_it(own_stack: Stack, own_client: Client) -> None:
    frozen = own_stack.workers[0]
    frozen.signal(signal.SIGSTOP)
    handles = [own_client.submit(job(f"frozen-{number}")) for number in range(3)]
    frozen.kill()
    own_stack.start_worker()
    for handle in handles:
        assert handle.wait(timeout=PATIENCE_SECONDS).urls


def test_a_redis_that_is_full_loses_no_message(own_stack: Stack, own_client: Client, own_redis: Redis) -> None:
    worker = own_stack.workers[0]
    worker.signal(signal.SIGSTOP)
    handle = own_client.submit(job("full"))
    own_redis.config_set("maxmemory", "100kb")
    worker.signal(signal.SIGCONT)
    eventually(lambda: own_redis.llen(ENTRY_QUEUE) == 0, "a worker has taken it")
    own_redis.config_set("maxmemory", "0")
    if not worker.is_running:
        own_stack.start_worker()
    assert handle.wait(timeout=PATIENCE_SECONDS).urls


def refuse_writes(redis: Redis, how: str) -> None:
    """Let the server refuse writes, as one without its replicas, or one that has just been demoted, does."""
    if how == "no replicas":
        redis.config_set("min-replicas-to-write", "1")
    else:
        redis.replicaof("127.0.0.1", "1")


@pytest.mark.parametrize("how", ["no replicas", "read-only"])
def test_a_redis_that_refuses_writes_ends_no_worker_and_keeps_none_from_starting(
    own_stack: Stack, own_client: Client, own_redis: Redis, how: str
) -> None:
    before = own_client.submit(job("before"))
    assert before.wait(timeout=PATIENCE_SECONDS).urls
    refuse_writes(own_redis, how)
    own_stack.start_worker()
    for worker in ("worker1", "worker2"):
        # More than once: Celery would end a worker that fails again while it starts.
        eventually(lambda: own_stack.log(worker).count("Redis refuses commands") > 2, f"{worker} waits")  # noqa: B023
    own_redis.config_set("min-replicas-to-write", "0")
    own_redis.replicaof("no", "one")
    handles = [own_client.submit(job(f"after-{number}")) for number in range(5)]
    eventually(lambda: " ready." in own_stack.log("worker2"), "the worker started meanwhile is ready")
    for handle in handles:
        assert handle.wait(timeout=PATIENCE_SECONDS).urls
    assert own_stack.ended() is None


def test_a_worker_that_waited_for_redis_takes_no_job_of_another_account(tmp_path: Path) -> None:
    server = RedisServer(is_durable=False)
    variables = {"WANIMATE_REDIS_URL": server.url, "WANIMATE_API_KEY": "sk-of-nobody"}
    command = (sys.executable, "-m", "celery", "-q", "-A", "wanimate_worker", "worker")
    worker = Process("worker", command, tmp_path / "log", variables)
    try:
        worker.wait_until(lambda: "Cannot connect" in worker.log_tail(), "waiting for Redis")
        with server, Redis.from_url(server.url) as redis:
            redis.set(DATABASE_KEY, "another")
            eventually(lambda: not worker.is_running, "the worker has ended")
        assert worker.exit_code == 1
        assert "WANIMATE_ACCOUNT: " in worker.log_tail()
        assert "Traceback" not in worker.log_tail()
    finally:
        worker.stop()


@pytest.mark.parametrize("published", [b"garbage", b"5", b"[]", b"{}", b"[" * 100_000, b'{"body": 5, "properties": 7}'])
def test_what_is_published_for_remote_control_ends_no_worker(stack: Stack, redis: Redis, published: bytes) -> None:
    redis.publish("/0.celery.pidbox", published)
    with Celery(set_as_current=False) as app:
        app.conf.update(celery_settings(Settings(redis_url=SecretStr(stack.redis.url))))
        assert app.control.ping(timeout=PATIENCE_SECONDS, limit=1)
    assert stack.ended() is None
    assert stack.log("worker1").count(" ready.") == 1, "the worker started anew"


def test_connections_that_break_again_and_again_stop_no_worker(own_stack: Stack, own_client: Client) -> None:
    with redis_of(own_stack) as redis:
        for number in range(10):
            own_client.submit(job(f"flapping-{number}"))
            for kind in ("normal", "pubsub"):
                redis.execute_command("CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes")
        handles = [own_client.submit(job(f"after-{number}")) for number in range(5)]
    for handle in handles:
        assert handle.wait(timeout=PATIENCE_SECONDS).urls
    assert own_stack.ended() is None
