"""The ledger: everything that must survive a crash, in Redis, changed by one Lua script per transition."""

from __future__ import annotations

from .ledger import Ledger
from .limits import LedgerLimits
from .values import (
    Admission,
    Busy,
    Cancelled,
    Claim,
    Deliver,
    Entry,
    GateState,
    JobFields,
    Later,
    NothingToDo,
    Step,
    Submit,
    WaitForPermit,
)

__all__ = [
    "Admission",
    "Busy",
    "Cancelled",
    "Claim",
    "Deliver",
    "Entry",
    "GateState",
    "JobFields",
    "Later",
    "Ledger",
    "LedgerLimits",
    "NothingToDo",
    "Step",
    "Submit",
    "WaitForPermit",
]
