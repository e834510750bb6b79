"""When a webhook that was not taken is sent again."""

from __future__ import annotations

from typing import Final

_FIRST_DELAY_MS: Final = 5_000
MAX_DELAY_MS: Final = 3_600_000
_MAX_DOUBLINGS: Final = 10
#: So much of a delay is left to chance: webhooks that failed together do not come together again.
_JITTER: Final = 0.25


def next_delay_ms(
    attempts: int, since_first_ms: int, retry_ms: int, retry_after_seconds: float | None, chance: float
) -> int | None:
    """Return after how long a webhook is sent again, in milliseconds; None gives it up.

    Args:
        attempts: How often it was tried.
        since_first_ms: How long ago it was tried first, in milliseconds.
        retry_ms: How long it is tried, in milliseconds.
        retry_after_seconds: How long the receiver asks to wait, if it does.
        chance: A random number from 0 to 1.
    """
    left_ms = retry_ms - since_first_ms
    if left_ms <= 0:
        return None
    doublings = min(max(0, attempts - 1), _MAX_DOUBLINGS)
    delay_ms = min(_FIRST_DELAY_MS << doublings, MAX_DELAY_MS) * (1 - _JITTER * chance)
    asked_ms = min((retry_after_seconds or 0) * 1000, MAX_DELAY_MS)
    # The last try is at the end of the time, not long before it.
    return round(min(max(delay_ms, asked_ms), left_ms))
