"""The lists in Redis that hold the messages of a queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wanimate.contract import CONTROL_QUEUE, ENTRY_QUEUE, STEPS, list_of

if TYPE_CHECKING:
    from redis import Redis

#: The queues that workers read, the most urgent first.
QUEUES: Final = (CONTROL_QUEUE, ENTRY_QUEUE)
#: With so many messages unread in the queue of ticks and cancellations, another tick would bring nothing.
ENOUGH_TICKS: Final = 20


def has_enough_ticks(redis: Redis) -> bool:
    """Return whether so many messages wait in the queue of ticks that another would bring nothing."""
    # Ticks have no priority of their own.
    return redis.llen(list_of(CONTROL_QUEUE, 0)) >= ENOUGH_TICKS


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
