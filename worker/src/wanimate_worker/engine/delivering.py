"""Deliver outcomes to their callers, then close the ledger's record."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from wanimate.contract import Stage

from ..ledger import ResultMissing, Settled
from ..telemetry import get_logger
from .sending import seconds_between

if TYPE_CHECKING:
    from wanimate.contract import Outcome

    from ..ledger import Deliver, JobFields, Observation
    from .callers import Callers
    from .runtime import Runtime

log = get_logger(__name__)


class Deliverer:
    """Delivers outcomes in the thread that calls it."""

    def __init__(self, runtime: Runtime, callers: Callers) -> None:
        self._runtime = runtime
        self._callers = callers

    def deliver(self, step: Deliver) -> None:
        """Deliver a job's outcome, close its record, and give its followers the outcome.

        It does not fail: an outcome that was not delivered is delivered when its lease ends. After a crash in between
        callbacks may run twice.
        """
        runtime, job, job_id, begun_at_ns = self._runtime, step.job, step.job.job_id, time.time_ns()
        if step.asked.seconds > runtime.settings.lease_seconds:
            # This process was frozen. Another may have delivered the outcome, or an operator retried the job.
            log.warning("this worker was frozen; another worker delivers the outcome", job_id=job_id)
            return
        runtime.wake_sender()
        try:
            if not self._callers.deliver(job, step.outcome):
                log.error("outcome not delivered; it is retried", job_id=job_id)
                return
            followers = runtime.ledger.jobs.mark_delivered(job_id, self._callers.result_key(job))
            if followers is None:
                return
            self._record(step, begun_at_ns)
            runtime.go_on([each for each in followers if runtime.ledger.followers.conclude(each, job_id)])
        except ResultMissing:
            # The backend's connection led to a master that has been replaced, and what it stored is lost.
            log.warning("outcome missing in Redis; it is delivered again", job_id=job_id)
        except RedisError:
            log.warning("Redis is unavailable; the outcome is delivered again when its lease ends", job_id=job_id)
        except Exception:
            log.exception("unexpected error; the outcome is delivered when its lease ends", job_id=job_id)

    def settle(self, job: JobFields, outcome: Outcome, token: str, observed: Observation | None) -> Settled | None:
        """Settle a job that runs; None if the attempt or the claim is another's.

        The same script stores the result of a job without callbacks, chain or chord.

        Args:
            job: The job.
            outcome: How it ended.
            token: The claim's fencing token, if the outcome is only true while the claim holds.
            observed: How long the vendor had the task, where that is known.
        """
        plain = self._callers.plain_result(job, outcome)
        return self._runtime.ledger.jobs.settle(
            job.job_id,
            job.nonce,
            outcome,
            token=token,
            observed=observed,
            delivers=True,
            is_plain=plain is not None,
            result=None if plain is None else plain.stored,
        )

    def complete(self, step: Deliver, settled: Settled) -> None:
        """Deliver an outcome that this process has settled, unless its result is stored already; announce it."""
        match settled.stage:
            case Stage.DELIVERED:
                self._runtime.wake_sender()
                self._callers.announce_end(step.job, step.outcome)
                self._record(step, time.time_ns())
            case Stage.KEEPING:
                log.info("video is copied to the store", stage=Stage.KEEPING, job_id=step.job.job_id)
                self._runtime.wake_keeper()
                self._callers.announce_start(step.job, "its video is copied to the store")
            case _:
                self.deliver(step)

    def _record(self, step: Deliver, begun_at_ns: int) -> None:
        job = step.job
        log.info(
            "job delivered",
            stage=Stage.DELIVERED,
            job_id=job.job_id,
            task_id=step.outcome.task_id,
            outcome=step.outcome.kind,
            attempts=step.attempts,
            total_seconds=seconds_between(step.waiting_at_ms, step.begun_at_ms),
        )
        self._runtime.tracing.delivered(job.message.get("headers"), job.job_id, step, begun_at_ns)
