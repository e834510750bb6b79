"""Submitting: a job that has a slot is sent to the vendor once, and what became of it is written down."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from wanimate.contract import Stage, parse_job
from wanimate.errors import InvalidRequest

from ..ledger import Blocked, Deliver, NoOp, RateLimited, Submit, Unsafe, WaitForPermit
from ..telemetry import get_logger
from ..vendor import Accepted, Exchange, SubmitAnswer, Unknown
from .recording import Attempt
from .sending import AGAIN_SECONDS, PERMIT_SECONDS, seconds_between, send_once

if TYPE_CHECKING:
    from .callers import Callers
    from .delivering import Deliverer
    from .runtime import Runtime

log = get_logger(__name__)


class Submitter:
    """Claims the next step of jobs from the ledger and carries it out, in the thread that calls it.

    A step that is claimed twice or late is found taken, and nothing changes.

    Args:
        runtime: The ledger, the vendor and the settings.
        callers: Who learns that a task has started.
        deliverer: Delivers the outcomes of jobs that have ended.
    """

    def __init__(self, runtime: Runtime, callers: Callers, deliverer: Deliverer) -> None:
        self._runtime = runtime
        self._callers = callers
        self._deliverer = deliverer

    def advance(self, job_id: str) -> None:
        """Submit a job or deliver its outcome, whichever the ledger says comes next.

        It does not fail: a job whose step was not decided is found when its lease ends.

        Args:
            job_id: A job that has a slot or an outcome, or had.
        """
        try:
            step = self._claim(job_id)
            while isinstance(step, Submit):
                step = self._claim(job_id) if self._submit(step) else None
            if isinstance(step, Deliver):
                self._deliverer.deliver(step)
        except RedisError as error:
            log.warning("Redis is away; the job continues when its lease ends", job_id=job_id, cause=error)

    def _claim(self, job_id: str) -> Submit | Deliver | None:
        step = self._runtime.ledger.jobs.begin(job_id)
        if isinstance(step, WaitForPermit):
            # At most a second, and only while submissions use up the whole request budget.
            time.sleep(step.wait_ms / 1000)
            is_fresh = step.asked.seconds <= step.wait_ms / 1000 + PERMIT_SECONDS
            step = self._runtime.ledger.jobs.begin(job_id, holds_permit=is_fresh)
        match step:
            case Deliver() | Submit():
                return step
            case Blocked():
                log.info("job steps back", stage=Stage.WAITING, job_id=job_id, cause="the gate is closed")
            case NoOp(stage=None):
                self._forget(job_id)
            case RateLimited() | NoOp() | WaitForPermit():
                pass
        return None

    def _forget(self, job_id: str) -> None:
        """Free the slot of a job without a record."""
        granted = self._runtime.ledger.jobs.forget(job_id)
        if granted is not None:
            log.error("the job has lost its record (evicted or deleted by hand); its slot is free again", job_id=job_id)
            self._runtime.go_on(granted)

    def _submit(self, step: Submit) -> bool:
        """Send a job once, and return whether it has ended by that."""
        runtime, job, exchange = self._runtime, step.job, Exchange()
        attempt = Attempt(runtime, job.job_id, step, exchange, self._callers.started_mark(job))
        try:
            sent = parse_job(job.request, is_recorded=True)
        except InvalidRequest as error:
            # Recorded by a worker that knew more, or less, than this one.
            attempt.settle(error)
            return True
        log.info(
            "job is submitted",
            stage=Stage.SUBMITTING,
            job_id=job.job_id,
            attempt=step.attempt,
            in_flight=step.in_flight,
            request_id=exchange.request_id,
            waited_seconds=seconds_between(job.waiting_at_ms, step.begun_at_ms) if step.attempt == 1 else None,
        )
        answer = self._unsafe(job.job_id, step) or send_once(runtime, job.job_id, sent, step, exchange)
        has_ended = self._record_surely(attempt, answer)
        runtime.tracing.submitted(job.message.get("headers"), job.job_id, step, answer, exchange)
        if shown := _started(answer):
            self._callers.announce_start(job, shown)
        return has_ended

    def _unsafe(self, job_id: str, step: Submit) -> Unsafe | None:
        """Return why a crash of Redis might forget this intent, so that the request must not be sent; None if safe."""
        try:
            why = self._runtime.ledger.durable.confirm(job_id, step.nonce)
        except RedisError as error:
            why = f"Redis went away ({type(error).__name__})"
        return None if why is None else Unsafe(why)

    def _record_surely(self, attempt: Attempt, answer: SubmitAnswer | Unsafe) -> bool:
        """Write down the vendor's answer, however long Redis is away: an accepted task is paid for.

        After `unknown_after` the ledger has given this attempt up, and the log is the only record there is.
        """
        give_up_at = time.monotonic() + self._runtime.settings.unknown_after_seconds
        while True:
            try:
                return attempt.record(answer)
            except RedisError as error:
                if time.monotonic() > give_up_at:
                    log.critical("not recorded, Redis is away", job_id=attempt.job_id, answer=answer)
                    raise
                log.warning("Redis is away; the answer is recorded later", job_id=attempt.job_id, cause=error)
                time.sleep(AGAIN_SECONDS)


def _started(answer: SubmitAnswer | Unsafe) -> str:
    """Return what monitoring shows of a job that the vendor has or may have; empty for one that goes on waiting."""
    match answer:
        case Accepted(task_id):
            return f"runs at the vendor as {task_id}"
        case Unknown():
            return "the answer to its submission was lost: the vendor may have accepted it"
        case _:
            return ""
