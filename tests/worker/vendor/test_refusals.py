"""Refusals of a submission: whom they concern, as docs/refusals.md has it."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from wanimate.failure_codes import CODES, FailureKind
from wanimate_worker.vendor import (
    NotSent,
    Obstacle,
    Refused,
    Rejected,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)

from .test_classify import NOW, envelope, status_of, submit

OF_THE_JOB = [each.code for each in CODES if each.kind in {FailureKind.CONTENT, FailureKind.PROMPT, FailureKind.INPUT}]
OF_THE_VENDOR = [each.code for each in CODES if each.kind in {FailureKind.TRANSIENT, FailureKind.GENERIC}]
PAGE = b"<html><h1>403 Forbidden</h1>Sorry, you have been blocked</html>"


def failed(code: object, fail_code: str, **more: object) -> bytes:
    return envelope(code, "no", {"failCode": fail_code, **more})


@pytest.mark.parametrize("code", OF_THE_JOB)
@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429, 500, 502, 503, 504, 520])
def test_a_code_of_the_job_is_a_verdict_whatever_the_status(status: int, code: str) -> None:
    assert submit(status, failed(status, code)) == Rejected(code, "no")
    assert submit(200, failed(status, code.lower())) == Rejected(code.lower(), "no")


@pytest.mark.parametrize("status", [400, 403, 429, 500, 503])
def test_want_of_credit_is_the_accounts_whatever_the_status(status: int) -> None:
    for code in ("INSUFFICIENT_CREDITS", "insufficientCredits"):
        assert submit(status, failed(status, code)) == Unauthorised(402, "no")
        assert submit(200, failed(status, code)) == Unauthorised(402, "no")
        assert status_of(status, failed(status, code)) == Unauthorised(402, "no")


@pytest.mark.parametrize("code", OF_THE_VENDOR)
def test_a_code_of_the_vendor_at_once_is_no_verdict(code: str) -> None:
    for status in (400, 403, 404, 422):
        assert submit(status, failed(status, code)) == Refused(code, "no")
    for status in (500, 502, 504):
        assert isinstance(submit(status, failed(status, code)), Unknown)
    assert isinstance(submit(503, failed(503, code)), NotSent)


@pytest.mark.parametrize("code", ["SOMETHING_NEW", "17"])
def test_an_unknown_code_counts_as_none(code: str) -> None:
    assert submit(400, failed(400, code)) == Rejected(code, "no")
    assert submit(403, failed(403, code)) == Refused(code, "no")
    assert isinstance(submit(500, failed(500, code)), Unknown)


@pytest.mark.parametrize("code", ["CONTENT_VIOLATION", "INSUFFICIENT_CREDITS"])
def test_an_error_that_shows_a_task_may_hide_an_accepted_one(code: str) -> None:
    for status in (500, 503):
        assert isinstance(submit(status, failed(status, code, taskId="task_1")), Unknown)
        assert isinstance(submit(200, failed(status, code, taskId="task_1")), Unknown)


@pytest.mark.parametrize("status", [403, 404, 405, 406, 408, 410, 418, 426])
def test_a_4xx_that_is_not_about_the_request_is_no_verdict(status: int) -> None:
    assert submit(status, envelope(status, "Forbidden")) == Refused(str(status), "Forbidden")
    assert submit(200, envelope(status, "Forbidden")) == Refused(str(status), "Forbidden")
    assert isinstance(submit(status, envelope(status, "Forbidden", {"taskId": "task_1"})), Unknown)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 406, 407, 413, 451])
@pytest.mark.parametrize("body", [PAGE, b"", None, b'{"error": "Forbidden"}', b'{"code": 403, "message": "Forbidden"}'])
def test_a_page_without_the_envelope_is_no_verdict(status: int, body: bytes | None) -> None:
    answer = submit(status, body)
    assert isinstance(answer, Refused)
    assert answer.code == str(status)
    assert isinstance(status_of(status, body), Unreadable), "asked again, and no account is paused for it"


def test_a_page_that_contradicts_its_status_may_hide_an_accepted_task() -> None:
    for body in (b'{"code": 200, "data": {}}', b'{"code": 403, "taskId": "task_1"}'):
        assert isinstance(submit(403, body), Unknown)


@pytest.mark.parametrize(
    "message",
    ["Content violates policy", "NSFW input", "blocked by the safety system", "moderation", "Prohibited material"],
)
def test_words_about_the_content_decide_a_403_without_a_code(message: str) -> None:
    assert submit(403, envelope(403, message)) == Rejected("403", message, is_content=True)


@pytest.mark.parametrize(
    "message",
    [
        *("Forbidden", "Denied", ""),
        *("API key lacks permission", "content: no permission", "policy: balance", "Access denied by policy"),
        *("Your account may not use this content", "The model is not part of your content plan"),
    ],
)
def test_other_words_of_a_403_decide_nothing(message: str) -> None:
    assert isinstance(submit(403, envelope(403, message)), Refused)


def test_words_of_a_page_decide_nothing() -> None:
    assert isinstance(submit(403, b"<html>content policy</html>"), Refused)
    assert isinstance(submit(403, b'{"code": 403, "message": "content policy"}'), Refused)


@pytest.mark.parametrize("status", [200, 503])
def test_a_503_in_the_envelope_was_not_accepted(status: int) -> None:
    answer = submit(status, envelope(503, "Service temporarily unavailable"), **{"retry-after": "7"})
    assert isinstance(answer, NotSent)
    assert (answer.obstacle, answer.retry_after_seconds) == (Obstacle.VENDOR, 7.0)
    assert answer.reason == "the vendor is unavailable: Service temporarily unavailable"
    assert isinstance(status_of(status, envelope(503, "no")), Unreadable)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (503, None),
        (503, b""),
        (503, b"<html>503</html>"),
        (503, b'{"code": 503, "message": "no"}'),
        (503, envelope(200, "success")),
        (503, envelope(500, "no")),
        (503, envelope(503, "no", {"taskId": "task_1"})),
        (503, envelope(503, "no", {"task": {"task_id": "task_1"}})),
        (500, envelope(503, "no")),
        (502, envelope(502, "no")),
        (200, envelope(503, "no", {"taskId": "task_1"})),
        (200, envelope(500, "no")),
    ],
)
def test_any_other_5xx_may_hide_an_accepted_task(status: int, body: bytes | None) -> None:
    assert isinstance(submit(status, body), Unknown)


def test_429_is_a_limit_with_or_without_the_envelope() -> None:
    wait = format_datetime(datetime(2026, 1, 2, 3, 4, 15, tzinfo=UTC), usegmt=True)
    assert NOW.tzinfo is UTC
    for body in (PAGE, envelope(429, "slow down")):
        answer = submit(429, body, **{"retry-after": wait})
        assert isinstance(answer, Throttled)
        assert answer.retry_after_seconds == 10.0
