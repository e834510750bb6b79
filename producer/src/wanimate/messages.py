"""Builds the Celery messages that enqueue and cancel jobs, as kombu's Redis transport stores them.

They equal those of `apply_async` (Celery documentation, "Message Protocol", version 2). Importing Celery and kombu
would take longer than enqueueing thousands of jobs.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import uuid
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .contract import (
    CANCEL_TASK,
    CONTRACT_HEADER,
    CONTRACT_VERSION,
    CONTROL_QUEUE,
    ENQUEUE_TASK,
    ENTRY_QUEUE,
    GENERATE_TASK,
    PRIORITY_STEPS,
    AnimateJob,
    Job,
    ReplaceJob,
    list_of,
)
from .contract.trace_context import current_trace
from .errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .settings import Settings

#: Jobs in one `wanimate.enqueue` message: few enough that a worker records them well within the visibility timeout.
MAX_JOBS_PER_MESSAGE: Final = 200
#: Maximum size of one `wanimate.enqueue` message, in bytes, so that it does not block Redis for long.
MAX_MESSAGE_BYTES: Final = 512 * 1024
# kombu stores the body as base64, four bytes for three; 4 KiB are left for the headers.
_MAX_BODY_BYTES: Final = (MAX_MESSAGE_BYTES - 4096) * 3 // 4
# A job id, quotes, brackets and commas.
_ENTRY_OVERHEAD_BYTES: Final = 50
#: The third part of each body: the task has no canvas.
_NO_CANVAS: Final = '{"callbacks": null, "errbacks": null, "chain": null, "chord": null}'
_HOST: Final = socket.gethostname()


class Message(NamedTuple):
    """One message, ready to push to Redis."""

    #: The Celery task id.
    id: str
    #: The list in Redis, which depends on the queue and the priority.
    list_name: str
    text: str
    #: The jobs that it enqueues.
    job_ids: tuple[str, ...]


class Entry(NamedTuple):
    """A job and its id."""

    job_id: str
    job: Job
    #: The arguments of its `wanimate.generate` task, as JSON.
    kwargs: str


def enter(job: Job, settings: Settings, index: int | None = None) -> Entry:
    """Give a job its id; raise `InvalidRequest` for what cannot be enqueued, with its index among many."""
    if not isinstance(job, (AnimateJob, ReplaceJob)):
        place, name = ("the job", "job") if index is None else (f"item {index}", f"jobs.{index}")
        raise InvalidRequest(f"{place}: expected an AnimateJob or a ReplaceJob, got {type(job).__name__}", field=name)
    settings.check_webhook(job)
    return Entry(job.job_id(settings.account), job, json.dumps(job.to_kwargs()))


def pack(jobs: Iterable[Job], settings: Settings) -> Iterator[list[Entry]]:
    """Split jobs into pieces that each fit into one message."""
    piece: list[Entry] = []
    size_bytes = 0
    for index, job in enumerate(jobs):
        entry = enter(job, settings, index)
        entry_bytes = len(entry.kwargs) + _ENTRY_OVERHEAD_BYTES
        if piece and (len(piece) == MAX_JOBS_PER_MESSAGE or size_bytes + entry_bytes > _MAX_BODY_BYTES):
            yield piece
            piece, size_bytes = [], 0
        piece.append(entry)
        size_bytes += entry_bytes
    if piece:
        yield piece


def enqueue(entries: list[Entry]) -> Message:
    """Return the message that enqueues one job or many; its priority is that of the most urgent job."""
    job_ids = tuple(entry.job_id for entry in entries)
    if len(entries) == 1:
        (entry,) = entries
        options = entry.job.message_options()
        body = f"[[], {entry.kwargs}, {_NO_CANVAS}]"
        return _message(GENERATE_TASK, entry.job_id, body=body, job_ids=job_ids, **options)
    jobs = ", ".join(f'["{entry.job_id}", {entry.kwargs}]' for entry in entries)
    return _message(
        ENQUEUE_TASK,
        str(uuid.uuid4()),
        ENTRY_QUEUE,
        min(entry.job.priority for entry in entries),
        f'[[], {{"jobs": [{jobs}]}}, {_NO_CANVAS}]',
        kwargsrepr=str({"jobs": len(entries)}),
        headers={CONTRACT_HEADER: CONTRACT_VERSION, **current_trace()},
        ignore_result=True,
        job_ids=job_ids,
    )


def cancel(job_id: str) -> Message:
    """Return the message that asks a worker to cancel a job."""
    body = f"{json.dumps([[job_id], {}])[:-1]}, {_NO_CANVAS}]"
    return _message(CANCEL_TASK, str(uuid.uuid4()), CONTROL_QUEUE, 0, body, argsrepr=str((job_id,)))


def _message(
    task: str,
    message_id: str,
    queue: str,
    priority: int,
    body: str,
    *,
    argsrepr: str = "()",
    kwargsrepr: str = "{}",
    headers: dict[str, Any] | None = None,
    ignore_result: bool = False,
    job_ids: tuple[str, ...] = (),
) -> Message:
    envelope = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {
            "lang": "py",
            "task": task,
            "id": message_id,
            "shadow": None,
            "eta": None,
            "expires": None,
            "group": None,
            "group_index": None,
            "retries": 0,
            "timelimit": [None, None],
            "root_id": message_id,
            "parent_id": None,
            "argsrepr": argsrepr,
            "kwargsrepr": kwargsrepr,
            "origin": f"gen{os.getpid()}@{_HOST}",
            "ignore_result": ignore_result,
            "replaced_task_nesting": 0,
            "stamped_headers": None,
            "stamps": {},
            **(headers or {CONTRACT_HEADER: CONTRACT_VERSION}),
        },
        "properties": {
            "correlation_id": message_id,
            "reply_to": "",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": queue},
            "priority": priority,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    step = max(step for step in PRIORITY_STEPS if step <= priority)
    return Message(message_id, list_of(queue, step), json.dumps(envelope), job_ids)
