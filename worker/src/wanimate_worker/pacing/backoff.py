"""For how long nobody sends anything after the vendor refused or could not be reached."""

from __future__ import annotations

from typing import Final

#: The longest wait after the first failure, in seconds; it doubles with each further one. At most this is also added to
#: the vendor's own figure, so that not everybody comes back in the same instant.
BASE_SECONDS: Final = 0.5
#: The longest wait after any number of failures, in seconds.
CAP_SECONDS: Final = 60.0

_MOST_DOUBLINGS: Final = 30


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
    doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
    return uniform_random_01 * min(CAP_SECONDS, BASE_SECONDS * 2.0**doublings)
