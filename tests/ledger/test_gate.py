"""The gate: closed for everyone at once, opened by time or by news, and a cap that falls and grows back."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from oracles import closed_for_seconds, grown, lowered
from wanimate.contract import Outcome
from wanimate.errors import InvalidRequest
from wanimate_worker.ledger import Blocked, BreakerFor, Ledger, SuspendedFor

from .bench import ACCOUNT, LONG_MS, granted_by, success
from .frozen import at_us, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench

pytestmark = pytest.mark.leaves("account")

NOW_MS = 1_795_000_000_000
agreeing = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def close_at(bench: Bench, now_ms: int, random: float, *, sent_at_ms: int, cap: int = 0) -> int:
    """Close the gate at a time and with a chance of our choice."""
    bench.limit(max_in_flight=cap or 1)
    gate = at_us(bench, now_ms * 1000).gate
    return gate._close_gate("why", sent_at_ms, None, random, lower_cap=cap > 0)


# -- closing --------------------------------------------------------------------------------------------------------


def test_a_closed_gate_grants_no_slot_and_requeues_a_run(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    assert bench.ledger.jobs.begin("a") == Blocked()
    assert bench.ledger.polls.grant() == []
    assert bench.admit("c") == []
    state = bench.state()
    assert (state.waiting, state.slots, state.due) == (["a", "b", "c"], set(), {})
    bench.open_gate()
    assert bench.ledger.polls.grant() == ["a"]
    bench.drain()


def test_outcomes_are_delivered_while_the_gate_is_closed(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("t"))) == []
    bench.run("a")
    assert bench.delivered == {"a": [success("t")]}


@pytest.mark.parametrize("seconds", [0.5, 7, 3600])
def test_what_the_vendor_asks_for_is_waited_for_and_a_little_longer(bench: Bench, seconds: float) -> None:
    closed_ms = bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=seconds)
    assert seconds * 1000 <= closed_ms <= seconds * 1000 + bench.limits.backoff_base_ms
    state = bench.ledger.gate.read()
    assert (state.reason, state.failures) == ("throttled", 1)
    assert state.closed_until_ms == pytest.approx(bench.now_ms() + closed_ms, abs=60_000)


def test_a_shorter_closing_never_shortens_a_longer_one(bench: Bench) -> None:
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=3600)
    until_ms = bench.ledger.gate.read().closed_until_ms
    bench.next_ms()
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=1)
    bench.ledger.gate.close("not sent", sent_at_ms=bench.now_ms())
    assert bench.ledger.gate.read().closed_until_ms == until_ms


@agreeing
@given(randoms=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=40))
def test_the_back_off_is_that_of_the_reference(bench: Bench, randoms: list[float]) -> None:
    bench.redis.flushdb()
    now_ms = NOW_MS
    for failures, random in enumerate(randoms, 1):
        longest_ms = min(bench.limits.backoff_max_ms, bench.limits.backoff_base_ms * 2 ** (failures - 1))
        closed_ms = close_at(bench, now_ms, random, sent_at_ms=now_ms)
        assert 0 <= closed_ms <= longest_ms
        assert closed_ms == pytest.approx(closed_for_seconds(failures, None, random) * 1000, abs=1)
        now_ms += closed_ms + 1


def test_a_burst_of_simultaneous_failures_counts_as_one(bench: Bench, connect: Callable[..., Redis]) -> None:
    bench.admit("a", "b")
    sent_at_ms = bench.now_ms()
    bench.next_ms()

    def fail(_: int) -> None:
        ledger = Ledger(connect(), ACCOUNT, bench.limits)
        ledger.gate.close("not sent", sent_at_ms=sent_at_ms, lower_cap=True)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fail, range(8)))
    state = bench.ledger.gate.read()
    assert (state.failures, lowered_cap(bench)) == (1, 1)
    bench.drain()


def test_a_failure_of_a_request_sent_after_the_closing_is_another_one(bench: Bench) -> None:
    bench.ledger.gate.close("not sent", sent_at_ms=bench.now_ms())
    bench.ledger.gate.close("not sent", sent_at_ms=bench.next_ms())
    assert bench.ledger.gate.read().failures == 2


# -- opening --------------------------------------------------------------------------------------------------------


def lowered_cap(bench: Bench) -> int | None:
    stored = bench.state().gate.get("cap_low")
    return None if stored is None else int(stored)


def closings(bench: Bench) -> dict[str, str]:
    """Return what the gate says, but for when a submission was accepted last."""
    return {name: value for name, value in bench.state().gate.items() if name != "accepted_sent_ms"}


@pytest.mark.parametrize("news", ["accept", "plan"])
def test_the_success_of_a_request_sent_after_the_closing_opens_the_gate(bench: Bench, news: str) -> None:
    bench.admit("a")
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    bench.open_gate()
    bench.next_ms()
    submit = bench.begin("a")
    if news == "accept":
        bench.accept("a", submit)
    else:
        bench.let_time_pass()
        claim = bench.ledger.polls.claim(1)
        bench.ledger.polls.plan(claim.token, {"a": LONG_MS}, answered_since_ms=claim.claimed_at_ms)
    assert closings(bench) == {}
    bench.drain()


@pytest.mark.parametrize("news", ["accept", "plan"])
def test_the_success_of_a_request_sent_before_the_closing_does_not_open_it(bench: Bench, news: str) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    bench.next_ms()
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    gate = closings(bench)
    if news == "accept":
        bench.accept("a", submit)
    else:
        bench.ledger.polls.plan(claim.token, {"a": LONG_MS}, answered_since_ms=claim.claimed_at_ms)
    assert closings(bench) == gate
    bench.drain()


def test_the_gate_opens_also_when_every_job_of_a_claim_has_ended_and_none_is_left_to_plan(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    bench.next_ms()
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    bench.ledger.jobs.settle("a", submit.nonce, success("t"), token=claim.token)
    assert bench.ledger.polls.plan(claim.token, {}, answered_since_ms=claim.claimed_at_ms) == 0
    assert closings(bench) == {}
    bench.drain()


def test_a_plan_without_an_answer_of_the_vendor_does_not_open_the_gate(bench: Bench) -> None:
    bench.start("a")
    bench.ledger.gate.close("throttled", sent_at_ms=bench.now_ms(), retry_after_seconds=60)
    bench.next_ms()
    bench.let_time_pass()
    claim = bench.ledger.polls.claim(1)
    bench.ledger.polls.plan(claim.token, {"a": LONG_MS})
    assert bench.ledger.gate.read().failures == 1
    bench.drain()


def test_a_success_after_many_failures_starts_the_back_off_anew(bench: Bench) -> None:
    now_ms = bench.now_ms() - LONG_MS
    for failure in range(6):
        close_at(bench, now_ms + failure, 0.0, sent_at_ms=now_ms + failure)
    assert bench.ledger.gate.read().failures == 6
    bench.start("a")
    assert bench.ledger.gate.read().failures == 0
    bench.drain()


# -- the effective cap ----------------------------------------------------------------------------------------------


@agreeing
@given(cap=st.integers(1, 60), held=st.integers(0, 60), again=st.integers(0, 60))
@example(cap=50, held=60, again=60)
def test_a_concurrency_refusal_lowers_the_cap_as_the_reference_does(
    bench: Bench, cap: int, held: int, again: int
) -> None:
    expected = cap
    for number, count in enumerate((held, again)):
        bench.redis.delete(bench.keys.slots)
        if number == 0:
            bench.clear_gate()
        if count:
            bench.redis.zadd(bench.keys.slots, {f"job{slot}": slot for slot in range(count)})
        expected = lowered(expected, count)
        close_at(bench, NOW_MS + number, 0.5, sent_at_ms=NOW_MS + number, cap=cap)
        assert lowered_cap(bench) == expected
    bench.redis.delete(bench.keys.slots)


@agreeing
@given(
    low=st.integers(1, 2000), cap=st.integers(1, 2000), since_ms=st.integers(-(10**6), 10**6), in_steps=st.booleans()
)
@example(low=1, cap=1000, since_ms=600, in_steps=False)
@example(low=5, cap=1000, since_ms=-10_000, in_steps=False)
def test_the_cap_grows_back_as_in_the_reference(
    bench: Bench, low: int, cap: int, since_ms: int, *, in_steps: bool
) -> None:
    def effective_cap(now_ms: int) -> object:
        return run(bench, now_ms * 1000, "account", "return effective_cap(read_account())")

    bench.clear_gate()
    bench.limit(max_in_flight=cap)
    bench.redis.hset(bench.keys.account, mapping={"cap_low": low, "cap_low_at_ms": NOW_MS})
    if in_steps and since_ms > 1:
        # Looking at it in between changes nothing.
        effective_cap(NOW_MS + since_ms // 2)
    expected = grown(low, NOW_MS, NOW_MS + since_ms, cap)
    assert effective_cap(NOW_MS + since_ms) == expected
    if expected == cap:
        assert lowered_cap(bench) is None


def test_no_more_slots_than_the_lowered_cap_are_handed_out_until_it_has_grown_back(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=4)
    submits = {job_id: bench.start(job_id) for job_id in ("a", "b", "c", "d")}
    bench.admit("e", "f")
    bench.ledger.gate.close("too many", sent_at_ms=bench.now_ms(), retry_after_seconds=0, lower_cap=True)
    bench.open_gate()
    assert lowered_cap(bench) == 3
    assert granted_by(bench.ledger.jobs.settle("a", submits["a"].nonce, success("t"))) == []
    assert granted_by(bench.ledger.jobs.settle("b", submits["b"].nonce, success("t"))) == ["e"]
    bench.redis.hincrby(bench.keys.account, "cap_low_at_ms", -600_000)
    assert bench.ledger.polls.grant() == ["f"]
    assert lowered_cap(bench) is None
    bench.drain()


# -- a paused account -----------------------------------------------------------------------------------------------


def test_a_paused_account_hands_out_nothing_until_it_goes_on(bench: Bench) -> None:
    bench.admit("a")
    assert bench.ledger.gate.suspend("401: bad key")
    assert not bench.ledger.gate.suspend("401: bad key"), "only the first to notice tells the operator"
    assert bench.ledger.gate.read().suspended == "401: bad key"
    assert bench.ledger.jobs.begin("a") == Blocked()
    assert bench.admit("b") == []
    assert bench.ledger.gate.unsuspend()
    assert not bench.ledger.gate.unsuspend()
    assert closings(bench).keys() == {"breaker_next_ms", "breaker_for"}
    assert bench.ledger.polls.grant() == ["a"], "one is tried first"
    bench.accept("a", bench.begin("a"))
    assert bench.ledger.polls.grant() == ["b"]
    bench.drain()


@pytest.mark.parametrize(("lacks", "polls"), [(SuspendedFor.KEY, 0), (SuspendedFor.CREDIT, 1)])
def test_tasks_of_an_account_without_credit_are_polled_on(bench: Bench, lacks: SuspendedFor, polls: int) -> None:
    bench.ledger.gate.suspend("refused", lacks)
    assert bench.ledger.polls.permit(1) == polls
    bench.ledger.gate.close("throttled", sent_at_ms=0, retry_after_seconds=60)
    assert bench.ledger.polls.permit(1) == 0
    bench.drain()


def test_a_refused_half_open_submission_lets_another_be_tried(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=3)
    bench.ledger.gate.suspend("402", SuspendedFor.CREDIT)
    assert bench.ledger.gate.read().suspended_for is SuspendedFor.CREDIT
    bench.admit("a", "b", "c")
    bench.ledger.gate.unsuspend()
    assert bench.ledger.polls.grant() == ["a"]
    refused = Outcome.failure(InvalidRequest("the vendor refused the request", "400"))
    assert granted_by(bench.ledger.jobs.settle("a", bench.begin("a").nonce, refused, is_free=True)) == ["b"]
    assert bench.ledger.gate.read().breaker_for is BreakerFor.SUSPENDED
    bench.accept("b", bench.begin("b"))
    assert bench.ledger.polls.grant() == ["c"]
    bench.drain()


def test_a_success_does_not_end_a_pause(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.gate.suspend("401: bad key")
    bench.accept("a", submit)
    assert bench.ledger.gate.read().suspended == "401: bad key"
    bench.drain()


def test_one_probe_an_interval_is_claimed_and_it_costs_budget(bench: Bench, connect: Callable[..., Redis]) -> None:
    bench.ledger.gate.suspend("401: bad key")
    ledgers = [Ledger(connect(), ACCOUNT, bench.limits) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert not any(pool.map(lambda ledger: ledger.gate.claim_probe(), ledgers)), (
            "the first comes an interval after the pause"
        )
        bench.redis.hset(bench.keys.account, "probe_at_ms", bench.now_ms())
        before_us = bench.now_us()
        assert sum(pool.map(lambda ledger: ledger.gate.claim_probe(), ledgers)) == 1
    interval_us = bench.rate.emission_interval_us
    assert int(bench.state().budget or 0) >= before_us + interval_us
    assert int(bench.state().gate["probe_at_ms"]) == pytest.approx(
        bench.now_ms() + bench.limits.probe_interval_ms, abs=60_000
    )


def test_a_second_pause_does_not_put_the_probe_off(bench: Bench) -> None:
    bench.ledger.gate.suspend("401: bad key")
    probe_at = bench.state().gate["probe_at_ms"]
    bench.next_ms()
    bench.ledger.gate.suspend("403: no credit")
    assert bench.state().gate["probe_at_ms"] == probe_at


def test_an_account_that_is_not_paused_is_not_probed(bench: Bench) -> None:
    bench.redis.hset(bench.keys.account, "probe_at_ms", 0)
    assert not bench.ledger.gate.claim_probe()
    assert bench.state().budget is None
