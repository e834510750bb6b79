"""Submitting: the intent is written first, and only the attempt that wrote it may say what became of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import Stage
from wanimate_worker.ledger import Ledger, NoOp, Submit

from .bench import ACCOUNT, LONG_MS, UNKNOWN, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

    from .bench import Bench


def call_begin(bench: Bench, job_id: str, nonce: str) -> list[Any]:
    """Call the script as the ledger does, with a nonce of our choice."""
    return list(bench.ledger.jobs._begin(job_id, nonce, holds_permit=False))


def test_begin_writes_the_intent_and_moves_the_clock_before_anything_is_sent(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    state = bench.state()
    assert state.jobs["a"]["stage"] == "submitting"
    assert state.jobs["a"]["nonce"] == submit.nonce
    assert state.due["a"] == submit.begun_at_ms + bench.limits.submit_lease_ms
    assert (submit.attempt, submit.in_flight) == (1, 1)
    bench.drain()


def test_of_many_runs_of_one_job_exactly_one_submits(bench: Bench, connect: Callable[..., Redis]) -> None:
    bench.admit("a")
    ledgers = [Ledger(connect(), ACCOUNT, bench.limits) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        steps = list(pool.map(lambda ledger: ledger.jobs.begin("a"), ledgers))
    assert sum(isinstance(step, Submit) for step in steps) == 1
    assert steps.count(NoOp(Stage.SUBMITTING)) == 7
    bench.drain()


def test_begin_repeated_because_its_answer_was_lost_submits_the_same_attempt(bench: Bench) -> None:
    bench.admit("a")
    first = call_begin(bench, "a", "nonce-1")
    before = bench.state()
    again = call_begin(bench, "a", "nonce-1")
    assert first[:2] == again[:2] == ["submit", 1]
    assert bench.state() == before, "it costs no second permit and no second attempt"
    assert call_begin(bench, "a", "nonce-2") == ["noop", "submitting"]
    bench.drain()


@pytest.mark.parametrize("stage", ["accepted", "lost", "settled"])
def test_begin_never_submits_a_second_time_once_the_vendor_may_have_the_task(bench: Bench, stage: str) -> None:
    bench.admit("a")
    call_begin(bench, "a", "nonce-1")
    if stage == "accepted":
        bench.ledger.jobs.accept("a", "nonce-1", task_id="t", first_poll_ms=LONG_MS, begun_at_ms=0)
    elif stage == "lost":
        bench.ledger.jobs.mark_unknown("a", "nonce-1", "timeout")
    else:
        bench.ledger.jobs.settle("a", "nonce-1", UNKNOWN)
        bench.run("a")
    assert call_begin(bench, "a", "nonce-1")[0] == "noop"
    assert call_begin(bench, "a", "nonce-2")[0] == "noop"
    bench.drain()


def test_accept_plans_the_first_poll_and_may_be_repeated(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    assert bench.accept("a", submit)
    before = bench.state()
    assert (before.jobs["a"]["stage"], before.jobs["a"]["task_id"]) == ("running", "task-a")
    assert before.due["a"] == pytest.approx(bench.now_ms() + 5 * LONG_MS, abs=60_000)
    assert bench.accept("a", submit), "the first answer was lost on the way"
    assert bench.state() == before
    bench.drain()


def test_a_second_task_of_the_same_attempt_does_not_replace_the_first(bench: Bench) -> None:
    submit = bench.start("a")
    before = bench.state()
    assert not bench.accept("a", submit, "another-task")
    assert bench.state() == before
    bench.drain()


def test_a_lost_submission_keeps_its_slot_until_its_bound_passes(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    assert bench.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    state = bench.state()
    assert (state.stage("a"), state.slots) == ("unknown", {"a"})
    assert state.due["a"] == pytest.approx(bench.now_ms() + bench.limits.unknown_after_ms, abs=60_000)
    assert bench.job("a").unknown_why == "read timeout"
    bench.let_time_pass()
    assert bench.state().slots == {"a"}, "time frees no slot"
    bench.drain()
    assert bench.delivered == {"a": [UNKNOWN]}


def test_news_of_a_lost_submission_lets_the_job_go_on(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    assert bench.accept("a", submit, "task-found")
    assert bench.state().stage("a") == "running"
    bench.drain()
    assert bench.delivered == {"a": [success("task-found")]}


def test_news_that_come_after_a_lost_submission_was_settled_change_nothing(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    before = bench.state()
    assert not bench.accept("a", submit)
    assert not bench.ledger.jobs.mark_unknown("a", submit.nonce, "later")
    assert bench.ledger.jobs.release("a", submit.nonce) is None
    assert bench.ledger.jobs.settle("a", submit.nonce, success("t")) is None
    assert bench.state() == before
    bench.drain()
    assert bench.delivered == {"a": [UNKNOWN]}


def test_a_running_job_cannot_be_lost_or_released_by_its_late_run(bench: Bench) -> None:
    submit = bench.start("a")
    before = bench.state()
    assert not bench.ledger.jobs.mark_unknown("a", submit.nonce, "the worker died while submitting")
    assert bench.ledger.jobs.release("a", submit.nonce) is None
    assert bench.state() == before
    bench.drain()


@pytest.mark.parametrize("nonce", ["", "another"])
def test_a_writer_with_another_nonce_changes_nothing_at_any_stage(bench: Bench, nonce: str) -> None:
    def try_everything() -> None:
        before = bench.state()
        assert not bench.ledger.jobs.accept("a", nonce, task_id="t", first_poll_ms=0, begun_at_ms=bench.now_ms())
        assert not bench.ledger.jobs.mark_unknown("a", nonce, "why")
        assert bench.ledger.jobs.release("a", nonce) is None
        assert bench.ledger.jobs.settle("a", nonce, UNKNOWN) is None
        assert bench.state() == before

    try_everything()
    bench.admit("a")
    try_everything()
    submit = bench.begin("a")
    try_everything()
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "why")
    try_everything()
    bench.accept("a", submit)
    try_everything()
    bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    try_everything()
    bench.drain()
    try_everything()


def test_a_released_job_is_submitted_again_as_another_attempt_and_the_old_one_is_late(bench: Bench) -> None:
    bench.admit("a")
    old = bench.begin("a")
    assert bench.ledger.jobs.release("a", old.nonce) == ["a"], "its slot is free and it is at the head"
    new = bench.begin("a")
    assert (new.attempt, new.nonce == old.nonce) == (2, False)
    assert not bench.accept("a", old)
    assert bench.accept("a", new)
    assert bench.ledger.jobs.release("a", old.nonce) is None
    bench.drain()


def test_a_requeued_job_keeps_its_place_in_its_band(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b", "c", priority=3)
    submit = bench.begin("a")
    bench.admit("urgent", priority=0)
    assert bench.ledger.jobs.release("a", submit.nonce) == ["urgent"]
    assert bench.state().waiting == ["a", "b", "c"]
    bench.drain()


def test_a_job_that_goes_behind_waits_after_those_of_its_band_and_before_the_next(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b", "c", priority=3)
    bench.admit("later", priority=6)
    submit = bench.begin("a")
    assert bench.ledger.jobs.release("a", submit.nonce, goes_behind=True) == ["b"]
    assert bench.state().waiting == ["c", "a", "later"]
    b_submit = bench.begin("b")
    bench.ledger.jobs.release("b", b_submit.nonce)
    assert bench.state().waiting == ["c", "a", "later"], "b was at the head and has the slot again"
    bench.drain()


@pytest.mark.parametrize(("on_unknown", "stage"), [("fail", "delivered"), ("resubmit", "running")])
def test_a_worker_that_dies_while_submitting_is_found_and_decided_as_told(
    bench: Bench, on_unknown: str, stage: str
) -> None:
    bench.admit("a", on_unknown=on_unknown)
    bench.begin("a")
    bench.let_time_pass()
    bench.poll()
    assert bench.state().stage("a") == "unknown"
    bench.let_time_pass()
    bench.poll()
    assert bench.state().stage("a") == stage
    bench.drain()
