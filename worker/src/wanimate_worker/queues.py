"""The lists in Redis that hold the messages of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract import CONTROL_QUEUE, ENTRY_QUEUE, RESUME_QUEUE

if TYPE_CHECKING:
    from redis import Redis

#: The queues that workers read, the most urgent first.
QUEUES: Final = (RESUME_QUEUE, CONTROL_QUEUE, ENTRY_QUEUE)
#: kombu's separator between a queue's name and a priority.
SEPARATOR: Final = "\x06\x16"
#: Senders may have other `priority_steps` than workers: Celery's documentation has an example with all ten.
STEPS: Final = range(10)


def list_of(queue: str, step: int) -> str:
    """Return the list in which a queue's messages of one priority step lie."""
    return f"{queue}{SEPARATOR}{step}" if step else queue


def queue_lengths(redis: Redis) -> dict[str, int]:
    """Return how many messages no worker has taken, by queue, in one round trip.

    Args:
        redis: The broker's server, which is the ledger's.
    """
    with redis.pipeline(transaction=False) as pipeline:
        for queue in QUEUES:
            for step in STEPS:
                pipeline.llen(list_of(queue, step))
        lengths = [int(length) for length in pipeline.execute()]
    width = len(STEPS)
    return {queue: sum(lengths[number * width :][:width]) for number, queue in enumerate(QUEUES)}
