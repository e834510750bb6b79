"""The messages that this library sends, as plain values."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from .contract import (
    CANCEL_TASK,
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    CONTROL_QUEUE,
    ENQUEUE_TASK,
    ENTRY_QUEUE,
    GENERATE_TASK,
    AnimateJob,
    Job,
    ReplaceJob,
)
from .contract.trace_context import current_trace
from .errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Jobs in one `wanimate.enqueue` message: enough to make the cost of the message vanish, few enough for one worker
#: to record them well within the visibility time-out.
MAX_JOBS_PER_MESSAGE: Final = 200
#: Bound on one `wanimate.enqueue` message in Redis, in bytes, so that no message blocks the server for long.
MAX_MESSAGE_BYTES: Final = 512 * 1024
# kombu stores the body as base64, four bytes for three; 4 KiB are left for the headers.
_MAX_BODY_BYTES: Final = (MAX_MESSAGE_BYTES - 4096) * 3 // 4
# A job id, quotes, brackets and commas.
_ENTRY_OVERHEAD_BYTES: Final = 50


@dataclass(frozen=True, slots=True)
class Message:
    """One Celery message.

    Args:
        task: The name of the task.
        id: The task id.
        args: Positional arguments of the task.
        kwargs: Keyword arguments of the task.
        queue: The queue it goes to.
        priority: 0 (most urgent) to 9.
        argsrepr: What logs, events and Flower show of `args`.
        kwargsrepr: What they show of `kwargs`.
        headers: Further headers.
        ignore_result: Whether the worker stores no result.
        job_ids: The jobs that it enqueues.
    """

    task: str
    id: str
    queue: str
    priority: int
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    argsrepr: str = "()"
    kwargsrepr: str = "{}"
    headers: dict[str, Any] = field(default_factory=lambda: {CONTRACT_HEADER: CONTRACT_VERSION})
    ignore_result: bool = False
    job_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """A job with the id it is enqueued under."""

    job_id: str
    job: Job
    kwargs: dict[str, Any]


def enter(job: Job, account: str, index: int | None = None) -> Entry:
    """Give a job its id.

    Args:
        job: The job.
        account: The vendor account that the id is derived for.
        index: Its place among many, for the message of the error.

    Raises:
        InvalidRequest: This is not a job.
    """
    if not isinstance(job, (AnimateJob, ReplaceJob)):
        place, name = ("the job", "job") if index is None else (f"item {index}", f"jobs.{index}")
        raise InvalidRequest(
            f"{place}: an AnimateJob or a ReplaceJob is expected, got {type(job).__name__}", field=name
        )
    return Entry(job.job_id(account), job, job.to_kwargs())


def pack(jobs: Iterable[Job], account: str) -> Iterator[list[Entry]]:
    """Read the jobs piece by piece, each piece small enough for one message.

    Raises:
        InvalidRequest: An item is not a job; the pieces before it were handed out.
    """
    piece: list[Entry] = []
    size_bytes = 0
    for index, job in enumerate(jobs):
        entry = enter(job, account, index)
        entry_bytes = len(json.dumps(entry.kwargs)) + _ENTRY_OVERHEAD_BYTES
        if piece and (len(piece) == MAX_JOBS_PER_MESSAGE or size_bytes + entry_bytes > _MAX_BODY_BYTES):
            yield piece
            piece, size_bytes = [], 0
        piece.append(entry)
        size_bytes += entry_bytes
    if piece:
        yield piece


def generate(entry: Entry) -> Message:
    """Return the message that enqueues one job."""
    return Message(
        GENERATE_TASK, entry.job_id, kwargs=entry.kwargs, job_ids=(entry.job_id,), **entry.job.message_options()
    )


def enqueue(entries: list[Entry]) -> Message:
    """Return the message that enqueues many jobs; it is as urgent as the most urgent of them."""
    return Message(
        ENQUEUE_TASK,
        str(uuid.uuid4()),
        ENTRY_QUEUE,
        min(entry.job.priority for entry in entries),
        kwargs={"jobs": [[entry.job_id, entry.kwargs] for entry in entries]},
        kwargsrepr=str({"jobs": len(entries)}),
        headers={CONTRACT_HEADER: CONTRACT_VERSION, **current_trace()},
        ignore_result=True,
        job_ids=tuple(entry.job_id for entry in entries),
    )


def cancel(job_id: str) -> Message:
    """Return the message that asks a worker to cancel a job."""
    return Message(CANCEL_TASK, str(uuid.uuid4()), CONTROL_QUEUE, 0, args=(job_id,), argsrepr=str((job_id,)))
