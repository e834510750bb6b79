"""The account's limits: one for all, changed for all at once, and bound to one vendor."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from wanimate.errors import SettingsError
from wanimate_worker.ledger import Blocked, RateLimited, Submit

from .bench import ACCOUNT_LIMITS, Bench, success

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = replace(ACCOUNT_LIMITS, api_base_url="https://here.example")
THERE = replace(HERE, api_base_url="https://there.example")


def test_the_first_worker_fills_the_limits_and_later_ones_change_nothing(bench: Bench) -> None:
    bench.redis.delete(bench.keys.account)
    assert bench.ledger.limits.read() is None
    assert bench.ledger.limits.fill(HERE)
    assert not bench.ledger.limits.fill(replace(THERE, max_in_flight=1000))
    bench.ledger.polls.tick(replace(THERE, max_in_flight=1000))
    assert bench.ledger.limits.read() == HERE


def test_limits_that_redis_lost_are_filled_by_the_next_poll(bench: Bench) -> None:
    bench.admit("a", "b")
    bench.redis.delete(bench.keys.account)
    assert isinstance(bench.ledger.jobs.begin("a"), Blocked), "no limits may be assumed"
    assert bench.ledger.polls.grant() == []
    bench.ledger.polls.tick(HERE)
    assert bench.ledger.polls.grant() == ["a"]
    bench.drain()


def test_a_changed_cap_is_everybodys_at_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b", "c", "d")
    assert bench.ledger.limits.set(replace(ACCOUNT_LIMITS, max_in_flight=3))
    assert bench.ledger.polls.grant() == ["b", "c"]
    assert bench.ledger.limits.set(replace(ACCOUNT_LIMITS, max_in_flight=1))
    for job_id in "abc":
        bench.run(job_id)
    assert bench.ledger.polls.grant() == []
    assert bench.state().slots == {"a", "b", "c"}, "what is at the vendor stays there"
    bench.drain()


def test_the_vendor_is_left_only_while_nothing_is_sent_and_no_task_is_there(bench: Bench) -> None:
    bench.redis.delete(bench.keys.account)
    bench.ledger.limits.fill(HERE)
    bench.start("a")
    assert not bench.ledger.limits.set(THERE)
    bench.ledger.gate.pause("drain")
    assert not bench.ledger.limits.set(THERE), "a task is at the vendor"
    assert bench.ledger.limits.set(replace(HERE, max_in_flight=5)), "the others may change"
    bench.drain()
    bench.ledger.gate.resume()
    assert not bench.ledger.limits.set(THERE), "submissions go on"
    bench.ledger.gate.pause("drain")
    assert bench.ledger.limits.set(THERE)
    bench.ledger.gate.resume()
    assert bench.ledger.limits.read() == THERE


def test_a_worker_of_another_vendor_is_refused_with_advice(bench: Bench) -> None:
    bench.ledger.check_vendor(HERE.api_base_url)
    bench.redis.delete(bench.keys.account)
    bench.ledger.limits.fill(HERE)
    bench.ledger.check_vendor(HERE.api_base_url)
    with pytest.raises(SettingsError, match=r"WANIMATE_API_BASE_URL.*here\.example.*there\.example.*drain.*limits"):
        bench.ledger.check_vendor(THERE.api_base_url)


# -- a clock that is set back ---------------------------------------------------------------------------------------

HOUR_MS = 3_600_000


def set_clock_back(bench: Bench) -> None:
    """Leave everything as if it had been written by a clock that was an hour ahead."""
    keys, redis = bench.keys, bench.redis
    for key in (keys.due, keys.samples):
        for member, score in redis.zrange(key, 0, -1, withscores=True):
            redis.zadd(key, {member: score + HOUR_MS})
    for key in (keys.account, *redis.keys(keys.job("*"))):
        for name, value in redis.hgetall(key).items():
            if name.endswith("_ms") and value and int(value) > HOUR_MS:
                redis.hset(key, name, int(value) + HOUR_MS)
    if redis.hexists(keys.account, "tat_us"):
        redis.hincrby(keys.account, "tat_us", 1000 * HOUR_MS)
    if (value := redis.get(keys.tick)) is not None:
        redis.set(keys.tick, int(value) + HOUR_MS, px=HOUR_MS)


def test_after_the_clock_was_set_back_requests_are_sent_and_jobs_are_looked_at_as_if_it_were_not(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=3)
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    bench.start("a")
    bench.start("b")
    bench.admit("c")
    before = bench.state().due
    bench.ledger.polls.permit(5)
    set_clock_back(bench)
    assert bench.ledger.polls.permit(1) == 0
    assert isinstance(bench.ledger.jobs.begin("c"), RateLimited)
    tick = bench.ledger.polls.tick(ACCOUNT_LIMITS)
    assert tick.set_back_ms == pytest.approx(HOUR_MS, abs=60_000)
    assert bench.ledger.polls.permit(1) == 1
    assert isinstance(bench.ledger.jobs.begin("c"), Submit)
    after = bench.state().due
    assert all(after[job_id] == pytest.approx(before[job_id], abs=60_000) for job_id in "ab")
    assert bench.ledger.polls.tick(ACCOUNT_LIMITS).set_back_ms == 0
    bench.drain()


def test_after_the_clock_was_set_back_a_closed_gate_opens_and_an_outcome_is_delivered(bench: Bench) -> None:
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    assert bench.ledger.jobs.begin("a").outcome, "a run that dies while it delivers"
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=5.0)
    set_clock_back(bench)
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    closed_for_ms = bench.ledger.gate.read().closed_until_ms - bench.now_ms()
    assert 0 < closed_for_ms <= 7_000
    assert bench.ledger.jobs.begin("a").outcome, "its lease was read on the other clock"
    bench.clear_gate()
    bench.drain()


def test_after_the_clock_was_set_back_copies_of_the_counts_are_made_again(bench: Bench) -> None:
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    set_clock_back(bench)
    tick = bench.ledger.polls.tick(ACCOUNT_LIMITS)
    [(_, at_ms)] = bench.redis.zrange(bench.keys.samples, 0, -1, withscores=True)
    assert at_ms == tick.now_ms
