"""One run of a task: what it sends and when, what it writes down whatever comes of it, and when it has delivered."""

from __future__ import annotations

import json
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest
from celery.canvas import Signature
from celery.exceptions import BackendStoreError
from redis.exceptions import ConnectionError as RedisConnectionError
from wanimate import DeadlineExceeded, JobCancelled
from wanimate.contract import Keys, Outcome, Result, Stage
from wanimate_worker.ledger import Entry, NoOp, SuspendedFor, read_history
from wanimate_worker.vendor import (
    Failed,
    NotSent,
    Obstacle,
    Pending,
    Refused,
    StatusAnswer,
    SubmitAnswer,
    Succeeded,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)

from .conftest import JOB, Run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wanimate_worker.ledger import JobFields

#: The message of a job with a callback.
LINKED = {
    "link": [{"task": "theirs", "args": [], "kwargs": {}, "options": {}, "subtask_type": None, "immutable": False}]
}

# Celery's backend writes so.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")


def test_the_intent_is_on_record_when_the_request_is_sent(run: Run) -> None:
    run()
    assert run.sent == [Stage.SUBMITTING]
    assert run.stage() is Stage.RUNNING


def raises(error: Exception) -> SubmitAnswer:
    raise error


@pytest.mark.parametrize(
    "answer",
    [lambda: Unknown("ReadTimeout"), lambda: raises(RuntimeError("a mistake of ours"))],
    ids=["no answer", "an error of ours"],
)
def test_a_request_that_may_have_arrived_is_never_sent_again(run: Run, answer: Callable[[], SubmitAnswer]) -> None:
    run.answer = answer
    run()
    run()
    assert run.sent == [Stage.SUBMITTING]
    assert (run.stage(), run.has_slot()) == (Stage.UNKNOWN, True)


def ask(run: Run, which: str, answer: Throttled | Unauthorised | NotSent) -> None:
    """Let one request be answered so: the submission of the job, or a poll of its task."""
    if which == "poll":
        run()
        run.state = answer
        run.poll()
        return

    def answered() -> SubmitAnswer:
        # The back-off is random, and may be over before anybody looks.
        run.ledger.gate.pause("so that it gets no other slot")
        return answer

    run.answer = answered
    run()


def test_a_request_that_was_surely_not_sent_gives_its_slot_back(run: Run) -> None:
    ask(run, "submission", NotSent("nobody listens"))
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    [record] = run.ledger.records.whole(["a"])
    assert read_history(record.fields)[-1].cause == "not sent: nobody listens"


def test_a_job_that_is_refused_without_a_reason_holds_up_no_other(run: Run) -> None:
    run.redis.hset(Keys("default").account, "max_in_flight", 1)
    run.answer = lambda: Refused("403", "Forbidden")
    run()
    run.ledger.jobs.admit([Entry("b", 5, {}, JOB)])
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    assert run.redis.zrange(Keys("default").slots, 0, -1) == ["b"], "the gate stays open for the others"
    [record] = run.ledger.records.whole(["a"])
    assert read_history(record.fields)[-1].cause == "refused: 403 Forbidden"
    assert record.parked_until_ms


def test_a_vendor_that_is_unavailable_gets_a_job_back_at_its_place_twice(run: Run) -> None:
    run.redis.hset(Keys("default").account, "max_in_flight", 1)

    def unavailable() -> SubmitAnswer:
        run.ledger.gate.pause("so that it gets no other slot")
        return NotSent("the vendor is unavailable: try again later", Obstacle.VENDOR)

    run.answer = unavailable
    run()
    run.ledger.jobs.admit([Entry("b", 5, {}, JOB)])
    for order in (["a", "b"], ["a", "b"], ["b", "a"]):
        assert run.redis.zrange(Keys("default").waiting, 0, -1) == order
        if order[0] == "b":
            break
        run.ledger.gate.resume()
        run.redis.hdel(Keys("default").account, "closed_until_ms")
        assert run.ledger.polls.grant() == ["a"]
        run()


def test_a_task_that_failed_for_want_of_credit_waits_for_it(run: Run) -> None:
    run()
    run.state = Failed("INSUFFICIENT_CREDITS", "no credit")
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    gate = run.ledger.gate.read()
    assert (gate.suspended, gate.suspended_for) == ("no credit", SuspendedFor.CREDIT)
    assert run.redis.zrange(Keys("default").waiting, 0, -1) == ["a"]


@pytest.mark.parametrize("error", [None, RedisConnectionError("gone")], ids=["not confirmed", "Redis away"])
def test_nothing_is_sent_unless_the_intent_is_safe(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception | None
) -> None:
    def confirm(*_: object) -> str:
        if error is not None:
            raise error
        return "no replica has it"

    monkeypatch.setattr(run.ledger.durable, "confirm", confirm)
    run()
    assert run.sent == []
    assert (run.stage(), run.has_slot()) == (Stage.WAITING, False)
    assert run.ledger.gate.read().unsafe


def test_the_vendor_is_asked_only_while_the_budget_of_requests_lasts(run: Run) -> None:
    run()
    hour_ahead_us = (int(time.time()) + 3600) * 1_000_000
    run.redis.hset(Keys("default").account, "tat_us", hour_ahead_us)
    run.poll()
    assert run.asked == []

    run.redis.hdel(Keys("default").account, "tat_us")
    run.poll()
    assert run.asked == ["task-a"]


# -- what an answer means for everybody -----------------------------------------------------------------------------


@pytest.mark.parametrize("which", ["submission", "poll"])
def test_a_vendor_that_throttles_any_request_is_left_alone_for_as_long_as_it_asks(run: Run, which: str) -> None:
    before_ms = int(time.time() * 1000)
    ask(run, which, Throttled(60.0, "slow down", None))
    assert run.ledger.gate.read().closed_until_ms >= before_ms + 60_000


@pytest.mark.parametrize("which", ["submission", "poll"])
def test_a_vendor_that_no_request_reaches_is_left_alone_for_a_while(run: Run, which: str) -> None:
    ask(run, which, NotSent("nobody listens"))
    assert run.ledger.gate.read().failures == 1


@pytest.mark.parametrize(
    ("concurrency", "is_lowered"),
    [(True, True), (None, True), (False, False)],
    ids=["tasks", "it does not say", "requests"],
)
def test_a_submission_refused_for_too_many_tasks_lowers_the_cap(
    run: Run, *, concurrency: bool | None, is_lowered: bool
) -> None:
    ask(run, "submission", Throttled(60.0, "too many", concurrency))
    assert run.redis.hexists(Keys("default").account, "cap_low") is is_lowered


@pytest.mark.parametrize(("which", "stage"), [("submission", Stage.WAITING), ("poll", Stage.RUNNING)])
def test_a_key_that_is_refused_pauses_the_account_and_ends_no_job(run: Run, which: str, stage: Stage) -> None:
    ask(run, which, Unauthorised(401, "no such key"))
    assert run.ledger.gate.read().suspended == "no such key"
    assert run.stage() is stage


# -- polling --------------------------------------------------------------------------------------------------------


def test_a_task_keeps_its_slot_until_its_end_is_on_record(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    run()
    run.state = Failed("GENERATION_FAILED", "it failed")
    held: list[bool] = []

    def die(*_: object, **__: object) -> None:
        held.append(run.has_slot())
        raise RedisConnectionError("gone")

    with monkeypatch.context() as patch:
        patch.setattr(run.ledger.jobs, "settle", die)
        run.poll()
    assert held == [True]
    assert (run.stage(), run.has_slot()) == (Stage.RUNNING, True)

    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.DELIVERED, False)


def pass_deadline(run: Run) -> None:
    run.redis.hset(Keys("default").job("a"), "deadline_at_ms", 1)


def test_a_job_whose_time_is_up_has_its_result_if_the_last_look_finds_one(run: Run) -> None:
    run()
    pass_deadline(run)
    run.state = Succeeded(Result(urls=("https://example.com/v.mp4",), task_id="task-a"))
    run.poll()
    assert (run.result() or {})["task_id"] == "task-a"
    assert run.stage() is Stage.DELIVERED


def test_one_word_that_the_document_does_not_name_ends_no_job(run: Run) -> None:
    run()
    pass_deadline(run)
    run.state = Pending("resting")
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.RUNNING, True)
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.DELIVERED, False)
    assert isinstance(run.result(), DeadlineExceeded)


def test_a_job_whose_time_is_up_is_not_ended_by_a_poll_that_lost_its_claim(run: Run) -> None:
    run()
    pass_deadline(run)
    # A callback tells of the task's end while the poll waits for an answer that was true before.
    run.meanwhile = lambda: run.ledger.durable.callback("a", run.ledger.records.read(["a"])[0].nonce)
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.RUNNING, True)


def test_an_outcome_that_a_poll_delivers_is_delivered_by_no_other_run(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    run.redis.hset(Keys("default").job("a"), "message", json.dumps(LINKED))
    run.state = Failed("GENERATION_FAILED", "it failed")
    steps: list[object] = []
    monkeypatch.setattr(run.engine.deliverer, "deliver", lambda *_: steps.append(run.ledger.jobs.begin("a")))
    run.poll()
    assert steps == [NoOp(Stage.SETTLED)]


# -- a submission whose answer was lost ------------------------------------------------------------------------------


def test_a_job_whose_worker_died_while_it_was_sent_is_not_sent_again(run: Run) -> None:
    def die() -> SubmitAnswer:
        raise SystemExit

    run.answer = die
    with pytest.raises(SystemExit):
        run()
    assert run.stage() is Stage.SUBMITTING
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.UNKNOWN, True)
    run()
    assert len(run.sent) == 1


@pytest.mark.parametrize("state", [Unreadable("no JSON"), Pending("resting")], ids=["unreadable", "an unknown word"])
def test_a_task_that_a_callback_named_is_asked_about_past_the_bound_until_a_run_may_take_no_longer(
    run: Run, state: StatusAnswer
) -> None:
    run.answer = lambda: Unknown("read timeout")
    run()
    assert run.stage() is Stage.UNKNOWN
    run.ledger.durable.callback("a", run.ledger.records.read(["a"])[0].nonce, "task-a")
    record = Keys("default").job("a")
    run.redis.hset(record, "unknown_until_ms", 1)
    run.state = state
    run.poll()
    assert (run.asked, run.stage(), run.has_slot()) == (["task-a"], Stage.UNKNOWN, True)

    run.redis.hset(record, "begun_at_ms", 1)
    run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.SETTLED, False)
    assert "task-a" in run.redis.hget(record, "outcome")  # type: ignore[operator]


@pytest.mark.parametrize("on_unknown", ["fail", "resubmit"])
def test_a_poll_that_looked_before_the_callback_came_gives_no_lost_submission_up(
    run: Run, monkeypatch: pytest.MonkeyPatch, on_unknown: str
) -> None:
    run.answer = lambda: Unknown("read timeout")
    run(on_unknown=on_unknown)
    run.redis.hset(Keys("default").job("a"), "unknown_until_ms", 1)
    read = run.ledger.records.read

    def read_and_be_called(job_ids: Sequence[str]) -> list[JobFields]:
        jobs = read(job_ids)
        run.ledger.durable.callback("a", jobs[0].nonce, "task-a")
        return jobs

    with monkeypatch.context() as patch:
        patch.setattr(run.ledger.records, "read", read_and_be_called)
        run.poll()
    assert (run.stage(), run.has_slot()) == (Stage.UNKNOWN, True)


# -- delivering -----------------------------------------------------------------------------------------------------


def deliver(run: Run, **message: Any) -> Stage | None:
    """Deliver the success of a job with this message."""
    run()
    outcome = Outcome.success(Result(urls=("https://example.com/v.mp4",), task_id="task-a"))
    run.ledger.jobs.settle("a", run.ledger.records.read(["a"])[0].nonce, outcome)
    run.redis.hset(Keys("default").job("a"), "message", json.dumps(message))
    run.advance()
    return run.stage()


@pytest.mark.parametrize("message", [{}, LINKED], ids=["plain", "with a callback"])
def test_a_job_is_delivered_when_its_result_is_stored_and_its_callbacks_are_sent(
    run: Run, monkeypatch: pytest.MonkeyPatch, message: dict[str, Any]
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(Signature, "apply_async", lambda *args, **_: sent.append(args))
    assert deliver(run, **message) is Stage.DELIVERED
    assert (run.result() or {})["task_id"] == "task-a"
    assert len(sent) == bool(message)


def test_a_job_whose_callbacks_could_not_be_sent_is_delivered_again(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("no broker")

    monkeypatch.setattr(Signature, "apply_async", refuse)
    # Celery has stored a failure in place of the result then.
    assert deliver(run, **LINKED) is Stage.SETTLED
    monkeypatch.undo()
    monkeypatch.setattr(Signature, "apply_async", lambda *_, **__: None)
    run.redis.hset(Keys("default").job("a"), "delivering_until_ms", 0)
    run.advance()
    assert run.stage() is Stage.DELIVERED


def test_a_backend_that_has_given_up_on_redis_is_an_outage_and_no_defect(
    run: Run, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def give_up(*_: Any, **__: Any) -> None:
        raise BackendStoreError("it could not be stored") from RedisConnectionError("gone")

    monkeypatch.setattr(run.task.backend, "set", give_up)
    assert deliver(run) is Stage.SETTLED
    assert "Redis is unavailable" in caplog.text
    assert "unexpected error" not in caplog.text


@pytest.mark.parametrize("stored", [None, '{"status": "STARTED"}'], ids=["nothing", "only that it has started"])
def test_a_job_whose_result_is_not_in_redis_is_delivered_again(
    run: Run, monkeypatch: pytest.MonkeyPatch, stored: str | None
) -> None:
    def forget(*_: Any, **__: Any) -> None:
        """Store nothing: the server that took the result has been replaced."""
        run.redis.delete("celery-task-meta-a")
        if stored is not None:
            run.redis.set("celery-task-meta-a", stored)

    monkeypatch.setattr(run.task.backend, "set", forget)
    assert deliver(run) is Stage.SETTLED


@pytest.mark.parametrize("stored", [pickle.dumps({"status": "REVOKED"}), b"garbage", b"5", b"\xff"])
def test_a_result_is_stored_over_one_that_cannot_be_read(run: Run, stored: bytes) -> None:
    # Such as another app's worker writes which heard a revoke, and speaks pickle.
    run.redis.set("celery-task-meta-a", stored)
    run.task.app.backend.mark_as_failure("a", JobCancelled("no"))
    with pytest.raises(JobCancelled):
        run.task.AsyncResult("a").get(timeout=1)
