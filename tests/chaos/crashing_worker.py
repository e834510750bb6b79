"""The worker's Celery app with points at which it ends itself when told to.

A token in the Redis list `chaos:<signal>:<point>` is taken by the first worker that comes to that point. SIGKILL ends
it there, as if the machine had lost power between two lines of the product; SIGTERM begins its shutdown there.
"""

from __future__ import annotations

import functools
import os
import signal
from typing import TYPE_CHECKING, Any

import redis
from kombu.transport import virtual
from wanimate import Settings
from wanimate.transport import connection_pool
from wanimate_worker import celery as app
from wanimate_worker.ledger import Ledger
from wanimate_worker.tasks import GenerateTask
from wanimate_worker.upstream import UpstreamClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["app"]

_redis = redis.Redis.from_pool(connection_pool(Settings()))


def _end_if_told(point: str) -> None:
    for how in (signal.SIGKILL, signal.SIGTERM):
        try:
            told = _redis.lpop(f"chaos:{how.name}:{point}")
        except redis.RedisError:
            return
        if told:
            os.kill(os.getpid(), how)


def _patch(owner: type, name: str, *, before: str | None = None, after: str | None = None) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    def patched(*args: Any, **kwargs: Any) -> Any:
        if before:
            _end_if_told(before)
        answer = original(*args, **kwargs)
        if after:
            _end_if_told(after)
        return answer

    setattr(owner, name, patched)


_patch(Ledger, "admit", before="run-and-record")
_patch(UpstreamClient, "submit", before="intent-and-post", after="post-and-record")
_patch(Ledger, "claim", after="claim-and-poll")
_patch(Ledger, "settle", after="settle-and-delivery")
_patch(GenerateTask, "after_return", before="during-delivery")


_deliver = virtual.Transport._deliver


def _deliver_or_die(self: Any, message: Any, queue: str) -> Any:
    # Replies to remote control come through here too.
    if queue.startswith("wanimate"):
        _end_if_told("take-and-run")
    return _deliver(self, message, queue)


virtual.Transport._deliver = _deliver_or_die
