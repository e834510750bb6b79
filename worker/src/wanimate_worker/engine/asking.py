"""One poll: a status request for a task, and what its answer means for the job."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final

from wanimate.contract import Outcome, Stage

from ..ledger import Deliver, RefusedBy, bounded, cause_of
from ..stopwatch import Stopwatch
from ..telemetry import get_logger
from ..vendor import (
    Exchange,
    Failed,
    NotSent,
    Obstacle,
    Pending,
    StatusAnswer,
    Succeeded,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unreadable,
)
from .account import close_gate, suspend_account, wait_for_credit
from .recovering import decide_unknown
from .sending import RightToSend, seconds_between
from .verdicts import (
    HintVerdict,
    check_hint,
    ending_of,
    next_attempt,
    observe,
    overdue,
    undocumented_state_of,
    wants_credit,
)

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from ..ledger import Claim, JobFields, Observation
    from .delivering import Deliverer
    from .runtime import Runtime

log = get_logger(__name__)

#: The delay of the next status request after an inconclusive answer, in milliseconds.
_ASK_AGAIN_MS: Final = 5_000


@dataclass(frozen=True)
class Poll:
    """One status request for a job that was claimed."""

    runtime: Runtime
    deliverer: Deliverer
    claim: Claim
    job: JobFields
    exchange: Exchange = field(default_factory=Exchange)

    def ask(self, may_send: RightToSend) -> StatusAnswer:
        """Request the task's status, settle the job if it has ended, and return the vendor's answer."""
        runtime, claim, job = self.runtime, self.claim, self.job
        try:
            answer: StatusAnswer = runtime.vendor.status(job.asks_about or "", self.exchange, may_send=may_send)
        except Exception as error:
            log.exception("unexpected error while polling", job_id=job.job_id)
            answer = Unreadable(f"{type(error).__name__} while polling")
        if log.isEnabledFor(logging.DEBUG):
            self._log.debug("polled", answer=type(answer).__name__)
        if job.stage is Stage.UNKNOWN and not self._confirm_hint(answer):
            return answer
        if isinstance(answer, Failed) and wants_credit(answer):
            wait_for_credit(runtime, job, answer.message, self._log)
            return answer
        # Neither end needs the claim's token: it is final, and the attempt's nonce is checked. So a callback that makes
        # a job due during its status request does not undo the answer.
        outcome = ending_of(
            answer,
            job.asks_about,
            now_ms=claim.claimed_at_ms,
            begun_at_ms=job.begun_at_ms,
            ttl_seconds=runtime.settings.result_urls_ttl_seconds,
        )
        if outcome is not None:
            self._end(answer, outcome)
            return answer
        self._note_readability(answer)
        self._note_trouble(answer)
        failure = overdue(job, answer, claim.claimed_at_ms, runtime.settings.run_deadline_seconds)
        if failure is not None and (why := undocumented_state_of(answer)) and why != job.unreadable_why:
            runtime.ledger.jobs.mark_unreadable(job.job_id, job.nonce, why)
        elif failure is not None:
            self._settle(Outcome.failure(failure), token=claim.token)
        return answer

    def next_ms(self, answer: StatusAnswer) -> int | None:
        """Return how long after the claim the next status request is due; None if the task has ended.

        That is as planned, or at the job's deadline.
        """
        if isinstance(answer, Succeeded | Failed):
            return None
        if not isinstance(answer, Pending):
            return _ASK_AGAIN_MS
        job, now_ms = self.job, self.claim.claimed_at_ms
        begun_ms = job.submitted_at_ms or now_ms
        up_at_ms = begun_ms + round(self.runtime.settings.run_deadline_seconds * 1000)
        if job.deadline_at_ms is not None:
            up_at_ms = min(up_at_ms, job.deadline_at_ms)
        return self.runtime.pacer.next_poll_ms(job.request, max(1, now_ms - begun_ms), up_at_ms - now_ms)

    @cached_property
    def _log(self) -> BoundLogger:
        job = self.job
        return log.bind(job_id=job.job_id, task_id=job.asks_about, attempt=job.attempts, **self.exchange.facts())

    def _confirm_hint(self, answer: StatusAnswer) -> bool:
        """Decide about a task id that was only named; True if it is the job's task and now on record as such."""
        runtime, job, hint = self.runtime, self.job, self.job.hint or ""
        match check_hint(job, answer, self.claim.claimed_at_ms):
            case HintVerdict.RIGHT:
                is_ours = runtime.ledger.jobs.accept(
                    job.job_id,
                    job.nonce,
                    task_id=hint,
                    first_poll_ms=runtime.pacer.next_poll_ms(job.request),
                    begun_at_ms=self.claim.claimed_at_ms,
                )
                if is_ours:
                    event = "the vendor confirmed the task of a lost submission; the job runs"
                    self._log.info(event, stage=Stage.RUNNING)
                return is_ours
            case HintVerdict.WRONG:
                self._log.warning("the hinted task is not the job's; the hint is dropped", answer=answer)
                runtime.ledger.jobs.drop_hint(job.job_id, job.nonce, hint)
            case HintVerdict.UNDECIDED:
                self._note_trouble(answer)
                if isinstance(answer, Pending | Unreadable):
                    runtime.go_on(decide_unknown(runtime, self.claim, job))
        return False

    def _note_readability(self, answer: StatusAnswer) -> None:
        """Record, once, that a task's answers cannot be read, or can again: only an operator ends such a job."""
        job, why = self.job, bounded(answer.reason) if isinstance(answer, Unreadable) else ""
        if isinstance(answer, Unreadable | Pending | TaskNotFound) and why != (job.unreadable_why or ""):
            self.runtime.ledger.jobs.mark_unreadable(job.job_id, job.nonce, why)

    def _note_trouble(self, answer: StatusAnswer) -> None:
        ledger, sent_at_ms = self.runtime.ledger, self.claim.claimed_at_ms
        match answer:
            case Throttled():
                # Status requests do not count as tasks.
                close_gate(ledger, answer, sent_at_ms, self._log, refused_by=RefusedBy.REQUESTS)
            case NotSent(reason, Obstacle.STALE):
                self._log.warning("status request not sent; it is retried", cause=reason)
            case NotSent():
                close_gate(ledger, answer, sent_at_ms, self._log)
            case Unauthorised():
                suspend_account(ledger, answer, self._log)
            case TaskNotFound(message) | Unreadable(message):
                self._log.warning("status response was inconclusive; it is retried", cause=message)
            case _:
                pass

    def _end(self, answer: StatusAnswer, outcome: Outcome) -> None:
        """Settle a job whose task has ended, or requeue it for a retry."""
        runtime, job, now_ms = self.runtime, self.job, self.claim.claimed_at_ms
        limits = runtime.ledger.limits.read() if outcome.result is None else None
        then = next_attempt(job, outcome, 0 if limits is None else limits.retry_transient, now_ms)
        if isinstance(then, Outcome):
            self._settle(then, observed=observe(job, answer, now_ms))
            return
        granted = runtime.ledger.jobs.release(
            job.job_id,
            job.nonce,
            then.cause,
            may_be_billed=True,
            has_run=True,
            delay_ms=then.delay_ms,
            transient_code=then.code,
        )
        if granted is not None:
            event = "task failed; the job is retried"
            self._log.warning(event, stage=Stage.WAITING, cause=then.cause, code=then.code)
            runtime.tracing.ran(job, outcome, self.exchange)
            runtime.go_on(granted)

    def _settle(self, outcome: Outcome, *, token: str = "", observed: Observation | None = None) -> None:
        runtime, job, now_ms, asked = self.runtime, self.job, self.claim.claimed_at_ms, Stopwatch()
        settled = self.deliverer.settle(job, outcome, token, observed)
        if settled is None:
            return
        runtime.go_on(settled.granted)
        self._log.info(
            "job settled",
            stage=Stage.SETTLED,
            outcome=outcome.kind,
            cause=cause_of(outcome),
            code=outcome.code,
            ran_seconds=seconds_between(job.submitted_at_ms, now_ms),
        )
        runtime.tracing.ran(job, outcome, self.exchange)
        step = Deliver(outcome, job.attempts, job.waiting_at_ms, now_ms, now_ms, asked, job)
        self.deliverer.complete(step, settled)
