"""Celery's result backends, except that they wait for a Redis that refuses writes as they wait for one that is gone."""

from __future__ import annotations

from typing import Final

from celery.backends import redis

from ..outage import is_away


class _Waiting:
    def exception_safe_to_retry(self, exc: Exception) -> bool:
        """Return whether what failed may be tried again; Celery calls this."""
        return is_away(exc)


class RedisBackend(_Waiting, redis.RedisBackend):
    """For one server."""


class SentinelBackend(_Waiting, redis.SentinelBackend):
    """For the server that Sentinels name."""


#: By the scheme of the URL, as Celery's loader wants it.
BACKENDS: Final = {
    "redis": f"{__name__}:RedisBackend",
    "rediss": f"{__name__}:RedisBackend",
    "sentinel": f"{__name__}:SentinelBackend",
}
