"""The ledger: everything that must survive a crash, in Redis, changed by one Lua script per transition."""

from __future__ import annotations

from .balance import BalanceReading, WeighedBalance
from .erasing import Traces
from .followers import Followed, Follower
from .gate import BreakerFor, GateState, SuspendedFor
from .keeps import CopyBacklog, Keep
from .ledger import Ledger
from .limits import AccountLimits, LedgerLimits
from .operating import DEAD_LETTERS
from .outbox import ClaimedDeliveries, Delivery, WebhookBacklog, endpoint_of
from .polls import News
from .records import JobFields, JobRecord, Transition, read_history
from .script import Context, bounded, cause_of
from .throttles import Fitting, RefusedBy, Tasks, Throttle, Throttles
from .values import (
    Admission,
    Admitted,
    Attachment,
    Bill,
    Blocked,
    CallbackEffect,
    Cancelled,
    Claim,
    Deliver,
    Entry,
    NoOp,
    NotReplicated,
    Observation,
    Parked,
    Proven,
    RateLimited,
    ResultMissing,
    Retried,
    Retry,
    Settled,
    Step,
    Submit,
    Survey,
    Tick,
    Unsafe,
    WaitForPermit,
)

__all__ = [
    "DEAD_LETTERS",
    "AccountLimits",
    "Admission",
    "Admitted",
    "Attachment",
    "BalanceReading",
    "Bill",
    "BreakerFor",
    "RateLimited",
    "CallbackEffect",
    "Cancelled",
    "Claim",
    "ClaimedDeliveries",
    "Context",
    "CopyBacklog",
    "Deliver",
    "Delivery",
    "Entry",
    "Fitting",
    "Followed",
    "Follower",
    "GateState",
    "JobFields",
    "JobRecord",
    "Keep",
    "Blocked",
    "Ledger",
    "LedgerLimits",
    "NotReplicated",
    "News",
    "NoOp",
    "Observation",
    "Parked",
    "Proven",
    "RefusedBy",
    "ResultMissing",
    "Retried",
    "Retry",
    "Settled",
    "Step",
    "Submit",
    "Survey",
    "SuspendedFor",
    "Tasks",
    "Throttle",
    "Throttles",
    "Traces",
    "Transition",
    "Unsafe",
    "Tick",
    "WaitForPermit",
    "WebhookBacklog",
    "WeighedBalance",
    "bounded",
    "cause_of",
    "endpoint_of",
    "read_history",
]
