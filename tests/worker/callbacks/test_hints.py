"""A task id that a callback named is believed only for what the vendor itself says about it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from wanimate.contract import Result, Stage
from wanimate_worker.engine.verdicts import CLOCK_TOLERANCE_MS, SETTLING_MS, HintVerdict, check_hint
from wanimate_worker.ledger import JobFields
from wanimate_worker.vendor import (
    Failed,
    NotSent,
    Pending,
    StatusAnswer,
    Succeeded,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unreadable,
)

BEGUN_AT_MS = 1_767_965_610_929
NOW_MS = BEGUN_AT_MS + 1000


def job(begun_at_ms: int | None = BEGUN_AT_MS, hint_by: str | None = None) -> JobFields:
    begun = None if begun_at_ms is None else str(begun_at_ms)
    given = {"stage": "unknown", "nonce": "n", "attempts": "1", "begun_at_ms": begun, "hint": "task_1"}
    given["hint_by"] = hint_by
    return JobFields.of("a", list(given), list(given.values()))


def at(moment_ms: int | None) -> datetime | None:
    return None if moment_ms is None else datetime.fromtimestamp(moment_ms / 1000, tz=UTC)


def succeeded(created_at: datetime | None) -> Succeeded:
    return Succeeded(Result(urls=("https://example.com/v.mp4",), task_id="task_1", created_at=created_at))


def answers(created_at: datetime | None) -> list[StatusAnswer]:
    failed = Failed("GENERATION_FAILED", "", created_at)
    return [Pending("pending", created_at), Pending("processing", created_at), failed, succeeded(created_at)]


@pytest.mark.parametrize("created_ms", [None, BEGUN_AT_MS, BEGUN_AT_MS + 10**7, BEGUN_AT_MS - CLOCK_TOLERANCE_MS])
def test_a_task_that_the_vendor_made_since_the_attempt_began_is_the_jobs(created_ms: int | None) -> None:
    assert {check_hint(job(), answer, NOW_MS) for answer in answers(at(created_ms))} == {HintVerdict.RIGHT}


def test_a_task_that_is_older_than_the_attempt_is_not_the_jobs() -> None:
    older = at(BEGUN_AT_MS - CLOCK_TOLERANCE_MS - 1)
    assert {check_hint(job(), answer, NOW_MS) for answer in answers(older)} == {HintVerdict.WRONG}
    assert check_hint(job(begun_at_ms=None), succeeded(older), NOW_MS) is HintVerdict.RIGHT, (
        "there is nothing to compare with"
    )


def test_a_task_that_the_vendor_does_not_know_is_not_the_jobs() -> None:
    assert check_hint(job(), TaskNotFound("task not found"), NOW_MS) is HintVerdict.WRONG


def test_a_task_of_an_odd_answer_has_a_moment_to_become_known() -> None:
    unknown, named = TaskNotFound("task not found"), job(hint_by="answer")
    assert check_hint(named, unknown, NOW_MS) is HintVerdict.UNDECIDED
    assert check_hint(named, unknown, BEGUN_AT_MS + SETTLING_MS) is HintVerdict.WRONG


@pytest.mark.parametrize(
    "answer",
    [
        Pending("not_found"),
        Unreadable("HTTP 502"),
        NotSent("connect error"),
        Throttled(None, "slow down", concurrency=None),
        Unauthorised(401, "wrong key"),
    ],
)
def test_an_answer_that_does_not_tell_decides_nothing(answer: StatusAnswer) -> None:
    assert check_hint(job(), answer, NOW_MS) is HintVerdict.UNDECIDED


def test_only_running_jobs_and_hinted_unknown_ones_are_asked_about() -> None:
    assert job().stage is Stage.UNKNOWN
    assert job().asks_about == "task_1"
