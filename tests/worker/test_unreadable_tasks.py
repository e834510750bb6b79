"""A task whose answers cannot be read keeps its slot, is shown, and can be ended by an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from wanimate.contract import Keys, Outcome, Result, Stage
from wanimate_worker.health.finding import Finding, Severity
from wanimate_worker.health.work import check_jobs
from wanimate_worker.vendor import Pending, StatusAnswer, Succeeded, TaskNotFound, Throttled, Unreadable

from .conftest import command

if TYPE_CHECKING:
    from .conftest import Run

KEYS = Keys("default")
DONE = Result(urls=("https://example.com/v.mp4",), task_id="task-a")


def poll(run: Run, answer: StatusAnswer) -> None:
    run.state = answer
    run.poll()


def fields(run: Run) -> dict[str, str]:
    [record] = run.ledger.records.whole(["a"])
    return dict(record.fields)


def finding(run: Run, name: str) -> Finding:
    return next(each for each in check_jobs(run.ledger) if each.check == name)


def test_why_and_since_when_answers_cannot_be_read_is_on_record_until_one_can(run: Run) -> None:
    run()
    poll(run, Unreadable("no videos"))
    since = fields(run)["unreadable_since_ms"]
    poll(run, Unreadable("no state"))
    assert (fields(run)["unreadable_why"], fields(run)["unreadable_since_ms"]) == ("no state", since)
    poll(run, Throttled(0.0, "slow down", None))
    assert "unreadable_why" in fields(run), "it says nothing about the task"
    run.redis.hdel(KEYS.account, "closed_until_ms")
    poll(run, Pending("processing"))
    assert not {"unreadable_why", "unreadable_since_ms"} & fields(run).keys()


def test_doctor_warns_of_slots_held_by_tasks_whose_answers_cannot_be_read(run: Run) -> None:
    run()
    assert finding(run, "unreadable tasks").severity is Severity.OK
    poll(run, Unreadable("no videos"))
    found = finding(run, "unreadable tasks")
    assert found.severity is Severity.WARN
    assert "no videos" in found.text
    assert found.text.endswith(": a")
    assert "wanimate-worker end" in found.advice


def test_an_operator_ends_such_a_job_and_the_vendors_task_stays_known(run: Run) -> None:
    run()
    poll(run, Unreadable("no videos"))
    code, told = command(run, "end", "a")
    assert (code, told["outcome"], told["task_id"]) == (0, "ended", "task-a")
    assert not run.has_slot()
    assert run.stage() is Stage.SETTLED
    outcome = Outcome.model_validate_json(fields(run)["outcome"])
    assert (outcome.error, outcome.task_id) == ("TaskUnreadable", "task-a")
    assert "billed" in (outcome.message or "")
    shown = command(run, "show", "a")[1]
    assert shown["task_id"] == "task-a"
    assert {"stage": "running", "cause": "task-a"}.items() <= shown["history"][-2].items()
    assert command(run, "end", "a")[0] == 0, "it may be repeated"


@pytest.mark.parametrize("answer", [Pending("processing"), TaskNotFound("no such task")])
def test_a_job_whose_answers_can_be_read_is_not_ended_by_hand(run: Run, answer: Any) -> None:
    run()
    poll(run, Unreadable("no videos"))
    poll(run, answer)
    code, told = command(run, "end", "a")
    assert (code, told["outcome"]) == (1, "unchanged")
    assert run.stage() is Stage.RUNNING


def test_an_answer_that_can_be_read_at_last_ends_the_job_as_if_nothing_had_been(run: Run) -> None:
    run()
    poll(run, Unreadable("no videos"))
    poll(run, Succeeded(DONE))
    assert run.stage() is Stage.DELIVERED
    code, told = command(run, "end", "a")
    assert (code, told["message"]) == (1, "ended before (succeeded)")
