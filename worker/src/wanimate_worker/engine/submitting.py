"""Submit a job that has a slot to the vendor once, and record the answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from wanimate.contract import Stage, parse_job
from wanimate.errors import InvalidRequest

from ..ledger import Blocked, Deliver, NoOp, RateLimited, Submit, Unsafe, WaitForPermit
from ..telemetry import get_logger
from ..vendor import Accepted, SubmitAnswer, Unknown
from .attempt import Attempt
from .sending import PERMIT_SECONDS, seconds_between

if TYPE_CHECKING:
    from .callers import Callers
    from .delivering import Deliverer
    from .runtime import Runtime

log = get_logger(__name__)


class Submitter:
    """Claims the next step of jobs from the ledger and carries it out, in the thread that calls it.

    A step that is claimed twice or late changes nothing.
    """

    def __init__(self, runtime: Runtime, callers: Callers, deliverer: Deliverer) -> None:
        self._runtime = runtime
        self._callers = callers
        self._deliverer = deliverer

    def advance(self, job_id: str) -> None:
        """Submit a job or deliver its outcome, whichever the ledger says comes next.

        It does not fail: a job whose step was not decided is found when its lease ends.
        """
        try:
            step = self._claim(job_id)
            while isinstance(step, Submit):
                step = self._claim(job_id) if self._submit(step) else None
            if isinstance(step, Deliver):
                self._deliverer.deliver(step)
        except RedisError as error:
            log.warning("Redis is unavailable; the job continues when its lease ends", job_id=job_id, cause=error)

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
                log.info("job requeued", stage=Stage.WAITING, job_id=job_id, cause="submissions are paused")
            case NoOp(stage=None):
                self._forget(job_id)
            case RateLimited() | NoOp() | WaitForPermit():
                pass
        return None

    def _forget(self, job_id: str) -> None:
        """Free the slot of a job without a record."""
        granted = self._runtime.ledger.jobs.forget(job_id)
        if granted is not None:
            log.error("the job's record was evicted or deleted; its slot is freed", job_id=job_id)
            self._runtime.go_on(granted)

    def _submit(self, step: Submit) -> bool:
        """Send a job once, and return whether that has ended it."""
        job, attempt = step.job, Attempt(self._runtime, step, self._callers.started_mark(step.job))
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
            request_id=attempt.exchange.request_id,
            waited_seconds=seconds_between(job.waiting_at_ms, step.begun_at_ms) if step.attempt == 1 else None,
        )
        answer = attempt.unsafe() or attempt.send(sent)
        has_ended = attempt.record(answer)
        tracing, headers = self._runtime.tracing, job.message.get("headers")
        tracing.submitted(headers, job.job_id, step, answer, attempt.exchange)
        if shown := _started(answer):
            self._callers.announce_start(job, shown)
        return has_ended


def _started(answer: SubmitAnswer | Unsafe) -> str:
    """Return what monitoring shows of a job that the vendor has or may have; empty for one that goes on waiting."""
    match answer:
        case Accepted(task_id):
            return f"runs at the vendor as {task_id}"
        case Unknown():
            return "the answer to its submission was lost: the vendor may have accepted it"
        case _:
            return ""
