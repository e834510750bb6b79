"""Wanimate enqueues Wan 2.2 Animate jobs and returns their results."""

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
    # Clients.
    "Client",
    "AsyncClient",
    "Settings",
    # Jobs.
    "AnimateJob",
    "ReplaceJob",
    # Answers.
    "JobHandle",
    "AsyncJobHandle",
    "JobStatus",
    "JobState",
    "Result",
    "KeptFile",
    "Event",
    "EventError",
    "CancelOutcome",
    # Errors, in the order of the tree in `wanimate.errors`.
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
