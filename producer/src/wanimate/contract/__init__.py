"""What producers and workers agree on: jobs, results, states, and the names of tasks, queues and keys."""

from __future__ import annotations

from .cost import MAX_BILLED_SECONDS, MIN_BILLED_SECONDS, billed_seconds
from .job import MAX_RETRIES, AnimateJob, Job, JobFields, OnUnknown, Provider, ReplaceJob, Resolution, parse_job
from .names import (
    CANCEL_TASK,
    CLAIM_TTL_MS,
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    CONTROL_QUEUE,
    DATABASE_KEY,
    ENQUEUE_TASK,
    ENTRY_QUEUE,
    GENERATE_TASK,
    HOUSEKEEPING_TASK,
    POLL_TASK,
    PRIORITY_STEPS,
    SEPARATOR,
    STEPS,
    UNACKED_KEY,
    Keys,
    list_of,
)
from .record import RESULT_URLS_TTL_SECONDS, JobStatus, Outcome, OutcomeKind, Result
from .states import CancelOutcome, JobState, Stage

__all__ = [
    # Jobs and what they give back.
    "MAX_RETRIES",
    "AnimateJob",
    "Job",
    "JobFields",
    "OnUnknown",
    "Outcome",
    "OutcomeKind",
    "Provider",
    "ReplaceJob",
    "Resolution",
    "RESULT_URLS_TTL_SECONDS",
    "Result",
    "parse_job",
    # What they cost.
    "MAX_BILLED_SECONDS",
    "MIN_BILLED_SECONDS",
    "billed_seconds",
    # Where a job stands.
    "CancelOutcome",
    "JobState",
    "JobStatus",
    "Stage",
    # Names on the wire and in Redis.
    "CANCEL_TASK",
    "CONTRACT_HEADER",
    "CONTRACT_VERSION",
    "CONTROL_QUEUE",
    "CLAIM_TTL_MS",
    "DATABASE_KEY",
    "ENQUEUE_TASK",
    "ENTRY_QUEUE",
    "GENERATE_TASK",
    "HOUSEKEEPING_TASK",
    "POLL_TASK",
    "PRIORITY_STEPS",
    "SEPARATOR",
    "STEPS",
    "UNACKED_KEY",
    "Keys",
    "list_of",
]
