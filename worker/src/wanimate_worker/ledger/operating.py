"""The operator's side of the ledger: jobs that failed, the hold, and messages that nobody could use."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import Outcome, Stage

from ..plain_json import plain_dumps
from .base import LedgerBase, bounded, cause_of
from .verdicts import Adoption, Expired, JobRecord, Retried, Retry, Tick

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from redis.client import Pipeline

    from .limits import AccountLimits

#: Dead letters that are kept, the newest.
DEAD_LETTERS: Final = 1000
#: After this long without a poll nobody remembers when the last one was, in milliseconds.
_TICK_TTL_MS: Final = 86_400_000
#: Between two copies of the counts, and what they shall reach back, in milliseconds.
SAMPLE_MS: Final = 60_000
SPAN_MS: Final = 3_600_000
#: For so many days is known what was probably billed, today among them, and for so many by label.
BILLED_DAYS: Final = 31
BILLED_LABEL_DAYS: Final = 7


class OperatingLedger(LedgerBase):
    """What an operator changes by hand, and what the workers leave for the operator to see."""

    # -- jobs that failed ---------------------------------------------------------------------------------------

    def retry(
        self, job_id: str, *, priority: int, deadline_ms: int | None, result_key: str, cause: str = "retried by hand"
    ) -> Retry:
        """Put a failed job in line again under the same id; it will be billed again.

        Args:
            job_id: The job.
            priority: 0 (most urgent) to 9.
            deadline_ms: Its deadline from now on, in milliseconds; None if it has none.
            result_key: Where Celery keeps the result of its failure; removed once the job has left it.
            cause: Who wants it, for its history.
        """
        old = self._stored(result_key)
        verdict, *granted = self._scripts.retry(
            keys=[*self._job_keys(job_id), self._keys.failed],
            args=[job_id, priority, "" if deadline_ms is None else deadline_ms, *self._grants(), bounded(cause)],
        )
        answer = Retry(Retried(verdict), granted)
        if answer.verdict is Retried.RETRIED:
            self._forget_result(result_key, old)
        return answer

    def revise(self, job_id: str, settled_at_ms: str, outcome: Outcome, *, task_id: str, result_key: str) -> bool:
        """Replace a job's failure by another outcome, which is delivered anew; False if it has no such failure now.

        Args:
            job_id: The job, which must be resumed afterwards.
            settled_at_ms: When the failure was settled, as the record says.
            outcome: How the vendor's task ended.
            task_id: The vendor's task.
            result_key: Where Celery keeps the result of the failure; removed once the job has left it.
        """
        keys = [self._keys.job(job_id), self._keys.due, self._keys.failed, self._keys.tally]
        stored = outcome.model_dump_json(exclude_none=True)
        cause = cause_of(outcome, f"found by hand as {task_id}")
        lease_ms, ttl = self._limits.lease_ms, self._failed_ttl(outcome)
        old = self._stored(result_key)
        if not self._scripts.revise(keys=keys, args=[job_id, settled_at_ms, stored, task_id, lease_ms, cause, ttl]):
            return False
        self._forget_result(result_key, old)
        return True

    def adopt(self, job_id: str, settled_at_ms: str, *, task_id: str, result_key: str) -> Adoption:
        """Make a failed job run again with a task that the vendor still renders; it needs a free slot.

        Args:
            job_id: The job.
            settled_at_ms: When the failure was settled, as the record says.
            task_id: The vendor's task.
            result_key: Where Celery keeps the result of the failure; removed once the job has left it.
        """
        names = self._keys
        keys = [names.job(job_id), names.slots, names.due, names.gate, names.failed, names.limits]
        cause = bounded(f"{task_id} found by hand")
        args = [job_id, settled_at_ms, secrets.token_hex(8), task_id, cause]
        old = self._stored(result_key)
        adoption = Adoption(self._scripts.adopt(keys=keys, args=args))
        if adoption is Adoption.ADOPTED:
            self._forget_result(result_key, old)
        return adoption

    def _stored(self, result_key: str) -> str | None:
        return cast("str | None", self._redis.get(result_key))

    def _forget_result(self, result_key: str, old: str | None) -> None:
        """Delete the result of a failure that was taken back, so that whoever waits waits for the new outcome.

        Only that very result: by now the job may have ended anew. It is not one of the ledger's keys, so it has its own
        step, the last: whoever dies before it leaves the old failure to be read until the new outcome replaces it.
        """

        def delete(pipeline: Pipeline) -> None:
            is_old = pipeline.get(result_key) == old
            pipeline.multi()
            if is_old:
                pipeline.delete(result_key)

        if old is not None:
            self._redis.transaction(delete, result_key)

    def expire(self, job_id: str, outcome: Outcome) -> Expired | None:
        """Settle a job whose deadline passed before it was sent; None if it was sent, or has time left.

        Args:
            job_id: The job, which must be resumed afterwards.
            outcome: What its callers shall get.
        """
        verdict, *granted = self._scripts.expire(
            keys=[*self._job_keys(job_id), self._keys.failed, self._keys.tally, self._keys.parked],
            args=[
                job_id,
                outcome.model_dump_json(exclude_none=True),
                *self._grants(),
                cause_of(outcome),
                self._limits.failed_ttl_ms,
            ],
        )
        return Expired(granted) if verdict == "expired" else None

    def trim(self) -> int:
        """Take jobs off the list of failed ones whose records have expired, and return how many.

        What was billed long ago, and what was enqueued long ago, is forgotten, too.
        """
        names, limits = self._keys, self._limits
        keys = [names.failed, names.billed, names.enqueued, names.spent]
        args = [limits.failed_ttl_ms, BILLED_DAYS, BILLED_LABEL_DAYS, limits.result_ttl_ms]
        return int(self._scripts.trim(keys=keys, args=args))

    # -- the hold -----------------------------------------------------------------------------------------------

    def hold(self, reason: str) -> bool:
        """Submit nothing new until `unhold`; True if it was not held before."""
        return bool(self._scripts.hold(keys=[self._keys.gate], args=[reason]))

    def unhold(self) -> bool:
        """End the hold; True if it was held."""
        return bool(self._scripts.unhold(keys=[self._keys.gate], args=[]))

    # -- signs of life ------------------------------------------------------------------------------------------

    def tick(self, limits: AccountLimits) -> Tick:
        """Note that a poll has begun, and repair what a clock that was set back leaves; now and then copy the counts.

        Args:
            limits: What to fill the account's limits with if Redis has lost them.
        """
        names = self._keys
        keys = [names.tick, names.tally, names.samples, names.limits, names.due, names.gate, names.budget]
        keys.append(names.parked)
        return Tick(*self._scripts.tick(keys=keys, args=[_TICK_TTL_MS, SAMPLE_MS, SPAN_MS, *_pairs(limits)]))

    # -- the account's limits -----------------------------------------------------------------------------------

    def fill_limits(self, limits: AccountLimits) -> bool:
        """Fill the account's limits where none are known; True if they were filled."""
        return bool(self._scripts.fill_limits(keys=[self._keys.limits], args=_pairs(limits)))

    def set_limits(self, limits: AccountLimits) -> bool:
        """Change the account's limits for everyone, at once; free slots are handed out by the next `grant`.

        Returns:
            Whether they were changed: the vendor's address is not while submissions are not held or a slot is.
        """
        names = self._keys
        keys = [names.limits, names.gate, names.slots, names.balance, names.throttles]
        return bool(self._scripts.set_limits(keys=keys, args=[limits.api_base_url, *_pairs(limits)]))

    # -- dead letters -------------------------------------------------------------------------------------------

    def bury(self, letter: Mapping[str, Any]) -> int:
        """Keep a message that nobody could use, and return how many there were since the list was empty."""
        stored = plain_dumps(letter)
        return int(self._scripts.bury(keys=[self._keys.dead], args=[stored, DEAD_LETTERS, self._limits.failed_ttl_ms]))

    def unbury(self, stored: str) -> bool:
        """Remove one dead letter, as `dead` returned it; False if it is gone."""
        return bool(self._scripts.unbury(keys=[self._keys.dead], args=[stored]))

    def clear_dead(self) -> int:
        """Remove all dead letters, and return how many there were."""
        return int(self._scripts.clear_dead(keys=[self._keys.dead], args=[]))

    def dead(self) -> list[str]:
        """Return the dead letters as they are stored (number, space, JSON), the newest first."""
        return list(cast("list[str]", self._redis.lrange(self._keys.dead, 0, -1)))

    # -- reading ------------------------------------------------------------------------------------------------

    def records(self, job_ids: Sequence[str]) -> list[JobRecord]:
        """Return everything that is stored about jobs, in one round trip."""
        keys = self._keys
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(keys.job(job_id))
                pipeline.zrank(keys.waiting, job_id)
                pipeline.zscore(keys.slots, job_id)
                pipeline.zscore(keys.parked, job_id)
            rows = pipeline.execute() if job_ids else []
        return [
            JobRecord(job_id, rows[at], rows[at + 1], _moment(rows[at + 2]), _moment(rows[at + 3]))
            for at, job_id in zip(range(0, len(rows), 4), job_ids, strict=True)
        ]

    def now_ms(self) -> int:
        """Return the server's time, Unix ms."""
        seconds, micros = self._redis.time()
        return seconds * 1000 + micros // 1000

    def page(self, name: str, start: int, count: int) -> list[str]:
        """Return part of the jobs that are in line, are parked, hold a slot, or failed, the first of them first.

        Args:
            name: `waiting`, `parked`, `slots` or `failed`.
            start: How many to pass over.
            count: How many to return.
        """
        keys = self._keys
        key = {"waiting": keys.waiting, "parked": keys.parked, "slots": keys.slots, "failed": keys.failed}[name]
        return list(cast("list[str]", self._redis.zrange(key, start, start + count - 1)))

    def undelivered(self) -> int:
        """Return how many outcomes are on their way to their callers."""
        job_ids = cast("list[str]", self._redis.zrange(self._keys.due, 0, -1))
        if not job_ids:
            return 0
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(self._keys.job(job_id), "stage")
            return cast("list[str | None]", pipeline.execute()).count(Stage.SETTLED.value)


def _moment(score: float | None) -> int | None:
    return None if score is None else int(score)


def _pairs(limits: AccountLimits) -> list[str | int]:
    return [part for pair in limits.fields().items() for part in pair]
