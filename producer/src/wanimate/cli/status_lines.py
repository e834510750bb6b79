"""The status of a job as text: a summary for its first line, and one fact per further line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ..contract import JobState
from ..contract.cost import format_usd, to_micro_usd
from ..text import counted, format_duration, pairs_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from ..contract import JobStatus

_SUMMARIES: Final[Mapping[JobState, str]] = {
    JobState.QUEUED: "no worker has recorded it yet",
    JobState.UNKNOWN: "submitted; answer lost",
    JobState.KEEPING: "copying to your store",
}
#: The values of `JobStatus.blocked_by`.
_BLOCKS: Final[Mapping[str, str]] = {
    "suspended": "the vendor refuses the API key, or there is no credit",
    "paused": "an operator paused submissions",
    "daily_limit": "the daily limit of billed seconds is reached",
    "balance": "the balance is too low for the next job",
    "back_off": "the vendor rate limits requests or cannot be reached",
    "unsafe": "Redis has too few replicas",
    "refused": "the vendor refused several jobs; the worker probes with one job at a time",
    "probe": "the circuit breaker is half-open; the worker probes with one job at a time",
}


def summary_of(status: JobStatus) -> str:
    """Return the most important fact of a status in a few words; empty if the state says it all."""
    if status.state is not JobState.WAITING and status.eta_seconds is None:
        return _SUMMARIES.get(status.state, "")
    position = [] if status.position is None else [f"position {status.position}"]
    if status.eta_seconds is not None:
        eta = f"ETA {format_duration(round(status.eta_seconds * 1000))}"
    elif status.blocked_by == "retry":
        eta = "waiting for its next attempt"
    else:
        eta = "ETA unavailable"
    return ", ".join([*position, eta])


def details_of(status: JobStatus) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of further facts."""
    yield from _outcome(status)
    yield from _request(status)
    yield from _attempts(status)
    for name, moment in (
        ("recorded", status.waiting_at),
        ("submitted", status.submitted_at),
        ("ended", status.settled_at),
    ):
        if moment is not None:
            yield name, _shown(moment)


def _outcome(status: JobStatus) -> Iterator[tuple[str, str]]:
    if status.blocked_by is not None and status.blocked_by in _BLOCKS:
        yield "blocked", f"ETA unavailable until submissions resume: {_BLOCKS[status.blocked_by]}"
    for url in status.urls:
        yield "result", url
    if status.urls_expire_at is not None:
        yield "expires", _expiry(status.urls_expire_at)
    if status.error is not None:
        yield "error", status.error


def _request(status: JobStatus) -> Iterator[tuple[str, str]]:
    if status.type is not None:
        yield "job", " ".join(filter(None, [status.type, status.resolution]))
    if status.labels:
        yield "labels", " ".join(pairs_of(status.labels))
    if status.follows is not None:
        yield "follows", f"job {status.follows}, which has the same idempotency key"
    if status.billed_seconds is not None:
        usd = "" if status.billed_usd is None else f", {format_usd(to_micro_usd(status.billed_usd))}"
        yield "estimate", f"{status.billed_seconds:g} s billed{usd} per submission"


def _attempts(status: JobStatus) -> Iterator[tuple[str, str]]:
    if status.task_id is not None:
        yield "task", status.task_id
    if status.attempts > 1 or status.retries:
        code = f" after {status.transient_code}" if status.transient_code else ""
        retries = f", {counted(status.retries, 'retry', 'retries')}{code}" if status.retries else ""
        yield "attempts", f"{status.attempts}{retries}"


def _expiry(urls_expire_at: datetime) -> str:
    left_ms = round((urls_expire_at - datetime.now(UTC)).total_seconds() * 1000)
    left = f"in {format_duration(left_ms)}" if left_ms > 0 else f"{format_duration(-left_ms)} ago"
    return f"{left}, {_shown(urls_expire_at)}"


def _shown(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
