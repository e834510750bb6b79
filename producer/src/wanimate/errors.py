"""Everything that Wanimate raises on purpose, as one tree.

WanimateError
├── SettingsError            a WANIMATE_* value is missing or wrong
├── InvalidArgument          an argument of a call makes no sense (also a ValueError)
├── ClientClosed             the client was used after close() (also a RuntimeError)
├── QueueUnavailable         Redis could not be reached
├── WorkerUnavailable        no worker answered in time
├── JobNotFound              nothing is known about a job of this id (also a LookupError)
├── WaitTimeout              the job goes on; the wait did not (also a TimeoutError)
├── ResultExpired            the job succeeded, and the vendor no longer serves the URLs of its videos
├── EventsLost               events after the cursor are no longer kept (also a LookupError)
├── WebhookInvalid           the signature of a webhook is wrong, so this is not from Wanimate (also a ValueError)
├── StoreUnavailable         the store of kept videos cannot be used here
└── JobFailed                how a job can end without a result
    ├── IdempotencyConflict  one key or one id, two different requests
    ├── InvalidRequest       refused here or by the vendor (also a ValueError)
    ├── ContentViolation     the vendor's safety rules refused the content
    ├── GenerationFailed     the vendor could not make the video
    ├── SubmissionUnknown    the answer was lost; the vendor may have accepted and billed the task
    ├── DeadlineExceeded     it did not end in time: never sent, or never finished by the vendor
    ├── TaskUnreadable       ended by an operator: the vendor's answers about its task could not be read
    └── JobCancelled         cancelled before it was submitted, so never billed
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .failure_codes import FailureKind, failure_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from .contract import Result


class WanimateError(Exception):
    """The root of every error that Wanimate raises on purpose."""

    #: When `submit_many` ended early: the handles of the jobs that are certainly in the queue, in the order given.
    enqueued: Sequence[Any] = ()


class SettingsError(WanimateError):
    """A `WANIMATE_*` setting is missing or wrong; the message names it and says what would be right."""


class InvalidArgument(WanimateError, ValueError):
    """An argument of a call makes no sense, such as a time-out that is not a number; nothing was sent."""


class ClientClosed(WanimateError, RuntimeError):
    """The client was used after `close()`; jobs go on without it."""


class QueueUnavailable(WanimateError):
    """Redis could not be reached, so nothing was enqueued or read."""


class WorkerUnavailable(WanimateError):
    """No worker answered in time; the request stays queued and is carried out when one starts."""


class JobNotFound(WanimateError, LookupError):
    """Nothing is known about a job of this id: it was never enqueued here, or its record and result have expired."""

    @classmethod
    def of(cls, job_id: str) -> Self:
        """Return the error for an id."""
        return cls(
            f"nothing is known about a job {job_id}: it was never enqueued in this database and account, or it ended "
            "longer ago than results are kept (WANIMATE_RESULT_TTL_SECONDS). Check the id (upper and lower case "
            "differ), WANIMATE_REDIS_URL and WANIMATE_ACCOUNT"
        )


class WaitTimeout(WanimateError, TimeoutError):
    """The wait ended before the job did; the job goes on and can be waited for again."""


class ResultExpired(WanimateError):
    """The job succeeded and was paid for, and the vendor no longer serves the URLs of its result.

    Args:
        message: What happened and what to do next.
        result: The result, so that nothing is lost.
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
            f"job {job_id} succeeded and was paid for, but the URLs of its videos expired{at}: the vendor keeps videos "
            "for a limited time. Enqueue the request with another idempotency key to render it again, which is billed "
            "again; allow_expired (--allow-expired) returns the result with the expired URLs",
            result,
        )


class EventsLost(WanimateError, LookupError):
    """Events that were not read yet are no longer kept, or Redis was replaced; nothing happened to the jobs.

    Args:
        message: What happened and what to do next.
        oldest: The id of the oldest event that is kept; None if there is none.
    """

    def __init__(self, message: str, oldest: str | None = None) -> None:
        super().__init__(message, oldest)
        self.message = message
        self.oldest = oldest

    def __str__(self) -> str:
        return self.message


class WebhookInvalid(WanimateError, ValueError):
    """A request is no webhook of this account: its signature, its time or its body is wrong. Answer it with 400."""


class StoreUnavailable(WanimateError):
    """The store of kept videos cannot be used here: its library, its credentials or the video is missing."""


class JobFailed(WanimateError):
    """A job ended without a result.

    Its arguments are plain strings, in this order, so that `AsyncResult.get()` raises the very same exception: Celery
    rebuilds it from its module, its name and its args.

    Args:
        message: What happened and what to do next.
        code: The vendor's code (`CONTENT_VIOLATION`, `400`, …), where it gave one.
        task_id: The vendor's task id, where one is known.
        field: The field of the request that is wrong, where one is known.
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
        known = {"code": self.code, "upstream task": self.task_id}
        facts = [f"{name}={value}" for name, value in known.items() if value is not None]
        return f"{self.message} ({', '.join(facts)})" if facts else self.message


class IdempotencyConflict(JobFailed):
    """The same idempotency key or id was used before for a different request; nothing was sent for this one."""


class InvalidRequest(JobFailed, ValueError):
    """The request breaks the vendor's rules: refused by the producer before Redis, or by the vendor.

    With a `task_id` the vendor had accepted the task, and found out then.
    """


class ContentViolation(JobFailed):
    """The vendor's safety rules refused the content."""


class GenerationFailed(JobFailed):
    """The vendor could not make the video."""

    @property
    def is_transient(self) -> bool:
        """Whether the vendor's code says that another attempt may succeed (`PROCESSING_TIMEOUT`, …)."""
        return failure_of(self.code).kind is FailureKind.TRANSIENT


class SubmissionUnknown(JobFailed):
    """The answer to the submission was lost: the vendor may have accepted and billed the task, or not."""


class DeadlineExceeded(JobFailed):
    """The deadline passed: before the job was sent, so for free, or with the vendor's task still unfinished."""


class TaskUnreadable(JobFailed):
    """An operator ended the job, because the vendor's answers about its task could not be read; it may be billed."""


class JobCancelled(JobFailed):
    """The job was cancelled before it was submitted: nothing was sent to the vendor, nothing is billed."""
