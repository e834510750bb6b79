"""The balance: asked seldom, kept, and below a threshold it holds submissions back."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from wanimate_worker.ledger import BalanceReading, Blocked, Submit, SuspendedFor
from wanimate_worker.ledger.balance import SELDOM_MS
from wanimate_worker.pacing import RequestRate

from .bench import ACCOUNT_LIMITS, CANCELLED, Bench
from .frozen import at_us

if TYPE_CHECKING:
    from collections.abc import Callable

DOLLAR = 1_000_000
PRICE = 40_000
MINUTE_MS = 60_000
NOW_MS = 1_000_000_000_000


def sent(bench: Bench) -> int:
    return int(bench.state().balance.get("sent_micro_usd", 0))


def read(bench: Bench, micro_usd: int) -> tuple[bool, bool]:
    weighed = bench.ledger.balance.record(micro_usd, sent(bench))
    return weighed.was_low, weighed.is_low


def suspend(bench: Bench) -> None:
    bench.ledger.gate.suspend("no credit", SuspendedFor.CREDIT)


def claim_at(bench: Bench, now_ms: int) -> int | None:
    limits = {"balance_interval_ms": MINUTE_MS, "balance_max_ms": 10 * MINUTE_MS}
    return at_us(bench, now_ms * 1000, **limits).balance.claim()


# -- asking -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requests_per_minute", "every_seconds"), [(10_000, 60), (1000, 60), (60, 103), (10, 600), (1, 600)]
)
def test_it_is_asked_once_a_minute_and_takes_a_hundredth_of_the_budget(
    make_bench: Callable[..., Bench], requests_per_minute: int, every_seconds: int
) -> None:
    bench = make_bench(rate=RequestRate(requests_per_minute))
    asked = [second for second in range(3000) if claim_at(bench, NOW_MS + second * 1000) is not None]
    between = {after - before for before, after in itertools.pairwise(asked)}
    assert between
    assert between <= {every_seconds, every_seconds + 1}


def test_each_request_for_it_takes_a_permit(make_bench: Callable[..., Bench]) -> None:
    # A permit comes back after half a minute: later than the last look.
    bench = make_bench(rate=RequestRate(3, burst=2))
    before = bench.ledger.polls.survey(0).spare
    assert bench.ledger.balance.claim() == 0
    assert bench.ledger.polls.survey(0).spare == before - 1
    assert bench.ledger.balance.claim() is None, "one caller in its time"


def test_it_is_not_asked_without_a_permit_or_while_requests_are_pointless(bench: Bench) -> None:
    bench.redis.hset(bench.keys.account, "tat_us", bench.now_us() + 3_600_000_000)
    assert bench.ledger.balance.claim() is None
    bench.redis.hdel(bench.keys.account, "tat_us")
    bench.ledger.gate.close("throttled", sent_at_ms=0, retry_after_seconds=60)
    assert bench.ledger.balance.claim() is None
    bench.clear_gate()
    bench.ledger.gate.suspend("the vendor refuses the key")
    assert bench.ledger.balance.claim() is None
    bench.redis.delete(bench.keys.account)
    assert bench.ledger.balance.claim() is None


def test_an_empty_account_is_asked_although_it_is_paused(bench: Bench) -> None:
    suspend(bench)
    assert bench.ledger.balance.claim() == 0
    bench.clear_gate()


def test_an_empty_account_whose_balance_is_told_is_not_probed(bench: Bench) -> None:
    suspend(bench)
    bench.redis.hset(bench.keys.account, "probe_at_ms", 0)
    assert bench.ledger.gate.claim_probe(), "nothing is known of its balance"
    bench.redis.hset(bench.keys.account, "probe_at_ms", 0)
    assert bench.ledger.balance.record(0, 0).is_out_of_credit
    assert not bench.ledger.gate.claim_probe()
    bench.ledger.balance.note_none("HTTP 404")
    assert bench.ledger.gate.claim_probe()
    bench.clear_gate()


def test_while_submissions_are_held_for_it_a_small_budget_asks_each_minute(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(rate=RequestRate(10), balance_hold_micro_usd=DOLLAR)
    assert read(bench, 0) == (False, True)
    assert claim_at(bench, NOW_MS) == 0
    assert claim_at(bench, NOW_MS + MINUTE_MS - 1) is None
    assert claim_at(bench, NOW_MS + MINUTE_MS) == 0
    bench.clear_gate()


def test_a_vendor_that_has_no_balance_to_tell_is_asked_seldom(bench: Bench) -> None:
    assert bench.ledger.balance.claim() == 0
    bench.ledger.balance.note_none("HTTP 404", again_ms=SELDOM_MS)
    next_at_ms = int(bench.state().balance["next_at_ms"])
    assert next_at_ms - bench.now_ms() == pytest.approx(SELDOM_MS, abs=5_000)
    assert claim_at(bench, next_at_ms - 1) is None
    assert claim_at(bench, next_at_ms) == 0


def test_after_the_clock_was_set_back_it_is_asked_again(bench: Bench) -> None:
    assert claim_at(bench, NOW_MS) == 0
    bench.redis.hdel(bench.keys.account, "tat_us")  # the tick sees to it
    assert claim_at(bench, NOW_MS - 24 * 3_600_000) == 0


# -- keeping ----------------------------------------------------------------------------------------------------------


def test_the_last_reading_stands_while_new_ones_fail(bench: Bench) -> None:
    assert bench.ledger.balance.read() == BalanceReading()
    read(bench, 7 * DOLLAR)
    at_ms = bench.ledger.balance.read().at_ms
    assert bench.ledger.balance.note_none("x" * 500).is_news
    assert not bench.ledger.balance.note_none("x" * 500).is_news
    known = bench.ledger.balance.read()
    assert (known.micro_usd, known.at_ms, len(known.why)) == (7 * DOLLAR, at_ms, 120)
    read(bench, -1)
    assert (bench.ledger.balance.read().micro_usd, bench.ledger.balance.read().why) == (-1, "")


def test_what_was_sent_since_a_reading_is_taken_off_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=9, price_480p_micro_usd=PRICE)
    bench.admit("a", "b", "c", video_seconds=25)
    bench.accept("a", bench.begin("a"))
    mark = bench.ledger.balance.claim()
    assert mark == DOLLAR
    submit = bench.begin("b")
    bench.ledger.balance.record(10 * DOLLAR, mark)
    assert bench.ledger.balance.read().left_micro_usd == 9 * DOLLAR, "b was sent after the vendor was asked"
    bench.begin("c")
    bench.ledger.jobs.release("b", submit.nonce)
    assert bench.ledger.balance.read().left_micro_usd == 9 * DOLLAR, "b was taken back"
    read(bench, 5 * DOLLAR)
    assert bench.ledger.balance.read().left_micro_usd == 5 * DOLLAR
    bench.drain()


def test_what_is_on_its_way_while_the_balance_is_asked_is_taken_off_it(make_bench: Callable[..., Bench]) -> None:
    # Or as many submissions as there are threads could be missing in a reading that came between.
    bench = make_bench(max_in_flight=9, price_480p_micro_usd=PRICE)
    bench.admit("a", "b", "c", video_seconds=25)
    submits = {job_id: bench.begin(job_id) for job_id in "abc"}
    mark = bench.ledger.balance.claim()
    assert mark == 0
    bench.accept("a", submits["a"])
    bench.ledger.jobs.mark_unknown("b", submits["b"].nonce, "timeout")
    bench.ledger.balance.record(10 * DOLLAR, mark)
    assert bench.ledger.balance.read().left_micro_usd == 7 * DOLLAR
    bench.ledger.jobs.release("b", submits["b"].nonce)
    bench.redis.hdel(bench.keys.balance, "next_at_ms")
    assert bench.ledger.balance.claim() == DOLLAR
    bench.ledger.balance.record(9 * DOLLAR, DOLLAR)
    assert bench.ledger.balance.read().left_micro_usd == 8 * DOLLAR, "c is on its way"
    bench.redis.delete(bench.keys.job("c"))
    bench.drain()
    bench.redis.hdel(bench.keys.balance, "next_at_ms")
    mark = bench.ledger.balance.claim()
    assert mark == int(bench.state().balance["sent_micro_usd"]), "what a lost record was sent for is forgotten"


# -- holding ----------------------------------------------------------------------------------------------------------


def test_below_the_threshold_no_submission_begins_and_running_ones_are_polled(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=9, balance_hold_micro_usd=5 * DOLLAR)
    bench.start("a")
    assert read(bench, 5 * DOLLAR) == (False, False), "at the threshold it goes on"
    bench.admit("b")
    assert read(bench, 5 * DOLLAR - 1) == (False, True)
    assert bench.ledger.jobs.begin("b") == Blocked()
    assert bench.admit("c") == []
    assert (bench.ledger.gate.read().is_balance_low, bench.ledger.polls.permit(1)) == (True, 1)
    bench.ledger.balance.note_none("no answer")
    assert bench.ledger.polls.grant() == []
    assert read(bench, 6 * DOLLAR) == (True, False)
    assert bench.ledger.polls.grant() == ["b", "c"]
    bench.drain()


def test_no_submission_begins_that_would_leave_less_than_the_threshold(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=9, balance_hold_micro_usd=5 * DOLLAR, price_480p_micro_usd=PRICE)
    bench.admit("a", "b", "c", "d", video_seconds=25)
    read(bench, 7 * DOLLAR)
    steps = {job_id: bench.ledger.jobs.begin(job_id) for job_id in "abcd"}
    assert [type(step) for step in steps.values()] == [Submit, Submit, Blocked, Blocked]
    assert read(bench, 5 * DOLLAR) == (True, True), "the next one needs a dollar more"
    assert read(bench, 6 * DOLLAR) == (True, False)
    assert bench.ledger.polls.grant() == ["c", "d"]
    bench.limit(balance_hold_micro_usd=None)
    bench.drain()


def test_once_nothing_waits_any_more_smaller_jobs_go_on(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(balance_hold_micro_usd=5 * DOLLAR, price_480p_micro_usd=PRICE)
    bench.admit("long")
    read(bench, 6 * DOLLAR)
    assert bench.ledger.jobs.begin("long") == Blocked()
    bench.ledger.jobs.cancel("long", CANCELLED)
    assert bench.admit("short", video_seconds=5) == []
    bench.ledger.jobs.cancel("short", CANCELLED)
    assert bench.ledger.polls.grant() == []
    assert bench.admit("other", video_seconds=5) == ["other"]
    bench.drain()


def test_a_lower_threshold_lets_submissions_go_on_at_once(bench: Bench) -> None:
    held = replace(ACCOUNT_LIMITS, balance_hold_micro_usd=5 * DOLLAR)
    assert bench.ledger.limits.set(held)
    read(bench, 3 * DOLLAR)
    assert bench.admit("a") == []
    assert bench.ledger.limits.set(replace(held, balance_hold_micro_usd=4 * DOLLAR))
    assert bench.ledger.polls.grant() == []
    assert bench.ledger.limits.set(replace(held, balance_hold_micro_usd=2 * DOLLAR))
    assert bench.ledger.polls.grant() == ["a"]
    assert bench.ledger.limits.set(held), "and a higher one stops them at once"
    assert bench.ledger.jobs.begin("a") == Blocked()
    assert bench.ledger.limits.set(replace(held, balance_hold_micro_usd=None))
    assert bench.ledger.polls.grant() == ["a"]
    bench.drain()


def test_without_a_reading_or_a_threshold_nothing_is_held(bench: Bench) -> None:
    bench.limit(balance_hold_micro_usd=5 * DOLLAR)
    bench.start("a")
    bench.limit(balance_hold_micro_usd=None)
    assert read(bench, -DOLLAR) == (False, False)
    bench.start("b")
    bench.drain()


def test_the_balance_at_another_vendor_is_forgotten(bench: Bench) -> None:
    here = replace(ACCOUNT_LIMITS, api_base_url="https://here.example", balance_hold_micro_usd=DOLLAR)
    assert bench.ledger.limits.set(here)
    assert read(bench, 0) == (False, True)
    bench.ledger.gate.pause("drain")
    assert bench.ledger.limits.set(replace(here, api_base_url="https://there.example"))
    assert bench.ledger.balance.read() == BalanceReading()
    assert not bench.ledger.gate.read().is_balance_low
    bench.ledger.gate.resume()
