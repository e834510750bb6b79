"""How a task of the vendor that has ended reads as the outcome of its job."""

from __future__ import annotations

from wanimate.contract import Outcome
from wanimate.errors import ContentViolation, GenerationFailed

from ..upstream import Failed, StatusAnswer, Succeeded


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
            kind = ContentViolation if code == "CONTENT_VIOLATION" else GenerationFailed
            return Outcome.failure(kind(message, code, task_id))
        case _:
            return None
