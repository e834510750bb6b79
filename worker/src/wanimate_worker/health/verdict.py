"""The rules' verdict in a few words: whether jobs are submitted, and why jobs wait."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd
from wanimate.text import one_line

from .finding import BlockReason, Severity
from .formatting import number, span
from .rules import blockers_of, is_balance_old, is_polling

if TYPE_CHECKING:
    from .snapshot import Snapshot

_STATES: Final = {
    BlockReason.SUSPENDED: "suspended: key refused or no credit",
    BlockReason.PAUSED: "paused by an operator",
    BlockReason.DAILY_LIMIT: "daily limit reached",
    BlockReason.BALANCE: "balance too low",
    BlockReason.BACK_OFF: "backing off",
    BlockReason.UNSAFE: "waiting for Redis replicas",
    BlockReason.REFUSED: "circuit breaker half-open: jobs refused",
    BlockReason.PROBE: "circuit breaker half-open",
}


def is_submitting(now: Snapshot) -> bool:
    """Whether waiting jobs are submitted as slots become free."""
    return is_polling(now) and not blockers_of(now)


def needs_operator(now: Snapshot) -> bool:
    """Whether no job is submitted until an operator acts."""
    return not is_polling(now) or any(blocker.severity is Severity.FAIL for blocker in blockers_of(now))


def state_of(now: Snapshot) -> str:
    """Return in a few words whether jobs are submitted."""
    worst = next(iter(blockers_of(now)), None)
    if not is_polling(now) and not (worst and worst.severity is Severity.FAIL):
        return "no polls: beat or workers are missing"
    return _STATES[worst.reason] if worst else "submitting"


def why_waiting(now: Snapshot) -> str | None:
    """Return in a sentence why jobs wait; None if none does."""
    sentences, slots = [], now.slots
    if now.parked:
        sentences.append(f"{number(now.parked)} of them {'waits' if now.parked == 1 else 'wait'} for the next attempt.")
    if now.waiting == now.parked:
        pass
    elif not is_submitting(now):
        sentences.append(f"No job is submitted now ({state_of(now)}). ETA unavailable until submissions resume.")
    elif slots.used < slots.effective_cap:
        sentences.append("Slots are free: the next jobs are being submitted.")
    else:
        lowered = " (lowered after a 429)" if slots.effective_cap < slots.cap else ""
        all_slots = f"All {number(slots.effective_cap)} slots{lowered}"
        sentences.append(f"{all_slots} are in use: the next job is submitted when a task ends.")
    return " ".join(sentences) or None


def balance_of(now: Snapshot) -> str:
    """Return the balance that the vendor reported last, and its age."""
    if now.balance.micro_usd is None:
        return "unknown"
    old = ", old" if is_balance_old(now) else ""
    return f"{format_usd(now.balance.micro_usd)} {span(now.balance_age_seconds)} ago{old}"


def balance_details(now: Snapshot) -> list[str]:
    """Return details of the balance, as short sentences."""
    sentences, balance, limits = [], now.balance, now.limits
    if balance.left_micro_usd != balance.micro_usd and balance.left_micro_usd is not None:
        sentences.append(f"About {format_usd(balance.left_micro_usd)} left after later submissions, estimated.")
    if balance.why:
        sentences.append(f"Not read{'' if balance.micro_usd is None else ' since'}: {one_line(balance.why)}.")
    if limits.balance_warn_micro_usd is not None:
        sentences.append(f"Warns below {format_usd(limits.balance_warn_micro_usd)}.")
    if limits.balance_hold_micro_usd is not None:
        sentences.append(f"No submissions below {format_usd(limits.balance_hold_micro_usd)}.")
    return sentences
