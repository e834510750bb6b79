"""Whether what was written outlives the server that took it: on replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from .base import LedgerBase
from .values import CallbackEffect, NotReplicated

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis import Redis

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
        if not self._limits.intent_replicas:
            return None
        is_known, why = self._replicated(
            "the intent",
            lambda pipeline: self._scripts.confirm(keys=[self._keys.job(job_id)], args=[nonce], client=pipeline),
        )
        return why if is_known else "Redis does not know the intent any more"

    def callback(self, job_id: str, nonce: str, task_id: str = "") -> CallbackEffect:
        """Note that the vendor called back, and return what that changed.

        A callback that was taken never comes again, and while the answer to a submission is missing it is all that
        tells whose task it was. So it is kept as safe as the intent.

        Args:
            job_id: The job.
            nonce: The attempt whose callback it is.
            task_id: The task id that the callback names, if it names one; it is checked before it is believed.

        Raises:
            NotReplicated: It was noted, and too few replicas have it; the same call again may find more.
        """
        keys = [self._keys.job(job_id), self._keys.due]
        args: list[str | int | float] = [job_id, nonce, task_id, self._limits.callback_interval_ms]
        if not self._limits.intent_replicas:
            return CallbackEffect(self._scripts.callback(keys=keys, args=args))
        answer, why = self._replicated(
            "the callback", lambda pipeline: self._scripts.callback(keys=keys, args=args, client=pipeline)
        )
        effect = CallbackEffect(answer)
        if why is not None and effect in {CallbackEffect.DUE, CallbackEffect.NOTED}:
            raise NotReplicated(why)
        return effect

    def _replicated(self, what: str, write: Callable[[Redis], object]) -> tuple[Any, str | None]:
        """Write and wait for the replicas on one connection; return the answer, and why too few replicas have it."""
        wanted, within_ms = self._limits.intent_replicas, self._limits.intent_timeout_ms
        with self._redis.pipeline(transaction=False) as pipeline:
            write(pipeline)
            pipeline.wait(wanted, within_ms)
            answer, replicas = pipeline.execute(raise_on_error=False)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(replicas, ResponseError):
            return answer, f"the server refuses WAIT: {replicas}"
        if int(replicas) < wanted:
            within = f"within {within_ms / 1000:g} s"
            return answer, f"{replicas} of {wanted} replicas had {what} {within} (WANIMATE_INTENT_REPLICAS)"
        return answer, None

    def postpone(self, why: str) -> int:
        """Submit nothing for a while, and return for how long, in milliseconds; polls go on.

        Args:
            why: What the operator shall read.
        """
        self._scripts.postpone(keys=[self._keys.gate], args=[why, UNSAFE_PAUSE_MS])
        return UNSAFE_PAUSE_MS
