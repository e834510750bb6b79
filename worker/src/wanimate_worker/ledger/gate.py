"""The gate as it is read: why nothing is submitted, or one at a time."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


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

    def effective_cap(self, cap: int, now_ms: int) -> int:
        """Return the cap as the scripts take it: lowered by the vendor's 429, and growing back.

        Args:
            cap: The full cap; a six-hundredth of it grows back each second.
            now_ms: The current time, in Redis time.
        """
        if self.lowered_cap is None:
            return cap
        return min(cap, self.lowered_cap + max(0, now_ms - self.lowered_at_ms) * cap // 600_000)
