"""The scripts as files: documented, closed over their declared keys, and loaded again when the server lost them."""

from __future__ import annotations

import re
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from redis.exceptions import NoPermissionError
from secure_redis import documented_rule
from wanimate.contract import Stage
from wanimate_worker.ledger import Attachment, Context, Entry, Followed, Observation, Retried
from wanimate_worker.ledger.script import SCRIPTS, ScriptSource
from wanimate_worker.ledger.states import STEPS, diagram

from .bench import ACCOUNT_LIMITS, CANCELLED, LONG_MS, UNKNOWN, Bench, eventually, follower, leaks, success
from .frozen import include_names, script_names, source

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

#: Everything here exists since Redis 6.2.
COMMANDS = {
    *("DEL", "EXISTS", "GET", "PERSIST", "PEXPIRE", "PUBLISH", "SET", "TIME"),
    *("HDEL", "HEXISTS", "HGET", "HGETALL", "HINCRBY", "HKEYS", "HMGET", "HSET"),
    *("SADD", "SMEMBERS", "SREM"),
    *("LINDEX", "LLEN", "LPUSH", "LREM", "LTRIM"),
    *("ZADD", "ZCARD", "ZCOUNT", "ZMSCORE", "ZPOPMIN", "ZRANGE", "ZRANGEBYSCORE", "ZREM", "ZSCORE"),
    *("XADD", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE"),
}
#: Names that stand for a key: parameters and loop variables.
STANDING_FOR_KEYS = {"counts", "ids", "clock", "request_key"}
every_script = pytest.mark.parametrize("name", script_names())
LUA = Path(__file__).parents[2] / "worker/src/wanimate_worker/ledger/lua"
ARCHITECTURE = Path(__file__).parents[2] / "docs/architecture.md"


def code(name: str) -> str:
    return "\n".join(line.split("--", 1)[0] for line in source(name).splitlines())


def header(name: str) -> str:
    lines = source(name).splitlines()
    end = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(line.removeprefix("--") for line in lines[:end])


@every_script
def test_each_script_says_what_it_is_for_and_uses_and_returns(name: str) -> None:
    purpose, *rest = header(name).splitlines()
    assert purpose.strip().endswith((".", ",")) or purpose[1].isupper()
    labels = [label for line in rest for label in re.findall(r"^ (Keys|Uses|Settings|Returns):", line)]
    assert labels == [label for label in ("Keys", "Uses", "Settings", "Returns") if label in labels]
    assert "Returns" in labels


@every_script
def test_each_script_reads_every_argument_it_takes_and_every_setting_it_names(name: str) -> None:
    taken = [line.split(" = ")[0].removeprefix("local ") for line in SCRIPTS[name].header() if "ARGV" in line]
    body = "\n".join(map(code, SCRIPTS[name].parts))
    # Some scripts read not all that an outcome says, and some a name only in a key.
    taken = [local for local in taken if not local.startswith("outcome_") and local != "leader_id"]
    assert [local for local in taken if not re.search(rf"\b{local}\b", body)] == []


@every_script
def test_no_argument_of_a_script_hides_another(name: str) -> None:
    taken = [line.split(" = ")[0] for line in SCRIPTS[name].header()]
    assert len(taken) == len(set(taken))


@pytest.mark.parametrize("name", [*script_names(), *include_names()])
def test_each_file_touches_declared_keys_only_and_builds_no_name(name: str) -> None:
    assert ".." not in code(name).replace("...", "")
    assert "wanimate" not in code(name)
    assert not re.search(r"\b(KEYS|ARGV)\b", code(name))
    declared = keys_of(name)
    unused = {key for key in declared_by(name) if not re.search(rf"\b{key}\b", code(name))}
    assert unused <= {"counters"}, "declared, and not touched"
    for command, key in re.findall(r"redis\.call\('(\w+)'(?:, ([^,)]+))?", code(name)):
        assert command in COMMANDS
        assert command == "TIME" or key in declared | STANDING_FOR_KEYS | {"job", "result", "started"}


def declared_by(name: str) -> set[str]:
    return set(re.findall(r"\w+", " ".join(re.findall(r"^ Keys: (.*)$", header(name), re.MULTILINE))))


def keys_of(name: str) -> set[str]:
    used = re.findall(r"\w+", " ".join(re.findall(r"^ Uses: (.*)$", header(name), re.MULTILINE)))
    return declared_by(name).union(*(keys_of(f"include/{part}") for part in used))


def test_each_file_is_a_script_or_is_used_by_one() -> None:
    used = {part for script in SCRIPTS.values() for part in script.parts}
    assert {str(path.relative_to(LUA).with_suffix("")) for path in LUA.rglob("*.lua")} == used


def test_no_script_takes_what_it_cannot_pass_on() -> None:
    def stub(self: object, when: complex) -> None: ...

    with pytest.raises(TypeError, match="no script takes complex"):
        ScriptSource("stub", signature(stub))


def test_the_documented_user_of_redis_may_run_every_script() -> None:
    assert {f"+{command.lower()}" for command in {*COMMANDS, "RPOP", "EVAL", "EVALSHA"}} <= set(documented_rule())


# -- the state table ------------------------------------------------------------------------------------------------


def test_each_step_of_the_state_table_is_a_scripts_and_each_move_a_step() -> None:
    moving = {
        name for name in script_names() if re.search(r"\b(transition|take_step|end_job|close_record)\(", code(name))
    }
    assert moving == {step.script for step in STEPS} - {"grant"}


def test_the_stage_of_a_job_is_written_in_one_place() -> None:
    files = [*script_names(), *include_names()]
    assert [name for name in files if "'stage', " in re.sub(r"'HMGET', [^)]*", "", code(name))] == ["include/job"]


def test_a_step_that_the_state_table_does_not_have_changes_nothing(bench: Bench) -> None:
    bench.admit("a")
    before = bench.state()
    text = SCRIPTS["forget"].text
    assert "TRANSITIONS = {}" in text
    broken = SCRIPTS["conclude"].text.replace("record.stage ~= 'following'", "false")
    with pytest.raises(Exception, match="no step from waiting to settled"):
        bench.redis.eval(
            broken,
            len(SCRIPTS["conclude"].keys),
            *SCRIPTS["conclude"].keys_of(bench.keys, {"job_id": "a", "leader_id": "none"}),
            *("a", "none", "{}", 1),
        )
    assert bench.state() == before
    bench.drain()


def test_the_documentation_shows_the_state_table() -> None:
    assert f"```mermaid\n{diagram()}\n```" in ARCHITECTURE.read_text()


# -- their life -----------------------------------------------------------------------------------------------------


def live_through_everything(bench: Bench) -> None:
    """Call every script of the ledger at least once."""
    ledger = bench.ledger
    submit = bench.start("a")
    bench.admit("b", "c", "d")
    b_submit = bench.begin("b")
    assert ledger.durable._confirm("b", b_submit.nonce)
    ledger.gate.postpone("why", 0)
    ledger.jobs.mark_unknown("b", b_submit.nonce, "why")
    assert ledger.jobs.refuse("b", b_submit.nonce, "403") is None
    assert ledger.durable.callback("b", b_submit.nonce, "wrong") == "due"
    assert ledger.jobs.drop_hint("b", b_submit.nonce, "wrong")
    ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60, lower_cap=True)
    ledger.jobs.release("b", b_submit.nonce, delay_ms=1)
    assert ledger.jobs.unpark("b") == []
    ledger.gate.suspend("401")
    bench.redis.hset(bench.keys.account, "probe_at_ms", 0)
    assert ledger.gate.claim_probe()
    ledger.gate.unsuspend()
    bench.open_gate()
    bench.clear_gate()
    assert ledger.polls.permit(2) == 2
    bench.let_time_pass()
    claim = ledger.polls.claim(10)
    assert ledger.jobs.mark_unreadable("a", submit.nonce, "no state")
    assert ledger.polls.plan(claim.token, {"a": LONG_MS}, answered_since_ms=claim.claimed_at_ms) == 1
    assert (
        ledger.jobs.settle("a", submit.nonce, success("t"), observed=Observation("animate:480p", 41.0, bench.now_ms()))
        is not None
    )
    assert ledger.gate.cap() == 2
    assert ledger.polls.survey(0).durations["total"] == "1"
    ledger.polls.grant()
    ledger.polls.repair()
    bench.run("a")
    ledger.jobs.cancel("c", CANCELLED)
    ledger.jobs.cancel("early", CANCELLED)
    bench.admit("early")
    assert bench.ledger.followers.add(follower("e", leader="a")) is Followed.SETTLED
    bench.redis.delete(bench.keys.job("d"))
    assert ledger.jobs.forget("d") is not None
    bench.drain()
    tell_and_copy_everything(bench)
    operate_on_everything(bench)
    assert bench.delivered.keys() == {"a", "b", "c", "e", "early", "told"}


def tell_and_copy_everything(bench: Bench) -> None:
    """Call every script of webhooks and copies at least once."""
    ledger, url = bench.ledger, "http://receiver:80/ends"
    assert ledger.limits.set(replace(ACCOUNT_LIMITS, keep_url="file:///videos"))
    submit = bench.start("told", webhook_url=url)
    settled = ledger.jobs.settle("told", submit.nonce, success("t"))
    assert settled is not None
    assert settled.stage is Stage.KEEPING
    assert ledger.limits.set(ACCOUNT_LIMITS)
    (keep,) = ledger.keeps.claim(1)
    ledger.keeps.renew([keep])
    assert ledger.keeps.postpone(keep, "the store is away", 0)
    (keep,) = eventually(lambda: ledger.keeps.claim(1))
    assert ledger.keeps.finish(keep, keep.outcome)
    bench.drain()
    assert ledger.outbox.sort() == 1
    assert ledger.outbox.due_endpoints(10) == ["http://receiver:80"]
    (delivery,) = ledger.outbox.claim("http://receiver:80", 10).deliveries
    ledger.outbox.set_back(1_000)
    assert ledger.outbox.fail(delivery, None)
    ledger.outbox.replay(delivery)
    assert ledger.outbox.finish(delivery)


def operate_on_everything(bench: Bench) -> None:
    """Call every script of the operator's side at least once."""
    ledger, result = bench.ledger, "celery-task-meta-f"
    ledger.gate.pause("why")
    ledger.gate.resume()
    ledger.polls.tick(ACCOUNT_LIMITS)
    assert not ledger.limits.fill(ACCOUNT_LIMITS)
    assert ledger.limits.set(ACCOUNT_LIMITS)
    assert ledger.balance.claim() == 0
    assert not ledger.balance.record(5_000_000, 0).is_low
    ledger.dead_letters.add({"reason": "unreadable"})
    assert ledger.dead_letters.remove(ledger.dead_letters.read()[0])
    assert ledger.dead_letters.clear() == 0
    assert not ledger.followers.conclude("f", "nobody")
    ledger.jobs.admit([Entry("f", 0, {"seen": True}, {"type": "animate"}, 1)])
    bench.next_ms()
    assert ledger.jobs.expire("f", UNKNOWN) is not None
    bench.drain()
    settled = bench.state().jobs["f"]["settled_at_ms"]
    assert ledger.failed.replace_outcome("f", settled, UNKNOWN, task_id="t", result_key=result)
    bench.drain()
    settled = bench.state().jobs["f"]["settled_at_ms"]
    assert ledger.failed.attach_task("f", settled, task_id="t", result_key=result) is Attachment.ATTACHED
    assert ledger.jobs.settle("f", bench.job("f").nonce, UNKNOWN) is not None
    bench.drain()
    assert ledger.failed.retry("f", priority=0, deadline_ms=None, result_key=result).verdict is Retried.RETRIED
    assert ledger.polls.trim() == 0
    bench.drain()
    del bench.delivered["f"]
    assert ledger.erasing._erase("f")


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_ledger_works_over_both_protocols(connect: Callable[..., Redis], protocol: int) -> None:
    live_through_everything(Bench(connect(protocol=protocol)))


def test_scripts_survive_a_server_that_lost_them(bench: Bench) -> None:
    context = bench.ledger._context
    call = context.call

    def forgetful(*args: Any) -> Any:
        bench.redis.script_flush()
        return call(*args)

    context.call = forgetful  # type: ignore[method-assign]
    live_through_everything(bench)


def test_the_ledger_changes_nothing_outside_its_scripts(bench: Bench, connect: Callable[..., Redis]) -> None:
    # Or a crash could fall between two halves of a change: a slot free, and the outcome of its job not recorded.
    # What one command changes needs no script: the operator's pause, and dead letters.
    one_command = [("+hset +hsetnx +hdel", f"~{bench.keys.account}"), ("+lrem +del", f"~{bench.keys.dead}")]
    bench.redis.acl_setuser(
        "reader",
        enabled=True,
        nopass=True,
        categories=["+@all", "-@write"],
        keys=["*"],
        selectors=one_command,
        reset=True,
    )
    use(bench, bench.with_own()._context)
    bench.ledger._context.redis = connect(username="reader", password="any")
    live_through_everything(bench)
    bench.redis.acl_deluser("reader")


def use(bench: Bench, other: Context, before: Callable[[ScriptSource, list[str]], None] = lambda *_: None) -> None:
    """Have another connection call the scripts; where a pipeline was to call, it carries the answer."""

    def call(source: ScriptSource, keys: list[str], args: list[Any], client: Redis | None = None) -> Any:
        before(source, keys)
        answer = other.call(source, keys, args)
        return answer if client is None else client.eval("return ARGV", 0, *answer)

    bench.ledger._context.call = call  # type: ignore[method-assign, assignment]


def test_no_script_touches_a_key_that_it_was_not_given(bench: Bench, connect: Callable[..., Redis]) -> None:
    called: set[str] = set()

    def allow(source: ScriptSource | None, keys: list[str]) -> None:
        bench.redis.acl_setuser("narrow", enabled=True, nopass=True, categories=["+@all"], keys=keys, reset=True)
        called.update([] if source is None else [source.name])

    allow(None, [])
    narrow = Context(connect(username="narrow", password="any"), bench.ledger._context.account, bench.limits)
    use(bench, narrow, allow)
    live_through_everything(bench)
    assert called == set(script_names())
    allow(None, [bench.keys.waiting])
    with pytest.raises(NoPermissionError):
        narrow.call(SCRIPTS["repair"], [bench.keys.slots, bench.keys.due, bench.keys.unknown, bench.keys.parked], [])
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
