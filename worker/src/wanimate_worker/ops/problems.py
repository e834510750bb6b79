"""What somebody should look at, each with the command that goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from wanimate.contract.cost import format_usd

from ..durations import spelled
from ..stops import StopReason

if TYPE_CHECKING:
    from .snapshot import Snapshot

#: Due for this long means that workers do not keep up, in seconds (as `doctor` has it).
LATE_SECONDS: Final = 30.0
#: What answers a stop; the others end by themselves, and doctor says more.
_COMMANDS: Final = {
    StopReason.HELD: "wanimate-worker resume",
    StopReason.DAILY_LIMIT: "wanimate-worker limits --daily-billed-seconds SECONDS",
    StopReason.BALANCE: "wanimate-worker limits --balance-hold-usd USD",
}
_PAGES: Final = {
    StopReason.PAUSED: "docs/troubleshooting.md",
    StopReason.HELD: "docs/operations/pause.md",
    StopReason.DAILY_LIMIT: "docs/cost.md",
    StopReason.BALANCE: "docs/cost.md",
    StopReason.REFUSED: "docs/refusals.md",
    StopReason.TRIAL: "docs/idempotency-and-billing.md",
    StopReason.UNSAFE: "docs/redis.md",
}


class Urgency(IntEnum):
    """How soon somebody should look; the names are lower-cased where they are shown."""

    #: Work stands still, or may be lost, until somebody acts.
    NOW = 0
    #: It costs something, or will.
    SOON = 1
    #: It is worth knowing.
    SOMETIME = 2


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to look at.

    Args:
        text: What is so.
        advice: What to do about it.
        command: What to type next.
        page: Where the documentation has more.
        urgency: How soon.
    """

    text: str
    advice: str
    command: str
    page: str
    urgency: Urgency = Urgency.SOON


def problems_of(snapshot: Snapshot) -> list[Problem]:
    """Return what somebody should look at, the urgent first."""
    found = [
        Problem(
            stop.text[:1].upper() + stop.text[1:],
            stop.advice[:1].upper() + stop.advice[1:],
            _COMMANDS.get(stop.reason, "wanimate-worker doctor"),
            _PAGES.get(stop.reason, "docs/troubleshooting.md"),
            Urgency.NOW if stop.is_failure else Urgency.SOON,
        )
        for stop in snapshot.stops
    ]
    found += _of_workers(snapshot) + _of_balance(snapshot) + _of_jobs(snapshot)
    return sorted(found, key=lambda problem: problem.urgency)


def _of_workers(snapshot: Snapshot) -> list[Problem]:
    found = []
    if not snapshot.is_polling:
        beat = snapshot.beat_age_seconds
        since = "in the last day" if beat is None else f"for {spelled(round(beat * 1000))}"
        found.append(
            Problem(
                f"No poll has begun {since}",
                "Nobody asks the vendor whether a task has ended, so no slot is freed: start beat, and see whether "
                "workers run",
                "celery -A wanimate_worker beat",
                "docs/operations/doctor.md",
                Urgency.NOW,
            )
        )
    elif snapshot.due_lag_seconds > LATE_SECONDS and not snapshot.stops:
        found.append(
            Problem(
                f"A job has been due for {spelled(round(snapshot.due_lag_seconds * 1000))}",
                "Workers do not keep up: start more of them, or see what they wait for",
                "wanimate-worker doctor",
                "docs/operations/doctor.md",
                Urgency.NOW,
            )
        )
    if snapshot.trouble:
        found.append(
            Problem(
                snapshot.trouble[:1].upper() + snapshot.trouble[1:],
                "Nothing is lost, and it is tried again by itself. See whether the vendor is up; check the network, "
                "the proxy and WANIMATE_API_BASE_URL",
                "wanimate-worker doctor",
                "docs/runbooks/back-off-long.md",
            )
        )
    throttling = throttling_of(snapshot)
    if throttling is not None:
        found.append(throttling)
    if snapshot.slots.without_record:
        found.append(
            Problem(
                f"{_many(snapshot.slots.without_record, 'slot')} without a record",
                "Records were evicted or deleted; the slots are freed when their time comes. Check maxmemory-policy",
                "wanimate-worker doctor",
                "docs/redis.md",
            )
        )
    return found


def throttling_of(snapshot: Snapshot) -> Problem | None:
    """Return what the vendor's 429s say that somebody should look at; None if nothing."""
    recent, fitting = snapshot.recent, snapshot.fitting
    if fitting is not None:
        return Problem(
            fitting.text[:1].upper() + fitting.text[1:],
            fitting.advice[:1].upper() + fitting.advice[1:],
            fitting.command,
            "docs/plans.md",
        )
    if recent is None or not recent.is_throttled:
        return None
    return Problem(
        f"The vendor answered 429 to {100 * recent.throttled_ratio:.1f} % of the requests of the last "
        f"{spelled(round(recent.over_seconds * 1000))}",
        "Nothing is lost: jobs go back to their place. If others use the same key, lower the limits by what they use",
        "wanimate-worker limits --max-in-flight N --requests-per-minute N",
        "docs/troubleshooting.md",
    )


def _of_jobs(snapshot: Snapshot) -> list[Problem]:
    found = []
    if snapshot.unknown:
        oldest = spelled(round((snapshot.unknown_oldest_seconds or 0) * 1000))
        found.append(
            Problem(
                f"{_many(snapshot.unknown, 'submission')} whose answer was lost, the oldest for {oldest}",
                "The vendor may have accepted and billed each. Find its task in the vendor's list and attach it, with "
                "wanimate-worker resolve ID --task-id T; else it is decided when its time is up",
                "wanimate-worker jobs --state unknown",
                "docs/operations/resolve.md",
            )
        )
    if snapshot.dead_letters:
        found.append(
            Problem(
                f"{_many(snapshot.dead_letters, 'message')} that nobody could use",
                "See who sends them; those of a newer library can be replayed once the workers are upgraded",
                "wanimate-worker dead",
                "docs/operations/dead-letters.md",
            )
        )
    if snapshot.failed:
        found.append(
            Problem(
                f"{_many(snapshot.failed, 'failed job')} kept",
                "Each says why, and can run again for another payment: wanimate-worker retry ID",
                "wanimate-worker jobs --state failed",
                "docs/operations/retry.md",
                Urgency.SOMETIME,
            )
        )
    return found


def _of_balance(snapshot: Snapshot) -> list[Problem]:
    balance, found = snapshot.balance, []
    is_held = any(stop.reason is StopReason.BALANCE for stop in snapshot.stops)
    if balance.is_below_warning and not is_held:
        left, warn = format_usd(balance.left_micro_usd or 0), format_usd(balance.warn_micro_usd or 0)
        found.append(
            Problem(
                f"The balance is {left}, below {warn}",
                "Add credit at the vendor before submissions are held or refused",
                "wanimate-worker doctor",
                "docs/cost.md",
            )
        )
    if balance.why and balance.has_threshold and (balance.is_old or balance.micro_usd is None):
        last = "" if balance.age_seconds is None else f" for {spelled(round(balance.age_seconds * 1000))}"
        found.append(
            Problem(
                f"The balance could not be read{last}: {balance.why}",
                "Its thresholds work by the last reading, if there is one. See whether the key may read it",
                "wanimate-worker doctor",
                "docs/cost.md",
            )
        )
    return found


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
