"""The gate that the vendor's answers and the operator close: why nothing is submitted, or one at a time."""

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


class PausedFor(StrEnum):
    """What a paused account lacks."""

    KEY = "key"
    CREDIT = "credit"


class TrialFor(StrEnum):
    """Why one submission at a time is tried."""

    #: The answers to several were lost.
    LOST = "lost"
    #: Several jobs were refused without a verdict on any of them.
    REFUSED = "refused"
    #: The account was paused, and is not any more.
    SUSPENDED = "suspended"


@dataclass(frozen=True, slots=True)
class GateState:
    """The shared back-off, as last written.

    Args:
        paused: Why the account is paused, or None.
        paused_for: What it lacks.
        held: Why the operator holds submissions back, or None.
        closed_until_ms: Until when the gate is closed, in Redis time; 0 when open.
        reason: Why it was closed.
        failures: How many failures in a row closed it.
        lowered_cap: The cap after a concurrency 429, before it grew back; None when not lowered.
        lowered_at_ms: When it was lowered, in Redis time; 0 when not lowered.
        lost_in_a_row: Submissions whose answer was lost since one was answered.
        refused_in_a_row: Jobs that were refused without a verdict since a submission was accepted.
        refused_why: What the last of them was answered; None if there was none.
        next_trial_ms: When one more submission is tried, in Redis time; None while more than one may be sent.
        trial_for: Why one at a time is tried.
        unsafe: Why an intent could not be made safe, the last time.
        unsafe_until_ms: Until when nothing is submitted for it, in Redis time; 0 if it never happened.
        limited_until_ms: Until when nothing is submitted because the day's limit is reached, in Redis time; 0 if it
            is not.
        is_balance_low: Whether the balance is too low for the next submission.
    """

    paused: str | None
    paused_for: PausedFor
    held: str | None
    closed_until_ms: int
    reason: str | None
    failures: int
    lowered_cap: int | None
    lowered_at_ms: int
    lost_in_a_row: int
    refused_in_a_row: int
    refused_why: str | None
    next_trial_ms: int | None
    trial_for: TrialFor
    unsafe: str | None
    unsafe_until_ms: int
    limited_until_ms: int
    is_balance_low: bool = False

    @classmethod
    def read(cls, fields: Mapping[str, str]) -> GateState:
        """Build from the gate's hash."""
        lowered, trial = fields.get("cap_low"), fields.get("trial_at_ms")
        return cls(
            paused=fields.get("paused"),
            paused_for=PausedFor(fields.get("paused_for", PausedFor.KEY)),
            held=fields.get("held"),
            closed_until_ms=int(fields.get("closed_until_ms", 0)),
            reason=fields.get("reason"),
            failures=int(fields.get("failures", 0)),
            lowered_cap=int(lowered) if lowered else None,
            lowered_at_ms=int(fields.get("cap_low_at_ms", 0)),
            lost_in_a_row=int(fields.get("lost_in_a_row", 0)),
            refused_in_a_row=int(fields.get("refused_in_a_row", 0)),
            refused_why=fields.get("refused_why"),
            next_trial_ms=int(trial) if trial else None,
            trial_for=TrialFor(fields.get("trial_for", TrialFor.LOST)),
            unsafe=fields.get("unsafe"),
            unsafe_until_ms=int(fields.get("unsafe_until_ms", 0)),
            limited_until_ms=int(fields.get("limited_until_ms", 0)),
            is_balance_low="low_balance_need" in fields,
        )


class Gate(Concern):
    """What decides whether anything is sent."""

    def read(self) -> GateState:
        """Return the shared back-off as last written."""
        return GateState.read(cast("dict[str, str]", self._redis.hgetall(self._keys.gate)))

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
        """Close the gate for everyone and return for how long, in milliseconds.

        Args:
            reason: Why.
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
        held = cast("list[str]", self._redis.zrange(self._keys.slots, 0, -1))
        job_ids = [job_id for job_id in held if job_id != besides]
        with self._redis.pipeline(transaction=False) as pipeline:
            for job_id in job_ids:
                pipeline.hget(self._keys.job(job_id), "stage")
            stages = cast("list[str | None]", pipeline.execute())
        accepted = stages.count(Stage.RUNNING)
        return Tasks(accepted, accepted + stages.count(Stage.SUBMITTING) + stages.count(Stage.UNKNOWN))

    @script(bool)
    def suspend(self, why: str, what: PausedFor = PausedFor.KEY) -> bool:
        """Suspend the account; True if it was not suspended before.

        Args:
            why: In the vendor's words.
            what: What the account lacks, which a probe asks about.
        """

    @script(bool)
    def unsuspend(self) -> bool:
        """End the account's suspension; True if it was suspended."""

    @script(bool)
    def claim_probe(self) -> bool:
        """Claim the next probe of a suspended account: True for one caller per interval.

        None is due while the account lacks credit and the vendor tells its balance.
        """

    @script(bool)
    def pause(self, why: str) -> bool:
        """Submit nothing new until `resume`; True if submissions were not paused before."""

    @script(bool)
    def resume(self) -> bool:
        """Submit again; True if submissions were paused."""

    @script(int)
    def postpone(self, why: str, pause_ms: int = UNSAFE_PAUSE_MS) -> int:
        """Submit nothing for a while, and return for how long, in milliseconds; polls go on.

        Args:
            why: What the operator shall read.
            pause_ms: For how long.
        """
