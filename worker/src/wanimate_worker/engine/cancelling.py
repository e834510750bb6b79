"""Cancel jobs: free before submission; after it, report what is billed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.contract import CancelOutcome, Outcome, Stage
from wanimate.errors import JobCancelled, JobNotFound
from wanimate.redis.presence import Presence

from ..telemetry import get_logger

if TYPE_CHECKING:
    from ..ledger import JobFields
    from .runtime import Runtime

log = get_logger(__name__)


def cancel_job(runtime: Runtime, job_id: str, *, in_advance: bool = False) -> CancelOutcome:
    """Cancel a job that was not sent to the vendor yet, and return the outcome of that.

    One that no worker has recorded yet is cancelled in advance.

    Args:
        runtime: Where its ledger is.
        job_id: The job, or a task that follows it: then that is cancelled for all who wait for it.
        in_advance: Whether its message may still be sent, so that nothing need be known about it.

    Raises:
        JobNotFound: Nothing is known about it, so what is billed is not known either.
    """
    [record] = runtime.ledger.records.read([job_id])
    if record.stage is Stage.FOLLOWING and record.leader:
        job_id = record.leader
    presence = Presence.THERE if in_advance else runtime.ledger.records.presence(job_id)
    if presence is Presence.ABSENT:
        raise JobNotFound.of(job_id)
    failure = JobCancelled(_explanation(record))
    cancelled = runtime.ledger.jobs.cancel(job_id, Outcome.failure(failure))
    if cancelled.outcome is CancelOutcome.CANCELLED:
        log.info("job cancelled", stage=Stage.SETTLED, job_id=job_id, cause=failure.message)
    if cancelled.must_deliver:
        runtime.go_on([job_id])
    runtime.go_on(cancelled.granted)
    # With too many messages to search, it may be a mistyped id of a running job.
    return CancelOutcome.UNKNOWN if presence is Presence.UNSURE else cancelled.outcome


def _explanation(job: JobFields) -> str:
    # A job that runs now may be requeued before it is cancelled.
    if job.retries or job.stage is Stage.RUNNING:
        return "cancelled before it was sent to the vendor again; its earlier tasks failed there and may be billed"
    return "cancelled before it was sent to the vendor; nothing is billed"
