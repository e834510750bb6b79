"""Refusals without a verdict: what they prove, about a job, about the account, and about neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Outcome
from wanimate.errors import InvalidRequest
from wanimate_worker.ledger import Blocked, BreakerFor, Entry, Parked, Proven

from .bench import LONG_MS

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

pytestmark = pytest.mark.leaves("account")
REFUSED = Outcome.failure(InvalidRequest("refused", "403"))


@pytest.fixture
def bench(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(max_in_flight=6, backoff_max_ms=4 * LONG_MS)


def refuse(bench: Bench, job_id: str) -> Parked | Proven:
    """Submit a job, in line or parked, and have it refused."""
    if job_id in bench.state().parked:
        bench.ledger.jobs.unpark(job_id)
    bench.next_ms()
    answer = bench.ledger.jobs.refuse(job_id, bench.begin(job_id).nonce, "403 Forbidden")
    assert answer is not None
    bench.next_ms()
    return answer


def accept_another(bench: Bench, job_id: str) -> None:
    bench.admit(job_id)
    assert bench.accept(job_id, bench.begin(job_id))
    bench.next_ms()


def test_a_job_that_is_refused_is_parked_and_nothing_of_it_is_billed(bench: Bench) -> None:
    bench.admit("a")
    spent = dict(bench.state().billed)
    assert isinstance(refuse(bench, "a"), Parked)
    state = bench.state()
    assert (state.stage("a"), state.parked, state.slots) == ("waiting", ["a"], set())
    assert {day: int(value) for day, value in state.billed.items() if value != "0"} == spent == {}
    assert not [name for name in state.counters if name.startswith("ended:")]
    bench.drain()


def test_each_refusal_parks_a_job_for_longer_up_to_a_minute(bench: Bench) -> None:
    bench.admit("a")
    delays = [refuse(bench, "a").delay_ms for _ in range(8)]  # type: ignore[union-attr]
    for number, delay_ms in enumerate(delays):
        middle_ms = 2_000 * 2**number
        assert min(60_000, 0.75 * middle_ms - 1) <= delay_ms <= min(60_000, 1.25 * middle_ms)
    assert delays[-1] == 60_000
    bench.drain()


def test_a_job_that_is_refused_while_others_get_through_is_proven_at_the_third(bench: Bench) -> None:
    bench.admit("a")
    assert refuse(bench, "a") == Parked(1, bench_delay(bench, "a"), [])
    accept_another(bench, "b")
    assert isinstance(refuse(bench, "a"), Parked)
    accept_another(bench, "c")
    before = bench.state()
    bench.ledger.jobs.unpark("a")
    submit = bench.begin("a")
    before = bench.state()
    for _ in range(2):
        assert bench.ledger.jobs.refuse("a", submit.nonce, "403") == Proven(3), "it may be asked again"
    assert bench.state() == before
    assert bench.ledger.jobs.settle("a", submit.nonce, REFUSED, is_free=True) is not None
    bench.drain()


def bench_delay(bench: Bench, job_id: str) -> int:
    [record] = bench.ledger.records.whole([job_id])
    return (record.parked_until_ms or 0) - int(record.fields["refused_at_ms"])


def test_others_accepted_before_and_after_prove_a_job_at_its_third_refusal(bench: Bench) -> None:
    accept_another(bench, "b")
    bench.admit("a")
    assert isinstance(refuse(bench, "a"), Parked)
    accept_another(bench, "c")
    assert isinstance(refuse(bench, "a"), Parked), "two refusals are too few, whatever others tell"
    assert refuse(bench, "a") == Proven(3)
    bench.drain()


def test_a_job_that_nothing_can_be_compared_with_is_never_proven(bench: Bench) -> None:
    bench.admit("a")
    for _ in range(8):
        assert isinstance(refuse(bench, "a"), Parked)
    assert bench.ledger.gate.read().breaker_next_ms is None, "one job tells nothing about the others"
    bench.drain()


def test_an_acceptance_long_before_is_no_proof(bench: Bench) -> None:
    accept_another(bench, "b")
    bench.redis.hset(bench.keys.account, "accepted_sent_ms", bench.now_ms() - 61_000)
    bench.admit("a")
    for _ in range(8):
        assert isinstance(refuse(bench, "a"), Parked)
    bench.drain()


@pytest.mark.parametrize("count", [1, 2])
def test_the_last_jobs_of_a_batch_are_proven_at_the_sixth_refusal(bench: Bench, count: int) -> None:
    accept_another(bench, "others")
    jobs = "ab"[:count]
    bench.admit(*jobs)
    for _ in range(5):
        assert all(isinstance(refuse(bench, job_id), Parked) for job_id in jobs)
    assert all(refuse(bench, job_id) == Proven(6) for job_id in jobs)
    bench.drain()


def test_three_jobs_that_are_refused_with_nothing_accepted_are_not_proven(bench: Bench) -> None:
    accept_another(bench, "others")
    bench.admit(*"abc")
    for job_id in "abc" * 8:
        bench.open_gate()
        assert isinstance(refuse(bench, job_id), Parked)
    bench.drain()


def test_only_what_was_sent_after_the_refusal_before_is_proof(bench: Bench) -> None:
    bench.admit("a", "slow", "slower")
    slow, slower = bench.begin("slow"), bench.begin("slower")
    bench.next_ms()
    assert isinstance(refuse(bench, "a"), Parked)
    assert bench.accept("slow", slow)
    assert isinstance(refuse(bench, "a"), Parked)
    assert bench.accept("slower", slower)
    assert isinstance(refuse(bench, "a"), Parked)
    assert bench.state().jobs["a"]["proofs"] == "0"
    bench.drain()


def test_an_accepted_job_is_innocent_again(bench: Bench) -> None:
    bench.admit("a")
    refuse(bench, "a")
    accept_another(bench, "b")
    refuse(bench, "a")
    bench.ledger.jobs.unpark("a")
    assert bench.accept("a", bench.begin("a"))
    assert not {"refusals", "refused_at_ms", "proofs"} & bench.state().jobs["a"].keys()
    bench.drain()


def test_three_jobs_refused_in_a_row_leave_one_at_a_time_to_be_tried(bench: Bench) -> None:
    bench.admit(*"abcdef")
    for job_id in "abc":
        refuse(bench, job_id)
    gate = bench.ledger.gate.read()
    assert (gate.refused_in_a_row, gate.refused_why, gate.breaker_for) == (3, "403 Forbidden", BreakerFor.REFUSED)
    assert bench.ledger.jobs.begin("d") == Blocked()
    assert bench.ledger.jobs.begin("e") == Blocked()
    bench.open_gate()
    assert bench.ledger.polls.grant() == ["d"], "one slot for one trial"
    trial = bench.begin("d")
    assert bench.ledger.jobs.begin("f") == Blocked()
    assert isinstance(bench.ledger.jobs.refuse("d", trial.nonce, "403"), Parked)
    assert 2 * LONG_MS - 1000 < (bench.ledger.gate.read().breaker_next_ms or 0) - bench.now_ms() <= 2 * LONG_MS
    bench.open_gate()
    assert bench.ledger.polls.grant() == ["e"], "another one is tried, not one that was refused"
    assert bench.accept("e", bench.begin("e"))
    gate = bench.ledger.gate.read()
    assert (gate.breaker_next_ms, gate.refused_in_a_row, gate.refused_why) == (None, 0, None)
    bench.drain()


def test_a_refused_job_waits_until_after_the_next_half_open_submission(bench: Bench) -> None:
    bench.admit(*"abcd")
    for job_id in "abc":
        refuse(bench, job_id)
    [record] = bench.ledger.records.whole(["c"])
    assert (record.parked_until_ms or 0) > (bench.ledger.gate.read().breaker_next_ms or 0)
    bench.drain()


def test_an_acceptance_in_between_leaves_the_gate_open(bench: Bench) -> None:
    bench.admit(*"abcd")
    refuse(bench, "a")
    refuse(bench, "b")
    accept_another(bench, "x")
    refuse(bench, "c")
    refuse(bench, "d")
    assert bench.ledger.gate.read().breaker_next_ms is None
    bench.drain()


@pytest.mark.parametrize("answer", ["verdict", "callback"])
def test_only_an_acceptance_proves_that_the_account_may_submit_again(bench: Bench, answer: str) -> None:
    bench.admit(*"abcdef")
    lost = bench.begin("f")
    assert bench.ledger.jobs.mark_unknown("f", lost.nonce, "timeout", is_ours=True)
    for job_id in "abc":
        refuse(bench, job_id)
    bench.open_gate()
    if answer == "verdict":
        bench.ledger.jobs.settle("d", bench.begin("d").nonce, REFUSED, is_free=True)
        assert bench.ledger.gate.read().breaker_next_ms == 0, "another one may be tried at once"
    else:
        bench.accept("f", lost)
    assert bench.ledger.gate.read().breaker_for is BreakerFor.REFUSED
    assert bench.ledger.gate.read().breaker_next_ms is not None
    bench.drain()


def test_refusals_outweigh_lost_answers(bench: Bench) -> None:
    bench.admit(*"abcdef")
    for job_id in "abc":
        bench.ledger.jobs.mark_unknown(job_id, bench.begin(job_id).nonce, "timeout")
    assert bench.ledger.gate.read().breaker_for is BreakerFor.LOST
    for job_id in "def":
        bench.open_gate()
        bench.ledger.polls.grant()
        refuse(bench, job_id)
    assert bench.ledger.gate.read().breaker_for is BreakerFor.REFUSED
    bench.drain()


def test_a_refused_job_ends_at_its_deadline(bench: Bench) -> None:
    bench.ledger.jobs.admit([Entry("a", 0, {"seen": True}, {"type": "animate"}, LONG_MS)])
    refuse(bench, "a")
    assert bench.state().due["a"] <= int(bench.state().jobs["a"]["deadline_at_ms"])
    bench.redis.hset(bench.keys.job("a"), "deadline_at_ms", 1)
    assert bench.ledger.jobs.expire("a", REFUSED) is not None
    bench.drain()


def test_a_late_writer_refuses_nothing(bench: Bench) -> None:
    submit = bench.start("a")
    before = bench.state()
    assert bench.ledger.jobs.refuse("a", submit.nonce, "403") is None
    assert bench.ledger.jobs.refuse("a", "other", "403") is None
    assert bench.ledger.jobs.refuse("none", "other", "403") is None
    assert bench.state() == before
    bench.drain()


def test_the_slot_of_a_refused_job_goes_to_the_next(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    answer = refuse(bench, "a")
    assert isinstance(answer, Parked)
    assert list(answer.granted) == ["b"]
    bench.drain()
