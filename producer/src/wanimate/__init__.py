"""Wanimate: enqueue Wan 2.2 Animate jobs; get each result once and pay for it once."""

from __future__ import annotations

from .aio import AsyncClient, AsyncJobHandle
from .client import Client, JobHandle
from .contract import (
    AnimateJob,
    CancelOutcome,
    Event,
    EventError,
    JobState,
    JobStatus,
    KeptFile,
    ReplaceJob,
    Result,
)
from .errors import (
    ClientClosed,
    ContentViolation,
    DeadlineExceeded,
    EventsLost,
    GenerationFailed,
    IdempotencyConflict,
    InvalidArgument,
    InvalidRequest,
    JobCancelled,
    JobFailed,
    JobNotFound,
    QueueUnavailable,
    ResultExpired,
    SettingsError,
    StoreUnavailable,
    SubmissionUnknown,
    TaskUnreadable,
    WaitTimeout,
    WanimateError,
    WebhookInvalid,
    WorkerUnavailable,
)
from .settings import Settings

__all__ = [
    # The way in.
    "Client",
    "AsyncClient",
    "Settings",
    # What is enqueued.
    "AnimateJob",
    "ReplaceJob",
    # What comes back.
    "JobHandle",
    "AsyncJobHandle",
    "JobStatus",
    "JobState",
    "Result",
    "KeptFile",
    "Event",
    "EventError",
    "CancelOutcome",
    # Errors, as the tree in `wanimate.errors` has them.
    "WanimateError",
    "SettingsError",
    "InvalidArgument",
    "ClientClosed",
    "QueueUnavailable",
    "WorkerUnavailable",
    "IdempotencyConflict",
    "JobNotFound",
    "WaitTimeout",
    "ResultExpired",
    "EventsLost",
    "WebhookInvalid",
    "StoreUnavailable",
    "JobFailed",
    "InvalidRequest",
    "ContentViolation",
    "GenerationFailed",
    "SubmissionUnknown",
    "TaskUnreadable",
    "DeadlineExceeded",
    "JobCancelled",
]
