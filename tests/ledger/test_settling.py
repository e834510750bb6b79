"""Settling, cancelling and delivering: one outcome, told once, and the slot handed on in the same call."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CancelOutcome, Stage
from wanimate_worker.ledger import Deliver, Ledger, NoOp, ResultMissing, Settled

from .bench import ACCOUNT, CANCELLED, UNKNOWN, eventually, follower, granted_by, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench


def test_settle_hands_the_slot_to_the_next_waiting_job_in_the_same_call(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    submit = bench.start("a")
    bench.admit("b", "c")
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("task-a"))) == ["b"]
    state = bench.state()
    assert (state.slots, state.waiting, set(state.due)) == ({"b"}, ["c"], {"a", "b"})
    bench.drain()


def test_settle_repeated_is_late_and_the_first_outcome_stays(bench: Bench) -> None:
    submit = bench.start("a")
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("first"))) == []
    before = bench.state()
    assert bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN) is None
    assert bench.state() == before
    bench.drain()
    assert bench.delivered == {"a": [success("first")]}


def test_settle_with_a_claim_that_another_took_over_changes_nothing(bench: Bench) -> None:
    submit = bench.start("a")
    bench.let_time_pass()
    old = bench.ledger.polls.claim(10)
    bench.let_time_pass()
    bench.next_ms()
    new = bench.ledger.polls.claim(10)
    before = bench.state()
    assert bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN, token=old.token) is None
    assert bench.state() == before
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("t"), token=new.token)) == []
    bench.drain()
    assert bench.delivered == {"a": [success("t")]}


def test_a_job_that_was_never_submitted_cannot_be_settled(bench: Bench) -> None:
    bench.admit("a")
    before = bench.state()
    assert bench.ledger.jobs.settle("a", "", UNKNOWN) is None
    assert bench.ledger.jobs.settle("nobody", "", UNKNOWN) is None
    assert bench.state() == before
    bench.drain()


def test_of_many_runs_that_deliver_only_one_does_before_its_lease_ends(
    bench: Bench, connect: Callable[..., Redis]
) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    ledgers = [Ledger(connect(), ACCOUNT, bench.limits) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        steps = list(pool.map(lambda ledger: ledger.jobs.begin("a"), ledgers))
    assert steps.count(Deliver(success("t"))) == 1
    assert steps.count(NoOp(Stage.SETTLED)) == 7
    bench.drain()


def test_a_delivery_whose_run_died_is_delivered_again_when_its_lease_ends(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(lease_ms=5, poll_lease_ms=5)
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    assert bench.ledger.jobs.begin("a") == Deliver(success("t"))
    eventually(lambda: "a" in bench.ledger.polls.claim(1).job_ids)
    assert bench.ledger.jobs.begin("a") == Deliver(success("t"))
    assert bench.ledger.jobs.mark_delivered("a") == []


def test_finish_ends_the_record_with_the_result_and_may_be_repeated(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    bench.ledger.jobs.begin("a")
    assert bench.ledger.jobs.mark_delivered("a") == []
    state = bench.state()
    assert state.stage("a") == "delivered"
    assert not state.has_work
    assert not state.jobs["a"].keys() & {"message", "nonce", "rank", "delivering_until_ms"}
    assert 0 < bench.redis.pttl(bench.keys.job("a")) <= bench.limits.result_ttl_ms
    assert bench.ledger.jobs.mark_delivered("a") is None
    assert bench.state() == state
    assert bench.ledger.jobs.begin("a") == NoOp(Stage.DELIVERED)


def test_an_outcome_is_closed_only_on_the_server_that_has_its_result(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    bench.ledger.jobs.begin("a")
    before = bench.state()
    for nothing_yet in (None, '{"status": "STARTED", "result": null}'):
        if nothing_yet:
            bench.redis.set("celery-task-meta-a", nothing_yet)
        with pytest.raises(ResultMissing):
            bench.ledger.jobs.mark_delivered("a", "celery-task-meta-a")
        assert bench.state() == before
    bench.redis.set("celery-task-meta-a", '{"status": "SUCCESS", "result": {}}')
    assert bench.ledger.jobs.mark_delivered("a", "celery-task-meta-a") == []
    bench.redis.delete("celery-task-meta-a")


def test_finish_of_a_delivered_job_takes_it_off_the_clock_if_it_strayed_there(bench: Bench) -> None:
    bench.start("a")
    bench.drain()
    bench.redis.zadd(bench.keys.due, {"a": 1})
    bench.poll()
    assert bench.state().due == {}


@pytest.mark.parametrize("stage", ["nobody", "waiting", "submitting", "unknown", "running"])
def test_finish_of_a_job_without_an_outcome_changes_nothing(bench: Bench, stage: str) -> None:
    if stage != "nobody":
        bench.admit("a")
    if stage in {"submitting", "unknown", "running"}:
        submit = bench.begin("a")
        if stage == "unknown":
            bench.ledger.jobs.mark_unknown("a", submit.nonce, "why")
        if stage == "running":
            bench.accept("a", submit)
    before = bench.state()
    assert bench.ledger.jobs.mark_delivered("a") is None
    assert bench.state() == before
    bench.drain()


# -- cancelling -----------------------------------------------------------------------------------------------------


def test_cancelling_a_waiting_job_takes_it_out_of_the_line_and_has_it_delivered(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    cancelled = bench.ledger.jobs.cancel("b", CANCELLED)
    assert (cancelled.outcome, cancelled.must_deliver, cancelled.granted) == (CancelOutcome.CANCELLED, True, [])
    state = bench.state()
    assert (state.waiting, set(state.due)) == ([], {"a", "b"})
    bench.drain()
    assert bench.delivered["b"] == [CANCELLED]


def test_cancelling_a_job_with_a_slot_hands_the_slot_on(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    cancelled = bench.ledger.jobs.cancel("a", CANCELLED)
    assert (cancelled.must_deliver, cancelled.granted) == (True, ["b"])
    assert bench.state().slots == {"b"}
    assert bench.ledger.jobs.begin("a") == Deliver(CANCELLED)
    bench.drain()


@pytest.mark.parametrize(
    ("stage", "outcome"),
    [
        ("submitting", CancelOutcome.UNKNOWN),
        ("unknown", CancelOutcome.UNKNOWN),
        ("running", CancelOutcome.BILLED),
    ],
)
def test_a_job_that_may_have_been_sent_cannot_be_cancelled(bench: Bench, stage: str, outcome: CancelOutcome) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    if stage == "unknown":
        bench.ledger.jobs.mark_unknown("a", submit.nonce, "why")
    if stage == "running":
        bench.accept("a", submit)
    before = bench.state()
    cancelled = bench.ledger.jobs.cancel("a", CANCELLED)
    assert (cancelled.outcome, cancelled.must_deliver, cancelled.granted) == (outcome, False, [])
    assert bench.state() == before
    bench.drain()


def test_an_ended_job_cannot_be_cancelled(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, success("t"))
    assert bench.ledger.jobs.cancel("a", CANCELLED).outcome is CancelOutcome.FINISHED
    bench.drain()
    assert bench.ledger.jobs.cancel("a", CANCELLED).outcome is CancelOutcome.FINISHED
    assert bench.delivered == {"a": [success("t")]}


def test_a_cancellation_in_advance_does_not_outlive_the_results(bench: Bench) -> None:
    cancelled = bench.ledger.jobs.cancel("a", CANCELLED)
    assert (cancelled.outcome, cancelled.must_deliver, cancelled.granted) == (CancelOutcome.CANCELLED, False, [])
    assert not bench.state().has_work
    assert 0 < bench.redis.pttl(bench.keys.job("a")) <= bench.limits.result_ttl_ms
    assert bench.ledger.jobs.cancel("a", CANCELLED).outcome is CancelOutcome.FINISHED


def test_cancelling_a_job_whose_record_was_deleted_frees_its_slot(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    bench.redis.delete(bench.keys.job("a"))
    # The record written here would keep the slot from ever being forgotten.
    cancelled = bench.ledger.jobs.cancel("a", CANCELLED)
    assert (cancelled.outcome, cancelled.granted) == (CancelOutcome.UNKNOWN, ["b"]), "it may have been sent"
    assert bench.state().slots == {"b"}
    bench.drain()


# -- settled and delivered in one step ------------------------------------------------------------------------------

KEY, STORED = "celery-task-meta-a", '{"status":"SUCCESS"}'


def test_a_plain_job_is_delivered_by_the_script_that_settles_it(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    submit = bench.start("a")
    bench.admit("b")
    with bench.redis.pubsub() as told:
        told.subscribe(KEY)
        eventually(lambda: told.get_message(timeout=1))
        settled = bench.ledger.jobs.settle("a", submit.nonce, success("t"), is_plain=True, result=(KEY, STORED))
        assert settled == Settled(["b"], Stage.DELIVERED)
        assert eventually(lambda: told.get_message(timeout=1))["data"] == STORED
    assert bench.redis.get(KEY) == STORED
    assert 0 < bench.redis.pttl(KEY) <= bench.limits.result_ttl_ms
    state = bench.state()
    assert (state.stage("a"), set(state.due), state.slots) == ("delivered", {"b"}, {"b"})
    assert 0 < bench.redis.pttl(bench.keys.job("a")) <= bench.limits.result_ttl_ms
    assert "message" not in state.jobs["a"]
    stages = [line.split()[1] for line in state.jobs["a"]["history"].splitlines()]
    assert stages[-2:] == ["settled", "delivered"]
    bench.redis.delete(KEY)
    bench.drain()
    assert "a" not in bench.delivered


def test_a_late_writer_delivers_nothing(bench: Bench) -> None:
    bench.start("a")
    before = bench.state()
    assert bench.ledger.jobs.settle("a", "stale", success("t"), is_plain=True, result=(KEY, STORED)) is None
    assert bench.state() == before
    assert bench.redis.get(KEY) is None
    bench.drain()


def test_a_plain_job_that_failed_can_be_run_again(bench: Bench) -> None:
    submit = bench.start("a")
    settled = bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN, is_plain=True)
    assert settled == Settled([], Stage.DELIVERED)
    assert bench.state().failed == ["a"]
    assert bench.job("a").message == {"seen": True}
    retry = bench.ledger.failed.retry("a", priority=0, deadline_ms=None, result_key=KEY)
    assert retry.granted == ["a"]
    bench.drain()


def test_a_job_with_followers_is_delivered_by_its_caller(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.followers.add(follower("more", leader="a"))
    settled = bench.ledger.jobs.settle("a", submit.nonce, success("t"), is_plain=True, result=(KEY, STORED))
    assert settled == Settled([], Stage.SETTLED)
    assert bench.redis.get(KEY) is None
    bench.drain()
    assert bench.delivered.keys() == {"a", "more"}
