"""What an operator changes by hand: jobs that failed, the hold, deadlines, dead letters, and the history of it all."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from wanimate.contract import CancelOutcome, Keys, Outcome, Stage
from wanimate.errors import DeadlineExceeded, GenerationFailed
from wanimate_worker.ledger import (
    DEAD_LETTERS,
    Attachment,
    Blocked,
    Deliver,
    Entry,
    NoOp,
    Retried,
    Submit,
    read_history,
)

from .bench import ACCOUNT, ACCOUNT_LIMITS, CANCELLED, UNKNOWN, eventually, granted_by, success

if TYPE_CHECKING:
    from collections.abc import Callable

    from .bench import Bench

FAILED = Outcome.failure(GenerationFailed("no", "GENERATION_FAILED", "task-a"))
LATE = Outcome.failure(DeadlineExceeded("too late; nothing is billed"))
RESULT = "celery-task-meta-a"


def fail(bench: Bench, job_id: str, outcome: Outcome = FAILED) -> None:
    """Bring a job to its failure, delivered."""
    submit = bench.start(job_id)
    assert bench.ledger.jobs.settle(job_id, submit.nonce, outcome) is not None
    bench.run(job_id)
    bench.redis.set(f"celery-task-meta-{job_id}", "the failure")


def retry(bench: Bench, job_id: str = "a", deadline_ms: int | None = None) -> Retried:
    answer = bench.ledger.failed.retry(
        job_id, priority=0, deadline_ms=deadline_ms, result_key=f"celery-task-meta-{job_id}"
    )
    return answer.verdict


def history(bench: Bench, job_id: str) -> list[str]:
    return [f"{step.stage} {step.cause}" for step in read_history(bench.state().jobs[job_id])]


def admit_until(bench: Bench, job_id: str, deadline_ms: int) -> list[str]:
    [admission] = bench.ledger.jobs.admit([Entry(job_id, 0, {"seen": True}, {"type": "animate"}, deadline_ms)])
    return list(admission.granted)


# -- history --------------------------------------------------------------------------------------------------------


def test_the_history_tells_every_transition_with_its_time_and_cause(bench: Bench) -> None:
    before = bench.now_ms()
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "read\ntimeout")
    bench.ledger.jobs.release("a", submit.nonce, "not sent")
    bench.run("a")
    bench.drain()
    assert history(bench, "a") == [
        "waiting recorded",
        "admitted slot",
        "submitting attempt 1",
        "unknown read timeout",
        "waiting not sent",
        "admitted slot",
        "submitting attempt 2",
        "running task-a",
        "settled succeeded",
        "delivered result stored",
    ]
    times = [step.at_ms for step in read_history(bench.state().jobs["a"])]
    assert times == sorted(times)
    assert before <= times[0] <= times[-1] <= bench.now_ms()


def test_what_changes_nothing_is_not_in_the_history(bench: Bench) -> None:
    submit = bench.start("a")
    before = history(bench, "a")
    bench.accept("a", submit)
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "late")
    bench.ledger.jobs.cancel("a", CANCELLED)
    assert retry(bench) is Retried.NO
    assert history(bench, "a") == before
    bench.drain()


@pytest.mark.leaves("waiting", "due", "slots", "job")
def test_a_waiting_job_costs_no_memory_for_its_history(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.admit("a", "b")
    assert "history" not in bench.state().jobs["b"]
    assert history(bench, "b") == ["waiting recorded"]


def test_the_history_keeps_the_last_fifty_transitions(bench: Bench) -> None:
    bench.admit("a")
    for _ in range(30):
        submit = bench.begin("a")
        bench.ledger.jobs.release("a", submit.nonce, "throttled")
    assert len(history(bench, "a")) == 51
    assert history(bench, "a")[-2:] == ["submitting attempt 30", "waiting throttled"]
    assert len(bench.state().jobs["a"]["history"]) < 2500
    bench.drain()


def test_a_cause_of_any_length_and_alphabet_can_be_read_again(bench: Bench) -> None:
    bench.admit("a")
    submit = bench.begin("a")
    bench.ledger.jobs.mark_unknown("a", submit.nonce, "ö\u2028é" * 200)
    assert history(bench, "a")[-1].startswith("unknown öé"[:8])
    bench.drain()


# -- failed jobs ----------------------------------------------------------------------------------------------------


def test_a_failed_job_is_listed_and_kept_with_its_message_a_succeeded_one_is_not(bench: Bench) -> None:
    fail(bench, "a")
    bench.start("b")
    bench.drain()
    state = bench.state()
    assert state.failed == ["a"]
    assert "message" in state.jobs["a"]
    assert "message" not in state.jobs["b"]
    limits = bench.limits
    assert limits.result_ttl_ms < bench.redis.pttl(bench.keys.job("a")) <= limits.failed_ttl_ms
    assert bench.redis.pttl(bench.keys.job("b")) <= limits.result_ttl_ms
    assert 0 < bench.redis.pttl(bench.keys.failed) <= limits.failed_ttl_ms


def test_a_cancelled_job_has_not_failed(bench: Bench) -> None:
    bench.admit("a")
    assert bench.ledger.jobs.cancel("a", CANCELLED).outcome is CancelOutcome.CANCELLED
    bench.drain()
    assert bench.state().failed == []
    assert retry(bench) is Retried.NO


def test_housekeeping_takes_failed_jobs_off_the_list_when_their_records_expire(bench: Bench) -> None:
    fail(bench, "a")
    assert bench.ledger.polls.trim() == 0
    bench.redis.zadd(bench.keys.failed, {"old": bench.now_ms() - bench.limits.failed_ttl_ms - 1})
    assert bench.ledger.polls.trim() == 1
    assert bench.state().failed == ["a"]


def test_a_retried_job_runs_again_as_a_new_arrival_and_its_new_outcome_is_delivered(
    make_bench: Callable[..., Bench],
) -> None:
    bench = make_bench(max_in_flight=1)
    fail(bench, "a")
    bench.admit("b", "c")
    assert retry(bench) is Retried.RETRIED
    state = bench.state()
    assert state.waiting == ["c", "a"]
    assert state.failed == []
    assert bench.redis.get(RESULT) is None, "whoever waits, waits for the new outcome"
    assert bench.redis.pttl(bench.keys.job("a")) == -1
    assert not state.jobs["a"].keys() & {"outcome", "settled_at_ms", "delivered_at_ms", "submitted_at_ms", "task_id"}
    bench.drain()
    assert bench.delivered["a"] == [FAILED, success("task-a")]
    assert bench.state().jobs["a"]["attempts"] == "2"


def test_a_retry_repeated_changes_nothing(bench: Bench) -> None:
    fail(bench, "a")
    assert retry(bench) is Retried.RETRIED
    bench.redis.set(RESULT, "written since then")
    before = bench.state()
    assert retry(bench) is Retried.NO
    assert bench.state() == before
    assert bench.redis.getdel(RESULT) == "written since then"
    bench.drain()


def test_a_failure_that_is_being_delivered_is_not_retried_under_its_delivery(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, FAILED)
    before = bench.state()
    assert retry(bench) is Retried.UNDELIVERED
    assert bench.state() == before
    bench.drain()


def test_a_late_answer_to_the_first_attempt_does_not_touch_the_retried_job(bench: Bench) -> None:
    submit = bench.start("a")
    bench.ledger.jobs.settle("a", submit.nonce, FAILED)
    bench.run("a")
    retry(bench)
    again = bench.begin("a")
    before = bench.state()
    assert not bench.accept("a", submit, "task-old")
    assert bench.ledger.jobs.settle("a", submit.nonce, success("task-old")) is None
    assert bench.state() == before
    assert bench.accept("a", again)
    bench.drain()


def test_a_failed_job_whose_result_has_expired_may_be_enqueued_anew_under_its_key(bench: Bench) -> None:
    fail(bench, "a")
    assert bench.admit("a") == [], "known: its failure can still be read"
    bench.redis.hset(bench.keys.job("a"), "delivered_at_ms", bench.now_ms() - bench.limits.result_ttl_ms)
    assert bench.admit("a") == ["a"]
    assert bench.state().failed == []
    bench.drain()
    assert bench.delivered["a"] == [FAILED, success("task-a")]


# -- a task that was found by hand ----------------------------------------------------------------------------------


def test_the_outcome_of_a_task_found_by_hand_is_delivered_in_place_of_the_failure(bench: Bench) -> None:
    fail(bench, "a", UNKNOWN)
    settled = bench.state().jobs["a"]["settled_at_ms"]
    bench.next_ms()
    assert bench.ledger.failed.replace_outcome("a", settled, success("task-x"), task_id="task-x", result_key=RESULT)
    assert bench.redis.get(RESULT) is None
    before = bench.state()
    assert not bench.ledger.failed.replace_outcome("a", settled, FAILED, task_id="task-y", result_key=RESULT)
    assert bench.state() == before
    assert bench.ledger.jobs.begin("a") == Deliver(success("task-x"))
    bench.drain()
    assert bench.state().failed == []
    assert history(bench, "a")[-2] == "settled succeeded (found by hand as task-x)"


def test_the_result_of_a_job_that_has_ended_anew_meanwhile_is_kept(bench: Bench) -> None:
    fail(bench, "a")
    failure = bench.redis.get(RESULT)
    assert isinstance(failure, str)
    # The operator's command stood still between its two steps, and the job has run meanwhile.
    bench.redis.set(RESULT, "the new outcome")
    bench.ledger.failed._forget_result(RESULT, failure)
    assert bench.redis.get(RESULT) == "the new outcome"
    bench.redis.delete(RESULT)
    bench.drain()


def test_a_job_that_is_not_taken_back_keeps_its_result(bench: Bench) -> None:
    fail(bench, "a")
    assert not bench.ledger.failed.replace_outcome("a", "1", FAILED, task_id="task-x", result_key=RESULT)
    assert bench.ledger.failed.attach_task("a", "1", task_id="task-x", result_key=RESULT) is Attachment.LOST
    assert bench.redis.get(RESULT) == "the failure"
    assert retry(bench) is Retried.RETRIED
    assert bench.redis.get(RESULT) is None
    bench.drain()


def test_another_failure_found_by_hand_stays_on_the_list(bench: Bench) -> None:
    fail(bench, "a", UNKNOWN)
    settled = bench.state().jobs["a"]["settled_at_ms"]
    assert bench.ledger.failed.replace_outcome("a", settled, FAILED, task_id="task-x", result_key=RESULT)
    bench.drain()
    assert bench.state().failed == ["a"]
    assert bench.delivered["a"] == [UNKNOWN, FAILED]


def test_a_task_that_still_runs_is_adopted_into_a_free_slot_and_polled(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    fail(bench, "a", UNKNOWN)
    settled = bench.state().jobs["a"]["settled_at_ms"]
    submit = bench.start("b")
    before = bench.state()
    assert bench.ledger.failed.attach_task("a", settled, task_id="task-x", result_key=RESULT) is Attachment.FULL
    assert bench.state() == before
    bench.ledger.jobs.settle("b", submit.nonce, success("task-b"))
    assert bench.ledger.failed.attach_task("a", settled, task_id="task-x", result_key=RESULT) is Attachment.ATTACHED
    assert bench.ledger.failed.attach_task("a", settled, task_id="task-x", result_key=RESULT) is Attachment.LOST
    assert bench.redis.get(RESULT) is None
    assert bench.job("a").stage is Stage.RUNNING
    assert "a" in bench.ledger.polls.claim(10).job_ids
    bench.drain()
    assert bench.delivered["a"] == [UNKNOWN, success("task-x")]


# -- the operator's hold --------------------------------------------------------------------------------------------


@pytest.mark.leaves("account")
def test_while_held_nothing_new_is_submitted_and_what_runs_goes_on(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=2)
    submit = bench.start("a")
    bench.admit("b", "c")
    assert bench.ledger.gate.pause("maintenance")
    assert not bench.ledger.gate.pause("a better reason")
    assert bench.ledger.gate.read().paused == "a better reason"
    assert bench.ledger.jobs.begin("b") == Blocked()
    assert bench.ledger.polls.grant() == []
    assert bench.ledger.polls.permit(1) == 1, "polls go on"
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("task-a"))) == []
    assert bench.ledger.jobs.begin("a") == Deliver(success("task-a"))
    assert bench.state().waiting == ["b", "c"]
    assert bench.ledger.gate.resume()
    assert not bench.ledger.gate.resume()
    assert bench.ledger.polls.grant() == ["b", "c"]
    bench.drain()


@pytest.mark.leaves("account")
def test_neither_the_probe_nor_a_success_ends_the_operators_hold(bench: Bench) -> None:
    bench.ledger.gate.pause("maintenance")
    bench.ledger.gate.suspend("401: bad key")
    assert bench.ledger.gate.unsuspend(), "the probe ends the pause for a refused key"
    bench.admit("a")
    assert bench.state().slots == set()
    assert bench.ledger.gate.read().paused == "maintenance"
    bench.ledger.gate.resume()
    bench.drain()


@pytest.mark.leaves("account")
def test_the_end_of_the_hold_does_not_end_the_pause_for_a_refused_key(bench: Bench) -> None:
    bench.ledger.gate.pause("maintenance")
    bench.ledger.gate.suspend("401: bad key")
    bench.ledger.gate.resume()
    bench.admit("a")
    assert bench.ledger.gate.read().suspended == "401: bad key"
    assert bench.state().slots == set()
    bench.drain()


# -- deadlines ------------------------------------------------------------------------------------------------------


def test_a_waiting_job_is_under_the_clock_only_for_its_deadline(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    bench.start("a")
    admit_until(bench, "b", 60_000)
    bench.admit("c")
    state = bench.state()
    assert state.due.keys() == {"a", "b"}
    assert state.due["b"] == int(state.jobs["b"]["deadline_at_ms"])
    bench.drain()


def test_a_waiting_job_ends_for_free_when_its_deadline_passes(make_bench: Callable[..., Bench]) -> None:
    bench = make_bench(max_in_flight=1)
    submit = bench.start("a")
    admit_until(bench, "b", 60_000)
    assert bench.ledger.jobs.expire("b", LATE) is None, "it has time left"
    assert bench.ledger.jobs.expire("a", LATE) is None, "it has no deadline, and was sent"
    bench.redis.hset(bench.keys.job("b"), "deadline_at_ms", bench.now_ms())
    expired = bench.ledger.jobs.expire("b", LATE)
    assert expired is not None
    assert bench.ledger.jobs.expire("b", LATE) is None
    assert bench.state().waiting == []
    assert granted_by(bench.ledger.jobs.settle("a", submit.nonce, success("task-a"))) == []
    bench.drain()
    assert bench.delivered["b"] == [LATE]
    assert bench.state().jobs["b"]["attempts"] == "0"
    assert bench.state().failed == ["b"]


def test_a_run_does_not_submit_a_job_whose_deadline_has_passed_and_hands_it_to_the_clock(bench: Bench) -> None:
    assert admit_until(bench, "a", 1) == ["a"]
    bench.next_ms()
    assert bench.ledger.jobs.begin("a") == NoOp(Stage.WAITING)
    eventually(lambda: "a" in bench.ledger.polls.claim(10).job_ids)
    expired = bench.ledger.jobs.expire("a", LATE)
    assert expired is not None
    assert bench.state().slots == set()
    bench.drain()


@pytest.mark.leaves("account")
def test_a_requeued_job_is_due_at_its_deadline_again(bench: Bench) -> None:
    admit_until(bench, "a", 60_000)
    deadline = int(bench.state().jobs["a"]["deadline_at_ms"])
    bench.ledger.gate.pause("maintenance")
    assert bench.ledger.jobs.begin("a") == Blocked()
    assert bench.state().due == {"a": deadline}
    bench.ledger.gate.resume()
    bench.ledger.polls.grant()
    assert bench.state().due["a"] > deadline
    submit = bench.begin("a")
    bench.ledger.gate.pause("maintenance")
    bench.ledger.jobs.release("a", submit.nonce)
    assert bench.state().due == {"a": deadline}
    bench.ledger.gate.resume()
    bench.drain()


def test_a_retried_job_has_its_deadline_from_the_retry_on(bench: Bench) -> None:
    admit_until(bench, "a", 1)
    bench.next_ms()
    bench.ledger.jobs.expire("a", LATE)
    bench.run("a")
    assert retry(bench, deadline_ms=60_000) is Retried.RETRIED
    assert isinstance(bench.ledger.jobs.begin("a"), Submit)
    bench.drain()


# -- signs of life and dead letters ---------------------------------------------------------------------------------


def test_a_tick_tells_when_the_last_poll_began(bench: Bench) -> None:
    tick = bench.ledger.polls.tick(ACCOUNT_LIMITS)
    assert tick.set_back_ms == 0
    assert bench.redis.get(Keys(ACCOUNT).tick) == str(tick.now_ms)
    assert bench.redis.ttl(Keys(ACCOUNT).tick) > 3600


def test_dead_letters_are_numbered_and_the_newest_thousand_are_kept(bench: Bench) -> None:
    for number in range(DEAD_LETTERS + 5):
        assert bench.ledger.dead_letters.add({"reason": "unreadable", "of": number}) == number + 1
    kept = bench.ledger.dead_letters.read()
    assert len(kept) == DEAD_LETTERS
    number, _, content = kept[0].partition(" ")
    assert (number, json.loads(content)["of"]) == (str(DEAD_LETTERS + 5), DEAD_LETTERS + 4)
    assert bench.ledger.dead_letters.remove(kept[3])
    assert not bench.ledger.dead_letters.remove(kept[3])
    assert bench.ledger.dead_letters.clear() == DEAD_LETTERS - 1
    assert bench.ledger.dead_letters.read() == []
