"""`wanimate.poll`: looks at the jobs whose time has come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from kombu.exceptions import OperationalError
from redis.exceptions import RedisError
from wanimate.contract import CONTROL_QUEUE, POLL_TASK, Outcome, Stage
from wanimate.errors import JobFailed, SubmissionUnknown

from ..ledger import Deliver, RefusedBy, bounded, cause_of
from ..observability import get_logger
from ..outage import is_away
from ..stopwatch import Stopwatch
from ..upstream import (
    Exchange,
    Failed,
    Forgotten,
    NotSent,
    Obstacle,
    Pending,
    StatusAnswer,
    Succeeded,
    Throttled,
    Unauthorised,
    Unreadable,
)
from .balance import watch_balance
from .base import InternalTask, seconds_between
from .deadlines import expired_in_line, overdue
from .endings import Served, ending_of, wants_credit
from .hints import HintVerdict, check_hint
from .observing import observe
from .pausing import pause_account, probe_account, wait_for_credit
from .retrying import next_attempt
from .sending import RightToSend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from structlog.stdlib import BoundLogger

    from ..ledger import Claim, JobFields, Observation

log = get_logger(__name__)

#: After an answer that said nothing about the task, it is asked again after this, in seconds.
_ASK_AGAIN_SECONDS: Final = 5.0
#: A run gives its thread back after this and leaves the rest to the next tick, in seconds.
_LONGEST_RUN_SECONDS: Final = 5.0
#: Pause between two looks while nothing is due, in seconds.
_LOOK_AGAIN_SECONDS: Final = 0.05
#: Jobs that get no request permit for so long are left to a later run, in seconds.
_PATIENCE_SECONDS: Final = 0.5
#: Pause before permits are asked for again, in seconds: at 10,000 requests a minute there are eight more.
_NEXT_PERMITS_SECONDS: Final = 0.05
#: A clock is set back by so much now and then, and nobody needs to know, in milliseconds.
_HARMLESS_STEP_MS: Final = 1_000


class PollTask(InternalTask):
    """Claims due jobs in a batch, asks for the state of those that run, and repairs those that a crash left behind."""

    name = POLL_TASK

    def run(self, *, lingers: bool = False) -> None:
        """Look until nothing more is due, and call others in when one batch is not enough.

        Args:
            lingers: Whether to go on looking until the next tick, if tasks are in flight. Of all runs one does, the
                tick's, so that polls are made when they are due without each worker asking Redis all the time.
        """
        share = self.runtime.poll_share
        with share.take() as is_free:
            if is_free:
                self._go_on_looking(lingers=lingers and share.may_linger)

    def _go_on_looking(self, *, lingers: bool) -> None:
        runtime = self.runtime
        tick_seconds = min(runtime.settings.poll_tick_seconds, _LONGEST_RUN_SECONDS)
        linger_until = time.monotonic() + tick_seconds if lingers else 0.0
        try:
            self._take_turn(wakes=True)
            if lingers and not runtime.ledger.in_flight():
                return
            while time.monotonic() + _LOOK_AGAIN_SECONDS < linger_until:
                # Without its turn: whoever is called meanwhile, by a callback, finds it free.
                time.sleep(_LOOK_AGAIN_SECONDS)
                self._take_turn(wakes=False)
        except (RedisError, OperationalError) as error:
            if not is_away(error):
                raise
            log.warning("Redis is away; what was claimed is looked at again when its lease ends", cause=error)

    def _take_turn(self, *, wakes: bool) -> None:
        """Look until nothing more is due, unless this process works on enough runs already."""
        if not self.runtime.poll_turns.acquire(blocking=False):
            return
        stop_at = time.monotonic() + _LONGEST_RUN_SECONDS
        try:
            if wakes:
                self._wake()
            while self._look() and time.monotonic() < stop_at:
                pass
        finally:
            self.runtime.poll_turns.release()

    def _wake(self) -> None:
        """Do what only the passing of time brings about: a probe, or slots that are free again."""
        runtime = self.runtime
        tick = runtime.ledger.tick(runtime.settings.account_limits())
        if tick.set_back_ms > _HARMLESS_STEP_MS:
            log.error("the clock of Redis was set back; what was planned by it comes earlier", step_ms=tick.set_back_ms)
        asked = Stopwatch()
        if runtime.ledger.claim_probe():
            probe_account(runtime, asked)
        runtime.resume(runtime.ledger.grant())
        watch_balance(runtime)

    def _look(self) -> bool:
        """Look at one batch of due jobs, and return whether more may be due and may be asked about."""
        runtime = self.runtime
        claim = runtime.ledger.claim(runtime.settings.poll_batch_size)
        jobs = runtime.ledger.read(claim.job_ids)
        self._repair(claim, [job for job in jobs if job.asks_about is None])
        asked = [job for job in jobs if job.asks_about is not None]
        is_full = len(jobs) == runtime.settings.poll_batch_size
        return self._poll(claim, asked, is_full=is_full) and is_full

    # -- tasks of the vendor: ask --------------------------------------------------------------------------------------

    def _poll(self, claim: Claim, jobs: list[JobFields], *, is_full: bool) -> bool:
        """Ask about the jobs, as many at once as there are threads, and return whether the budget allowed all."""
        ledger, width = self.runtime.ledger, self.runtime.settings.poll_concurrency
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        first, left = True, jobs
        while left:
            # Taken just before they are used: a permit that waits would be used in somebody else's window.
            permitted = Stopwatch()
            permits = ledger.permit(min(width, len(left)))
            if first and is_full and permits == min(width, len(left)):
                # More may be due: another process starts on it while this one waits for answers.
                self.apply_async(queue=CONTROL_QUEUE)
            first = False
            if permits:
                self._ask_together(claim, left[:permits], RightToSend(self.runtime.settings, permitted))
                left, give_up_at = left[permits:], time.monotonic() + _PATIENCE_SECONDS
            elif time.monotonic() < give_up_at:
                time.sleep(_NEXT_PERMITS_SECONDS)
            else:
                # Due again at once, for whoever looks next.
                ledger.plan(claim.token, dict.fromkeys((job.job_id for job in left), 0))
                return False
        return True

    def _ask_together(self, claim: Claim, jobs: list[JobFields], may_send: RightToSend) -> None:
        if not jobs:
            return
        runtime = self.runtime
        answers = runtime.pollers.map(lambda job: self._ask(claim, job, may_send), jobs)
        delays_ms: dict[str, int] = {}
        is_well, answered = False, 0
        for job, answer in zip(jobs, answers, strict=True):
            is_well = is_well or isinstance(answer, Pending | Succeeded | Failed)
            answered += not isinstance(answer, Throttled | NotSent)
            if isinstance(answer, Pending):
                delays_ms[job.job_id] = self._delay_ms(claim, job)
            elif not isinstance(answer, Succeeded | Failed):
                delays_ms[job.job_id] = round(_ASK_AGAIN_SECONDS * 1000)
        answered_since_ms = claim.claimed_at_ms if is_well else None
        runtime.ledger.plan(claim.token, delays_ms, answered_since_ms=answered_since_ms, answered=answered)

    def _delay_ms(self, claim: Claim, job: JobFields) -> int:
        """Return when to ask again about a task that is at work: as planned, or when its time is up."""
        begun_ms = job.submitted_at_ms or claim.claimed_at_ms
        up_at_ms = begun_ms + round(self.runtime.settings.run_deadline_seconds * 1000)
        deadlines_ms = [each for each in (up_at_ms, job.deadline_at_ms) if each is not None]
        age_ms = max(1, claim.claimed_at_ms - begun_ms)
        return self.runtime.pacer.next_poll_ms(job.request, age_ms, min(deadlines_ms) - claim.claimed_at_ms)

    def _ask(self, claim: Claim, job: JobFields, may_send: RightToSend) -> StatusAnswer:
        """Ask for one job's state and settle it at once if it has ended."""
        exchange = Exchange()
        try:
            answer: StatusAnswer = self.runtime.upstream.status(job.asks_about or "", exchange, may_send=may_send)
        except Exception as error:
            log.exception("unexpected error while polling", job_id=job.job_id)
            answer = Unreadable(f"{type(error).__name__} while polling")
        told = log.bind(job_id=job.job_id, task_id=job.asks_about, attempt=job.attempts, **exchange.facts())
        told.debug("polled", answer=type(answer).__name__)
        if job.stage is Stage.UNKNOWN and not self._adopt(claim, job, answer, told):
            return answer
        if isinstance(answer, Failed) and wants_credit(answer):
            wait_for_credit(self.runtime, job, answer.message, told)
            return answer
        # Neither end needs the claim's token: they are true whoever asked, and the attempt's nonce is checked. So a
        # callback that makes a job due while it is asked about does not undo the answer.
        ttl_seconds = self.runtime.settings.result_urls_ttl_seconds
        served = Served(claim.claimed_at_ms, job.begun_at_ms, ttl_seconds)
        outcome = ending_of(answer, job.asks_about, served)
        if outcome is not None:
            self._end(claim, job, answer, outcome, exchange, told)
        else:
            self._note_readability(job, answer)
            self._note_trouble(claim, answer, told)
            failure = overdue(job, answer, claim.claimed_at_ms, self.runtime.settings.run_deadline_seconds)
            if failure is not None:
                self._settle(claim, job, Outcome.failure(failure), exchange, told, token=claim.token)
        return answer

    def _adopt(self, claim: Claim, job: JobFields, answer: StatusAnswer, told: BoundLogger) -> bool:
        """Decide about a task id that was only named; True if it is the job's task and now on record as such."""
        runtime, hint = self.runtime, job.hint or ""
        match check_hint(job, answer, claim.claimed_at_ms):
            case HintVerdict.RIGHT:
                is_ours = runtime.ledger.accept(
                    job.job_id,
                    job.nonce,
                    task_id=hint,
                    first_poll_ms=runtime.pacer.next_poll_ms(job.request),
                    begun_at_ms=claim.claimed_at_ms,
                )
                if is_ours:
                    told.info(
                        "its answer was lost; the vendor has confirmed the task that was named", stage=Stage.RUNNING
                    )
                return is_ours
            case HintVerdict.WRONG:
                told.warning("the task that was named is not the job's", answer=answer)
                runtime.ledger.drop_hint(job.job_id, job.nonce, hint)
            case HintVerdict.UNDECIDED:
                self._note_trouble(claim, answer, told)
                if isinstance(answer, Pending | Unreadable):
                    runtime.resume(self._decide_unknown(claim, job))
        return False

    def _note_readability(self, job: JobFields, answer: StatusAnswer) -> None:
        """Write down, once, that a task's answers cannot be read, or can again: only an operator ends such a job."""
        why = bounded(answer.reason) if isinstance(answer, Unreadable) else ""
        if isinstance(answer, Unreadable | Pending | Forgotten) and why != (job.unreadable_why or ""):
            self.runtime.ledger.mark_unreadable(job.job_id, job.nonce, why)

    def _note_trouble(self, claim: Claim, answer: StatusAnswer, told: BoundLogger) -> None:
        ledger = self.runtime.ledger
        match answer:
            case Throttled():
                closed_ms = ledger.close_gate(
                    f"throttled: {answer.message}",
                    sent_at_ms=claim.claimed_at_ms,
                    retry_after_seconds=answer.retry_after_seconds,
                    # Status requests do not count as tasks.
                    refused_by=RefusedBy.REQUESTS,
                )
                told.warning("throttled; nothing is sent for a while", cause=answer.message, closed_ms=closed_ms)
            case NotSent(reason, Obstacle.STALE):
                told.warning("not asked; it is asked again", cause=reason)
            case NotSent(reason):
                closed_ms = ledger.close_gate(f"not sent: {reason}", sent_at_ms=claim.claimed_at_ms)
                told.warning("not sent; nothing is sent for a while", cause=reason, closed_ms=closed_ms)
            case Unauthorised():
                pause_account(ledger, answer, told)
            case Forgotten(message) | Unreadable(message):
                told.warning("a status request said nothing", cause=message)
            case _:
                pass

    def _end(
        self,
        claim: Claim,
        job: JobFields,
        answer: StatusAnswer,
        outcome: Outcome,
        exchange: Exchange,
        told: BoundLogger,
    ) -> None:
        """Settle a job whose task has ended, or put it back to be sent again."""
        limits = self.runtime.ledger.account_limits() if outcome.result is None else None
        allowed = 0 if limits is None else limits.retry_transient
        then = next_attempt(job, outcome, allowed, claim.claimed_at_ms)
        if isinstance(then, Outcome):
            self._settle(claim, job, then, exchange, told, observed=observe(job, answer, claim.claimed_at_ms))
            return
        granted = self.runtime.ledger.release(
            job.job_id,
            job.nonce,
            then.cause,
            may_be_billed=True,
            has_run=True,
            delay_ms=then.delay_ms,
            transient_code=then.code,
        )
        if granted is not None:
            told.warning(
                "its task failed, the job is sent again", stage=Stage.WAITING, cause=then.cause, code=then.code
            )
            self.runtime.tracing.ran(job, outcome, exchange)
            self.runtime.resume(granted)

    def _settle(
        self,
        claim: Claim,
        job: JobFields,
        outcome: Outcome,
        exchange: Exchange,
        told: BoundLogger,
        *,
        token: str = "",
        observed: Observation | None = None,
    ) -> None:
        runtime, asked = self.runtime, Stopwatch()
        granted = runtime.ledger.settle(
            job.job_id, job.nonce, outcome, token=token, observed=observed, delivers=runtime.is_worker
        )
        if granted is None:
            return
        told.info(
            "job settled",
            stage=Stage.SETTLED,
            outcome=outcome.kind,
            cause=cause_of(outcome),
            code=outcome.code,
            ran_seconds=seconds_between(job.submitted_at_ms, claim.claimed_at_ms),
        )
        runtime.tracing.ran(job, outcome, exchange)
        runtime.resume(granted)
        at_ms = claim.claimed_at_ms
        runtime.deliver(job, Deliver(outcome, job.attempts, job.waiting_at_ms, at_ms, at_ms, asked))

    # -- what a crash left behind -------------------------------------------------------------------------------

    def _repair(self, claim: Claim, jobs: list[JobFields]) -> None:
        resumable: list[str] = []
        for job in jobs:
            match job.stage:
                case Stage.WAITING | Stage.SETTLED | None:
                    resumable += self._expire(claim, job)
                    unparked = self.runtime.ledger.unpark(job.job_id) if job.stage is Stage.WAITING else None
                    if unparked is not None:
                        resumable += unparked
                        continue
                    # Its message was lost, or its worker died: it is sent again. One without a record is forgotten.
                    resumable.append(job.job_id)
                case Stage.SUBMITTING:
                    why = "the worker died while submitting"
                    if self.runtime.ledger.lose(job.job_id, job.nonce, why, is_ours=True):
                        event = "its worker died while submitting; the vendor may have accepted the job"
                        log.error(event, stage=Stage.UNKNOWN, job_id=job.job_id, attempt=job.attempts, cause=why)
                case Stage.UNKNOWN:
                    resumable += self._decide_unknown(claim, job)
                case Stage.FOLLOWING:
                    if self.runtime.ledger.conclude(job.job_id, job.leader or ""):
                        resumable.append(job.job_id)
                case Stage.DELIVERED:
                    self.runtime.ledger.finish(job.job_id)
                case _:
                    pass
        self.runtime.resume(resumable)

    def _expire(self, claim: Claim, job: JobFields) -> Sequence[str]:
        failure = expired_in_line(job, claim.claimed_at_ms) if job.stage is Stage.WAITING else None
        expired = self.runtime.ledger.expire(job.job_id, Outcome.failure(failure)) if failure else None
        if expired is None:
            return ()
        log.info("job settled", stage=Stage.SETTLED, job_id=job.job_id, cause="DeadlineExceeded", attempt=job.attempts)
        return expired.granted

    def _decide_unknown(self, claim: Claim, job: JobFields) -> list[str]:
        ledger, settings = self.runtime.ledger, self.runtime.settings
        until_ms, told = job.unknown_until_ms or 0, ""
        if job.hint:
            # The vendor has named a task and does not say in words that it is the job's. It is rather there than not.
            until_ms = max(until_ms, (job.begun_at_ms or 0) + round(settings.run_deadline_seconds * 1000))
            told = f". The task {job.hint} was named, of which the vendor says nothing that could be understood"
        if claim.claimed_at_ms < until_ms:
            # A callback made it due before its bound.
            return []
        if (job.request.get("on_unknown") or settings.on_unknown) == "resubmit":
            why = "its submission is lost; submitting again"
            released = ledger.release(job.job_id, job.nonce, why, may_be_billed=True, hint=job.hint or "")
            if released is not None:
                event = "job steps back, as it was told to"
                log.warning(event, stage=Stage.WAITING, job_id=job.job_id, attempt=job.attempts, cause=why)
            return released or []
        failure: JobFailed = SubmissionUnknown(
            f"the answer to the submission was lost ({job.unknown_why}): the vendor may have accepted and billed it, "
            f"or not. Look in the vendor's task list before you enqueue it again{told}",
            None,
            job.hint,
        )
        granted = ledger.settle(job.job_id, job.nonce, Outcome.failure(failure), hint=job.hint or "")
        if granted is not None:
            cause = f"SubmissionUnknown: {job.unknown_why}"
            log.error("job settled", stage=Stage.SETTLED, job_id=job.job_id, attempt=job.attempts, cause=cause)
        return [] if granted is None else [job.job_id, *granted]
