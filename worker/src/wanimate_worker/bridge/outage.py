"""Celery and kombu while Redis is away: which of their errors say so, and result backends that wait for it."""

from __future__ import annotations

from typing import Any, Final

from celery import states
from celery.backends import redis
from celery.exceptions import BackendError
from kombu.exceptions import OperationalError

from ..outage import is_away as is_redis_away
from ..telemetry import get_logger

log = get_logger(__name__)


def is_away(error: BaseException) -> bool:
    """Return whether an error of Redis, the broker or the result backend says that Redis cannot be used now.

    It then says nothing about what it was asked.
    """
    if isinstance(error, BackendError):
        # Celery's backend has given up; what it met is behind it.
        cause = error.__cause__ or error.__context__
        return cause is not None and is_away(cause)
    return isinstance(error, OperationalError) or is_redis_away(error)


class _Storing:
    """Waits for a Redis that refuses writes as for one that is gone, and overwrites what cannot be read."""

    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether what failed may be tried again; Celery calls this."""
        return is_away(exc)

    def _get_task_meta_for(self: Any, task_id: str) -> Any:
        # Celery checks for a success before it stores anything. A worker of another app that was sent a revoke of a job
        # may have written there, in a serialization of its own.
        try:
            return super()._get_task_meta_for(task_id)  # type: ignore[misc]
        except Exception as error:
            if is_away(error):
                raise
            log.warning("a stored result cannot be read", task_id=task_id, cause=type(error).__name__)
            return {"status": states.PENDING, "result": None}


class RedisBackend(_Storing, redis.RedisBackend):
    """For one server."""


class SentinelBackend(_Storing, redis.SentinelBackend):
    """For the server that Sentinels name."""


#: By the scheme of the URL, as Celery's loader wants it.
BACKENDS: Final = {
    "redis": f"{__name__}:RedisBackend",
    "rediss": f"{__name__}:RedisBackend",
    "sentinel": f"{__name__}:SentinelBackend",
}
