"""Whether an error of Celery's or kombu's means that Redis is away."""

from __future__ import annotations

from celery.exceptions import BackendError
from kombu.exceptions import OperationalError

from ..outage import is_away as is_redis_away


def is_away(error: BaseException) -> bool:
    """Return whether an error says that Redis cannot be used now, and nothing about what it was asked.

    Args:
        error: What a call to Redis, to the broker or to the result backend raised.
    """
    if isinstance(error, BackendError):
        # Celery's backend has given up; what it met is behind it.
        cause = error.__cause__ or error.__context__
        return cause is not None and is_away(cause)
    return isinstance(error, OperationalError) or is_redis_away(error)
