"""`wanimate.cancel`: free before submission; after it, an honest answer."""

from __future__ import annotations

from wanimate.contract import CANCEL_TASK, Outcome
from wanimate.errors import JobCancelled

from .base import InternalTask


class CancelTask(InternalTask):
    """Cancels one job that was not sent to the vendor yet."""

    name = CANCEL_TASK
    ignore_result = False

    def run(self, job_id: str) -> str:
        """Cancel the job and return a `CancelOutcome` value.

        Args:
            job_id: The job.
        """
        failure = JobCancelled("cancelled before it was sent to the vendor; nothing is billed")
        cancelled = self.runtime.ledger.cancel(job_id, Outcome.failure(failure))
        if cancelled.must_deliver:
            self.runtime.resume([job_id])
        self.runtime.resume(cancelled.granted)
        return cancelled.outcome.value
