"""What a worker knows of Celery's revokes, and requests that none of them discards.

A revoke of Celery's makes each worker throw away every later message of a task. Here a job's outcome comes in such a
message, and a bulk carries jobs of others, so no message is thrown away: a revoked job is cancelled in the ledger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.utils.functional import maybe_list
from celery.worker import state
from celery.worker.request import Request

if TYPE_CHECKING:
    from collections.abc import Mapping


def is_revoked(task_id: str, stamps: Mapping[str, Any]) -> bool:
    """Return whether Celery would discard the messages of a task.

    Args:
        task_id: The task.
        stamps: What it is stamped with.
    """
    return task_id in state.revoked or matches(stamps, state.revoked_stamps)


def matches(stamps: Mapping[str, Any], revoked: Mapping[str, Any]) -> bool:
    """Return whether a task has one of the stamps that are revoked.

    Args:
        stamps: What the task is stamped with.
        revoked: Stamps, one or a list for each name.
    """
    return any(
        stamp is not None and stamp in (maybe_list(revoked.get(name)) or [])
        for name, values in stamps.items()
        for stamp in maybe_list(values) or []
    )


def forget_revoke(task_id: str) -> None:
    """Forget a revoke by id that was carried out: the job may be run again by an operator.

    Args:
        task_id: The task.
    """
    state.revoked.discard(task_id)


class QueueRequest(Request):
    """A request whose message is never discarded, neither by a revoke nor because it has expired."""

    def revoked(self) -> bool:
        """Return False: Celery asks this, and would discard what is revoked."""
        return False

    def terminate(self, *_: Any, **__: Any) -> None:
        """Do nothing: a thread cannot be ended, and what it has sent is billed."""
