"""When to send what: pure functions, time and chance are passed in; the reference for the ledger's scripts."""

from __future__ import annotations

from .aimd import grown, lowered
from .backoff import BASE_SECONDS, CAP_SECONDS, closed_for_seconds
from .budget import RequestRate, Reservation, default_burst, reserve
from .planner import Mix, Urgency, fallback_share, polls_per_second, stride_of

__all__ = [
    # The request budget.
    "RequestRate",
    "Reservation",
    "default_burst",
    "reserve",
    # The shared back-off.
    "BASE_SECONDS",
    "CAP_SECONDS",
    "closed_for_seconds",
    # When to ask about a task.
    "Mix",
    "Urgency",
    "fallback_share",
    "polls_per_second",
    "stride_of",
    # The effective cap.
    "grown",
    "lowered",
]
