"""Whether everything is as it must be, as values: one finding per check."""

from __future__ import annotations

from .finding import Finding, Level
from .money import check_balance
from .server import check_replicas, check_server
from .setup import check_binding, check_callbacks, check_limits, check_results, check_transport, check_vendor
from .unread import check_unread
from .work import check_ledger, check_queues
from .workers import check_workers

__all__ = [
    # What is found.
    "Finding",
    "Level",
    # The checks, in the order in which one explains the next.
    "check_server",
    "check_transport",
    "check_vendor",
    "check_callbacks",
    "check_results",
    "check_binding",
    "check_limits",
    "check_balance",
    "check_replicas",
    "check_queues",
    "check_unread",
    "check_workers",
    "check_ledger",
]
