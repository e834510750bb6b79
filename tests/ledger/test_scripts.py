"""The scripts as files: documented, closed over their declared keys, and loaded again when the server lost them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import NoPermissionError
from secure_redis import documented_rule
from wanimate_worker.ledger import Adoption, Entry, Followed, Observation, Retried
from wanimate_worker.ledger.scripts import PRELUDE, Scripts

from .bench import ACCOUNT_LIMITS, CANCELLED, LONG_MS, UNKNOWN, Bench, follower, leaks, success
from .frozen import script_names, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

#: Everything here exists since Redis 6.2.
COMMANDS = {
    *("DEL", "EXISTS", "GET", "PERSIST", "PEXPIRE", "SET", "TIME"),
    *("HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HKEYS", "HMGET", "HSET"),
    *("SADD", "SMEMBERS", "SREM"),
    *("LINDEX", "LLEN", "LPUSH", "LREM", "LTRIM"),
    *("ZADD", "ZCARD", "ZCOUNT", "ZMSCORE", "ZPOPMIN", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZSCORE"),
    *("ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"),
}
every_script = pytest.mark.parametrize("name", script_names())


def code(name: str) -> str:
    return "\n".join(line.split("--", 1)[0] for line in source(name).splitlines())


def header(name: str) -> str:
    return "\n".join(re.findall(r"^--(.*)$", source(name).split("\nlocal ", 1)[0], re.MULTILINE))


def declared_keys(name: str) -> list[str]:
    [keys] = re.findall(r"^ KEYS: (.*)$", header(name), re.MULTILINE)
    return [key.strip() for key in keys.split(",")]


@every_script
def test_each_script_says_what_it_is_for_and_takes_and_returns(name: str) -> None:
    purpose, *rest = header(name).splitlines()
    assert purpose.strip().endswith((".", ",")) or purpose[1].isupper()
    labels = [label for line in rest for label in re.findall(r"^ (KEYS|ARGV|Returns):", line)]
    assert labels in (["KEYS", "ARGV", "Returns"], ["KEYS", "Returns"])
    assert ("ARGV" in labels) is ("ARGV" in code(name))


@every_script
def test_each_script_uses_every_key_it_declares_and_no_other(name: str) -> None:
    used = {int(number) for number in re.findall(r"KEYS\[(\d+)\]", code(name))}
    assert used == set(range(1, len(declared_keys(name)) + 1))


@every_script
def test_each_script_names_every_argument_it_reads(name: str) -> None:
    used = {int(number) for number in re.findall(r"ARGV\[(\d+)\]", code(name))}
    assert used == set(range(1, len(used) + 1))


@pytest.mark.parametrize("name", [*script_names(), *PRELUDE])
def test_no_script_builds_the_name_of_a_key(name: str) -> None:
    assert ".." not in code(name)
    assert "wanimate" not in code(name)
    bound = set(re.findall(r"local (?:function )?([\w, ]+?) = KEYS", code(name)))
    names = {part.strip() for group in bound for part in group.split(",")}
    if name in PRELUDE:
        names = {"gate", "waiting", "slots", "due", "job", "failed", "durations", "counts", "billed", "budget"}
        names |= {"limits", "parked", "answered", "spent", "balance", "tally"}
    for command, key in re.findall(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", code(name)):
        assert command in COMMANDS
        assert command == "TIME" or key in names or re.fullmatch(r"KEYS\[\d+\]", key)


def test_there_is_no_such_script(redis: Redis) -> None:
    with pytest.raises(AttributeError, match="the ledger has no script 'unlink'"):
        _ = Scripts(redis).unlink


def test_the_documented_user_of_redis_may_run_every_script() -> None:
    assert {f"+{command.lower()}" for command in {*COMMANDS, "RPOP", "EVAL", "EVALSHA"}} <= set(documented_rule())


def live_through_everything(bench: Bench) -> None:
    """Call every script of the ledger at least once."""
    ledger = bench.ledger
    submit = bench.start("a")
    bench.admit("b", "c", "d")
    b_submit = bench.begin("b")
    assert ledger._scripts.confirm(keys=[bench.keys.job("b")], args=[b_submit.nonce]) == 1
    ledger._scripts.postpone(keys=[bench.keys.gate], args=["why", 0])
    ledger.lose("b", b_submit.nonce, "why")
    assert ledger.refuse("b", b_submit.nonce, "403") is None
    assert ledger.callback("b", b_submit.nonce, "wrong") == "due"
    assert ledger.drop_hint("b", b_submit.nonce, "wrong")
    ledger.close_gate("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60, lower_cap=True)
    ledger.release("b", b_submit.nonce, delay_ms=1)
    assert ledger.unpark("b") == []
    ledger.pause("401")
    bench.redis.hset(bench.keys.gate, "probe_at_ms", 0)
    assert ledger.claim_probe()
    ledger.unpause()
    bench.open_gate()
    bench.redis.delete(bench.keys.gate)
    assert ledger.permit(2) == 2
    bench.let_time_pass()
    claim = ledger.claim(10)
    assert ledger.mark_unreadable("a", submit.nonce, "no state")
    assert ledger.plan(claim.token, {"a": LONG_MS}, answered_since_ms=claim.claimed_at_ms) == 1
    assert (
        ledger.settle("a", submit.nonce, success("t"), observed=Observation("animate:480p", 41.0, bench.now_ms()))
        is not None
    )
    assert ledger.survey(0).durations["total"] == "1"
    ledger.grant()
    ledger.repair()
    bench.run("a")
    ledger.cancel("c", CANCELLED)
    ledger.cancel("early", CANCELLED)
    bench.admit("early")
    assert bench.ledger.follow(follower("e", leader="a")) is Followed.SETTLED
    bench.redis.delete(bench.keys.job("d"))
    assert ledger.forget("d") is not None
    bench.drain()
    operate_on_everything(bench)
    assert bench.delivered.keys() == {"a", "b", "c", "e", "early"}


def operate_on_everything(bench: Bench) -> None:
    """Call every script of the operator's side at least once."""
    ledger, result = bench.ledger, "celery-task-meta-f"
    ledger.hold("why")
    ledger.unhold()
    ledger.tick(ACCOUNT_LIMITS)
    assert not ledger.fill_limits(ACCOUNT_LIMITS)
    assert ledger.set_limits(ACCOUNT_LIMITS)
    assert ledger.claim_balance() == 0
    assert not ledger.record_balance(5_000_000, 0).is_low
    ledger.bury({"reason": "unreadable"})
    assert ledger.unbury(ledger.dead()[0])
    assert ledger.clear_dead() == 0
    assert not ledger.conclude("f", "nobody")
    ledger.admit([Entry("f", 0, {"seen": True}, {"type": "animate"}, 1)])
    bench.next_ms()
    assert ledger.expire("f", UNKNOWN) is not None
    bench.drain()
    settled = bench.state().jobs["f"]["settled_at_ms"]
    assert ledger.revise("f", settled, UNKNOWN, task_id="t", result_key=result)
    bench.drain()
    settled = bench.state().jobs["f"]["settled_at_ms"]
    assert ledger.adopt("f", settled, task_id="t", result_key=result) is Adoption.ADOPTED
    assert ledger.settle("f", bench.job("f").nonce, UNKNOWN) is not None
    bench.drain()
    assert ledger.retry("f", priority=0, deadline_ms=None, result_key=result).verdict is Retried.RETRIED
    assert ledger.trim() == 0
    bench.drain()
    del bench.delivered["f"]


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_ledger_works_over_both_protocols(connect: Callable[..., Redis], protocol: int) -> None:
    live_through_everything(Bench(connect(protocol=protocol)))


def test_scripts_survive_a_server_that_lost_them(bench: Bench) -> None:
    class Forgetful:
        """The ledger's scripts, each called on a server that has just lost all of them."""

        def __getattr__(self, name: str) -> Any:
            bench.redis.script_flush()
            return getattr(bench.scripts, name)

    bench.ledger._scripts = Forgetful()  # type: ignore[assignment]
    live_through_everything(bench)


def test_the_ledger_changes_nothing_outside_its_scripts(bench: Bench, connect: Callable[..., Redis]) -> None:
    # Or a crash could fall between two halves of a change: a slot free, and the outcome of its job not recorded.
    class Scripted:
        """The ledger's scripts, called by a user who may write; where a pipeline was to call, it carries the answer."""

        def __getattr__(self, name: str) -> Any:
            def call(keys: list[str], args: list[Any], client: Redis | None = None) -> Any:
                answer = getattr(bench.scripts, name)(keys=keys, args=args)
                return answer if client is None else client.eval("return ARGV", 0, *answer)

            return call

    may_only_read = ["+@all", "-@write"]
    bench.redis.acl_setuser("reader", enabled=True, nopass=True, categories=may_only_read, keys=["*"], reset=True)
    bench.ledger._scripts = Scripted()  # type: ignore[assignment]
    bench.ledger._redis = connect(username="reader", password="any")
    live_through_everything(bench)
    bench.redis.acl_deluser("reader")


class Narrow:
    """The ledger's scripts, called by a user who may use exactly the keys that the call declares."""

    def __init__(self, redis: Redis, connect: Callable[..., Redis]) -> None:
        self._redis = redis
        self.allow([])
        self.scripts = Scripts(connect(username="narrow", password="any"))
        self.called: set[str] = set()

    def allow(self, keys: list[str]) -> None:
        self._redis.acl_setuser("narrow", enabled=True, nopass=True, categories=["+@all"], keys=keys, reset=True)

    def __getattr__(self, name: str) -> Any:
        def call(keys: list[str], args: list[Any], client: Redis | None = None) -> Any:
            self.called.add(name)
            self.allow(keys)
            answer = getattr(self.scripts, name)(keys=keys, args=args)
            # Where a pipeline was to make the call, it carries the answer.
            return answer if client is None else client.eval("return ARGV", 0, *answer)

        return call


def test_no_script_touches_a_key_that_it_was_not_given(bench: Bench, connect: Callable[..., Redis]) -> None:
    narrow = Narrow(bench.redis, connect)
    bench.ledger._scripts = narrow  # type: ignore[assignment]
    live_through_everything(bench)
    assert narrow.called == set(script_names())
    narrow.allow([bench.keys.waiting])
    with pytest.raises(NoPermissionError):
        narrow.scripts.repair(keys=[bench.keys.slots, bench.keys.due, bench.keys.unknown, bench.keys.parked], args=[])
    bench.redis.acl_deluser("narrow")


# -- the check of these tests themselves ----------------------------------------------------------------------------


@pytest.mark.leaves("slots", "due", "job")
def test_the_leak_check_finds_work_that_a_test_leaves_behind(bench: Bench) -> None:
    bench.admit("a")
    keys = bench.keys
    assert leaks(bench.redis) == sorted([keys.job("a"), keys.slots, keys.due])
    assert leaks(bench.redis, {"slots", "due", "job"}) == []
    bench.redis.set(f"{keys.prefix}stray", "1")
    assert leaks(bench.redis, {"slots", "due", "job"}) == [f"{keys.prefix}stray"]
    bench.redis.delete(f"{keys.prefix}stray")
