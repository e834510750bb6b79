"""The request budget, and the gate that the vendor's answers close."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, cast

from wanimate.contract import Stage

from .base import LedgerBase
from .gate import PausedFor
from .throttles import Tasks

if TYPE_CHECKING:
    from .throttles import RefusedBy


class GatingLedger(LedgerBase):
    """The part of the ledger that decides whether anything is sent."""

    def permit(self, wanted: int) -> int:
        """Take request permits for polls, as many of those wanted as the budget has now."""
        keys = [self._keys.budget, self._keys.gate, self._keys.tally, self._keys.limits]
        return int(self._scripts.permit(keys=keys, args=[wanted]))

    def close_gate(
        self,
        reason: str,
        *,
        sent_at_ms: int,
        retry_after_seconds: float | None = None,
        lower_cap: bool = False,
        refused_by: RefusedBy | None = None,
        tasks: Tasks | None = None,
    ) -> int:
        """Close the gate for everyone and return for how long, in milliseconds.

        Args:
            reason: Why.
            sent_at_ms: When the request was sent whose answer says so, in Redis time.
            retry_after_seconds: What the vendor asked for, if it did.
            lower_cap: Whether the vendor counts more tasks than we do.
            refused_by: For a 429, the limit it speaks of; None for anything else.
            tasks: For a refused submission, the tasks that the vendor had then.
        """
        limits, keys = self._limits, self._keys
        return int(
            self._scripts.close_gate(
                keys=[keys.gate, keys.slots, keys.tally, keys.limits, keys.answered, keys.throttles],
                args=[
                    reason,
                    sent_at_ms,
                    "" if retry_after_seconds is None else round(retry_after_seconds * 1000),
                    limits.backoff_base_ms,
                    limits.backoff_longest_ms,
                    random.random(),  # noqa: S311 - jitter, not a secret
                    "1" if lower_cap else "",
                    "" if refused_by is None else refused_by.value,
                    *(("", "") if tasks is None else (tasks.accepted, tasks.perhaps)),
                ],
            )
        )

    def tasks_at_vendor(self, besides: str = "") -> Tasks:
        """Return how many tasks the vendor has, as far as is known.

        Args:
            besides: A job that does not count.
        """
        held = cast("list[str]", self._redis.zrange(self._keys.slots, 0, -1))
        job_ids = [job_id for job_id in held if job_id != besides]
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(self._keys.job(job_id), "stage")
            stages = cast("list[str | None]", pipeline.execute())
        accepted = stages.count(Stage.RUNNING)
        return Tasks(accepted, accepted + stages.count(Stage.SUBMITTING) + stages.count(Stage.UNKNOWN))

    def pause(self, reason: str, what: PausedFor = PausedFor.KEY) -> bool:
        """Pause the account; True if it was not paused before.

        Args:
            reason: Why, in the vendor's words.
            what: What the account lacks, which a probe asks about.
        """
        args: list[str | int] = [reason, self._limits.probe_interval_ms, what.value]
        return bool(self._scripts.pause(keys=[self._keys.gate], args=args))

    def unpause(self) -> bool:
        """End the account's pause; True if it was paused."""
        return bool(self._scripts.unpause(keys=[self._keys.gate], args=[]))

    def claim_probe(self) -> bool:
        """Claim the next probe of a paused account: True for one caller per interval.

        None is due while the account lacks credit and the vendor tells its balance.
        """
        keys = [self._keys.gate, self._keys.budget, self._keys.limits, self._keys.balance]
        return bool(self._scripts.probe(keys=keys, args=[self._limits.probe_interval_ms]))
