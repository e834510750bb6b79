"""What single messages and bulks share: how jobs are recorded together, and how those are refused that cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError
from wanimate.errors import IdempotencyConflict, InvalidRequest

from ..ledger import Entry
from ..telemetry import get_logger
from .dead_letters import Reason, keep
from .outage import is_away

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any

    from celery import Celery
    from wanimate.contract import Job

    from ..engine.runtime import Runtime
    from ..ledger import Admission, Ledger

log = get_logger(__name__)

_T = TypeVar("_T")


def refuse_unrecorded(app: Celery, ledger: Ledger, job_ids: Iterable[str], error: Exception) -> None:
    """Fail jobs for their callers, except those on record: the ledger decides what becomes of these.

    Args:
        app: The Celery app, which has the result backend.
        ledger: Where jobs are recorded.
        job_ids: The jobs.
        error: Why they cannot be recorded.
    """
    for job_id in job_ids:
        if not is_recorded(ledger, job_id):
            log.error("job refused", job_id=job_id, cause=error)
            app.backend.mark_as_failure(job_id, error, request=None, store_result=True)


def is_recorded(ledger: Ledger, job_id: str) -> bool:
    """Return whether a job is on record; what stands under its key may be anything."""
    try:
        return ledger.records.read([job_id])[0].stage is not None
    except RedisError as error:
        if is_away(error):
            raise
        # What stands there is no record.
        return False


def entry_of(job_id: str, job: Job, message: dict[str, Any], request: Mapping[str, Any], *, caller: str = "") -> Entry:
    """Return the entry that records a job."""
    has_key = job.idempotency_key is not None
    return Entry(job_id, job.priority, message, request, job.deadline_ms, job.fingerprint(), has_key, caller)


def admit_together(
    ledger: Ledger, items: Sequence[_T], entry: Callable[[_T], Entry], refuse: Callable[[_T, InvalidRequest], None]
) -> list[tuple[_T, Admission]]:
    """Record jobs in one exchange; where one of them cannot be recorded, each alone, so that it fails alone.

    Args:
        ledger: Where they are recorded.
        items: What asks for them.
        entry: Returns the entry of one.
        refuse: Called with one that Redis will never record.

    Raises:
        RedisError: Redis is away; some may be recorded.
    """
    if not items:
        return []
    try:
        return list(zip(items, ledger.jobs.admit([entry(item) for item in items]), strict=True))
    except RedisError as error:
        if is_away(error):
            raise
        if len(items) == 1:
            refuse(items[0], refusal(error))
            return []
    return [admitted for item in items for admitted in admit_together(ledger, [item], entry, refuse)]


def refusal(error: Exception) -> InvalidRequest:
    """Return the failure of a job that Redis will never record, because of what it holds.

    Args:
        error: What the ledger raised; not an outage.
    """
    return InvalidRequest(
        f"this job cannot be recorded ({type(error).__name__}); nothing was sent to the vendor, nothing is billed"
    )


def conflict(job_id: str) -> IdempotencyConflict:
    """Return the error of another request under an id, or a key, that is in use."""
    return IdempotencyConflict(
        f"this idempotency key or task id was used before for a different request (job {job_id}): nothing was sent; "
        "use a new one for a new request"
    )


def refuse_id(runtime: Runtime, message: Any, job_id: str) -> None:
    """Keep a message whose id is in use for another request.

    Args:
        runtime: Where the ledger is.
        message: The message.
        job_id: The job that has the id.
    """
    keep(runtime.ledger, message, Reason.CONFLICT, "its id is in use for another request", job_id=job_id)
