"""The request budget: the scripts agree with `oracles.reserve`, and nobody gets more than the rate allows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from oracles import reserve
from wanimate_worker.ledger import Ledger, RateLimited, Submit, WaitForPermit
from wanimate_worker.pacing import RequestRate

from .bench import ACCOUNT
from .frozen import at_us

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench

START_US = 1_795_000_000_000_000
SLOW = RequestRate(60, burst=4)
rates = st.builds(
    lambda rate, part: RequestRate(rate, burst=max(1, rate * part // 10)), st.integers(1, 9999), st.integers(0, 9)
)
agreeing = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def put_job_into_slot(bench: Bench, job_id: str) -> None:
    bench.redis.flushdb()
    bench.limit(max_in_flight=1, rate=bench.rate, poll_headroom=0)
    bench.admit(job_id)


def stored_tat(bench: Bench) -> int:
    return int(bench.redis.hget(bench.keys.account, "tat_us") or 0)


@agreeing
@given(rate=rates, asks=st.lists(st.tuples(st.integers(0, 90_000_000), st.integers(1, 120), st.integers(0, 120))))
def test_permits_for_polls_are_those_of_the_reference(
    bench: Bench, rate: RequestRate, asks: list[tuple[int, int, int]]
) -> None:
    bench.redis.flushdb()
    bench.limit(max_in_flight=1)
    tat_us, now_us = 0, START_US
    for gap_us, count, headroom in asks:
        now_us += gap_us
        expected = reserve(tat_us, now_us, count, rate, headroom=headroom)
        bench.limit(rate=rate, poll_headroom=headroom)
        granted = at_us(bench, now_us).polls.permit(count)
        assert granted == expected.granted
        if granted:
            tat_us = expected.tat_us
            assert stored_tat(bench) == tat_us
    bench.redis.flushdb()


@agreeing
@given(rate=rates, ahead_us=st.integers(-10_000_000, 130_000_000), longest_ms=st.integers(0, 120_000))
def test_permits_for_submissions_are_those_of_the_reference(
    bench: Bench, rate: RequestRate, ahead_us: int, longest_ms: int
) -> None:
    put_job_into_slot(bench, "a")
    bench.redis.hset(bench.keys.account, "tat_us", START_US + ahead_us)
    bench.limit(rate=rate)
    expected = reserve(START_US + ahead_us, START_US, 1, rate, max_wait_us=longest_ms * 1000)
    step = at_us(bench, START_US, permit_wait_ms=longest_ms).jobs.begin("a")
    wait_ms = -(-expected.wait_us // 1000)
    if not expected.granted:
        assert step == RateLimited(wait_ms)
        assert bench.state().due["a"] == START_US // 1000 + wait_ms
    elif expected.wait_us:
        assert step == WaitForPermit(wait_ms)
    else:
        assert isinstance(step, Submit)
    assert stored_tat(bench) == expected.tat_us
    bench.redis.flushdb()


def test_many_concurrent_takers_never_get_more_than_the_burst_and_what_flowed_in_since(
    make_bench: Callable[..., Bench], connect: Callable[..., Redis]
) -> None:
    rate = RequestRate(30_000, burst=20)
    bench = make_bench(rate=rate, permit_wait_ms=0, max_in_flight=1_000)
    bench.admit(*(f"job{thread}-{number}" for thread in range(6) for number in range(60)))
    start_us = bench.now_us()

    def take(thread: int) -> int:
        """Take permits for polls and for submissions, as fast as they are given."""
        ledger, taken = Ledger(connect(), ACCOUNT, bench.limits), 0
        for number in range(60):
            taken += ledger.polls.permit(3)
            taken += isinstance(ledger.jobs.begin(f"job{thread}-{number}"), Submit)
        return taken

    with ThreadPoolExecutor(6) as pool:
        taken = sum(pool.map(take, range(6)))
    most = rate.burst + (bench.now_us() - start_us) / rate.emission_interval_us
    assert rate.burst <= taken <= most
    bench.redis.flushdb()


def test_polls_leave_headroom_to_submissions(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(rate=SLOW, poll_headroom=3, permit_wait_ms=0, max_in_flight=9)
    bench.admit("a", "b", "c", "d")
    assert bench.ledger.polls.permit(10) == 1
    assert bench.ledger.polls.permit(10) == 0
    steps = [bench.ledger.jobs.begin(job_id) for job_id in ("a", "b", "c", "d")]
    assert [type(step) for step in steps] == [Submit, Submit, Submit, RateLimited]
    bench.drain()


@pytest.mark.parametrize("headroom", [4, 5, 100])
def test_a_headroom_as_wide_as_the_burst_still_leaves_one_poll(make_bench: Callable[..., Bench], headroom: int) -> None:
    bench = make_bench(rate=SLOW, poll_headroom=headroom)
    assert bench.ledger.polls.permit(10) == 1


def test_a_run_that_reserved_a_permit_submits_with_it_and_pays_once(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(rate=SLOW, permit_wait_ms=60_000)
    bench.admit("a")
    assert bench.ledger.polls.permit(4) == 4
    step = bench.ledger.jobs.begin("a")
    assert isinstance(step, WaitForPermit)
    assert 0 < step.wait_ms <= SLOW.emission_interval_us / 1000 + 1
    paid = bench.state().budget
    assert bench.state().stage("a") == "waiting", "nothing was written that a death here would leave behind"
    assert isinstance(bench.ledger.jobs.begin("a", holds_permit=True), Submit)
    assert bench.state().budget == paid
    bench.drain()


def test_a_run_without_a_permit_in_time_leaves_the_job_to_the_clock(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(rate=SLOW, permit_wait_ms=0)
    bench.admit("a")
    bench.ledger.polls.permit(4)
    before, earliest_ms = bench.state(), bench.now_ms()
    step = bench.ledger.jobs.begin("a")
    assert isinstance(step, RateLimited)
    state = bench.state()
    assert state.budget == before.budget, "a refusal costs nothing"
    assert earliest_ms + step.wait_ms <= state.due["a"] <= bench.now_ms() + step.wait_ms
    assert state.slots == {"a"}
    bench.drain()


@pytest.mark.leaves("account")
def test_nothing_is_taken_from_the_budget_while_the_gate_is_closed(bench: Bench) -> None:
    bench.ledger.gate.suspend("the vendor refuses the key")
    assert bench.ledger.polls.permit(5) == 0
    assert bench.state().budget is None
    bench.ledger.gate.unsuspend()
    assert bench.ledger.polls.permit(5) == 5


def test_asking_for_no_permits_gives_none(bench: Bench) -> None:
    result: Any = bench.ledger.polls.permit(0)
    assert result == 0
    assert bench.state().budget is None
