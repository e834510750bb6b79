"""Two Redis lists that wake other processes when there is work.

A wake-up is a hint: a job whose wake-up is lost is found when its lease ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from redis import Redis
    from wanimate.contract import Keys

#: How long one wait in Redis lasts at most, in seconds: a stopping worker waits so long for its threads.
MAX_WAIT_SECONDS: Final = 1.0


class Doorbell:
    """The lists of one account.

    Args:
        redis: A connection that decodes responses to `str`.
        keys: The names of the account's keys.
        lease_ms: How long a wake-up is kept: then the ledger makes the job due again.
    """

    def __init__(self, redis: Redis, keys: Keys, lease_ms: int) -> None:
        self._redis = redis
        self._ready, self._wake = keys.ready, keys.wake
        self._lease_ms = lease_ms

    def ring_ready(self, job_ids: Sequence[str]) -> None:
        """Offer jobs that have a slot or an outcome to any worker."""
        if job_ids:
            with self._redis.pipeline(transaction=False) as pipeline:
                pipeline.rpush(self._ready, *job_ids)
                pipeline.pexpire(self._ready, self._lease_ms)
                pipeline.execute()

    def ring_wake(self) -> None:
        """Have one worker claim due jobs. Several wake-ups before it does are one."""
        with self._redis.pipeline(transaction=False) as pipeline:
            pipeline.rpush(self._wake, "1")
            pipeline.ltrim(self._wake, -1, -1)
            pipeline.execute()

    def wait_ready(self, most: int, timeout_seconds: float = MAX_WAIT_SECONDS) -> list[str]:
        """Wait for jobs that were offered, and return at most `most` of them."""
        first = self._pop(self._ready, timeout_seconds)
        if first is None:
            return []
        others = cast("list[str] | None", self._redis.lpop(self._ready, most - 1)) if most > 1 else None
        return [first, *(others or [])]

    def wait_wake(self, timeout_seconds: float = MAX_WAIT_SECONDS) -> bool:
        """Wait for a wake-up to claim due jobs, and return whether one came."""
        return self._pop(self._wake, timeout_seconds) is not None

    def _pop(self, key: str, timeout_seconds: float) -> str | None:
        popped: Any = self._redis.blpop([key], timeout_seconds)
        return None if popped is None else str(popped[1])
