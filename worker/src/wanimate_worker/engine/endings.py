"""How a refusal, or a task of the vendor that has ended, reads as the outcome of its job."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from wanimate.contract import Outcome
from wanimate.errors import ContentViolation, GenerationFailed, InvalidRequest, JobFailed
from wanimate.failure_codes import FailureKind, failure_of

from ..vendor import Failed, Refused, Rejected, StatusAnswer, Succeeded
from .hints import CLOCK_TOLERANCE_MS

#: The inputs of a job, as the vendor's words name them.
_IMAGE: Final = re.compile(r"(?<![a-z])image", re.IGNORECASE)
_VIDEO: Final = re.compile(r"(?<![a-z])video", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """When a result was learnt, and how long the vendor serves its URLs.

    Args:
        now_ms: When the vendor was asked, in Redis time.
        begun_at_ms: When the submission began, in Redis time; None if that is not known.
        ttl_seconds: For how long after the completion the URLs are served, in seconds.
    """

    now_ms: int
    begun_at_ms: int | None
    ttl_seconds: float

    def urls_expire_at(self, completed_at: datetime | None) -> datetime:
        """Return when the URLs expire: counted from the vendor's completion, or from now where that makes no sense.

        Args:
            completed_at: When the task was completed, by the vendor's clock.
        """
        now, begun_at_ms = datetime.fromtimestamp(self.now_ms / 1000, UTC), self.begun_at_ms
        is_before = (
            completed_at is not None and completed_at.timestamp() * 1000 < (begun_at_ms or 0) - CLOCK_TOLERANCE_MS
        )
        completed = now if completed_at is None or is_before else min(completed_at, now)
        return completed + timedelta(seconds=self.ttl_seconds)


def ending_of(answer: StatusAnswer, task_id: str | None, served: Served) -> Outcome | None:
    """Return the outcome that a status answer tells; None while the task has not ended, or it says nothing.

    Args:
        answer: What the vendor said.
        task_id: The task that was asked about.
        served: From when and how long the URLs of a result are served.
    """
    match answer:
        case Succeeded(result):
            expiry = served.urls_expire_at(result.completed_at)
            return Outcome.success(result.model_copy(update={"urls_expire_at": expiry}))
        case Failed(code, message):
            return Outcome.failure(_failure_of_task(code, message, task_id))
        case _:
            return None


def refusal_of(answer: Rejected) -> JobFailed:
    """Return the error of a job whose submission the vendor refused because of the request."""
    told = f"the vendor refused the request: {answer.message}"
    if answer.is_content:
        return ContentViolation(told, answer.code)
    return _error_of_request(answer.code, told, None, answer.message) or InvalidRequest(told, answer.code)


def proven_refusal_of(answer: Refused, refusals: int) -> JobFailed:
    """Return the error of a job that was refused again and again while others were accepted.

    Args:
        answer: The last refusal.
        refusals: How many there were.
    """
    told = (
        f"refused {refusals} times with {answer.code} ({answer.message}), while other jobs were accepted: the cause is "
        "in this request. It was not accepted, so nothing of it is billed; change it before you enqueue it again"
    )
    is_of_vendor = failure_of(answer.code).kind in {FailureKind.TRANSIENT, FailureKind.GENERIC}
    return (GenerationFailed if is_of_vendor else InvalidRequest)(told, answer.code)


def wants_credit(answer: Failed) -> bool:
    """Return whether a task failed because the account has no credit: that ends no job."""
    return failure_of(answer.code).kind is FailureKind.ACCOUNT


def _failure_of_task(code: str | None, message: str, task_id: str | None) -> JobFailed:
    return _error_of_request(code, message, task_id, message) or GenerationFailed(message, code, task_id)


def _error_of_request(code: str | None, told: str, task_id: str | None, message: str) -> JobFailed | None:
    """Return the error that a failure code stands for, with the code as it came; None if it blames no request."""
    failure = failure_of(code)
    match failure.kind:
        case FailureKind.CONTENT:
            return ContentViolation(told, code, task_id, failure.field)
        case FailureKind.PROMPT | FailureKind.INPUT:
            return InvalidRequest(told, code, task_id, failure.field or _input_in(message))
        case _:
            return None


def _input_in(message: str) -> str | None:
    """Return which of the two inputs a message names, if it names exactly one."""
    named = [field for field, word in (("image_url", _IMAGE), ("video_url", _VIDEO)) if word.search(message)]
    return named[0] if len(named) == 1 else None
