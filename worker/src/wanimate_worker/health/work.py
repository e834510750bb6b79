"""Checks of `doctor` that need more than a snapshot: they ask workers and scan many keys."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, cast

from redis.exceptions import ResponseError
from wanimate.contract import SEPARATOR, STEPS, UNACKED_KEY, list_of
from wanimate.text import counted, format_duration

from ..engine.account import why_unread
from ..ledger import BalanceReading, read_history
from ..queues import QUEUES
from ..roster import answering_workers, connected_workers
from ..vendor import Balance
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery import Celery
    from redis import Redis

    from ..engine.runtime import Runtime
    from ..ledger import JobRecord, Ledger
    from .snapshot import Snapshot

#: How many of the next jobs are checked, and after how many attempts or refusals a job is named.
_CHECKED_JOBS: Final = 100
_MIN_ATTEMPTS: Final = 10
_MIN_REFUSALS: Final = 3
_PAGE: Final = 500
#: How long workers have to answer, and how long at the second request, in seconds.
_ANSWER_SECONDS: Final = 2.0
_LAST_ANSWER_SECONDS: Final = 5.0
#: How many workers, jobs and unread queues are named.
_MAX_NAMED: Final = 5
_MAX_QUEUES: Final = 10
#: Keys that Redis scans in one call.
_SCANNED: Final = 5_000
_READ: Final = frozenset(list_of(queue, step) for queue in QUEUES for step in STEPS)
#: A queue of workers before 0.1.0, and the advice about it.
_OLD_QUEUE: Final = "wanimate.resume"
_LEFT_OVER: Final = "workers before 0.1.0 left it and no job needs it: stop such workers, then DEL its lists in Redis"
#: The prefix of the sets in which kombu lists queues.
_BINDING: Final = "_kombu.binding."
#: A list of one of our queues as named by a sender with another separator, a prefix, or other steps than 0 to 9.
_MISPLACED: Final = re.compile(rf"(?:.*[\W_])?(?P<queue>{'|'.join(map(re.escape, QUEUES))})(?:\D+\d+)?", re.DOTALL)
#: Replies to remote control that no process waits for; kombu removes them.
_REPLIES: Final = ".celery.pidbox"


def with_balance_of_vendor(runtime: Runtime, now: Snapshot) -> Snapshot:
    """Return a snapshot with the balance that the vendor reports now, and its effect on submissions."""
    answer, hold = runtime.vendor.balance(), now.limits.balance_hold_micro_usd
    if not isinstance(answer, Balance):
        return replace(now, balance=BalanceReading(why=why_unread(answer)))
    gate = replace(now.gate, is_balance_low=hold is not None and answer.micro_usd < hold)
    return replace(now, balance=BalanceReading(answer.micro_usd, now.at_ms), gate=gate)


def check_held(app: Celery, redis: Redis) -> Finding:
    """Return how many messages workers hold, and whether one is held for too long."""
    held = int(redis.hlen(UNACKED_KEY))
    index = cast("list[tuple[str, float]]", redis.zrange(f"{UNACKED_KEY}.index", 0, 0, withscores=True))
    age = time.time() - index[0][1] if index else 0.0
    if age > 2 * float(app.conf.broker_transport_options["visibility_timeout"]):
        return warn("held messages", f"{held}, the oldest for {age:.0f} s", "no worker requeues them: start a worker")
    return ok("held messages", f"{held} with workers")


def check_workers(app: Celery, redis: Redis) -> Iterator[Finding]:
    """Yield whether all workers that are connected to Redis answer."""
    answering = answering_workers(app, _ANSWER_SECONDS)
    silent: set[str] = set()
    try:
        silent = connected_workers(redis) - answering
        if silent:
            late = answering_workers(app, _LAST_ANSWER_SECONDS, sorted(silent))
            # Workers that ended meanwhile are no problem.
            silent = (silent - late) & connected_workers(redis)
            answering |= late
    except ResponseError as error:
        text = f"cannot be checked ({type(error).__name__})"
        yield warn("frozen workers", text, "give the Redis user +client|list and +client|setname")
    text = f"{len(answering)} answer: {_named(sorted(answering))}" if answering else "no worker answers"
    if silent:
        text = f"{text}; connected to Redis without an answer: {_named(sorted(silent))}"
        yield fail("workers", text, "they are frozen, overloaded or stopping: check their logs, restart them")
    elif answering:
        yield ok("workers", text)
    else:
        yield fail("workers", text, "start one: celery -A wanimate_worker worker")


def check_jobs(ledger: Ledger) -> Iterator[Finding]:
    """Yield running tasks with unreadable status responses, and waiting jobs that are refused again and again."""
    yield _unreadable(ledger)
    yield _stuck(ledger)


def _unreadable(ledger: Ledger) -> Finding:
    job_ids: list[str] = []
    while page := ledger.records.page("slots", len(job_ids), _PAGE):
        job_ids += page
    records = [record for record in ledger.records.whole(job_ids) if "unreadable_why" in record.fields]
    if not records:
        return ok("unreadable tasks", "none")
    first = min(records, key=lambda record: _count(record, "unreadable_since_ms"))
    age = format_duration(ledger.records.now_ms() - _count(first, "unreadable_since_ms"))
    return warn(
        "unreadable tasks",
        f"{counted(len(records), 'running job')} with unreadable status responses, the first for {age} "
        f"({first.fields['unreadable_why']}): {_named(record.job_id for record in records)}",
        "polling continues without a deadline; ask the vendor, or fail a job with `wanimate-worker end ID`",
    )


def _stuck(ledger: Ledger) -> Finding:
    refused, refusals, why = _worst(ledger, "parked", "refusals")
    if refusals >= _MIN_REFUSALS:
        return warn(
            "repeated attempts",
            f"job {refused} was refused {refusals} times ({why})",
            "it fails if other jobs are accepted meanwhile (docs/refusals.md). See `wanimate-worker show "
            f"{refused}`; `cancel` costs nothing",
        )
    tried, attempts, why = _worst(ledger, "waiting", "attempts")
    if attempts >= _MIN_ATTEMPTS:
        return warn(
            "repeated attempts",
            f"job {tried} had {attempts} submission attempts ({why})",
            f"if only some jobs are affected, a proxy or firewall may refuse them: see `wanimate-worker show {tried}`",
        )
    return ok("repeated attempts", "none")


def _worst(ledger: Ledger, index: str, field: str) -> tuple[str, int, str]:
    """Return the next job with the highest count in a field, that count, and the last cause."""
    records = ledger.records.whole(ledger.records.page(index, 0, _CHECKED_JOBS))
    if not records:
        return "", 0, ""
    worst = max(records, key=lambda record: _count(record, field))
    history = read_history(worst.fields)
    return worst.job_id, _count(worst, field), history[-1].cause if history else ""


def _count(record: JobRecord, field: str) -> int:
    return int(record.fields.get(field, 0))


def check_unread(app: Celery, redis: Redis) -> Iterator[Finding]:
    """Yield queues with messages that no worker reads: ours, and those of callers' tasks."""
    try:
        lists = {name for name in redis.scan_iter(count=_SCANNED, _type="list") if name not in _READ}
        foreign = _foreign_queues(redis, lists)
    except ResponseError as error:
        yield warn("unread queues", f"cannot be checked ({type(error).__name__})", "give the Redis user +scan")
        return
    misplaced = lists.difference(*foreign.values())
    findings = [*_misplaced(redis, misplaced), *(_unread(app, redis, foreign) if foreign else ())]
    yield from findings[:_MAX_QUEUES] or [ok("unread queues", "none")]


def _foreign_queues(redis: Redis, lists: set[str]) -> dict[str, list[str]]:
    """Return the lists of other apps' queues that contain messages."""
    queues: set[str] = set()
    for key in redis.scan_iter(f"{_BINDING}*", count=_SCANNED, _type="set"):
        exchange = key.removeprefix(_BINDING)
        for member in cast("set[str]", redis.smembers(key)):
            # With another separator this is one word; a queue usually has the name of its exchange.
            parts = member.split(SEPARATOR)
            queues.add(parts[2] if len(parts) == 3 else exchange)  # noqa: PLR2004 - routing key, pattern, queue
    foreign = sorted(queue for queue in queues - set(QUEUES) if not queue.endswith(_REPLIES))
    of_queue = {queue: [name for name in lists if name.partition(SEPARATOR)[0] == queue] for queue in foreign}
    return {queue: names for queue, names in of_queue.items() if names}


def _misplaced(redis: Redis, lists: set[str]) -> Iterator[Finding]:
    for name in sorted(lists):
        if found := _MISPLACED.fullmatch(name):
            yield warn(
                f"list {name}",
                f"{counted(redis.llen(name), 'message')} in a list that no worker reads",
                "the sender's broker_transport_options have another sep or global_keyprefix than the workers' "
                f"(docs/celery.md): correct them, then move each message: LMOVE LIST {found['queue']} RIGHT LEFT",
            )


def _unread(app: Celery, redis: Redis, queues: dict[str, list[str]]) -> Iterator[Finding]:
    before = {queue: _next_messages(redis, names) for queue, names in queues.items()}
    answers: dict[str, list[dict[str, Any]]] = app.control.inspect(timeout=_ANSWER_SECONDS).active_queues() or {}
    read = {queue["name"] for consumed in answers.values() for queue in consumed}
    for queue, names in queues.items():
        after = _next_messages(redis, names)
        # A worker that does not answer remote control may read it: then the next message has changed.
        if queue not in read and before[queue] == after and any(after):
            yield warn(
                f"queue {queue}",
                f"{counted(sum(redis.llen(name) for name in names), 'message')}, and no worker reads it",
                _LEFT_OVER
                if queue == _OLD_QUEUE
                else "chains, callbacks and chords of jobs may be there: start a worker of the app that has these "
                f"tasks, celery -A APP worker -Q {queue}, or enqueue to a queue that it reads (docs/celery.md)",
            )


def _next_messages(redis: Redis, lists: Iterable[str]) -> list[str | None]:
    """Return the next message of each list; None if the user may not read it."""
    with redis.pipeline(transaction=False) as pipeline:
        for name in lists:
            pipeline.lindex(name, -1)
        answers = pipeline.execute(raise_on_error=False)
    return [None if isinstance(answer, Exception) else answer for answer in answers]


def _named(names: Iterable[str]) -> str:
    named = list(names)
    return f"{', '.join(named[:_MAX_NAMED])}{' …' if len(named) > _MAX_NAMED else ''}"
