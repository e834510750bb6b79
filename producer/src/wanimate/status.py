"""Where a job stands, as its record and Celery's result tell, and when it will probably end."""

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
    """Return where a job stands."""
    record = store.record(job_id)
    if not (record.fields or record.is_enqueued or record.has_slot or record.stored_result):
        check_exists(store, job_id)
        # Its message may have been recorded meanwhile.
        record = store.record(job_id)
    leader = record.fields.get("leader")
    if leader is not None and "outcome" not in record.fields:
        # One more caller of a job: it stands where that stands.
        record = store.record(leader)
    if not record.fields:
        # Its record may have expired before its result, which any other Celery code may have kept longer.
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
    """Raise `JobNotFound` if nothing is known about a job that has no record."""
    if store.absent([job_id]):
        raise JobNotFound.of(job_id)


def _of_ending(job_id: str, ending: Result | JobFailed) -> JobStatus:
    """Return the status of a job of which only the Celery result is left."""
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
    """Return in how many seconds the vendor will probably have finished a job; None if nothing can be said.

    A running job needs what jobs of its kind and age needed on average. A waiting one needs that of a new job, and the
    time in which as many slots become free as its place in line, at the pace of the slots in use now. Jobs that come
    later with a higher priority, refusals of the vendor and changes of its pace are not foreseen; nor is the moment
    until a poll notices the end.
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
