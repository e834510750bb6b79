"""The gate: everything that blocks submissions, or allows one at a time."""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import Stage

from .script import Concern, script
from .throttles import Tasks

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .throttles import RefusedBy

#: Nothing is submitted for this long after an intent could not be made safe, in milliseconds: long enough that no
#: worker tries in a loop, short beside a fail-over.
UNSAFE_PAUSE_MS: Final = 5_000


class SuspendedFor(StrEnum):
    """What a suspended account lacks."""

    KEY = "key"
    CREDIT = "credit"


class BreakerFor(StrEnum):
    """Why the circuit breaker is open."""

    #: The answers to several submissions were lost.
    LOST = "lost"
    #: Several jobs were refused without a verdict on any of them.
    REFUSED = "refused"
    #: The account was suspended, and is not any more.
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class GateState:
    """The gate as last written. Moments are in Redis time (ms), 0 for none.

    Args:
        suspended: Why the account is suspended, or None.
        paused: Why the operator has paused submissions, or None.
        closed_until_ms: Until when the back-off keeps the gate closed.
        reason: Why it was closed.
        failures: How many failures in a row closed it.
        lost_in_a_row: Submissions whose answer was lost since one was answered.
        refused_in_a_row: Jobs that were refused without a verdict since a submission was accepted.
        refused_why: What the last of them was answered.
        breaker_next_ms: When the next half-open submission is tried; None while the circuit breaker is closed.
        unsafe: Why an intent could not be made safe, the last time.
        unsafe_until_ms: Until when nothing is submitted for it.
        limited_until_ms: Until when nothing is submitted because the day's limit is reached.
        is_balance_low: Whether the balance is too low for the next submission.
    """

    suspended: str | None
    suspended_for: SuspendedFor
    paused: str | None
    closed_until_ms: int
    reason: str | None
    failures: int
    lost_in_a_row: int
    refused_in_a_row: int
    refused_why: str | None
    breaker_next_ms: int | None
    breaker_for: BreakerFor
    unsafe: str | None
    unsafe_until_ms: int
    limited_until_ms: int
    is_balance_low: bool = False

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> GateState:
        """Build from the account's hash."""
        breaker = fields.get("breaker_next_ms")
        return cls(
            suspended=fields.get("suspended"),
            suspended_for=SuspendedFor(fields.get("suspended_for", SuspendedFor.KEY)),
            paused=fields.get("paused"),
            closed_until_ms=int(fields.get("closed_until_ms", 0)),
            reason=fields.get("reason"),
            failures=int(fields.get("failures", 0)),
            lost_in_a_row=int(fields.get("lost_in_a_row", 0)),
            refused_in_a_row=int(fields.get("refused_in_a_row", 0)),
            refused_why=fields.get("refused_why"),
            breaker_next_ms=int(breaker) if breaker else None,
            breaker_for=BreakerFor(fields.get("breaker_for", BreakerFor.LOST)),
            unsafe=fields.get("unsafe"),
            unsafe_until_ms=int(fields.get("unsafe_until_ms", 0)),
            limited_until_ms=int(fields.get("limited_until_ms", 0)),
            is_balance_low="low_balance_need" in fields,
        )


class Gate(Concern):
    """What decides whether anything is sent."""

    def read(self) -> GateState:
        """Return the gate as last written."""
        return GateState.read(cast("dict[str, str]", self._redis.hgetall(self._keys.account)))

    @script(int)
    def cap(self) -> int:
        """Return the most slots that there may be now: lowered by a 429 for concurrency, and growing back."""

    def close(
        self,
        reason: str,
        *,
        sent_at_ms: int,
        retry_after_seconds: float | None = None,
        lower_cap: bool = False,
        refused_by: RefusedBy | None = None,
        tasks: Tasks | None = None,
    ) -> int:
        """Close the gate for all workers and return for how long, in milliseconds.

        Args:
            sent_at_ms: When the request was sent whose answer says so, in Redis time.
            retry_after_seconds: What the vendor asked for, if it did.
            lower_cap: Whether the vendor counts more tasks than we do.
            refused_by: For a 429, the limit it speaks of; None for anything else.
            tasks: For a refused submission, the tasks that the vendor had then.
        """
        return self._close_gate(
            reason,
            sent_at_ms,
            None if retry_after_seconds is None else round(retry_after_seconds * 1000),
            random.random(),  # noqa: S311 - jitter, not a secret
            lower_cap=lower_cap,
            refused_by="" if refused_by is None else refused_by.value,
            accepted=None if tasks is None else tasks.accepted,
            perhaps=None if tasks is None else tasks.perhaps,
        )

    @script(int)
    def _close_gate(
        self,
        why: str,
        sent_at_ms: int,
        retry_after_ms: int | None,
        jitter: float,
        *,
        lower_cap: bool = False,
        refused_by: str = "",
        accepted: int | None = None,
        perhaps: int | None = None,
    ) -> int: ...

    def tasks_at_vendor(self, besides: str = "") -> Tasks:
        """Return how many tasks the vendor has, as far as is known.

        Args:
            besides: A job that does not count.
        """
        job_ids = cast("list[str]", self._redis.zrange(self._keys.slots, 0, -1))
        stages = self._field_of([job_id for job_id in job_ids if job_id != besides], "stage")
        accepted = stages.count(Stage.RUNNING)
        return Tasks(accepted, accepted + stages.count(Stage.SUBMITTING) + stages.count(Stage.UNKNOWN))

    def suspend(self, why: str, what: SuspendedFor = SuspendedFor.KEY) -> bool:
        """Suspend the account: jobs wait, none is lost. True if it was not suspended before.

        Args:
            why: In the vendor's words.
            what: What the account lacks, which a probe asks about.
        """
        probe_at_ms = self._now_ms() + self._limits.probe_interval_ms
        with self._redis.pipeline() as pipeline:
            pipeline.hset(self._keys.account, mapping={"suspended": why, "suspended_for": what.value})
            pipeline.hsetnx(self._keys.account, "probe_at_ms", str(probe_at_ms))
            added, _ = pipeline.execute()
        return bool(added)

    @script(bool)
    def unsuspend(self) -> bool:
        """End the account's suspension; True if it was suspended."""

    @script(bool)
    def claim_probe(self) -> bool:
        """Claim the next probe of a suspended account: True for one caller per interval.

        None is due while the account lacks credit and the vendor tells its balance.
        """

    def pause(self, why: str) -> bool:
        """Submit nothing new until `resume`; True if submissions were not paused before."""
        return bool(self._redis.hset(self._keys.account, "paused", why))

    def resume(self) -> bool:
        """Submit again; True if submissions were paused."""
        return bool(self._redis.hdel(self._keys.account, "paused"))

    def postpone(self, why: str, pause_ms: int = UNSAFE_PAUSE_MS) -> int:
        """Submit nothing for a while, because an intent could not be made safe, and return for how long (ms).

        Polls go on, and no good answer of the vendor ends it: it says nothing about Redis.

        Args:
            why: What the operator shall read.
            pause_ms: For how long.
        """
        until_ms = self._now_ms() + pause_ms
        self._redis.hset(self._keys.account, mapping={"unsafe": why, "unsafe_until_ms": until_ms})
        return pause_ms
