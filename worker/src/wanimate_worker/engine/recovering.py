"""Recover jobs that a crash left behind, when their leases end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wanimate.contract import Outcome, Stage
from wanimate.errors import SubmissionUnknown

from ..telemetry import get_logger
from .verdicts import deadline_passed_while_waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from wanimate.errors import JobFailed

    from ..ledger import Claim, JobFields
    from .runtime import Runtime

log = get_logger(__name__)


def recover(runtime: Runtime, claim: Claim, jobs: Iterable[JobFields]) -> None:
    """Advance due jobs that have no task to poll."""
    ready: list[str] = []
    for job in jobs:
        match job.stage:
            case Stage.WAITING | Stage.SETTLED | None:
                ready += _expire(runtime, claim, job)
                unparked = runtime.ledger.jobs.unpark(job.job_id) if job.stage is Stage.WAITING else None
                if unparked is not None:
                    ready += unparked
                    continue
                # Its wake-up was lost, or its worker died: it is taken again. One without a record is dropped.
                ready.append(job.job_id)
            case Stage.SUBMITTING:
                why = "the worker died while submitting"
                if runtime.ledger.jobs.mark_unknown(job.job_id, job.nonce, why, is_ours=True):
                    event = "a worker died while submitting; the vendor may have accepted the job"
                    log.error(event, stage=Stage.UNKNOWN, job_id=job.job_id, attempt=job.attempts, cause=why)
            case Stage.UNKNOWN:
                ready += decide_unknown(runtime, claim, job)
            case Stage.FOLLOWING:
                if runtime.ledger.followers.conclude(job.job_id, job.leader or ""):
                    ready.append(job.job_id)
            case Stage.DELIVERED:
                runtime.ledger.jobs.mark_delivered(job.job_id)
            case _:
                pass
    runtime.go_on(ready)


def _expire(runtime: Runtime, claim: Claim, job: JobFields) -> Sequence[str]:
    failure = deadline_passed_while_waiting(job, claim.claimed_at_ms) if job.stage is Stage.WAITING else None
    granted = runtime.ledger.jobs.expire(job.job_id, Outcome.failure(failure)) if failure else None
    if granted is None:
        return ()
    log.info("job settled", stage=Stage.SETTLED, job_id=job.job_id, cause="DeadlineExceeded", attempt=job.attempts)
    return granted


def decide_unknown(runtime: Runtime, claim: Claim, job: JobFields) -> list[str]:
    """Decide about a job whose submission was lost, if its time is up; return jobs that must go on."""
    ledger, settings = runtime.ledger, runtime.settings
    until_ms, told = job.unknown_until_ms or 0, ""
    if job.hint:
        # The vendor has named a task and does not confirm that it is the job's. It probably is.
        until_ms = max(until_ms, (job.begun_at_ms or 0) + round(settings.run_deadline_seconds * 1000))
        told = f". The task {job.hint} may be its own, but the vendor's status responses about it were inconclusive"
    if claim.claimed_at_ms < until_ms:
        # A callback made it due before its bound.
        return []
    if (job.request.get("on_unknown") or settings.on_unknown) == "resubmit":
        why = "its submission is lost; submitted again (on_unknown)"
        released = ledger.jobs.release(job.job_id, job.nonce, why, may_be_billed=True, hint=job.hint or "")
        if released is not None:
            event = "job requeued (on_unknown=resubmit)"
            log.warning(event, stage=Stage.WAITING, job_id=job.job_id, attempt=job.attempts, cause=why)
        return released or []
    failure: JobFailed = SubmissionUnknown(
        f"the answer to the submission was lost ({job.unknown_why}): the vendor may have accepted and billed it, "
        f"or not. Check the vendor's task list before you enqueue it again{told}",
        None,
        job.hint,
    )
    settled = ledger.jobs.settle(job.job_id, job.nonce, Outcome.failure(failure), hint=job.hint or "")
    if settled is None:
        return []
    cause = f"SubmissionUnknown: {job.unknown_why}"
    log.error("job settled", stage=Stage.SETTLED, job_id=job.job_id, attempt=job.attempts, cause=cause)
    return [job.job_id, *settled.granted]
