"""Whether an intent outlives the server that took it: on replicas."""

from __future__ import annotations

from typing import Final

from redis.exceptions import ResponseError

from .base import LedgerBase

#: Nothing is submitted for this long after an intent could not be made safe, in milliseconds: long enough that no
#: worker tries in a loop, short beside a fail-over.
UNSAFE_PAUSE_MS: Final = 5_000


class ConfirmingLedger(LedgerBase):
    """The part of the ledger that waits for replicas."""

    def confirm(self, job_id: str, nonce: str) -> str | None:
        """Wait until the intent of an attempt is as safe as the settings ask; None if it is, else why not.

        The intent is written once more and the wait follows on the same connection. So a server that forgot the intent
        says so, and no connection that was opened in between is asked about writes it never made.

        Args:
            job_id: The job.
            nonce: The attempt.
        """
        limits = self._limits
        if not limits.intent_replicas:
            return None
        with self._redis.pipeline(transaction=False) as pipeline:
            self._scripts.confirm(keys=[self._keys.job(job_id)], args=[nonce], client=pipeline)
            pipeline.wait(limits.intent_replicas, limits.intent_timeout_ms)
            is_known, replicas = pipeline.execute(raise_on_error=False)
        if isinstance(is_known, Exception):
            raise is_known
        if not is_known:
            return "Redis does not know the intent any more"
        if isinstance(replicas, ResponseError):
            return f"the server refuses WAIT: {replicas}"
        if int(replicas) < limits.intent_replicas:
            within = f"within {limits.intent_timeout_ms / 1000:g} s"
            return f"{replicas} of {limits.intent_replicas} replicas had the intent {within} (WANIMATE_INTENT_REPLICAS)"
        return None

    def postpone(self, why: str) -> int:
        """Submit nothing for a while, and return for how long, in milliseconds; polls go on.

        Args:
            why: What the operator shall read.
        """
        self._scripts.postpone(keys=[self._keys.gate], args=[why, UNSAFE_PAUSE_MS])
        return UNSAFE_PAUSE_MS
