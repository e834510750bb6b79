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
from .classify import classify_balance, classify_status, classify_status_error, classify_submit, classify_submit_error
from .client import VendorClient
from .envelope import MAX_RETRY_AFTER_SECONDS, parse_retry_after
from .request import Exchange, MaySend, Timeouts, request_body

__all__ = [
    # The client.
    "Exchange",
    "MaySend",
    "Timeouts",
    "VendorClient",
    # What a submission can come back with.
    "Accepted",
    "NotSent",
    "Obstacle",
    "Rejected",
    "SubmitAnswer",
    "Throttled",
    "Unauthorised",
    "Unknown",
    # What a status request can come back with; also the three above that are not about the task.
    "Failed",
    "TaskNotFound",
    "Pending",
    "Refused",
    "StatusAnswer",
    "Succeeded",
    "Unreadable",
    # What a request for the balance can come back with; also Unreadable and the three.
    "Balance",
    "BalanceAnswer",
    "NoBalance",
    # How an answer is understood.
    "MAX_RETRY_AFTER_SECONDS",
    "classify_balance",
    "classify_status",
    "classify_status_error",
    "classify_submit",
    "classify_submit_error",
    "parse_retry_after",
    "request_body",
]
