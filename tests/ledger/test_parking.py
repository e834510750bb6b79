"""Jobs that wait for their next attempt: not in line, under the clock, and counted all the while."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CancelOutcome
from wanimate_worker.ledger import Entry, NoOp

from .bench import ACCOUNT_LIMITS, CANCELLED, LONG_MS, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

DELAY_MS = 7 * LONG_MS


def park(bench: Bench, job_id: str) -> None:
    assert bench.ledger.jobs.release(job_id, bench.begin(job_id).nonce, "refused", delay_ms=DELAY_MS) is not None


def test_a_parked_job_waits_and_cannot_get_a_slot(bench: Bench) -> None:
    bench.admit("a")
    park(bench, "a")
    assert (bench.ledger.records.waiting(), bench.ledger.records.in_flight()) == (1, 0)
    assert bench.ledger.polls.grant() == []
    assert bench.ledger.jobs.begin("a") == NoOp(bench.job("a").stage)
    [record] = bench.ledger.records.whole(["a"])
    assert record.rank is None
    assert record.parked_until_ms is not None
    assert abs(record.parked_until_ms - bench.now_ms() - DELAY_MS) < 10_000
    assert bench.state().due["a"] == record.parked_until_ms
    bench.drain()


def test_the_poll_that_finds_it_due_puts_it_at_its_old_place(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b", "c")
    park(bench, "a")
    assert bench.state().slots == {"b"}
    assert bench.ledger.jobs.unpark("a") == []
    assert bench.state().waiting == ["a", "c"]
    assert "a" not in bench.state().due
    assert bench.ledger.jobs.unpark("a") is None, "it is in line already"
    bench.drain()


def test_a_job_that_is_unparked_gets_a_free_slot(bench: Bench) -> None:
    bench.admit("a")
    park(bench, "a")
    assert bench.ledger.jobs.unpark("a") == ["a"]
    bench.drain()


def test_a_parked_job_is_due_at_its_deadline_if_that_is_earlier(bench: Bench) -> None:
    bench.ledger.jobs.admit([Entry("a", 0, {"seen": True}, {"type": "animate"}, LONG_MS)])
    park(bench, "a")
    state = bench.state()
    assert state.due["a"] == int(state.jobs["a"]["deadline_at_ms"])
    bench.redis.hset(bench.keys.job("a"), "deadline_at_ms", 1)
    assert bench.ledger.jobs.expire("a", UNKNOWN) is not None
    assert bench.state().parked == []
    bench.drain()


def test_a_deadline_still_counts_once_a_job_is_unparked(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.ledger.jobs.admit([Entry("a", 0, {"seen": True}, {"type": "animate"}, 20 * LONG_MS)])
    park(bench, "a")
    bench.admit("b")
    assert bench.ledger.jobs.unpark("a") == []
    assert bench.state().due["a"] == int(bench.state().jobs["a"]["deadline_at_ms"])
    bench.drain()


def test_cancelling_a_parked_job_is_free(bench: Bench) -> None:
    bench.admit("a")
    park(bench, "a")
    assert bench.ledger.jobs.cancel("a", CANCELLED).outcome is CancelOutcome.CANCELLED
    assert bench.state().parked == []
    bench.drain()


def test_a_parked_job_whose_record_is_gone_is_forgotten_or_admitted_anew(bench: Bench) -> None:
    for job_id in ("a", "b", "c"):
        bench.admit(job_id)
        park(bench, job_id)
        bench.redis.delete(bench.keys.job(job_id))
        assert bench.ledger.jobs.unpark(job_id) is None
    assert bench.ledger.jobs.forget("a") == []
    assert bench.admit("b") == ["b"]
    assert bench.ledger.jobs.cancel("c", CANCELLED).outcome is CancelOutcome.CANCELLED
    assert bench.state().parked == []
    bench.admit("c")
    bench.drain()


def test_a_parked_job_outside_the_clock_is_repaired(bench: Bench) -> None:
    bench.admit("a")
    park(bench, "a")
    bench.redis.zrem(bench.keys.due, "a")
    assert bench.ledger.polls.repair() == 1
    bench.drain()
    assert "a" in bench.delivered


def test_a_clock_that_is_set_back_delays_no_parked_job(bench: Bench) -> None:
    bench.admit("a")
    park(bench, "a")
    until_ms = bench.state().due["a"]
    bench.redis.set(bench.keys.tick, bench.now_ms() + DELAY_MS)
    bench.ledger.polls.tick(ACCOUNT_LIMITS)
    [record] = bench.ledger.records.whole(["a"])
    assert record.parked_until_ms == bench.state().due["a"] < until_ms - DELAY_MS / 2
    bench.redis.delete(bench.keys.samples)
    bench.drain()


def test_a_job_whose_task_failed_runs_again_and_stays_billed(bench: Bench) -> None:
    submit = bench.start("a")
    billed = dict(bench.state().billed)
    assert bench.ledger.jobs.release("a", submit.nonce, "its task failed", may_be_billed=True) is None, "it is running"
    again = bench.ledger.jobs.release(
        *("a", submit.nonce, "its task failed"),
        may_be_billed=True,
        has_run=True,
        delay_ms=1,
        transient_code="PROCESSING_TIMEOUT",
    )
    assert again == []
    state = bench.state()
    assert (state.stage("a"), state.slots, state.billed) == ("waiting", set(), billed)
    assert "task_id" not in state.jobs["a"]
    [job] = bench.ledger.records.read(["a"])
    assert (job.retries, job.transient_code, job.transient_task) == (1, "PROCESSING_TIMEOUT", "task-a")
    assert state.counters["retries"] == "1"
    assert not [name for name in state.counters if name.startswith("ended:")]
    bench.drain()
    assert len(bench.delivered["a"]) == 1


@pytest.mark.parametrize("has_run", [True, False])
def test_a_late_writer_parks_nothing(bench: Bench, *, has_run: bool) -> None:
    submit = bench.start("a")
    before = bench.state()
    nonce = "other" if has_run else submit.nonce
    assert bench.ledger.jobs.release("a", nonce, has_run=has_run, delay_ms=1) is None
    assert bench.state() == before
    bench.drain()
