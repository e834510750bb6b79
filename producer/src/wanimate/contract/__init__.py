"""The contract between producers and workers: jobs, results, states, and the names of tasks, queues and keys."""

from __future__ import annotations

from .cost import MAX_BILLED_SECONDS as MAX_BILLED_SECONDS
from .cost import billed_seconds as billed_seconds
from .event import Event as Event
from .event import EventError as EventError
from .job import MAX_RETRIES as MAX_RETRIES
from .job import AnimateJob as AnimateJob
from .job import Job as Job
from .job import JobFields as JobFields
from .job import OnUnknown as OnUnknown
from .job import Provider as Provider
from .job import ReplaceJob as ReplaceJob
from .job import Resolution as Resolution
from .job import parse_job as parse_job
from .names import CANCEL_TASK as CANCEL_TASK
from .names import CLAIM_TTL_MS as CLAIM_TTL_MS
from .names import CONTRACT_HEADER as CONTRACT_HEADER
from .names import CONTRACT_VERSION as CONTRACT_VERSION
from .names import CONTROL_QUEUE as CONTROL_QUEUE
from .names import DATABASE_KEY as DATABASE_KEY
from .names import ENQUEUE_TASK as ENQUEUE_TASK
from .names import ENTRY_QUEUE as ENTRY_QUEUE
from .names import GENERATE_TASK as GENERATE_TASK
from .names import HOUSEKEEPING_TASK as HOUSEKEEPING_TASK
from .names import POLL_TASK as POLL_TASK
from .names import PRIORITY_STEPS as PRIORITY_STEPS
from .names import SEPARATOR as SEPARATOR
from .names import STEPS as STEPS
from .names import UNACKED_KEY as UNACKED_KEY
from .names import Keys as Keys
from .names import list_of as list_of
from .record import RESULT_URLS_TTL_SECONDS as RESULT_URLS_TTL_SECONDS
from .record import JobStatus as JobStatus
from .record import KeptFile as KeptFile
from .record import Outcome as Outcome
from .record import Result as Result
from .states import CancelOutcome as CancelOutcome
from .states import JobState as JobState
from .states import Stage as Stage
