"""The ledger: everything that must survive a crash, in Redis, changed by one Lua script per transition."""

from __future__ import annotations

from .balance import BalanceReading, WeighedBalance
from .base import bounded, cause_of
from .following import Followed, Follower
from .gate import GateState, PausedFor, TrialFor
from .history import Transition, read_history
from .ledger import Ledger
from .limits import AccountLimits, LedgerLimits
from .operating import DEAD_LETTERS
from .steps import Busy, Deliver, Later, NothingToDo, Step, Submit, Unsafe, WaitForPermit
from .throttles import Fitting, RefusedBy, Tasks, Throttle, Throttles
from .values import (
    Admission,
    Admitted,
    Bill,
    CallbackEffect,
    Cancelled,
    Claim,
    Entry,
    JobFields,
    NotReplicated,
    Observation,
    ResultMissing,
    Survey,
)
from .verdicts import Adoption, Expired, JobRecord, Parked, Proven, Retried, Retry, Tick

__all__ = [
    "DEAD_LETTERS",
    "AccountLimits",
    "Admission",
    "Admitted",
    "Adoption",
    "BalanceReading",
    "Bill",
    "Busy",
    "CallbackEffect",
    "Cancelled",
    "Claim",
    "Deliver",
    "Entry",
    "Expired",
    "Fitting",
    "Followed",
    "Follower",
    "GateState",
    "JobFields",
    "JobRecord",
    "Later",
    "Ledger",
    "LedgerLimits",
    "NotReplicated",
    "NothingToDo",
    "Observation",
    "Parked",
    "PausedFor",
    "Proven",
    "RefusedBy",
    "ResultMissing",
    "Retried",
    "Retry",
    "Step",
    "Submit",
    "Survey",
    "Tasks",
    "Throttle",
    "Throttles",
    "Transition",
    "Unsafe",
    "Tick",
    "TrialFor",
    "WaitForPermit",
    "WeighedBalance",
    "bounded",
    "cause_of",
    "read_history",
]
