"""When a job will end, estimated from what Redis knows: the durations of other jobs and the slots in use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .contract import Stage
from .contract.durations import Durations, kind_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .effects import Record


def eta_seconds(record: Record, request: Mapping[str, str]) -> float | None:
    """Return in how many seconds the vendor will probably have finished a job; None if nothing can be said.

    A running job needs what jobs of its kind and age needed on average. A waiting one needs that of a new job, and the
    time in which as many slots become free as its place in line, at the pace of the slots in use now. Jobs that come
    later with a higher priority, refusals of the vendor and changes of its pace are not foreseen; nor is the moment
    until a poll notices the end.

    Args:
        record: What is stored about the job.
        request: The job's request.
    """
    stage = record.fields.get("stage")
    if record.now_ms is None or stage not in {Stage.WAITING, Stage.SUBMITTING, Stage.RUNNING}:
        return None
    kinds = Durations.read(record.durations)
    own = kinds.get(kind_of(request.get("type", ""), request.get("resolution"))) or Durations()
    if stage == Stage.RUNNING:
        submitted_at_ms = int(record.fields.get("submitted_at_ms") or record.now_ms)
        return own.remaining_seconds(max(0, record.now_ms - submitted_at_ms) / 1000)
    if record.blocked_by is not None:
        return None
    if record.rank is None:
        return own.mean_seconds
    until_slot = seconds_until_slot(record.rank + 1, record.in_flight, kinds)
    return None if until_slot is None else until_slot + own.mean_seconds


def seconds_until_slot(place: int, in_flight: int, kinds: Mapping[str, Durations]) -> float | None:
    """Return in how many seconds a place in line will probably get a slot; None if no slot is in use.

    Args:
        place: 1 is next.
        in_flight: How many slots are held: none becomes free at a pace that could be told if none is.
        kinds: How long jobs of each kind take.
    """
    return place * mean_seconds_of(kinds) / in_flight if in_flight else None


def mean_seconds_of(kinds: Mapping[str, Durations]) -> float:
    """Return how long a job of any kind takes on average."""
    observed = sum(each.observed for each in kinds.values())
    if not observed:
        return Durations().mean_seconds
    return sum(each.observed * each.mean_seconds for each in kinds.values()) / observed
