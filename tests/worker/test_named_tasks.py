"""A task id in an odd answer is no proof of acceptance, and is not thrown away: the vendor is asked about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from wanimate.contract import Keys, Outcome, Stage
from wanimate_worker.vendor import Pending, TaskNotFound, Unknown, Unreadable

from .conftest import command

if TYPE_CHECKING:
    from .conftest import Run

REASON = "HTTP 200: a success without a readable taskId; the answer shows the id task-a"
KEYS = Keys("default")


def lose(run: Run, hint: str = "task-a") -> None:
    run.answer = lambda: Unknown(REASON, hint)
    run()
    assert run.stage() is Stage.UNKNOWN


def test_an_id_in_an_odd_answer_is_asked_about_and_the_job_goes_on_with_it(run: Run) -> None:
    lose(run)
    assert run.redis.zscore(KEYS.due, "a") <= run.ledger.records.now_ms(), "it is asked about at once"
    run.poll()
    assert run.asked == ["task-a"]
    [job] = run.ledger.records.read(["a"])
    assert (job.stage, job.task_id, job.hint) == (Stage.RUNNING, "task-a", None)
    assert len(run.sent) == 1


def test_an_id_that_the_vendor_does_not_know_is_dropped_after_a_moment(run: Run) -> None:
    lose(run)
    run.state = TaskNotFound("no such task")
    run.poll()
    assert run.ledger.records.read(["a"])[0].hint == "task-a", (
        "a task that was just accepted may not be known everywhere"
    )
    run.redis.hincrby(KEYS.job("a"), "begun_at_ms", -60_000)
    run.poll()
    [job] = run.ledger.records.read(["a"])
    assert (job.stage, job.hint) == (Stage.UNKNOWN, None)


def test_the_id_of_an_answer_that_came_after_the_attempt_was_found_lost_is_kept_too(run: Run) -> None:
    def late() -> Unknown:
        run.ledger.jobs.mark_unknown(
            "a", run.ledger.records.read(["a"])[0].nonce, "the worker died while submitting", is_ours=True
        )
        return Unknown(REASON, "task-a")

    run.answer = late
    run()
    run.poll()
    assert run.asked == ["task-a"]
    assert run.stage() is Stage.RUNNING
    assert run.ledger.gate.read().lost_in_a_row == 0


def test_an_operator_sees_the_id_and_resolves_the_job_with_it(run: Run) -> None:
    lose(run)
    assert command(run, "show", "a")[1]["hint"] == "task-a"
    code, told = command(run, "resolve", "a")
    assert (code, told["outcome"], told["task_id"]) == (0, "resolved", "task-a")
    assert run.stage() is Stage.RUNNING


@pytest.mark.parametrize("task_id", ["", " ", "\udcff"])
def test_what_cannot_be_a_task_id_is_refused_before_anything_is_changed(run: Run, task_id: str) -> None:
    lose(run)
    assert command(run, "resolve", "a", "--task-id", task_id)[0] == 2
    assert run.stage() is Stage.UNKNOWN


def test_without_any_id_an_operator_is_told_to_name_one(run: Run) -> None:
    lose(run, hint="")
    code, told = command(run, "resolve", "a")
    assert (code, told["outcome"]) == (1, "unchanged")
    assert "--task-id" in told["message"]


@pytest.mark.parametrize("answer", [Pending("not_found"), Unreadable("HTTP 502")])
def test_an_id_that_nothing_is_known_about_is_told_when_the_job_is_given_up(
    run: Run, answer: Pending | Unreadable
) -> None:
    lose(run)
    run.state = answer
    run.redis.hset(KEYS.job("a"), mapping={"unknown_until_ms": 1, "begun_at_ms": 1})
    run.poll()
    [record] = run.ledger.records.whole(["a"])
    outcome = Outcome.model_validate_json(record.fields["outcome"])
    assert (outcome.error, outcome.task_id) == ("SubmissionUnknown", "task-a")
