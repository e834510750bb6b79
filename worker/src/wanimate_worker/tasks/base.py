"""The base of the tasks that keep the queue going."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from celery import Task
from wanimate.errors import InvalidRequest

if TYPE_CHECKING:
    from ..runtime import Runtime

#: Pause before something is tried again while Redis is away, in seconds.
AGAIN_SECONDS: Final = 0.5


class InternalTask(Task):
    """A task of the queue itself: no result, and no events, which would drown the jobs in Flower.

    Args:
        runtime: What the tasks of this process share.
    """

    abstract = True
    Request = "wanimate_worker.revocation:QueueRequest"
    ignore_result = True
    send_events = False

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime


def refusal(error: Exception) -> InvalidRequest:
    """Return the failure of a job that Redis will never record, because of what it holds.

    Args:
        error: What the ledger raised; not an outage.
    """
    return InvalidRequest(
        f"this job cannot be recorded ({type(error).__name__}); nothing was sent to the vendor, nothing is billed"
    )


def seconds_between(begun_at_ms: int | None, ended_at_ms: int) -> float | None:
    """Return how long something took, in seconds; None if its begin is not known."""
    return None if begun_at_ms is None else round((ended_at_ms - begun_at_ms) / 1000, 3)
