"""Reads the status of a job from its record or from Celery's result, and estimates its end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .contract import JobState, JobStatus, Outcome, Result, Stage
from .contract.durations import Kinds, kind_of, seconds_until_slot
from .errors import JobNotFound
from .outcomes import read_ending

if TYPE_CHECKING:
    from .errors import JobFailed
    from .redis.store import Record, Store


def read_status(store: Store, job_id: str) -> JobStatus:
    """Return the status of a job."""
    record = store.record(job_id)
    if not (record.fields or record.is_enqueued or record.has_slot or record.stored_result):
        check_exists(store, job_id)
        # A worker may have recorded its message in the meantime.
        record = store.record(job_id)
    leader = record.fields.get("leader")
    if leader is not None and "outcome" not in record.fields:
        # A further caller of another job: it has the status of that job.
        record = store.record(leader)
    if not record.fields:
        # Its record may have expired before its result, if other Celery code keeps results longer.
        ending = read_ending(record.stored_result)
        if ending is not None:
            return _of_ending(job_id, ending)
    found = JobStatus.from_hash(job_id, record.fields, record.rank, has_slot=record.has_slot, prices=record.prices)
    eta = _eta_seconds(record)
    blocked_by = record.blocked_by if found.state is JobState.WAITING else None
    return found.model_copy(
        update={"follows": leader, "eta_seconds": None if eta is None else round(eta, 1), "blocked_by": blocked_by}
    )


def check_exists(store: Store, job_id: str) -> None:
    """Raise `JobNotFound` if a job without a record does not exist."""
    if store.absent([job_id]):
        raise JobNotFound.of(job_id)


def _of_ending(job_id: str, ending: Result | JobFailed) -> JobStatus:
    """Return the status of a job of which only the Celery result remains."""
    if isinstance(ending, Result):
        return JobStatus(
            id=job_id,
            state=JobState.SUCCEEDED,
            task_id=ending.task_id,
            settled_at=ending.completed_at,
            urls=ending.urls,
            urls_expire_at=ending.urls_expire_at,
        )
    return JobStatus(id=job_id, state=Outcome.failure(ending).kind, task_id=ending.task_id, error=str(ending))


def _eta_seconds(record: Record) -> float | None:
    """Return the estimated seconds until the vendor has finished a job; None if there is no estimate.

    For a running job this is the mean remaining time of jobs of its kind and age. For a waiting job it is the mean time
    of its kind, plus the time until its turn at the current number of slots in use. The estimate ignores later jobs
    with a higher priority, vendor errors, changes of the rendering time, and the delay until a poll.
    """
    stage = record.fields.get("stage")
    if stage not in {Stage.WAITING, Stage.SUBMITTING, Stage.RUNNING}:
        return None
    kinds = Kinds.read(record.durations)
    own = kinds.of(kind_of(json.loads(record.fields.get("request") or "{}")))
    if stage == Stage.RUNNING:
        submitted_at_ms = int(record.fields.get("submitted_at_ms") or record.now_ms)
        return own.remaining_seconds(max(0, record.now_ms - submitted_at_ms) / 1000)
    if record.blocked_by is not None:
        return None
    if record.rank is None:
        return own.mean_seconds
    until_slot = seconds_until_slot(record.rank + 1, record.in_flight, kinds.mean_seconds)
    return None if until_slot is None else until_slot + own.mean_seconds
