"""The worker's Celery app with points at which it ends itself, or stands still, when told to.

A token in the Redis list `chaos:<signal>:<point>` is taken by the first worker that comes to that point. SIGKILL ends
it there, as if the machine had lost power between two lines of the product; SIGTERM begins its shutdown there. SIGSTOP
lets it stand still there, until somebody sends SIGCONT; which worker and which job it was is in `chaos:frozen`.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import redis
from kombu.transport import virtual
from wanimate import Settings
from wanimate.redis.transport import connection_pool
from wanimate_worker import celery as app
from wanimate_worker.bridge.callers import CeleryCallers
from wanimate_worker.ledger import Submit
from wanimate_worker.ledger.jobs import Jobs
from wanimate_worker.ledger.polls import Polls
from wanimate_worker.vendor import VendorClient

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["app"]

_redis = redis.Redis.from_pool(connection_pool(Settings()))


#: The job that the run of this thread is about.
_run = threading.local()


def _end_if_told(point: str) -> None:
    for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
        try:
            told = _redis.lpop(f"chaos:{how.name}:{point}")
            if told and how is signal.SIGSTOP:
                _redis.rpush("chaos:frozen", f"{os.getpid()} {getattr(_run, 'job_id', '')}")
        except redis.RedisError:
            return
        if told and how is signal.SIGSTOP:
            # To this very thread: another one that took the signal would let this one run on for a moment.
            signal.pthread_kill(threading.get_ident(), how)
        elif told:
            os.kill(os.getpid(), how)


def _patch(owner: type, name: str, *, before: str | None = None, after: str | None = None) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    @functools.wraps(original)
    def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
        if before:
            _end_if_told(before)
        # A script of the ledger is no function, and bound as one.
        answer = original.__get__(self, owner)(*args, **kwargs)  # type: ignore[attr-defined]
        if after:
            _end_if_told(after)
        return answer

    setattr(owner, name, patched)


_begin = Jobs.begin


def _begin_or_stop(self: Any, job_id: str, **options: Any) -> Any:
    _run.job_id = job_id
    step = _begin(self, job_id, **options)
    if isinstance(step, Submit):
        _end_if_told("begin-and-reply")
    return step


Jobs.begin = _begin_or_stop  # type: ignore[method-assign]

with contextlib.suppress(ImportError):
    # An earlier version may not have it.
    from wanimate_worker.vendor.request import Sending

    _trace, _body = Sending.trace, Sending.__iter__

    def _trace_or_stop(self: Any, event: str, info: dict[str, Any]) -> None:
        if self.length and event.endswith("send_request_headers.started"):
            _end_if_told("connection-and-headers")
        _trace(self, event, info)

    def _body_or_stop(self: Any) -> Any:
        _end_if_told("headers-and-body")
        return _body(self)

    Sending.trace = _trace_or_stop  # type: ignore[method-assign]
    Sending.__iter__ = _body_or_stop  # type: ignore[method-assign]

_patch(Jobs, "admit", before="run-and-record")
_patch(VendorClient, "submit", before="intent-and-post", after="post-and-record")
_patch(Polls, "claim", after="claim-and-poll")
# A job on which nothing hangs is settled and delivered by one script.
_patch(Jobs, "settle", before="during-delivery", after="settle-and-delivery")
_patch(CeleryCallers, "deliver", after="during-delivery")


with contextlib.suppress(ImportError):
    # An earlier version may not have it.
    from wanimate_worker.keeping.source import Source
    from wanimate_worker.ledger.keeps import Keeps
    from wanimate_worker.ledger.outbox import Outbox

    _patch(Keeps, "claim", after="claim-and-copy")
    _patch(Keeps, "finish", before="copy-and-settle", after="keep-and-delivery")
    _patch(Outbox, "claim", after="claim-and-send")
    _patch(Outbox, "finish", before="answer-and-record", after="record-and-next")
    _read = Source.read

    def _read_or_die(self: Any, *args: Any) -> Any:
        for chunk in _read(self, *args):
            yield chunk
            _end_if_told("middle-of-copy")

    Source.read = _read_or_die  # type: ignore[method-assign]

_deliver = virtual.Transport._deliver


def _deliver_or_die(self: Any, message: Any, queue: str) -> Any:
    # Replies to remote control come through here too.
    if queue.startswith("wanimate"):
        _end_if_told("take-and-run")
    return _deliver(self, message, queue)


virtual.Transport._deliver = _deliver_or_die
