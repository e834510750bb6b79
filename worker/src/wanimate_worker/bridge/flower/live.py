"""What a job is doing now, from the ledger: Flower itself knows only what events have told it."""

from __future__ import annotations

import time
from ast import literal_eval
from typing import TYPE_CHECKING, Any, Final

from celery import states
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK, JobState, JobStatus

from ...telemetry import get_logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from ...ledger import Ledger

log = get_logger(__name__)

#: After Redis did not answer, pages show for so long what events have told, in seconds: each row would wait.
_LEAVE_ALONE_SECONDS: Final = 10.0


def live_view(ledger: Ledger) -> Callable[[Any], Any]:
    """Return Flower's `format_task`: it puts a job's present state and what it does in place of the last event's.

    Flower calls it for the rows of a page, so a backlog costs nothing. The page waits for each answer of the ledger.
    """
    asks_again_at = 0.0

    def format_task(task: Any) -> Any:
        nonlocal asks_again_at
        if task.name != GENERATE_TASK:
            return task
        task.kwargs = _readable(task.kwargs)
        # A success is final. A failed job may be run again by an operator, under the same id.
        if task.state == states.SUCCESS or time.monotonic() < asks_again_at:
            return task
        try:
            [record] = ledger.records.whole([task.uuid])
        except RedisError as error:
            log.warning("Redis is away; pages show what events have told", cause=type(error).__name__)
            asks_again_at = time.monotonic() + _LEAVE_ALONE_SECONDS
            return task
        if record.fields:
            has_slot = record.slot_since_ms is not None
            _apply(task, JobStatus.from_hash(task.uuid, record.fields, record.rank, has_slot=has_slot))
        return task

    return format_task


def _readable(kwargs: str | None) -> str | None:
    """Return `{'type': 'animate', 'resolution': '480p', 'labels': {'order': '7'}}` as `animate 480p order=7`."""
    try:
        fields = literal_eval(kwargs or "")
        labels = fields.pop("labels", {})
        return " ".join([*map(str, fields.values()), *(f"{name}={value}" for name, value in labels.items())])
    except (ValueError, SyntaxError, AttributeError, TypeError):
        return kwargs


def _apply(task: Any, status: JobStatus) -> None:
    state, told = _present(status)
    if state == task.state and task.ready:
        # Its event said more.
        return
    task.state, task.result = state, told
    if not status.state.is_final:
        task.started = status.submitted_at.timestamp() if status.submitted_at else None
        # So far, by this host's clock.
        task.runtime = max(0.0, time.time() - task.started) if task.started else None
        task.exception = task.traceback = None


def _present(status: JobStatus) -> tuple[str, str]:
    """Return a job's state as Flower calls it, and what it does in words."""
    lost = "the answer to its submission was lost: the vendor may have accepted it"
    waits = f"waits for a slot, number {status.position} in line" if status.position else "waits for a slot"
    return {
        JobState.WAITING: (states.RECEIVED, waits),
        JobState.SUBMITTING: (states.RECEIVED, "has a slot and is being sent to the vendor"),
        JobState.UNKNOWN: (states.STARTED, lost),
        JobState.RUNNING: (states.STARTED, f"runs at the vendor as {status.task_id}"),
        JobState.SUCCEEDED: (states.SUCCESS, "has ended well; Flower was not listening"),
        JobState.CANCELLED: (states.REVOKED, status.error or ""),
    }.get(status.state, (states.FAILURE, status.error or ""))
