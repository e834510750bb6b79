"""The ledger: everything that must survive a crash, in Redis, changed by one Lua script per transition."""

from __future__ import annotations

from .base import cause_of
from .history import Transition, read_history
from .ledger import Ledger
from .limits import LedgerLimits
from .operating import DEAD_LETTERS
from .values import (
    Admission,
    Bill,
    Busy,
    CallbackEffect,
    Cancelled,
    Claim,
    Deliver,
    Entry,
    GateState,
    JobFields,
    Later,
    NothingToDo,
    NotReplicated,
    Observation,
    ResultMissing,
    Step,
    Submit,
    Survey,
    Unsafe,
    WaitForPermit,
)
from .verdicts import Adoption, Expired, JobRecord, Retried, Retry

__all__ = [
    "DEAD_LETTERS",
    "Admission",
    "Adoption",
    "Bill",
    "Busy",
    "CallbackEffect",
    "Cancelled",
    "Claim",
    "Deliver",
    "Entry",
    "Expired",
    "GateState",
    "JobFields",
    "JobRecord",
    "Later",
    "Ledger",
    "LedgerLimits",
    "NotReplicated",
    "NothingToDo",
    "Observation",
    "ResultMissing",
    "Retried",
    "Retry",
    "Step",
    "Submit",
    "Survey",
    "Transition",
    "Unsafe",
    "WaitForPermit",
    "cause_of",
    "read_history",
]
