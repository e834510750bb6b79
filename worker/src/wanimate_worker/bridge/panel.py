"""Remote control commands that do not fit this queue; other apps on the same Redis may send them to every worker."""

from __future__ import annotations

from typing import Any, Final

from celery.worker import control
from celery.worker.control import control_command

from ..queues import QUEUES

_Reply = dict[str, Any]
#: Celery's panel holds ours from now on, so its own is kept here.
_CELERY_ADD_CONSUMER: Final = control.add_consumer
#: What changes the pool or holds messages back in the worker's memory, past the visibility time-out.
_UNFIT: Final = ("pool_grow", "pool_shrink", "pool_restart", "autoscale", "rate_limit")


@control_command(name="add_consumer", signature="<queue>", args=[("queue", str)])
def add_consumer(worker: Any, queue: str, **options: Any) -> _Reply:
    """Read one of our queues again; those of other apps are theirs to read.

    Args:
        worker: The worker, as Celery's panel passes it.
        queue: The queue's name.
        options: As Celery takes them.
    """
    if queue not in QUEUES:
        return {"error": f"this worker reads {', '.join(QUEUES)} only"}
    reply: _Reply = _CELERY_ADD_CONSUMER(worker, queue, **options)
    return reply


def _refuse(_worker: Any, *_: Any, **__: Any) -> _Reply:
    """Not supported: a worker's threads are set at its start, and the ledger paces what is sent."""
    return {"error": "not supported: the threads are set at the start (-c), and the ledger paces what is sent"}


for _name in _UNFIT:
    control_command(name=_name)(_refuse)
