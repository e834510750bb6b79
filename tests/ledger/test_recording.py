"""Admitting: who gets a slot, who waits, and in what order."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Stage
from wanimate_worker.ledger import Deliver, Entry, Ledger, NoOp

from .bench import ACCOUNT, CANCELLED, granted_by

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench


def test_a_new_job_gets_a_free_slot_and_is_put_under_the_clock_in_the_same_call(bench: Bench) -> None:
    assert bench.admit("a") == ["a"]
    state = bench.state()
    assert (state.slots, state.waiting) == ({"a"}, [])
    assert state.due["a"] == pytest.approx(bench.now_ms() + bench.limits.lease_ms, abs=60_000)
    bench.drain()


def test_a_job_beyond_the_cap_waits_outside_the_clock(bench: Bench) -> None:
    assert bench.admit("a", "b", "c") == ["a", "b"]
    state = bench.state()
    assert (state.slots, state.waiting, set(state.due)) == ({"a", "b"}, ["c"], {"a", "b"})
    bench.drain()


def test_a_job_admitted_twice_is_known_and_nothing_changes(bench: Bench) -> None:
    bench.admit("a")
    before = bench.state()
    [again] = bench.ledger.jobs.admit([Entry("a", 9, {}, {"type": "replace"})])
    assert (again.is_new, again.granted) == (False, [])
    assert bench.state() == before
    bench.drain()


def test_a_recorded_job_is_no_longer_noted_as_enqueued_whatever_is_known_about_it(bench: Bench) -> None:
    noted = {"a": 1.0, "b": 1.0, "cancelled": 1.0, "stays": 1.0}
    bench.ledger.jobs.cancel("cancelled", CANCELLED)
    bench.redis.zadd(bench.keys.enqueued, noted)
    bench.admit("a", "b", "cancelled")
    assert bench.redis.zrange(bench.keys.enqueued, 0, -1) == ["stays"]
    bench.redis.zadd(bench.keys.enqueued, noted)
    bench.admit("a", "b", "cancelled")
    assert bench.redis.zrange(bench.keys.enqueued, 0, -1) == ["stays"]
    bench.redis.delete(bench.keys.enqueued)
    bench.drain()


def test_what_was_enqueued_longer_ago_than_results_are_kept_is_forgotten(bench: Bench) -> None:
    now_ms = bench.now_ms()
    bench.redis.zadd(bench.keys.enqueued, {"old": now_ms - bench.limits.result_ttl_ms - 1, "new": now_ms})
    bench.ledger.polls.trim()
    assert bench.redis.zrange(bench.keys.enqueued, 0, -1) == ["new"]
    bench.redis.delete(bench.keys.enqueued)


def test_a_delivered_job_admitted_again_is_not_done_again(bench: Bench) -> None:
    bench.start("a")
    bench.drain()
    assert bench.admit("a") == []
    assert bench.state().stage("a") == "delivered"


def test_the_message_and_the_request_are_kept_until_the_outcome_is_delivered(bench: Bench) -> None:
    bench.admit("a", prompt="ünïcödé")
    job = bench.job("a")
    assert job.message == {"seen": True}
    assert job.request == {"type": "animate", "prompt": "ünïcödé"}
    bench.drain()


def test_first_come_is_first_served_within_a_band_and_urgent_bands_come_first(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("first")
    for number, priority in enumerate((9, 6, 3, 0, 8, 5, 2, 4)):
        bench.admit(f"{priority}-{number}", priority=priority)
    assert bench.state().waiting == ["0-3", "2-6", "3-2", "5-5", "4-7", "6-1", "8-4", "9-0"]
    bench.drain()


def test_the_jobs_of_one_batch_keep_their_order_in_every_band(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("first")
    # Named against the alphabet: jobs of one score would be ordered by name.
    batch = [f"job{number:03}" for number in reversed(range(60))]
    for priority in (0, 9):
        bench.admit(*(f"{priority}{name}" for name in batch), priority=priority)
    assert bench.state().waiting == [f"{priority}{name}" for priority in (0, 9) for name in batch]
    bench.redis.flushdb()


def test_no_more_slots_are_handed_out_by_one_call_than_a_batch(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1, grant_batch=3)
    bench.admit("a", "b", "c", "d", "e")
    bench.limit(max_in_flight=5)
    assert bench.ledger.polls.grant() == ["b", "c", "d"]
    assert bench.ledger.polls.grant() == ["e"]
    bench.drain()


def test_concurrent_admits_from_many_connections_never_exceed_the_cap(
    make_bench: Callable[..., Bench], connect: Callable[..., Redis]
) -> None:
    bench = make_bench(max_in_flight=4)

    def admit(thread: int) -> tuple[list[str], int]:
        ledger = Ledger(connect(), ACCOUNT, bench.limits)
        granted: list[str] = []
        most = 0
        for number in range(10):
            granted += bench.admit(f"{thread}-{number}", ledger=ledger)
            most = max(most, ledger.records.in_flight())
        return granted, most

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(admit, range(6)))
    granted = [job_id for jobs, _ in answers for job_id in jobs]
    assert len(granted) == len(set(granted)) == 4
    assert max(most for _, most in answers) == 4
    state = bench.state()
    assert (state.slots, len(state.waiting)) == (set(granted), 56)
    bench.drain(most_rounds=80)
    assert {len(outcomes) for outcomes in bench.delivered.values()} == {1}


def test_a_lowered_cap_takes_no_slot_away_and_grants_none_until_below_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=3)
    submits = {job_id: bench.start(job_id) for job_id in ("a", "b", "c")}
    bench.limit(max_in_flight=1)
    assert bench.admit("d") == []
    for job_id in ("a", "b"):
        assert granted_by(bench.ledger.jobs.settle(job_id, submits[job_id].nonce, CANCELLED)) == []
    assert bench.state().slots == {"c"}
    assert granted_by(bench.ledger.jobs.settle("c", submits["c"].nonce, CANCELLED)) == ["d"]
    bench.drain()


def test_a_raised_cap_is_used_by_the_next_grant(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b", "c")
    bench.limit(max_in_flight=2)
    assert bench.ledger.polls.grant() == ["b"]
    assert bench.ledger.polls.grant() == []
    bench.drain()


def test_a_job_cancelled_before_its_message_came_is_delivered_as_cancelled(bench: Bench) -> None:
    bench.ledger.jobs.cancel("a", CANCELLED)
    [admission] = bench.ledger.jobs.admit([Entry("a", 0, {"seen": True}, {"type": "animate"})])
    # Without this, one that came in a batch would be told to nobody: there is no run of its own to deliver it.
    assert (admission.is_new, admission.granted) == (False, ["a"])
    assert bench.job("a").message == {"seen": True}
    assert bench.state().slots == set()
    assert bench.ledger.jobs.begin("a") == Deliver(CANCELLED)
    assert bench.ledger.jobs.mark_delivered("a") == []
    assert bench.admit("a") == []


def test_a_job_cancelled_in_advance_is_under_the_clock_once_its_message_came(bench: Bench) -> None:
    bench.ledger.jobs.cancel("a", CANCELLED)
    assert bench.state().due == {}
    bench.admit("a")
    assert set(bench.state().due) == {"a"}
    # The worker that was to deliver it died.
    bench.drain()
    assert bench.delivered == {"a": [CANCELLED]}


def test_a_job_admitted_again_never_waits_and_holds_a_slot_at_once(
    bench: Bench,
) -> None:
    bench.start("a")
    bench.redis.delete(bench.keys.job("a"))
    assert bench.admit("b", "c") == ["b"]
    assert bench.admit("a") == ["c"]
    state = bench.state()
    assert (state.slots, state.waiting, set(state.due)) == ({"b", "c"}, ["a"], {"b", "c"})
    bench.drain()


def test_a_job_without_a_slot_or_without_a_record_has_nothing_to_begin(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    before = bench.state()
    assert bench.ledger.jobs.begin("b") == NoOp(Stage.WAITING)
    assert bench.ledger.jobs.begin("nobody") == NoOp(None)
    assert bench.state() == before
    bench.drain()
