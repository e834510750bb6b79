"""When to send what: pure functions, time and chance are passed in; the reference for the ledger's scripts."""

from __future__ import annotations

from .aimd import grown, lowered
from .backoff import closed_for_seconds
from .budget import RequestRate, Reservation, default_burst, reserve
from .polling import first_poll_seconds, next_poll_seconds, polls_per_second

__all__ = [
    # The request budget.
    "RequestRate",
    "Reservation",
    # The shared back-off.
    "closed_for_seconds",
    "default_burst",
    # When to ask about a task.
    "first_poll_seconds",
    # The effective cap.
    "grown",
    "lowered",
    "next_poll_seconds",
    "polls_per_second",
    "reserve",
]
