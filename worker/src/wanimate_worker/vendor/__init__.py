"""The vendor's HTTP API: one client that turns whatever happens into a value; the only place that imports httpx."""

from __future__ import annotations

from .answers import (
    Accepted,
    Balance,
    BalanceAnswer,
    Failed,
    NoBalance,
    NotSent,
    Obstacle,
    Pending,
    Refused,
    Rejected,
    StatusAnswer,
    SubmitAnswer,
    Succeeded,
    TaskNotFound,
    Throttled,
    Unauthorised,
    Unknown,
    Unreadable,
)
from .client import VendorClient
from .request import Exchange, MaySend, Timeouts

__all__ = [
    "Accepted",
    "Balance",
    "BalanceAnswer",
    "Exchange",
    "Failed",
    "MaySend",
    "NoBalance",
    "NotSent",
    "Obstacle",
    "Pending",
    "Refused",
    "Rejected",
    "StatusAnswer",
    "SubmitAnswer",
    "Succeeded",
    "TaskNotFound",
    "Throttled",
    "Timeouts",
    "Unauthorised",
    "Unknown",
    "Unreadable",
    "VendorClient",
]
