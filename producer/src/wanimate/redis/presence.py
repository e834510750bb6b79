"""Finds out whether a job exists before a worker has recorded it.

Jobs of this library are in the set of enqueued jobs until a worker records them. Jobs of other Celery code have to be
found in the messages themselves.
"""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from ..contract import ENQUEUE_TASK, ENTRY_QUEUE, STEPS, UNACKED_KEY, list_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..contract import Keys

#: Limits of one search: messages, and their length in characters.
MAX_MESSAGES: Final = 10_000
MAX_CHARACTERS: Final = 16 * 1024 * 1024
#: Messages per command: few at first, because one may contain hundreds of jobs; more if they are small.
_FIRST_PAGE: Final = 10
_LAST_PAGE: Final = 1000
_SMALL_PAGE_CHARACTERS: Final = 256 * 1024


class Presence(StrEnum):
    """The answer of a search for a job."""

    #: There is a record, a result, an entry in the set of enqueued jobs, or a message.
    THERE = "there"
    #: There is none of these.
    ABSENT = "absent"
    #: There are more messages than one search reads.
    UNSURE = "unsure"


def find_jobs(redis: Any, keys: Keys, job_ids: Iterable[str]) -> dict[str, Presence]:
    """Return for each job whether it exists; `redis` decodes responses."""
    asked = set(job_ids)
    missing, otherwise, characters = asked - _known(redis, keys, asked), Presence.ABSENT, 0
    for number, text in enumerate(_messages(redis, keys) if missing else ()):
        characters += len(text)
        if number == MAX_MESSAGES or characters > MAX_CHARACTERS:
            otherwise = Presence.UNSURE
            break
        missing -= _ids_in(text)
    missing -= _known(redis, keys, missing)
    return {job_id: otherwise if job_id in missing else Presence.THERE for job_id in asked}


def _known(redis: Any, keys: Keys, job_ids: set[str]) -> set[str]:
    """Return the jobs that have a record, a slot, a result, or an entry in the set of enqueued jobs."""
    asked = list(job_ids)
    with redis.pipeline(transaction=False) as pipeline:
        for job_id in asked:
            pipeline.zscore(keys.enqueued, job_id)
            pipeline.zscore(keys.slots, job_id)
            pipeline.exists(keys.job(job_id), f"celery-task-meta-{job_id}")
        answers = pipeline.execute()
    rows = zip(asked, answers[::3], answers[1::3], answers[2::3], strict=True)
    return {job_id for job_id, enqueued, slot, stored in rows if enqueued is not None or slot is not None or stored}


def _messages(redis: Any, keys: Keys) -> Iterator[str]:
    # A message moves from the queue to a worker, then to a record or to the dead letters. This order misses none.
    for step in STEPS:
        yield from _entries(redis, list_of(ENTRY_QUEUE, step))
    yield from redis.hgetall(UNACKED_KEY).values()
    yield from _entries(redis, keys.dead)


def _entries(redis: Any, name: str) -> Iterator[str]:
    start, length = 0, _FIRST_PAGE
    # Newest first: new messages shift the others, so that some may be read twice but none is missed.
    while page := redis.lrange(name, start, start + length - 1):
        yield from page
        start += len(page)
        if sum(map(len, page)) < _SMALL_PAGE_CHARACTERS:
            length = min(_LAST_PAGE, 4 * length)


def _ids_in(text: str) -> set[str]:
    """Return the ids of the jobs in a message, of either version of Celery's protocol."""
    try:
        # A dead letter starts with its number; it may run later, so it counts.
        message = json.loads(text.lstrip("0123456789 "))
        if isinstance(message, list):  # unacknowledged: the message, its exchange and its routing key
            message = message[0]
        headers, body = message["headers"], message["body"]
        if "task" in headers and headers["task"] != ENQUEUE_TASK:
            return {headers["id"]}
        if message["properties"].get("body_encoding") == "base64":
            body = base64.b64decode(body)
        content = json.loads(body)
        return {job_id for job_id, _ in content[1]["jobs"]} if "task" in headers else {content["id"]}
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return set()  # not a job message: a worker will add it to the dead letters
