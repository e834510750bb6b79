"""What keeps jobs from being submitted: each reason in words, with what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from .durations import spelled
from .ledger import PausedFor, TrialFor

if TYPE_CHECKING:
    from .ledger import GateState


#: Without a poll for this long nobody looks, in seconds; or for so many ticks of beat, if that is longer.
_SILENCE_SECONDS: Final = 30.0
_SILENCE_TICKS: Final = 10
#: One request that comes to nothing is an accident; so many in a row are not.
_MANY_FAILURES: Final = 3
#: Longer after the last of them nobody knows whether it is still so, in ms.
_STALE_TROUBLE_MS: Final = 600_000


class StopReason(StrEnum):
    """Why nothing is submitted; the values are those of the metrics."""

    #: The vendor refuses the key, and nothing is polled either; or the account is empty.
    PAUSED = "paused"
    #: An operator wants it so.
    HELD = "held"
    #: The day's limit of what is billed is reached.
    DAILY_LIMIT = "daily_limit"
    #: The balance is too low for the next job.
    BALANCE = "balance"
    #: The vendor throttles or cannot be reached. Nothing is polled either.
    BACK_OFF = "back_off"
    #: Redis could not make an intent safe.
    UNSAFE = "unsafe"
    #: Several jobs were refused without a verdict on any of them; one at a time is tried.
    REFUSED = "refused"
    #: The answers to several submissions were lost, or the account was paused; one at a time is tried.
    TRIAL = "trial"


@dataclass(frozen=True, slots=True)
class Stop:
    """One reason why nothing is submitted now.

    Args:
        reason: Which.
        text: What has happened.
        advice: What to do about it.
        for_seconds: For how long it lasts, in seconds, where that is known.
        is_failure: Whether somebody must act.
    """

    reason: StopReason
    text: str
    advice: str
    for_seconds: float | None = None
    is_failure: bool = False


def longest_silence_seconds(poll_tick_seconds: float) -> float:
    """Return for how long no poll may begin before beat, or the workers, are missed.

    Args:
        poll_tick_seconds: How often beat asks for polls.
    """
    return max(_SILENCE_SECONDS, _SILENCE_TICKS * poll_tick_seconds)


def stops_of(gate: GateState, now_ms: int) -> list[Stop]:
    """Return all reasons why nothing is submitted, those that need somebody first.

    Args:
        gate: The gate.
        now_ms: The current time, in Redis time.
    """
    stops = []
    if gate.paused is not None:
        is_poor = gate.paused_for is PausedFor.CREDIT
        text = f"paused, {'there is no credit' if is_poor else 'the vendor refuses the key'}: {gate.paused}"
        advice = f"{'add credit' if is_poor else 'correct the key'}; it goes on by itself"
        stops.append(Stop(StopReason.PAUSED, text, advice, is_failure=True))
    if gate.next_trial_ms is not None and gate.trial_for is TrialFor.REFUSED:
        stops.append(_refused(gate, gate.next_trial_ms, now_ms))
    if gate.held is not None:
        text, advice = f"held by an operator: {gate.held}", "end it with wanimate-worker resume, when it may go on"
        stops.append(Stop(StopReason.HELD, text, advice))
    if gate.limited_until_ms > now_ms:
        left_ms = gate.limited_until_ms - now_ms
        text = f"the day's limit of what is billed is reached; nothing more is sent for {spelled(left_ms)}"
        advice = (
            "it goes on at 00:00 UTC, or at once with a higher limit: wanimate-worker limits --daily-billed-seconds "
            "SECONDS, or --daily-billed-usd USD, whichever it was"
        )
        stops.append(Stop(StopReason.DAILY_LIMIT, text, advice, left_ms / 1000))
    if gate.is_balance_low:
        text = "the balance is too low for the next job; nothing more is sent"
        advice = (
            "add credit, and it goes on by itself within about a minute; or lower the threshold: wanimate-worker "
            "limits --balance-hold-usd USD"
        )
        stops.append(Stop(StopReason.BALANCE, text, advice, is_failure=True))
    return stops + _passing(gate, now_ms)


def trouble_of(gate: GateState, now_ms: int) -> str | None:
    """Return why requests have come to nothing for a while, also between two back-offs; None if they have not.

    Args:
        gate: The gate.
        now_ms: The current time, in Redis time.
    """
    if gate.failures < _MANY_FAILURES or now_ms - gate.closed_until_ms > _STALE_TROUBLE_MS:
        return None
    return f"the last {gate.failures} tries to reach the vendor came to nothing: {gate.reason}"


def _passing(gate: GateState, now_ms: int) -> list[Stop]:
    """Return the reasons that end by themselves."""
    stops = []
    if gate.closed_until_ms > now_ms:
        left_ms = gate.closed_until_ms - now_ms
        text = f"closed for {spelled(left_ms)}: {gate.reason}"
        stops.append(Stop(StopReason.BACK_OFF, text, "it opens by itself", left_ms / 1000))
    if gate.unsafe_until_ms > now_ms:
        left_ms = gate.unsafe_until_ms - now_ms
        text = f"nothing is sent for {spelled(left_ms)}: {gate.unsafe}"
        advice = "see the finding about replicas; jobs wait at their place, and it is tried again by itself"
        stops.append(Stop(StopReason.UNSAFE, text, advice, left_ms / 1000, is_failure=True))
    if gate.next_trial_ms is not None and gate.trial_for is TrialFor.LOST:
        text = f"the answers to the last {gate.lost_in_a_row} submissions were lost; one at a time is tried"
        advice = "it goes on by itself once one is answered; is the vendor down?"
        stops.append(Stop(StopReason.TRIAL, text, advice, max(0, gate.next_trial_ms - now_ms) / 1000))
    if gate.next_trial_ms is not None and gate.trial_for is TrialFor.SUSPENDED and gate.next_trial_ms > now_ms:
        text = "the account was paused; one submission is tried before the others"
        advice = "it goes on by itself once one is accepted"
        stops.append(Stop(StopReason.TRIAL, text, advice, (gate.next_trial_ms - now_ms) / 1000))
    return stops


def _refused(gate: GateState, next_trial_ms: int, now_ms: int) -> Stop:
    text = (
        f"the last {gate.refused_in_a_row} jobs were refused without a reason that concerns any of them "
        f"({gate.refused_why}); one submission at a time is tried"
    )
    advice = (
        "check the key's permissions, the model, WANIMATE_API_BASE_URL, and firewalls and proxies on the way; it goes "
        "on by itself once one is accepted"
    )
    return Stop(StopReason.REFUSED, text, advice, max(0, next_trial_ms - now_ms) / 1000, is_failure=True)
