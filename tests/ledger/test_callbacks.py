"""Callbacks: they make somebody look, and may name a task to look at; they decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate_worker.ledger import CallbackEffect, Observation

from .bench import LONG_MS, UNKNOWN, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from wanimate_worker.ledger import Submit

    from .bench import Bench

#: Two readings of a clock in one test are never further apart than this, in milliseconds.
NOW = 60_000


def lost(bench: Bench, job_id: str) -> Submit:
    """Submit a job whose answer is lost."""
    bench.admit(job_id)
    submit = bench.begin(job_id)
    assert bench.ledger.jobs.mark_unknown(job_id, submit.nonce, "read timeout")
    return submit


def test_a_callback_of_a_running_job_makes_it_due_now(bench: Bench) -> None:
    submit = bench.start("a")
    assert bench.ledger.durable.callback("a", submit.nonce, "another-task") is CallbackEffect.DUE
    assert bench.redis.llen(bench.keys.wake) == 1, "a worker is woken"
    assert bench.ledger.polls.claim(10).job_ids == ["a"]
    assert (bench.job("a").task_id, bench.job("a").hint) == ("task-a", None), "what it names is not believed"
    bench.drain()


def test_repeated_callbacks_make_a_job_due_once_in_each_interval(bench: Bench) -> None:
    submit = bench.start("a")
    assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.DUE
    claim = bench.ledger.polls.claim(10)
    assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.NOTED
    assert bench.ledger.polls.claim(10).job_ids == []
    due = bench.state().due["a"]
    assert due == pytest.approx(bench.now_ms() + bench.limits.callback_interval_ms, abs=NOW)
    assert bench.ledger.polls.plan(claim.token, {"a": 9 * LONG_MS}) == 0, (
        "the look that is still to come is not put off"
    )
    before = bench.state()
    assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.NOTED
    assert bench.state() == before
    bench.drain()


def test_a_callback_never_puts_off_a_look_that_is_due_already(bench: Bench) -> None:
    submit = bench.start("a")
    bench.let_time_pass("a")
    before = bench.state().due
    assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.DUE
    assert bench.state().due == before
    bench.drain()


def test_what_a_poll_learnt_is_settled_although_a_callback_came_meanwhile(bench: Bench) -> None:
    submit = bench.start("a")
    bench.let_time_pass("a")
    bench.ledger.polls.claim(10)
    bench.ledger.durable.callback("a", submit.nonce)
    assert bench.ledger.jobs.settle("a", submit.nonce, success("task-a")) is not None
    bench.drain()


def test_a_callback_before_the_answer_leaves_the_lease_alone_and_then_polls_at_once(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    before = bench.state().due
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.NOTED
    assert bench.state().due == before
    assert bench.accept("a", submit)
    assert bench.job("a").hint is None
    assert bench.ledger.polls.claim(10).job_ids == ["a"], "long before its first poll was planned"
    bench.drain()


def test_a_callback_before_the_answer_is_lost_makes_the_unknown_job_due_at_once(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.durable.callback("a", submit.nonce, "task-found")
    assert bench.ledger.jobs.mark_unknown("a", submit.nonce, "the worker died while submitting")
    assert bench.ledger.polls.claim(10).job_ids == ["a"]
    job = bench.job("a")
    assert (job.asks_about, job.task_id) == ("task-found", None)
    assert job.unknown_until_ms == pytest.approx(bench.now_ms() + bench.limits.unknown_after_ms, abs=NOW)
    assert job.begun_at_ms == submit.begun_at_ms
    bench.drain()


def test_a_callback_that_names_no_task_leaves_an_unknown_job_until_its_bound(bench: Bench) -> None:
    submit = lost(bench, "a")
    before = bench.state()
    assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.NOTED
    assert bench.state() == before, "there is nothing to ask the vendor about, and nothing may be decided early"
    bench.drain()


def test_a_hint_makes_an_unknown_job_due_and_acceptance_ends_it(bench: Bench) -> None:
    submit = lost(bench, "a")
    assert bench.ledger.durable.callback("a", submit.nonce, "task-found") is CallbackEffect.DUE
    assert bench.ledger.polls.claim(10).job_ids == ["a"]
    assert bench.state().stage("a") == "unknown", "nobody has checked it"
    assert bench.accept("a", submit, "task-found")
    assert bench.job("a").hint is None
    bench.drain()
    assert bench.delivered == {"a": [success("task-found")]}


def test_a_wrong_hint_is_dropped_and_the_job_is_unknown_until_its_bound(bench: Bench) -> None:
    submit = lost(bench, "a")
    bound = bench.state().due["a"]
    bench.ledger.durable.callback("a", submit.nonce, "wrong")
    bench.ledger.polls.claim(10)
    assert not bench.ledger.jobs.drop_hint("a", submit.nonce, "another"), "a hint that came meanwhile stays"
    assert not bench.ledger.jobs.drop_hint("a", "another", "wrong")
    assert bench.ledger.jobs.drop_hint("a", submit.nonce, "wrong")
    assert not bench.ledger.jobs.drop_hint("a", submit.nonce, "wrong")
    state = bench.state()
    assert (state.stage("a"), state.due["a"], bench.job("a").asks_about) == ("unknown", bound, None)
    bench.drain()
    assert bench.delivered == {"a": [UNKNOWN]}


def test_a_true_hint_after_a_wrong_one_still_counts(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(callback_interval_ms=0)
    submit = lost(bench, "a")
    bench.ledger.durable.callback("a", submit.nonce, "wrong")
    bench.ledger.jobs.drop_hint("a", submit.nonce, "wrong")
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.DUE
    assert bench.ledger.polls.claim(10).job_ids == ["a"]
    assert bench.job("a").asks_about == "task-a"
    bench.drain()


@pytest.mark.parametrize("is_lost", [True, False], ids=["unknown", "submitting"])
def test_the_first_hint_is_kept_until_it_is_checked(make_bench: Callable[..., Bench], *, is_lost: bool) -> None:
    bench = make_bench(callback_interval_ms=0)
    bench.admit("a")
    submit = bench.begin("a")
    if is_lost:
        bench.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout")
    bench.ledger.durable.callback("a", submit.nonce, "task-a")
    before = bench.state()
    for _ in range(3):
        assert bench.ledger.durable.callback("a", submit.nonce, "another") is CallbackEffect.CHECKING
    assert bench.state() == before
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is not CallbackEffect.CHECKING, (
        "the same one may repeat"
    )
    if not is_lost:
        bench.ledger.jobs.mark_unknown("a", submit.nonce, "read timeout", hint="of an odd answer")
    assert bench.job("a").asks_about == "task-a"
    bench.drain()
    assert bench.delivered == {"a": [success("task-a")]}


def test_a_hint_that_the_check_refuted_makes_room_for_the_next(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(callback_interval_ms=0)
    submit = lost(bench, "a")
    bench.ledger.durable.callback("a", submit.nonce, "forged")
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.CHECKING
    assert bench.ledger.jobs.drop_hint("a", submit.nonce, "forged")
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.DUE
    bench.drain()
    assert bench.delivered == {"a": [success("task-a")]}


@pytest.mark.parametrize("nonce", ["", "another"])
def test_a_callback_of_another_attempt_changes_nothing_at_any_stage(bench: Bench, nonce: str) -> None:
    def try_it(effect: CallbackEffect = CallbackEffect.STALE) -> None:
        before = bench.state()
        assert bench.ledger.durable.callback("a", nonce, "task") is effect
        assert not bench.ledger.jobs.drop_hint("a", nonce, "task")
        assert bench.state() == before

    try_it(CallbackEffect.ENDED)
    bench.admit("a")
    try_it()
    submit = bench.begin("a")
    try_it()
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "why")
    try_it()
    bench.accept("a", submit)
    try_it()
    bench.ledger.jobs.settle("a", submit.nonce, UNKNOWN)
    try_it(CallbackEffect.ENDED)
    bench.drain()
    try_it(CallbackEffect.ENDED)


def test_a_callback_of_a_released_attempt_does_not_touch_its_successor(bench: Bench) -> None:
    old = lost(bench, "a")
    bench.ledger.durable.callback("a", old.nonce, "old-task")
    bench.ledger.jobs.release("a", old.nonce)
    new = bench.begin("a")
    assert bench.job("a").hint is None
    before = bench.state()
    assert bench.ledger.durable.callback("a", old.nonce, "old-task") is CallbackEffect.STALE
    assert bench.state() == before
    assert bench.accept("a", new)
    bench.drain()


def test_a_callback_of_an_ended_job_changes_nothing_however_often_it_is_replayed(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.durable.callback("a", submit.nonce, "task-a")
    bench.ledger.jobs.settle("a", submit.nonce, success("task-a"))
    before = bench.state()
    assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.ENDED
    assert bench.state() == before
    bench.drain()
    before = bench.state()
    for _ in range(3):
        assert bench.ledger.durable.callback("a", submit.nonce, "task-a") is CallbackEffect.ENDED
    assert bench.state() == before
    assert not {"hint", "next_check_ms", "nonce"} & before.jobs["a"].keys()


def test_a_callback_that_a_poll_forestalled_counts_once_as_one_that_came(bench: Bench) -> None:
    def called() -> float:
        return float(bench.redis.hget(bench.keys.durations, "called") or 1)

    for job_id, is_called in (("a", True), ("b", False)):
        submit = bench.start(job_id)
        if is_called:
            bench.ledger.durable.callback(job_id, submit.nonce)
        seen = Observation("animate:480p", 43.5)
        assert bench.ledger.jobs.settle(job_id, submit.nonce, success(f"task-{job_id}"), observed=seen)
    assert called() == pytest.approx(1 - 1 / 32, abs=1e-4)
    for _ in range(3):
        assert bench.ledger.durable.callback("b", submit.nonce) is CallbackEffect.ENDED
        assert bench.ledger.durable.callback("a", submit.nonce) is CallbackEffect.ENDED
    assert called() == pytest.approx(1, abs=1e-4)
    bench.drain()


@pytest.mark.parametrize("is_on_record", [False, True], ids=["named", "adopted"])
@pytest.mark.parametrize("opted_in", [False, True], ids=["fails", "is sent again"])
def test_a_lost_submission_is_not_given_up_once_a_callback_has_named_its_task(
    bench: Bench, *, opted_in: bool, is_on_record: bool
) -> None:
    submit = lost(bench, "a")
    bench.let_time_pass("a")
    look = bench.job("a")
    # Between the look and what comes of it.
    bench.ledger.durable.callback("a", submit.nonce, "task-a")
    if is_on_record:
        assert bench.ledger.jobs.accept("a", submit.nonce, task_id="task-a", first_poll_ms=0, begun_at_ms=0)
    before = bench.state()
    if opted_in:
        assert bench.ledger.jobs.release("a", look.nonce, may_be_billed=True, hint="") is None
    else:
        assert bench.ledger.jobs.settle("a", look.nonce, UNKNOWN, hint="") is None
    assert bench.state() == before
    bench.drain()
    assert bench.delivered["a"] == [success("task-a")]
