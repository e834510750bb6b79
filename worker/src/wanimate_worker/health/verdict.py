"""What the rules come to, in a few words: whether jobs are submitted, and why jobs wait."""

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
    BlockReason.SUSPENDED: "paused: the key is refused, or there is no credit",
    BlockReason.PAUSED: "held by an operator",
    BlockReason.DAILY_LIMIT: "stopped at the day's limit",
    BlockReason.BALANCE: "held by the balance",
    BlockReason.BACK_OFF: "backing off",
    BlockReason.UNSAFE: "waiting for Redis replicas",
    BlockReason.REFUSED: "refused for no job's own reason, trying one at a time",
    BlockReason.PROBE: "trying one at a time",
}


def is_submitting(now: Snapshot) -> bool:
    """Whether waiting jobs are sent as slots become free."""
    return is_polling(now) and not blockers_of(now)


def needs_operator(now: Snapshot) -> bool:
    """Whether nothing is submitted until an operator acts."""
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
        sentences.append(f"{number(now.parked)} of them {'waits' if now.parked == 1 else 'wait'} for a next attempt.")
    if now.waiting == now.parked:
        pass
    elif not is_submitting(now):
        sentences.append(f"Nothing is sent now ({state_of(now)}); when they will be done is not known.")
    elif slots.used < slots.effective_cap:
        sentences.append("Slots are free: the next jobs are being sent.")
    else:
        lowered = ", which is lowered for now" if slots.effective_cap < slots.cap else ""
        all_slots = f"All {number(slots.effective_cap)} slots{lowered}"
        sentences.append(f"{all_slots} are taken: the next job is sent when a task ends.")
    return " ".join(sentences) or None


def balance_of(now: Snapshot) -> str:
    """Return in a few words what the vendor reported last, and when."""
    if now.balance.micro_usd is None:
        return "not known"
    old = ", old" if is_balance_old(now) else ""
    return f"{format_usd(now.balance.micro_usd)} {span(now.balance_age_seconds)} ago{old}"


def balance_details(now: Snapshot) -> list[str]:
    """Return what else is to be said of the balance, as short sentences."""
    sentences, balance, limits = [], now.balance, now.limits
    if balance.left_micro_usd != balance.micro_usd and balance.left_micro_usd is not None:
        sentences.append(f"About {format_usd(balance.left_micro_usd)} after what was sent since, estimated.")
    if balance.why:
        sentences.append(f"Not read{'' if balance.micro_usd is None else ' since'}: {one_line(balance.why)}.")
    if limits.balance_warn_micro_usd is not None:
        sentences.append(f"Warns below {format_usd(limits.balance_warn_micro_usd)}.")
    if limits.balance_hold_micro_usd is not None:
        sentences.append(f"Holds submissions below {format_usd(limits.balance_hold_micro_usd)}.")
    return sentences
