"""Messages that lie where no worker looks."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import ResponseError
from wanimate.contract import SEPARATOR, STEPS, list_of

from ..queues import QUEUES
from .finding import Finding, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

_READ: Final = frozenset(list_of(queue, step) for queue in QUEUES for step in STEPS)
#: How kombu calls what tells which queues there are.
_BINDING: Final = "_kombu.binding."
#: A list of one of our queues, as a sender names it that has another separator, a prefix, or other steps than 0 to 9.
_MISPLACED: Final = re.compile(rf"(?:.*[\W_])?(?P<queue>{'|'.join(map(re.escape, QUEUES))})(?:\D+\d+)?", re.DOTALL)
#: Answers to remote control that nobody waited for; kombu removes them.
_REPLIES: Final = ".celery.pidbox"
#: Keys that Redis looks at in one go.
_SCANNED: Final = 5_000
#: How long workers have to answer, in seconds.
_ANSWER_SECONDS: Final = 2.0
#: So many queues are told of.
_TOLD: Final = 10


def check_unread(app: Celery, redis: Redis) -> Iterator[Finding]:
    """Yield queues with messages that no worker reads, ours and those where callers' tasks go on."""
    try:
        lists = {name for name in redis.scan_iter(count=_SCANNED, _type="list") if name not in _READ}
        foreign = _foreign_queues(redis, lists)
    except ResponseError as error:
        yield warn("unread queues", f"cannot be seen here ({type(error).__name__})", "allow the user +scan")
        return
    findings = [
        *_misplaced(redis, lists - foreign),
        *_unread(app, redis, {queue: _lists_of(queue, lists) for queue in sorted(foreign)}),
    ]
    yield from findings[:_TOLD]
    if not findings:
        yield ok("unread queues", "none")


def _misplaced(redis: Redis, lists: set[str]) -> Iterator[Finding]:
    for name in sorted(lists):
        if found := _MISPLACED.fullmatch(name):
            yield warn(
                f"list {name}",
                f"{redis.llen(name)} messages where no worker looks",
                "their sender's broker_transport_options have another sep or global_keyprefix than the workers' "
                f"(docs/celery.md): correct it there, then move each message: LMOVE LIST {found['queue']} RIGHT LEFT",
            )


def _foreign_queues(redis: Redis, lists: set[str]) -> set[str]:
    """Return the queues of others that have messages."""
    queues: set[str] = set()
    for key in redis.scan_iter(f"{_BINDING}*", count=_SCANNED, _type="set"):
        exchange = key.removeprefix(_BINDING)
        for member in cast("set[str]", redis.smembers(key)):
            # With another separator it is one word; a queue mostly has the name of its exchange.
            parts = member.split(SEPARATOR)
            queues.add(parts[2] if len(parts) == 3 else exchange)  # noqa: PLR2004 - routing key, pattern, queue
    return {queue for queue in queues - set(QUEUES) if not queue.endswith(_REPLIES) and _lists_of(queue, lists)}


def _lists_of(queue: str, lists: set[str]) -> list[str]:
    return [name for name in lists if name == queue or name.startswith(f"{queue}{SEPARATOR}")]


def _unread(app: Celery, redis: Redis, queues: dict[str, list[str]]) -> Iterator[Finding]:
    if not queues:
        return
    before = _next_messages(redis, queues)
    answers: dict[str, list[dict[str, Any]]] = app.control.inspect(timeout=_ANSWER_SECONDS).active_queues() or {}
    read = {queue["name"] for consumed in answers.values() for queue in consumed}
    after = _next_messages(redis, queues)
    for queue, names in queues.items():
        # A worker that does not answer remote control may read it: then another message is the next one by now.
        if queue not in read and before[queue] == after[queue] and any(after[queue]):
            yield warn(
                f"queue {queue}",
                f"{sum(redis.llen(name) for name in names)} messages, and no worker reads it",
                "chains, callbacks and chords of jobs may go on there: start a worker of the app that has these tasks, "
                f"celery -A APP worker -Q {queue}, or name a queue that it reads when you enqueue (docs/celery.md)",
            )


def _next_messages(redis: Redis, queues: dict[str, list[str]]) -> dict[str, list[str | None]]:
    """Return the message of each list that a worker would take next; none where this user may not look."""
    with redis.pipeline(transaction=False) as pipeline:
        for names in queues.values():
            for name in names:
                pipeline.lindex(name, -1)
        answers = iter(pipeline.execute(raise_on_error=False))
    return {
        queue: [None if isinstance(answer, Exception) else answer for answer in (next(answers) for _ in names)]
        for queue, names in queues.items()
    }
