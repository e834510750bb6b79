"""How long the queue takes to be well again after a fault: nothing held by the dead, nothing overdue."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from redis.exceptions import RedisError
from wanimate.contract import UNACKED_KEY
from wanimate_devstack import redis_of

if TYPE_CHECKING:
    from rig import Rig

#: The queue counts as well when no job has been due for longer than this, in seconds. While nothing is wrong, a job
#: waits for the next tick and for its turn in the request budget.
_OVERDUE_SECONDS = 1.5
#: What takes longer is reported as this, in seconds.
LONGEST_SECONDS = 40.0


def seconds_until_well(rig: Rig, since: float) -> float:
    """Wait until the queue is well again and return how long that took, in seconds.

    It is well when no message that a worker took before the fault is still unacknowledged, and no job has been due
    for long: whatever a dead process held has been taken over.

    Args:
        rig: What was struck.
        since: When the fault began, in Unix seconds.
    """
    while time.time() < since + LONGEST_SECONDS:
        if _is_well(rig, since):
            break
        time.sleep(0.1)
    return round(time.time() - since, 1)


def _is_well(rig: Rig, since: float) -> bool:
    try:
        with redis_of(rig.stack) as redis:
            # kombu's index of unacknowledged messages is scored with the time at which each was taken.
            held = redis.zcount(f"{UNACKED_KEY}.index", "-inf", since)
            overdue = redis.zcount(rig.due_key, "-inf", (time.time() - _OVERDUE_SECONDS) * 1000)
    except RedisError:
        return False
    return not held and not overdue
