"""Before a request is sent its intent is on replicas, and before a callback is taken its note, as the settings ask."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from redis import Redis
from wanimate_devstack import RedisServer
from wanimate_worker.ledger import Blocked, CallbackEffect, NotReplicated

from .bench import Bench, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

QUICK_MS = 50


@pytest.fixture(scope="module")
def durable() -> Iterator[RedisServer]:
    with RedisServer() as server, Redis.from_url(server.url) as redis:
        # By itself it waits 5 s for further replicas before it serves the first.
        redis.config_set("repl-diskless-sync-delay", 0)
        yield server


@pytest.fixture(scope="module")
def replica() -> Iterator[RedisServer]:
    with RedisServer(is_durable=False) as server:
        yield server


@pytest.fixture
def safe(durable: RedisServer) -> Iterator[Bench]:
    with Redis.from_url(durable.url, decode_responses=True) as redis:
        redis.flushdb()
        yield Bench(redis, intent_replicas=1, intent_timeout_ms=QUICK_MS)


def follow(replica: RedisServer, *master: str | int) -> None:
    with Redis.from_url(replica.url) as redis:
        redis.execute_command("REPLICAOF", *master)


def test_without_the_settings_no_intent_is_waited_for(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    before = bench.redis.info("commandstats").keys()
    assert bench.ledger.durable.confirm("a", submit.nonce) is None
    assert "cmdstat_wait" not in before
    bench.drain()


def test_an_intent_is_safe_only_when_as_many_replicas_have_it_as_the_settings_ask(
    safe: Bench, replica: RedisServer, durable: RedisServer
) -> None:
    safe.admit("a")
    submit = safe.begin("a")
    why = "0 of 1 replicas had the intent within 0.05 s (WANIMATE_INTENT_REPLICAS)"
    assert safe.ledger.durable.confirm("a", submit.nonce) == why
    follow(replica, "127.0.0.1", durable.port)
    eventually(lambda: safe.ledger.durable.confirm("a", submit.nonce) is None)
    with Redis.from_url(replica.url, decode_responses=True) as copy:
        assert copy.hget(safe.keys.job("a"), "nonce") == submit.nonce
    two = safe.with_own(intent_replicas=2)
    assert two.durable.confirm("a", submit.nonce) == why.replace("0 of 1", "1 of 2")
    follow(replica, "NO", "ONE")
    assert eventually(lambda: safe.ledger.durable.confirm("a", submit.nonce)) == why


def test_a_replica_that_stands_still_confirms_nothing_even_on_a_fresh_connection(
    safe: Bench, replica: RedisServer, durable: RedisServer
) -> None:
    """WAIT is about what its connection wrote: one that has written nothing is told that all is well."""
    safe.admit("a")
    follow(replica, "127.0.0.1", durable.port)
    eventually(lambda: safe.redis.execute_command("WAIT", 1, QUICK_MS) == 1)
    assert replica.process is not None
    replica.process.signal(signal.SIGSTOP)
    try:
        submit = safe.begin("a")
        safe.redis.connection_pool.disconnect()
        assert safe.redis.execute_command("WAIT", 1, QUICK_MS) == 1, "the trap is still there"
        assert safe.ledger.durable.confirm("a", submit.nonce) is not None
    finally:
        replica.process.signal(signal.SIGCONT)
    follow(replica, "NO", "ONE")


@pytest.mark.parametrize("forgotten", ["record", "attempt"])
def test_a_server_that_does_not_know_the_intent_never_confirms_it(
    safe: Bench, replica: RedisServer, durable: RedisServer, forgotten: str
) -> None:
    safe.admit("a")
    submit = safe.begin("a")
    follow(replica, "127.0.0.1", durable.port)
    eventually(lambda: safe.ledger.durable.confirm("a", submit.nonce) is None)
    if forgotten == "record":
        safe.redis.delete(safe.keys.job("a"))
    else:
        safe.ledger.jobs.mark_unknown("a", submit.nonce, "given up")
    assert safe.ledger.durable.confirm("a", submit.nonce) == "Redis does not know the intent any more"
    follow(replica, "NO", "ONE")


def test_a_callback_is_taken_only_when_as_many_replicas_have_it_as_the_settings_ask(
    safe: Bench, replica: RedisServer, durable: RedisServer
) -> None:
    safe.admit("a")
    submit = safe.begin("a")
    safe.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    for _ in range(2):
        with pytest.raises(NotReplicated, match=r"0 of 1 replicas had the callback within 0\.05 s"):
            safe.ledger.durable.callback("a", submit.nonce, "task-a")
    follow(replica, "127.0.0.1", durable.port)
    taken = eventually(lambda: taken_or_none(safe, submit.nonce))
    assert taken is CallbackEffect.NOTED
    with Redis.from_url(replica.url, decode_responses=True) as copy:
        assert copy.hget(safe.keys.job("a"), "hint") == "task-a"
    follow(replica, "NO", "ONE")
    assert safe.ledger.durable.callback("gone", submit.nonce) is CallbackEffect.ENDED, (
        "nothing was written, nothing is waited for"
    )


def taken_or_none(bench: Bench, nonce: str) -> CallbackEffect | None:
    try:
        return bench.ledger.durable.callback("a", nonce, "task-a")
    except NotReplicated:
        return None


@pytest.mark.leaves("account")
def test_while_submissions_are_postponed_nothing_is_sent_and_no_good_news_of_the_vendor_ends_it(bench: Bench) -> None:
    first = bench.start("a")
    bench.admit("b")
    bench.ledger.gate.postpone("no replica")
    assert bench.ledger.jobs.begin("b") == Blocked()
    assert bench.accept("a", first)
    assert bench.ledger.polls.grant() == []
    assert bench.ledger.polls.permit(1) == 1, "polls go on"
    gate = bench.ledger.gate.read()
    assert gate.unsafe == "no replica"
    assert gate.unsafe_until_ms > bench.now_ms()
    bench.redis.hset(bench.keys.account, "unsafe_until_ms", bench.now_ms() - 1)
    assert bench.ledger.polls.grant() == ["b"]
    assert bench.ledger.gate.read().unsafe is None
    bench.drain()
