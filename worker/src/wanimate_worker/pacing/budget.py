"""The request budget and the shared back-off, as the numbers that the ledger's scripts work with.

The budget is the generic cell rate algorithm (GCRA) in whole microseconds.

One number is kept, the theoretical arrival time (TAT): the moment at which the budget is full again (ITU-T I.371,
annex A). A request of interval T with burst B conforms at t if TAT <= t + (B - 1) T and moves TAT to max(TAT, t) + T.

Why no window is ever exceeded: for every request sent at s, its new TAT lies in [s + T, s + B T], and the TATs of
different requests are at least T apart. So those sent within W have TATs within W + (B - 1) T, and there are at most
B + floor(W / T) of them, in whatever order they are sent. T is chosen so that this is the limit at most.
"""

from __future__ import annotations

from typing import Final

#: The window the vendor counts in, in seconds (vendor document, "Rate Limits": requests a minute).
WINDOW_SECONDS: Final = 60

#: The longest wait after the first failure, in seconds; it doubles with each further one. At most this is also added to
#: the vendor's own figure, so that not all workers resume in the same instant.
BASE_SECONDS: Final = 0.5
#: The longest wait after any number of failures, in seconds.
CAP_SECONDS: Final = 60.0

_US: Final = 1_000_000
#: Of fewer requests a minute only one may be sent at once.
_BURST_FROM: Final = 10


class RequestRate:
    """How often requests may be sent, so that no 60 s hold more than the limit where the vendor counts them.

    Any 60 s of the vendor hold requests of 60 s + skew of ours, if each is under way for up to skew longer than
    another; so `burst + floor((60 s + skew) / emission interval) <= requests_per_minute`, the first burst included.

    Args:
        requests_per_minute: The vendor's limit, at least 1.
        burst: How many may be sent at once, between 1 and the limit; by default `default_burst`.
        skew_seconds: How much longer than another a request may take to reach the vendor's counter.

    Raises:
        ValueError: A value is out of its range.
    """

    __slots__ = ("burst", "emission_interval_us", "requests_per_minute", "skew_seconds")

    def __init__(self, requests_per_minute: int, burst: int | None = None, skew_seconds: float = 1.0) -> None:
        if requests_per_minute < 1:
            raise ValueError("requests_per_minute must be at least 1")
        if not 0 <= skew_seconds <= WINDOW_SECONDS:
            raise ValueError(f"skew_seconds must be between 0 and {WINDOW_SECONDS}")
        self.requests_per_minute: Final = requests_per_minute
        #: How many may be sent at once.
        self.burst: Final = default_burst(requests_per_minute) if burst is None else burst
        if not 1 <= self.burst <= requests_per_minute:
            raise ValueError(f"burst must be between 1 and requests_per_minute ({requests_per_minute})")
        self.skew_seconds: Final = skew_seconds
        window_us = round((WINDOW_SECONDS + skew_seconds) * _US)
        #: The time between two requests at the steady rate, in microseconds: the shortest T for which
        #: floor(window / T) <= limit - burst, so a full budget and a window of refills stay within the limit.
        self.emission_interval_us: Final = window_us // (requests_per_minute - self.burst + 1) + 1

    def __repr__(self) -> str:
        return f"RequestRate({self.requests_per_minute}, burst={self.burst}, skew_seconds={self.skew_seconds})"


def default_burst(requests_per_minute: int) -> int:
    """Return one hundredth of the limit, at least 2 and at most 100: as much as it costs of the steady rate.

    Two, so that the submission which follows the poll that frees a slot need not wait. Of fewer than ten requests a
    minute that would cost too much.
    """
    return min(100, max(2 if requests_per_minute >= _BURST_FROM else 1, requests_per_minute // 100))
