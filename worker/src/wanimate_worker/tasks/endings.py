"""How a refusal, or a task of the vendor that has ended, reads as the outcome of its job."""

from __future__ import annotations

import re
from typing import Final

from wanimate.contract import Outcome
from wanimate.errors import ContentViolation, GenerationFailed, InvalidRequest, JobFailed
from wanimate.failure_codes import FailureKind, failure_of

from ..upstream import Failed, StatusAnswer, Succeeded

#: The inputs of a job, as the vendor's words name them.
_IMAGE: Final = re.compile(r"(?<![a-z])image", re.IGNORECASE)
_VIDEO: Final = re.compile(r"(?<![a-z])video", re.IGNORECASE)


def ending_of(answer: StatusAnswer, task_id: str | None) -> Outcome | None:
    """Return the outcome that a status answer tells; None while the task has not ended, or it says nothing.

    Args:
        answer: What the vendor said.
        task_id: The task that was asked about.
    """
    match answer:
        case Succeeded(result):
            return Outcome.success(result)
        case Failed(code, message):
            return Outcome.failure(_failure_of_task(code, message, task_id))
        case _:
            return None


def refusal_of(code: str, message: str) -> JobFailed:
    """Return the error of a job whose submission the vendor refused because of the request.

    Args:
        code: The vendor's code, otherwise the HTTP status.
        message: Its words.
    """
    told = f"the vendor refused the request: {message}"
    return _error_of_request(code, told, None, message) or InvalidRequest(told, code)


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
