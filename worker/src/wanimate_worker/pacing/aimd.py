"""The effective cap on tasks in flight: down by a tenth when the vendor refuses, back up evenly.

Additive increase, multiplicative decrease, as TCP does it (RFC 5681, section 3.1).
"""

from __future__ import annotations

from typing import Final

#: From nothing back to the full cap, in seconds.
GROWTH_SECONDS: Final = 600


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
