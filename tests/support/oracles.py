"""What the ledger's scripts shall decide, written once more in Python: the request budget, the back-off and the cap."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from wanimate_worker.pacing import BASE_SECONDS, CAP_SECONDS

if TYPE_CHECKING:
    from wanimate_worker.pacing import RequestRate

#: From nothing back to the full cap, in seconds.
GROWTH_SECONDS: Final = 600
MAX_DOUBLINGS: Final = 30


class Reservation(NamedTuple):
    """What became of a request for permits.

    Args:
        tat_us: The TAT to store, in Unix microseconds; the old one if nothing was granted.
        granted: How many requests may be sent.
        wait_us: In how many microseconds they may be sent; if none was granted, when asking again is worthwhile.
    """

    tat_us: int
    granted: int
    wait_us: int


def reserve(
    tat_us: int, now_us: int, count: int, rate: RequestRate, max_wait_us: int = 0, headroom: int = 0
) -> Reservation:
    """Grant as many of the requests as conform now; a single one may also be granted for a little later.

    A request granted for later has its place: it is counted at once and must be sent then, not be asked for again.

    Args:
        tat_us: The stored TAT, in Unix microseconds; 0 if there is none.
        now_us: The current time, in Unix microseconds.
        count: Requests asked for, at least 1.
        rate: The budget.
        max_wait_us: The longest acceptable wait, in microseconds; only for a count of 1.
        headroom: Requests of the burst that are left to more important ones. At most all but one of them: else the
            less important would never be sent at all.

    Raises:
        ValueError: A value is out of its range.
    """
    if count < 1 or max_wait_us < 0 or headroom < 0:
        raise ValueError("count must be at least 1, max_wait_us and headroom at least 0")
    interval_us = rate.emission_interval_us
    start_us = max(tat_us, now_us)
    room = rate.burst - min(headroom, rate.burst - 1)
    free_us = now_us + room * interval_us - start_us
    granted = min(count, max(0, free_us // interval_us))
    if granted > 0:
        return Reservation(start_us + granted * interval_us, granted, 0)
    wait_us = interval_us - free_us
    if count == 1 and wait_us <= max_wait_us:
        return Reservation(start_us + interval_us, 1, wait_us)
    return Reservation(tat_us, 0, wait_us)


def closed_for_seconds(failures: int, retry_after_seconds: float | None, uniform_random_01: float) -> float:
    """Return for how long the gate stays closed: what the vendor asked for, else capped exponential, full jitter.

    Sources: Retry-After in RFC 9110, section 10.2.3; "Exponential Backoff And Jitter" in the AWS Architecture Blog,
    where full jitter needs the fewest calls.

    Args:
        failures: Failures in a row, this one included.
        retry_after_seconds: What the vendor asked for, in seconds; None if it did not.
        uniform_random_01: A random number in [0, 1).
    """
    if retry_after_seconds is not None:
        return max(0.0, retry_after_seconds) + uniform_random_01 * BASE_SECONDS
    doublings = min(max(0, failures - 1), MAX_DOUBLINGS)
    return uniform_random_01 * min(CAP_SECONDS, BASE_SECONDS * 2.0**doublings)


def lowered(cap: int, in_flight: int) -> int:
    """Return the effective cap after the vendor refused a task because too many were in flight.

    Nine tenths of what was in flight, not of the cap: that is the number the vendor refused to exceed, and several
    refusals of the same moment lower it once.

    Args:
        cap: The effective cap before, in tasks.
        in_flight: Tasks that held a slot when the vendor refused.
    """
    return max(1, min(cap, in_flight * 9 // 10))


def grown(low: int, lowered_at_ms: int, now_ms: int, cap: int) -> int:
    """Return the effective cap some time after it was lowered: 1/600 of the full cap more each second.

    Args:
        low: What it was lowered to, in tasks.
        lowered_at_ms: When, in Unix milliseconds.
        now_ms: The current time, in Unix milliseconds.
        cap: The full cap, never exceeded, in tasks.
    """
    since_ms = max(0, now_ms - lowered_at_ms)
    return min(cap, low + since_ms * cap // (GROWTH_SECONDS * 1000))
