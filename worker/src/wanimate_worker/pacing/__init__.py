"""When to send what: pure functions, time and chance are passed in."""

from __future__ import annotations

from .budget import BASE_SECONDS, CAP_SECONDS, RequestRate, default_burst
from .pace import Pace
from .planner import Bounds, Mix, Urgency, fallback_share, polls_per_second, stride_of

__all__ = [
    # The request budget.
    "RequestRate",
    "default_burst",
    # The shared back-off.
    "BASE_SECONDS",
    "CAP_SECONDS",
    # When to poll a task.
    "Bounds",
    "Mix",
    "Pace",
    "Urgency",
    "fallback_share",
    "polls_per_second",
    "stride_of",
]
