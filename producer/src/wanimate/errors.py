"""The errors that Wanimate raises, as one tree.

WanimateError
├── SettingsError            a WANIMATE_* setting is missing or invalid
├── InvalidArgument          an argument is invalid (also a ValueError)
├── ClientClosed             the client is closed (also a RuntimeError)
├── QueueUnavailable         Redis cannot be reached
├── WorkerUnavailable        no worker responded in time
├── JobNotFound              there is no job with this id (also a LookupError)
├── WaitTimeout              the wait timed out; the job continues (also a TimeoutError)
├── ResultExpired            the job succeeded, but the URLs of its result have expired
├── EventsLost               events after the cursor were deleted (also a LookupError)
├── WebhookInvalid           a webhook's signature, time or body is invalid (also a ValueError)
├── StoreUnavailable         the store of copied videos cannot be used here
└── JobFailed                the job ended without a result
    ├── IdempotencyConflict  the key or id belongs to a different request
    ├── InvalidRequest       the library or the vendor refused the request (also a ValueError)
    ├── ContentViolation     the vendor's safety rules refused the content
    ├── GenerationFailed     the vendor failed to render the video
    ├── SubmissionUnknown    the answer to the submission was lost; the task may be billed
    ├── DeadlineExceeded     the deadline passed before the job was submitted, or before its task ended
    ├── TaskUnreadable       an operator ended the job: the status responses for its task were unreadable
    └── JobCancelled         the job was cancelled before it was submitted, and is not billed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .failure_codes import FailureKind, failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from .contract import Result


class WanimateError(Exception):
    """The base class of all Wanimate errors."""

    #: Set by `submit_many`: the handles of the jobs that are certainly enqueued, in order.
    enqueued: Sequence[Any] = ()


class SettingsError(WanimateError):
    """A `WANIMATE_*` setting is missing or invalid; the message names it and the expected value."""


class InvalidArgument(WanimateError, ValueError):
    """An argument is invalid, such as a timeout that is not a number; nothing was sent."""


class ClientClosed(WanimateError, RuntimeError):
    """The client was used after `close()`."""


class QueueUnavailable(WanimateError):
    """Redis cannot be reached; nothing was enqueued or read."""


class WorkerUnavailable(WanimateError):
    """No worker responded in time; the request stays queued until a worker runs."""


class JobNotFound(WanimateError, LookupError):
    """There is no job with this id: it was never enqueued here, or its record and result have expired."""

    @classmethod
    def of(cls, job_id: str) -> Self:
        """Return the error for a job id."""
        return cls(
            f"job {job_id} was not found: it was never enqueued in this database and account, or its result has "
            "expired (WANIMATE_RESULT_TTL_SECONDS). Check the id (case-sensitive), WANIMATE_REDIS_URL and "
            "WANIMATE_ACCOUNT"
        )


class WaitTimeout(WanimateError, TimeoutError):
    """The wait timed out; the job continues, and you can wait for it again."""


class ResultExpired(WanimateError):
    """The job succeeded and was billed, but the URLs of its result have expired.

    Args:
        message: What happened and what to do next.
        result: The result with the expired URLs.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message, result)
        self.message = message
        self.result = result

    def __str__(self) -> str:
        return self.message

    @classmethod
    def of(cls, job_id: str, result: Result) -> Self:
        """Return the error for the expired result of a job."""
        at = "" if result.urls_expire_at is None else f" at {result.urls_expire_at.isoformat(timespec='seconds')}"
        return cls(
            f"job {job_id} succeeded and was billed, but the URLs of its videos expired{at}: the vendor deletes videos "
            "after a limited time. To render it again, enqueue the request with a new idempotency key, which is billed "
            "again. To get the result with the expired URLs, set allow_expired (--allow-expired)",
            result,
        )


class EventsLost(WanimateError, LookupError):
    """Events were deleted before they were read, or Redis was replaced; the jobs are not affected.

    Args:
        message: What happened and what to do next.
        oldest: The id of the oldest event in the stream; None if it is empty.
    """

    def __init__(self, message: str, oldest: str | None = None) -> None:
        super().__init__(message, oldest)
        self.message = message
        self.oldest = oldest

    def __str__(self) -> str:
        return self.message


class WebhookInvalid(WanimateError, ValueError):
    """A request is not a webhook of this account: its signature, time or body is invalid. Respond with 400."""


class StoreUnavailable(WanimateError):
    """The store of copied videos cannot be used here: its library, its credentials or the video is missing."""


class JobFailed(WanimateError):
    """A job ended without a result.

    `AsyncResult.get()` raises the same exception: Celery rebuilds it from its module, its name and its arguments,
    which are plain strings in this order.

    Args:
        message: What happened and what to do next.
        code: The vendor's code, such as `CONTENT_VIOLATION` or `400`.
        task_id: The vendor's task id.
        field: The invalid field of the request.
    """

    def __init__(
        self, message: str = "", code: str | None = None, task_id: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(message, code, task_id, field)
        self.message = message
        self.code = code
        self.task_id = task_id
        self.field = field

    def __str__(self) -> str:
        known = {"code": self.code, "vendor task": self.task_id}
        facts = [f"{name}={value}" for name, value in known.items() if value is not None]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class IdempotencyConflict(JobFailed):
    """The idempotency key or id belongs to a different request; this one was not enqueued."""


class InvalidRequest(JobFailed, ValueError):
    """The request breaks the vendor's rules; the library refused it before it was enqueued, or the vendor did.

    If `task_id` is set, the vendor had accepted the task and then failed it.
    """


class ContentViolation(JobFailed):
    """The vendor's safety rules refused the content."""


class GenerationFailed(JobFailed):
    """The vendor failed to render the video."""

    @property
    def is_transient(self) -> bool:
        """Whether a retry may succeed by the vendor's code, such as `PROCESSING_TIMEOUT`."""
        return failure_of(self.code).kind is FailureKind.TRANSIENT


class SubmissionUnknown(JobFailed):
    """The answer to the submission was lost: the vendor may have accepted and billed the task."""


class DeadlineExceeded(JobFailed):
    """The deadline passed before the job was submitted (not billed), or before the vendor's task ended."""


class TaskUnreadable(JobFailed):
    """An operator ended the job because the status responses for its task were unreadable; it may be billed."""


class JobCancelled(JobFailed):
    """The job was cancelled before it was submitted; it is not billed."""
