"""One attempt to submit a job: it is sent at most once, and the answer is recorded."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from redis.exceptions import RedisError
from wanimate.contract import Outcome, Stage

from ..ledger import Parked, Proven, RefusedBy, Unsafe, cause_of
from ..stopwatch import Stopwatch
from ..telemetry import get_logger
from ..vendor import Accepted, Exchange, NotSent, Obstacle, Refused, Rejected, Throttled, Unauthorised, Unknown
from .account import close_gate, suspend_account
from .sending import AGAIN_SECONDS, PERMIT_SECONDS, RightToSend
from .verdicts import proven_refusal_of, refusal_of

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from wanimate.contract import Job
    from wanimate.errors import JobFailed

    from ..ledger import Submit
    from ..vendor import SubmitAnswer
    from .runtime import Runtime

log = get_logger(__name__)

#: From the third answer on that the vendor is unavailable a job goes behind the others of its priority.
_MAX_UNAVAILABLE: Final = 2
#: Which limit a 429 means, by what it says of concurrency.
_REFUSED_BY: Final = {None: RefusedBy.EITHER, True: RefusedBy.TASKS, False: RefusedBy.REQUESTS}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt to submit a job.

    Args:
        runtime: The vendor, the ledger and the settings.
        step: What the ledger says of it.
        started: Where Celery keeps the job's result, and what it keeps there once the task has started; None for a job
            that wants no result.
        exchange: Its request.
    """

    runtime: Runtime
    step: Submit
    started: tuple[str, str] | None
    exchange: Exchange = field(default_factory=Exchange)

    @property
    def job_id(self) -> str:
        """The job."""
        return self.step.job.job_id

    def unsafe(self) -> Unsafe | None:
        """Return why a crash of Redis might forget this intent, so that the request must not be sent; None if safe."""
        try:
            why = self.runtime.ledger.durable.confirm(self.job_id, self.step.nonce)
        except RedisError as error:
            why = f"Redis became unavailable ({type(error).__name__})"
        return None if why is None else Unsafe(why)

    def send(self, job: Job) -> SubmitAnswer:
        """Send the job, unless the attempt may have been given up, and return the answer."""
        runtime, step = self.runtime, self.step
        try:
            permitted = self._permitted_since()
            if permitted is None:
                why = f"its request permit expired after {step.asked.seconds:.1f} s and no other is free"
                return NotSent(why, Obstacle.STALE)
            callback_url, vendor = runtime.callback_url(self.job_id, step.nonce), runtime.vendor
        except RedisError as error:
            return NotSent(f"Redis became unavailable ({type(error).__name__})", Obstacle.STALE)
        except Exception as error:
            log.exception("unexpected error before submitting", job_id=self.job_id)
            return NotSent(f"{type(error).__name__} before submitting")
        may_send = RightToSend(runtime.settings, permitted, step.asked)
        try:
            return vendor.submit(job, callback_url, self.exchange, may_send=may_send)
        except Exception as error:
            # The POST may have been sent before this went wrong.
            log.exception("unexpected error while submitting", job_id=self.job_id)
            return Unknown(f"{type(error).__name__} while submitting")

    def _permitted_since(self) -> Stopwatch | None:
        """Return since when there is a request permit: that of its begin, or another for one too old; None if none."""
        if self.step.asked.seconds <= PERMIT_SECONDS:
            return self.step.asked
        asked = Stopwatch()
        return asked if self.runtime.ledger.polls.permit(1) else None

    def record(self, answer: SubmitAnswer | Unsafe) -> bool:
        """Record what the answer means, and return whether the job has ended.

        Retries while Redis is away: an accepted task is paid for. After `unknown_after` the ledger has given this
        attempt up, and the log is the only record.
        """
        give_up_at = time.monotonic() + self.runtime.settings.unknown_after_seconds
        while True:
            try:
                return self._record(answer)
            except RedisError as error:
                if time.monotonic() > give_up_at:
                    log.critical(
                        "answer not recorded, Redis is unavailable; the job is recovered when its lease ends",
                        job_id=self.job_id,
                        answer=answer,
                    )
                    raise
                log.warning(
                    "Redis is unavailable; the vendor's answer is recorded later", job_id=self.job_id, cause=error
                )
                time.sleep(AGAIN_SECONDS)

    def _record(self, answer: SubmitAnswer | Unsafe) -> bool:
        ledger, step, job_log = self.runtime.ledger, self.step, self._log()
        match answer:
            case Accepted(task_id):
                self._accepted(task_id, job_log)
            case Rejected():
                return self.settle(refusal_of(answer))
            case Refused():
                return self._refused(answer, job_log)
            case Unauthorised():
                suspend_account(ledger, answer, job_log)
                self._requeue(f"the vendor refused the account: {answer.message}")
            case Throttled():
                # Our own budget keeps to the request limit, so a 429 that does not say which limit it means is one
                # for concurrency.
                of_tasks = answer.concurrency is not False
                tasks = ledger.gate.tasks_at_vendor(besides=self.job_id) if of_tasks else None
                refused_by = _REFUSED_BY[answer.concurrency]
                close_gate(
                    ledger, answer, step.begun_at_ms, job_log, lower_cap=of_tasks, refused_by=refused_by, tasks=tasks
                )
                self._requeue("vendor 429")
            case Unsafe(reason):
                postponed_ms = ledger.gate.postpone(reason)
                job_log.warning(
                    "not sent; submissions are paused and resume automatically", cause=reason, closed_ms=postponed_ms
                )
                self._requeue(f"not sent: {reason}")
            case NotSent(reason, obstacle):
                if obstacle is Obstacle.STALE:
                    # It says nothing about the vendor: the gate stays open.
                    job_log.warning("not sent; the job is retried later", cause=reason)
                else:
                    close_gate(ledger, answer, step.begun_at_ms, job_log)
                # A job that gets such answers repeatedly must not block the others.
                goes_behind = obstacle is Obstacle.VENDOR and step.attempt > _MAX_UNAVAILABLE
                self._requeue(f"not sent: {reason}", goes_behind=goes_behind)
            case Unknown():
                self._lost(answer, job_log)
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
            job_log.error(
                "job accepted after it had ended; attach the task with wanimate-worker resolve", task_id=task_id
            )

    def _refused(self, answer: Refused, job_log: BoundLogger) -> bool:
        """Record a refusal without a verdict, and return whether the job has ended."""
        match self.runtime.ledger.jobs.refuse(self.job_id, self.step.nonce, f"refused: {answer.code} {answer.message}"):
            case Proven(refusals):
                return self.settle(proven_refusal_of(answer, refusals))
            case Parked(refusals, delay_ms, granted):
                event = "refused without a known reason; the job is retried later"
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

    def _lost(self, answer: Unknown, job_log: BoundLogger) -> None:
        if self.runtime.ledger.jobs.mark_unknown(self.job_id, self.step.nonce, answer.reason, hint=answer.hint):
            event = "answer to the submission lost; the vendor may have accepted the job"
            job_log.error(event, stage=Stage.UNKNOWN, cause=answer.reason, hint=answer.hint or None)
        elif answer.hint:
            job_log.error(
                "an ended job may have this task; check it and attach it with wanimate-worker resolve", hint=answer.hint
            )

    def settle(self, failure: JobFailed) -> bool:
        """End the job, whose submission was surely not accepted; False if the attempt is another's."""
        outcome = Outcome.failure(failure)
        settled = self.runtime.ledger.jobs.settle(self.job_id, self.step.nonce, outcome, is_free=True)
        if settled is None:
            return False
        self._log().info("job settled", stage=Stage.SETTLED, cause=cause_of(outcome), code=failure.code)
        self.runtime.go_on(settled.granted)
        return True

    def _requeue(self, why: str, *, goes_behind: bool = False) -> None:
        granted = self.runtime.ledger.jobs.release(self.job_id, self.step.nonce, why, goes_behind=goes_behind)
        if granted is not None:
            attempt = self.step.attempt
            log.info("job requeued", stage=Stage.WAITING, job_id=self.job_id, attempt=attempt, cause=why)
        self.runtime.go_on(granted or ())

    def _log(self) -> BoundLogger:
        return log.bind(job_id=self.job_id, attempt=self.step.attempt, **self.exchange.facts())
