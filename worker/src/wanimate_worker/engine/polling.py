"""Polling: due jobs are claimed, the vendor is asked about their tasks, and those that have ended are settled."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event, Lock
from typing import TYPE_CHECKING, Final

from wanimate.contract import Outcome, Stage

from ..ledger import Deliver, RefusedBy, bounded, cause_of
from ..outage import is_away
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
from .balance import read_balance
from .deadlines import odd_word_of, overdue
from .endings import Served, ending_of, wants_credit
from .hints import HintVerdict, check_hint
from .observing import observe
from .pausing import pause_account, probe_account, wait_for_credit
from .pool import Pool
from .recovering import decide_unknown, recover
from .retrying import next_attempt
from .sending import AGAIN_SECONDS, RightToSend, seconds_between

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

    from ..ledger import Claim, JobFields, Observation
    from .delivering import Deliverer
    from .runtime import Runtime

log = get_logger(__name__)

#: After an answer that said nothing about the task, it is asked again after this, in seconds.
_ASK_AGAIN_SECONDS: Final = 5.0
#: The shortest pause between two looks, in seconds: what becomes due meanwhile is claimed together.
_MIN_PAUSE_SECONDS: Final = 0.02
#: How long a worker waits for a wake-up before it asks itself whether it got the tick, in seconds.
_IDLE_WAIT_SECONDS: Final = 0.25
#: Jobs that get no request permit for so long are left to a later look, in seconds.
_PATIENCE_SECONDS: Final = 0.5
#: Pause before permits are asked for again, in seconds: at 10,000 requests a minute there are eight more.
_NEXT_PERMITS_SECONDS: Final = 0.05
#: That the vendor answers is written down this often, in seconds.
_NEWS_SECONDS: Final = 0.25
#: A step of the clock up to this is harmless and not reported, in milliseconds.
_HARMLESS_STEP_MS: Final = 1_000


@dataclass(slots=True)
class _Answered:
    """What the answers to the polls of one claim come to, until it is written to the ledger."""

    claimed_at_ms: int
    delays_ms: dict[str, int] = field(default_factory=dict)
    requests: int = 0
    is_well: bool = False


class Poller:
    """Looks for due jobs in one thread, and asks the vendor in others.

    Of all workers the one that got the last tick looks all the time; any looks when a callback wakes it.

    Args:
        runtime: The ledger, the vendor and the settings.
        deliverer: Delivers the outcomes of jobs that have ended.
    """

    def __init__(self, runtime: Runtime, deliverer: Deliverer) -> None:
        self._runtime = runtime
        self._deliverer = deliverer
        self.askers = Pool(runtime.settings.poll_concurrency, "asker")
        self._stopping = Event()
        self._look_until = 0.0
        self._pause_seconds = _MIN_PAUSE_SECONDS
        #: By the token of the claim.
        self._answered: dict[str, _Answered] = {}
        self._answering = Lock()
        self._news_since = 0.0

    def tick(self) -> None:
        """Probe a paused account, hand out free slots, read the balance; then look for due jobs until the next tick."""
        runtime = self._runtime
        if self._stopping.is_set():
            return
        tick = runtime.ledger.polls.tick(runtime.settings.account_limits())
        if tick.set_back_ms > _HARMLESS_STEP_MS:
            log.error("the clock of Redis was set back; what was planned by it comes earlier", step_ms=tick.set_back_ms)
        asked = Stopwatch()
        if runtime.ledger.gate.claim_probe():
            self.askers.start(probe_account, runtime, asked)
        runtime.go_on(runtime.ledger.polls.grant())
        asked = Stopwatch()
        if (credit := runtime.ledger.balance.claim()) is not None:
            self.askers.start(read_balance, runtime, asked, credit)
        if runtime.ledger.records.in_flight():
            self._look_until = time.monotonic() + runtime.settings.poll_tick_seconds + _IDLE_WAIT_SECONDS
        runtime.doorbell.ring_wake()

    def look_until_stopped(self) -> None:
        """Look for due jobs whenever a callback or the tick asks for it; while tasks are in flight all the time."""
        runtime, was_away = self._runtime, False
        while not self._stopping.is_set():
            try:
                if time.monotonic() < self._look_until:
                    runtime.doorbell.wait_wake(self._pause_seconds)
                elif not runtime.doorbell.wait_wake(_IDLE_WAIT_SECONDS):
                    self.write_plans()
                    continue
                while self.look() and not self._stopping.is_set():
                    pass
                was_away = False
            except Exception as error:
                if not is_away(error):
                    log.exception("unexpected error; what was claimed is checked again when its lease ends")
                elif not was_away:
                    text = "Redis is away; what was claimed is checked again when its lease ends"
                    log.warning(text, cause=error)
                was_away = is_away(error)
                self._stopping.wait(AGAIN_SECONDS)

    def stop(self) -> None:
        """Look no more; requests under way go on."""
        self._stopping.set()

    def look(self) -> bool:
        """Claim as many due jobs as there are free threads, and ask about them; return whether more may be due."""
        runtime = self._runtime
        self.write_plans(at_once=False)
        # Many at a time: with each thread that becomes free one job would be claimed.
        self.askers.wait_until_idle(runtime.settings.poll_concurrency // 2, _PATIENCE_SECONDS)
        wanted = min(runtime.settings.poll_batch_size, self.askers.wait_for_room(_PATIENCE_SECONDS))
        if not wanted:
            return True
        permitted = Stopwatch()
        claim = runtime.ledger.polls.claim(wanted, takes_permits=True)
        self._pause_until(claim.due_in_ms)
        if not claim.job_ids:
            return False
        jobs = runtime.ledger.records.read(claim.job_ids)
        recover(runtime, claim, [job for job in jobs if job.asks_about is None])
        has_more = len(jobs) == wanted
        if has_more:
            # Another process begins with it while this one waits for answers.
            runtime.doorbell.ring_wake()
        asked = [job for job in jobs if job.asks_about is not None]
        return self._ask_all(claim, asked, claim.permits, permitted) and has_more

    def _pause_until(self, due_in_ms: int | None) -> None:
        """Note when to look next. Tasks that are accepted meanwhile are due after the floor at the earliest."""
        longest = max(_MIN_PAUSE_SECONDS, self._runtime.settings.poll_floor_seconds / 2)
        due_in_seconds = longest if due_in_ms is None else due_in_ms / 1000
        self._pause_seconds = min(longest, max(_MIN_PAUSE_SECONDS, due_in_seconds))

    def write_plans(self, *, at_once: bool = True) -> None:
        """Write to the ledger what the answers since the last time come to.

        Args:
            at_once: Whether to write also where no task is to be polled again: such news can wait for others.
        """
        with self._answering:
            has_plans = any(each.delays_ms for each in self._answered.values())
            if not (has_plans or at_once or time.monotonic() > self._news_since + _NEWS_SECONDS):
                return
            answered, self._answered = self._answered, {}
            self._news_since = time.monotonic()
        for token, each in answered.items():
            since_ms = each.claimed_at_ms if each.is_well else None
            self._runtime.ledger.polls.plan(token, each.delays_ms, answered_since_ms=since_ms, answered=each.requests)

    # -- tasks of the vendor: ask --------------------------------------------------------------------------------------

    def _ask_all(self, claim: Claim, jobs: list[JobFields], permits: int, permitted: Stopwatch) -> bool:
        """Begin to ask about each job once it has a request permit, and return whether the budget allowed all.

        Args:
            claim: The claim.
            jobs: Its jobs.
            permits: How many request permits there are.
            permitted: Since when.
        """
        ledger, settings = self._runtime.ledger, self._runtime.settings
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while jobs:
            for job in jobs[:permits]:
                self.askers.start(self._ask, claim, job, RightToSend(settings, permitted))
            jobs = jobs[permits:]
            if permits:
                give_up_at = time.monotonic() + _PATIENCE_SECONDS
            elif time.monotonic() < give_up_at and not self._stopping.is_set():
                time.sleep(_NEXT_PERMITS_SECONDS)
            elif jobs:
                # Due again at once, for the next look of any worker.
                ledger.polls.plan(claim.token, dict.fromkeys((job.job_id for job in jobs), 0))
                return False
            if jobs:
                # Taken just before they are used: a permit that waits would be used in the window of other requests.
                permitted = Stopwatch()
                permits = ledger.polls.permit(len(jobs))
        return True

    def _ask(self, claim: Claim, job: JobFields, may_send: RightToSend) -> None:
        answer = self._answer(claim, job, may_send)
        delay_ms: int | None = None
        if isinstance(answer, Pending):
            delay_ms = self._delay_ms(claim, job)
        elif not isinstance(answer, Succeeded | Failed):
            delay_ms = round(_ASK_AGAIN_SECONDS * 1000)
        with self._answering:
            each = self._answered.setdefault(claim.token, _Answered(claim.claimed_at_ms))
            each.is_well = each.is_well or isinstance(answer, Pending | Succeeded | Failed)
            each.requests += not isinstance(answer, Throttled | NotSent)
            if delay_ms is not None:
                each.delays_ms[job.job_id] = delay_ms

    def _delay_ms(self, claim: Claim, job: JobFields) -> int:
        """Return when to ask again about a task that is at work: as planned, or when its time is up."""
        begun_ms = job.submitted_at_ms or claim.claimed_at_ms
        up_at_ms = begun_ms + round(self._runtime.settings.run_deadline_seconds * 1000)
        deadlines_ms = [each for each in (up_at_ms, job.deadline_at_ms) if each is not None]
        age_ms = max(1, claim.claimed_at_ms - begun_ms)
        return self._runtime.pacer.next_poll_ms(job.request, age_ms, min(deadlines_ms) - claim.claimed_at_ms)

    def _answer(self, claim: Claim, job: JobFields, may_send: RightToSend) -> StatusAnswer:
        """Ask for one job's state and settle it at once if it has ended."""
        exchange = Exchange()
        try:
            answer: StatusAnswer = self._runtime.vendor.status(job.asks_about or "", exchange, may_send=may_send)
        except Exception as error:
            log.exception("unexpected error while polling", job_id=job.job_id)
            answer = Unreadable(f"{type(error).__name__} while polling")
        job_log = log.bind(job_id=job.job_id, task_id=job.asks_about, attempt=job.attempts, **exchange.facts())
        job_log.debug("polled", answer=type(answer).__name__)
        if job.stage is Stage.UNKNOWN and not self._adopt(claim, job, answer, job_log):
            return answer
        if isinstance(answer, Failed) and wants_credit(answer):
            wait_for_credit(self._runtime, job, answer.message, job_log)
            return answer
        # Neither end needs the claim's token: they are true for any that asks, and the attempt's nonce is checked. So a
        # callback that makes a job due while it is asked about does not undo the answer.
        ttl_seconds = self._runtime.settings.result_urls_ttl_seconds
        served = Served(claim.claimed_at_ms, job.begun_at_ms, ttl_seconds)
        outcome = ending_of(answer, job.asks_about, served)
        if outcome is not None:
            self._end(claim, job, answer, outcome, exchange, job_log)
        else:
            self._note_readability(job, answer)
            self._note_trouble(claim, answer, job_log)
            failure = overdue(job, answer, claim.claimed_at_ms, self._runtime.settings.run_deadline_seconds)
            if failure is not None and (why := odd_word_of(answer)) and why != job.unreadable_why:
                self._runtime.ledger.jobs.mark_unreadable(job.job_id, job.nonce, why)
            elif failure is not None:
                self._settle(claim, job, Outcome.failure(failure), exchange, job_log, token=claim.token)
        return answer

    def _adopt(self, claim: Claim, job: JobFields, answer: StatusAnswer, job_log: BoundLogger) -> bool:
        """Decide about a task id that was only named; True if it is the job's task and now on record as such."""
        runtime, hint = self._runtime, job.hint or ""
        match check_hint(job, answer, claim.claimed_at_ms):
            case HintVerdict.RIGHT:
                is_ours = runtime.ledger.jobs.accept(
                    job.job_id,
                    job.nonce,
                    task_id=hint,
                    first_poll_ms=runtime.pacer.next_poll_ms(job.request),
                    begun_at_ms=claim.claimed_at_ms,
                )
                if is_ours:
                    job_log.info(
                        "its answer was lost; the vendor has confirmed the task that was named", stage=Stage.RUNNING
                    )
                return is_ours
            case HintVerdict.WRONG:
                job_log.warning("the task that was named is not the job's", answer=answer)
                runtime.ledger.jobs.drop_hint(job.job_id, job.nonce, hint)
            case HintVerdict.UNDECIDED:
                self._note_trouble(claim, answer, job_log)
                if isinstance(answer, Pending | Unreadable):
                    runtime.go_on(decide_unknown(runtime, claim, job))
        return False

    def _note_readability(self, job: JobFields, answer: StatusAnswer) -> None:
        """Write down, once, that a task's answers cannot be read, or can again: only an operator ends such a job."""
        why = bounded(answer.reason) if isinstance(answer, Unreadable) else ""
        if isinstance(answer, Unreadable | Pending | TaskNotFound) and why != (job.unreadable_why or ""):
            self._runtime.ledger.jobs.mark_unreadable(job.job_id, job.nonce, why)

    def _note_trouble(self, claim: Claim, answer: StatusAnswer, job_log: BoundLogger) -> None:
        ledger = self._runtime.ledger
        match answer:
            case Throttled():
                closed_ms = ledger.gate.close(
                    f"throttled: {answer.message}",
                    sent_at_ms=claim.claimed_at_ms,
                    retry_after_seconds=answer.retry_after_seconds,
                    # Status requests do not count as tasks.
                    refused_by=RefusedBy.REQUESTS,
                )
                job_log.warning("throttled; nothing is sent for a while", cause=answer.message, closed_ms=closed_ms)
            case NotSent(reason, Obstacle.STALE):
                job_log.warning("not asked; it is asked again", cause=reason)
            case NotSent(reason):
                closed_ms = ledger.gate.close(f"not sent: {reason}", sent_at_ms=claim.claimed_at_ms)
                job_log.warning("not sent; nothing is sent for a while", cause=reason, closed_ms=closed_ms)
            case Unauthorised():
                pause_account(ledger, answer, job_log)
            case TaskNotFound(message) | Unreadable(message):
                job_log.warning("a status request said nothing", cause=message)
            case _:
                pass

    def _end(
        self,
        claim: Claim,
        job: JobFields,
        answer: StatusAnswer,
        outcome: Outcome,
        exchange: Exchange,
        job_log: BoundLogger,
    ) -> None:
        """Settle a job whose task has ended, or put it back to be sent again."""
        limits = self._runtime.ledger.limits.read() if outcome.result is None else None
        allowed = 0 if limits is None else limits.retry_transient
        then = next_attempt(job, outcome, allowed, claim.claimed_at_ms)
        if isinstance(then, Outcome):
            self._settle(claim, job, then, exchange, job_log, observed=observe(job, answer, claim.claimed_at_ms))
            return
        granted = self._runtime.ledger.jobs.release(
            job.job_id,
            job.nonce,
            then.cause,
            may_be_billed=True,
            has_run=True,
            delay_ms=then.delay_ms,
            transient_code=then.code,
        )
        if granted is not None:
            job_log.warning(
                "its task failed, the job is sent again", stage=Stage.WAITING, cause=then.cause, code=then.code
            )
            self._runtime.tracing.ran(job, outcome, exchange)
            self._runtime.go_on(granted)

    def _settle(
        self,
        claim: Claim,
        job: JobFields,
        outcome: Outcome,
        exchange: Exchange,
        job_log: BoundLogger,
        *,
        token: str = "",
        observed: Observation | None = None,
    ) -> None:
        asked = Stopwatch()
        settled = self._deliverer.settle(job, outcome, token, observed)
        if settled is None:
            return
        self._runtime.go_on(settled.granted)
        job_log.info(
            "job settled",
            stage=Stage.SETTLED,
            outcome=outcome.kind,
            cause=cause_of(outcome),
            code=outcome.code,
            ran_seconds=seconds_between(job.submitted_at_ms, claim.claimed_at_ms),
        )
        self._runtime.tracing.ran(job, outcome, exchange)
        at_ms = claim.claimed_at_ms
        step = Deliver(outcome, job.attempts, job.waiting_at_ms, at_ms, at_ms, asked, job)
        self._deliverer.complete(step, settled)
