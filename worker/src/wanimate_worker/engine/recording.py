"""Writing down what an attempt to submit has come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wanimate.contract import Outcome, Stage

from ..ledger import Parked, Proven, RefusedBy, Unsafe, cause_of
from ..telemetry import get_logger
from ..vendor import Accepted, NotSent, Obstacle, Refused, Rejected, Throttled, Unauthorised, Unknown
from .endings import proven_refusal_of, refusal_of
from .pausing import pause_account

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from wanimate.errors import JobFailed

    from ..ledger import Submit
    from ..vendor import Exchange, SubmitAnswer
    from .runtime import Runtime

log = get_logger(__name__)

#: From the third answer on that the vendor is unavailable a job goes behind the others of its priority.
_MAX_UNAVAILABLE: Final = 2


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to submit a job.

    Args:
        runtime: The vendor, the ledger and the settings.
        job_id: The job.
        step: The attempt.
        exchange: Its request.
        started: Where Celery keeps the job's result, and what it keeps there once the task has started; None for a job
            that wants no result.
    """

    runtime: Runtime
    job_id: str
    step: Submit
    exchange: Exchange
    started: tuple[str, str] | None

    def record(self, answer: SubmitAnswer | Unsafe) -> bool:
        """Write down what the vendor's answer means, and return whether the job has ended."""
        ledger, step = self.runtime.ledger, self.step
        job_log = self._log()
        match answer:
            case Accepted(task_id):
                self._accepted(task_id, job_log)
            case Rejected():
                return self.settle(refusal_of(answer))
            case Refused():
                return self._refused(answer, job_log)
            case Unauthorised():
                pause_account(ledger, answer, job_log)
                self._step_back(f"the vendor refused the account: {answer.message}")
            case Throttled():
                closed_ms = ledger.gate.close(
                    f"throttled: {answer.message}",
                    sent_at_ms=step.begun_at_ms,
                    retry_after_seconds=answer.retry_after_seconds,
                    # Our own budget keeps to the request limit, so a 429 that does not say which limit it means
                    # is one for concurrency.
                    lower_cap=answer.concurrency is not False,
                    refused_by=_refused_by(answer),
                    tasks=None if answer.concurrency is False else ledger.gate.tasks_at_vendor(besides=self.job_id),
                )
                job_log.warning("throttled; nothing is sent for a while", cause=answer.message, closed_ms=closed_ms)
                self._step_back("throttled")
            case Unsafe(reason):
                postponed_ms = ledger.gate.postpone(reason)
                job_log.warning("not sent; nothing is sent for a while", cause=reason, closed_ms=postponed_ms)
                self._step_back(f"not sent: {reason}")
            case NotSent():
                self._not_sent(answer, job_log)
            case Unknown():
                self._lost(answer, job_log)
        return False

    def _lost(self, answer: Unknown, job_log: BoundLogger) -> None:
        if self.runtime.ledger.jobs.mark_unknown(self.job_id, self.step.nonce, answer.reason, hint=answer.hint):
            event = "the answer was lost; the vendor may have accepted the job"
            job_log.error(event, stage=Stage.UNKNOWN, cause=answer.reason, hint=answer.hint or None)
        elif answer.hint:
            job_log.error("a job that was given up may have this task; resolve it by hand", hint=answer.hint)

    def _not_sent(self, answer: NotSent, job_log: BoundLogger) -> None:
        if answer.obstacle is Obstacle.STALE:
            # It says nothing about the vendor: the gate stays open.
            job_log.warning("not sent; the job is sent again later", cause=answer.reason)
            self._step_back(f"not sent: {answer.reason}")
            return
        closed_ms = self.runtime.ledger.gate.close(
            f"not sent: {answer.reason}",
            sent_at_ms=self.step.begun_at_ms,
            retry_after_seconds=answer.retry_after_seconds,
        )
        job_log.warning("not sent; nothing is sent for a while", cause=answer.reason, closed_ms=closed_ms)
        # One that gets such answers again and again must not hold up the others.
        goes_behind = answer.obstacle is Obstacle.VENDOR and self.step.attempt > _MAX_UNAVAILABLE
        self._step_back(f"not sent: {answer.reason}", goes_behind=goes_behind)

    def _refused(self, answer: Refused, job_log: BoundLogger) -> bool:
        """Weigh a refusal that gives no verdict on the job, and return whether the job has ended."""
        match self.runtime.ledger.jobs.refuse(self.job_id, self.step.nonce, f"refused: {answer.code} {answer.message}"):
            case Proven(refusals):
                return self.settle(proven_refusal_of(answer, refusals))
            case Parked(refusals, delay_ms, granted):
                event = "refused without a reason that concerns this job or the account; it is sent again later"
                job_log.warning(
                    event,
                    stage=Stage.WAITING,
                    code=answer.code,
                    cause=answer.message,
                    refusals=refusals,
                    parked_ms=delay_ms,
                )
                self.runtime.go_on(granted)
        return False

    def _accepted(self, task_id: str, job_log: BoundLogger) -> None:
        step = self.step
        is_ours = self.runtime.ledger.jobs.accept(
            self.job_id,
            step.nonce,
            task_id=task_id,
            first_poll_ms=self.runtime.pacer.next_poll_ms(step.job.request),
            begun_at_ms=step.begun_at_ms,
            started=self.started,
        )
        if is_ours:
            job_log.info("job accepted", stage=Stage.RUNNING, task_id=task_id)
        else:
            job_log.error("job accepted after it was given up; resolve it by hand", task_id=task_id)

    def settle(self, failure: JobFailed) -> bool:
        """End the job, whose submission was surely not accepted; False if the attempt is another's."""
        granted = self.runtime.ledger.jobs.settle(self.job_id, self.step.nonce, Outcome.failure(failure), is_free=True)
        if granted is not None:
            cause = cause_of(Outcome.failure(failure))
            self._log().info("job settled", stage=Stage.SETTLED, cause=cause, code=failure.code)
        self.runtime.go_on(granted or ())
        return granted is not None

    def _step_back(self, why: str, *, goes_behind: bool = False) -> None:
        granted = self.runtime.ledger.jobs.release(self.job_id, self.step.nonce, why, goes_behind=goes_behind)
        if granted is not None:
            job_log = log.bind(job_id=self.job_id, attempt=self.step.attempt)
            job_log.info("job steps back", stage=Stage.WAITING, cause=why)
        self.runtime.go_on(granted or ())

    def _log(self) -> BoundLogger:
        return log.bind(job_id=self.job_id, attempt=self.step.attempt, **self.exchange.facts())


def _refused_by(answer: Throttled) -> RefusedBy:
    if answer.concurrency is None:
        return RefusedBy.EITHER
    return RefusedBy.TASKS if answer.concurrency else RefusedBy.REQUESTS
