"""When a job will end, estimated from what Redis knows: the durations of other jobs and the slots in use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from .contract import Stage
from .contract.durations import Kinds, kind_of_request

if TYPE_CHECKING:
    from .effects import Record


def eta_seconds(record: Record) -> float | None:
    """Return in how many seconds the vendor will probably have finished a job; None if nothing can be said.

    A running job needs what jobs of its kind and age needed on average. A waiting one needs that of a new job, and the
    time in which as many slots become free as its place in line, at the pace of the slots in use now. Jobs that come
    later with a higher priority, refusals of the vendor and changes of its pace are not foreseen; nor is the moment
    until a poll notices the end.

    Args:
        record: What is stored about the job.
    """
    stage = record.fields.get("stage")
    if record.now_ms is None or stage not in {Stage.WAITING, Stage.SUBMITTING, Stage.RUNNING}:
        return None
    kinds = Kinds.read(record.durations)
    own = kinds.of(kind_of_request(json.loads(record.fields.get("request") or "{}")))
    if stage == Stage.RUNNING:
        submitted_at_ms = int(record.fields.get("submitted_at_ms") or record.now_ms)
        return own.remaining_seconds(max(0, record.now_ms - submitted_at_ms) / 1000)
    if record.blocked_by is not None:
        return None
    if record.rank is None:
        return own.mean_seconds
    until_slot = seconds_until_slot(record.rank + 1, record.in_flight, kinds.mean_seconds)
    return None if until_slot is None else until_slot + own.mean_seconds


def seconds_until_slot(place: int, in_flight: int, mean_seconds: float) -> float | None:
    """Return in how many seconds a place in line will probably get a slot; None if no slot is in use.

    Args:
        place: 1 is next.
        in_flight: How many slots are held: none becomes free at a pace that could be told if none is.
        mean_seconds: How long a task takes on average.
    """
    return place * mean_seconds / in_flight if in_flight else None
