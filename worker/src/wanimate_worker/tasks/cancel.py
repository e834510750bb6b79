"""`wanimate.cancel`: free before submission; after it, an honest answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.contract import CANCEL_TASK, Outcome
from wanimate.errors import JobCancelled

from .base import InternalTask

if TYPE_CHECKING:
    from wanimate.contract import CancelOutcome

    from ..runtime import Runtime


class CancelTask(InternalTask):
    """Cancels one job that was not sent to the vendor yet."""

    name = CANCEL_TASK
    ignore_result = False

    def run(self, job_id: str) -> str:
        """Cancel the job and return a `CancelOutcome` value.

        Args:
            job_id: The job.
        """
        return cancel_job(self.runtime, job_id).value


def cancel_job(runtime: Runtime, job_id: str) -> CancelOutcome:
    """Cancel a job that was not sent to the vendor yet, and return what became of it.

    Args:
        runtime: Where its ledger is.
        job_id: The job.
    """
    failure = JobCancelled("cancelled before it was sent to the vendor; nothing is billed")
    cancelled = runtime.ledger.cancel(job_id, Outcome.failure(failure))
    if cancelled.must_deliver:
        runtime.resume([job_id])
    runtime.resume(cancelled.granted)
    return cancelled.outcome
