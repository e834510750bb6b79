"""When a job's time is up."""

from __future__ import annotations

from typing import Any

import pytest
from wanimate.contract import Stage
from wanimate_worker.engine.verdicts import deadline_passed_while_waiting, overdue
from wanimate_worker.ledger import JobFields
from wanimate_worker.vendor import NotSent, Pending, StatusAnswer, TaskNotFound, Throttled, Unauthorised, Unreadable

NOW_MS = 1_795_000_000_000
HOUR = 3600.0


def job(*, deadline_in_ms: int | None = None, submitted_ago_ms: int | None = None) -> JobFields:
    values: dict[str, Any] = {}
    values |= {"stage": Stage.RUNNING.value, "task_id": "task"}
    if deadline_in_ms is not None:
        values["deadline_at_ms"] = str(NOW_MS + deadline_in_ms)
    if submitted_ago_ms is not None:
        values["submitted_at_ms"] = str(NOW_MS - submitted_ago_ms)
    return JobFields.of("id", list(values), list(values.values()))


@pytest.mark.parametrize(("deadline_in_ms", "is_up"), [(None, False), (1, False), (0, True), (-1, True)])
def test_a_waiting_job_ends_at_its_own_deadline_only(deadline_in_ms: int | None, *, is_up: bool) -> None:
    assert (deadline_passed_while_waiting(job(deadline_in_ms=deadline_in_ms), NOW_MS) is not None) is is_up


@pytest.mark.parametrize(
    ("deadline_in_ms", "submitted_ago_ms", "is_up"),
    [(None, 3_599_999, False), (None, 3_600_000, True), (1, 1000, False), (0, 1000, True), (0, None, False)],
)
def test_a_running_job_ends_at_the_earlier_of_its_deadline_and_the_bound_on_every_run(
    deadline_in_ms: int | None, submitted_ago_ms: int | None, *, is_up: bool
) -> None:
    running = job(deadline_in_ms=deadline_in_ms, submitted_ago_ms=submitted_ago_ms)
    failure = overdue(running, Pending("processing"), NOW_MS, HOUR)
    assert (failure is not None) is is_up
    if failure is not None:
        assert failure.task_id == "task"


@pytest.mark.parametrize(
    ("answer", "is_up"),
    [
        (TaskNotFound("no such task"), True),
        (Unreadable("503"), False),
        (NotSent("no route"), False),
        (Unauthorised(401, "bad key"), False),
        (Throttled(None, "slow down", None), False),
    ],
)
def test_an_answer_that_is_not_about_the_task_is_no_last_look(answer: StatusAnswer, *, is_up: bool) -> None:
    assert (overdue(job(deadline_in_ms=-1, submitted_ago_ms=1000), answer, NOW_MS, HOUR) is not None) is is_up
