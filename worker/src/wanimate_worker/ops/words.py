"""Figures in words, the same on the page and in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd
from wanimate.text import one_line

from ..durations import spelled
from ..stops import StopReason

if TYPE_CHECKING:
    from .money import Balance
    from .snapshot import Snapshot

#: Stands for a figure that there is not.
NOTHING: Final = "-"
_STATES: Final = {
    StopReason.PAUSED: "paused: the key is refused, or there is no credit",
    StopReason.HELD: "held by an operator",
    StopReason.DAILY_LIMIT: "stopped at the day's limit",
    StopReason.BALANCE: "held by the balance",
    StopReason.BACK_OFF: "backing off",
    StopReason.UNSAFE: "waiting for Redis replicas",
    StopReason.REFUSED: "refused for no job's own reason, trying one at a time",
    StopReason.TRIAL: "trying one at a time",
}
_TENTHS_BELOW_SECONDS: Final = 10.0


def state_of(snapshot: Snapshot) -> str:
    """Return in a few words whether jobs are submitted."""
    stop = snapshot.stops[0] if snapshot.stops else None
    if not snapshot.is_polling and not (stop and stop.is_failure):
        return "no polls: beat or workers are missing"
    return _STATES[stop.reason] if stop else "submitting"


def why_waiting(snapshot: Snapshot) -> str | None:
    """Return in a sentence why jobs wait; None if none does."""
    in_line = snapshot.waiting - snapshot.parked
    if not snapshot.waiting:
        return None
    if snapshot.parked:
        parked = f"{number(snapshot.parked)} of them {'waits' if snapshot.parked == 1 else 'wait'} for a next attempt."
        return f"{parked} {_why_in_line(snapshot)}" if in_line else parked
    return _why_in_line(snapshot)


def _why_in_line(snapshot: Snapshot) -> str:
    slots = snapshot.slots
    if not snapshot.is_submitting:
        return f"Nothing is sent now ({state_of(snapshot)}); when they will be done is not known."
    if slots.used < slots.effective_cap:
        return "Slots are free: the next jobs are being sent."
    lowered = ", which is lowered for now" if slots.effective_cap < slots.cap else ""
    return f"All {number(slots.effective_cap)} slots{lowered} are taken: the next job is sent when a task ends."


def balance_of(balance: Balance) -> str:
    """Return in a few words what the vendor told last, and when."""
    if balance.micro_usd is None:
        return "not known"
    old = ", old" if balance.is_old else ""
    return f"{format_usd(balance.micro_usd)} {span(balance.age_seconds)} ago{old}"


def balance_details(balance: Balance) -> list[str]:
    """Return the rest that is to be said of it, as short sentences."""
    told = []
    if balance.left_micro_usd != balance.micro_usd and balance.left_micro_usd is not None:
        told.append(f"About {format_usd(balance.left_micro_usd)} after what was sent since, estimated.")
    if balance.why:
        told.append(f"Not read{'' if balance.micro_usd is None else ' since'}: {one_line(balance.why)}.")
    if balance.warn_micro_usd is not None:
        told.append(f"Warns below {format_usd(balance.warn_micro_usd)}.")
    if balance.hold_micro_usd is not None:
        told.append(f"Holds submissions below {format_usd(balance.hold_micro_usd)}.")
    return told


def span(seconds: float | None) -> str:
    """Return a time with its unit: milliseconds below a second, tenths below ten, else the two largest units."""
    if seconds is None:
        return NOTHING
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < _TENTHS_BELOW_SECONDS else spelled(round(seconds * 1000))


def number(value: float | None) -> str:
    """Return a number with separators, and one decimal where it is small and not whole."""
    if value is None:
        return NOTHING
    is_small = abs(value) < _TENTHS_BELOW_SECONDS and value != round(value)
    return f"{value:,.1f}" if is_small else f"{value:,.0f}"


def percent(share: float) -> str:
    """Return a share as a percentage."""
    return f"{100 * share:.0f} %"
