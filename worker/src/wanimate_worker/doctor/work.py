"""The work under way: queues, the gate, and jobs that are stuck."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, cast

from wanimate.contract import UNACKED_KEY, Keys, Stage

from ..durations import spelled
from ..ledger import read_history
from ..ops import Reader, throttling_of
from ..queues import queue_lengths
from ..stops import stops_of, trouble_of
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from celery import Celery
    from redis import Redis

    from ..ledger import JobRecord, Ledger
    from ..ops.snapshot import Snapshot
    from ..settings import WorkerSettings

#: Messages in the queue of new jobs that workers clear within a few seconds.
_MANY_MESSAGES: Final = 1000
#: Of the jobs that are next, so many are looked at; one that was tried so often does not get through.
_FIRST_WAITING: Final = 100
_MANY_ATTEMPTS: Final = 10
#: One that was refused so often without a verdict is named.
_MANY_REFUSALS: Final = 3
#: Ids that one finding names.
_SHOWN_IDS: Final = 5
#: Due for this long means that nobody looks.
_LATE_SECONDS: Final = 30.0


def check_queues(app: Celery, redis: Redis) -> Iterator[Finding]:
    """Yield how many messages no worker has taken, and how many workers hold."""
    for queue, length in queue_lengths(redis).items():
        if length > _MANY_MESSAGES:
            yield warn(f"queue {queue}", f"{length} messages", "start more workers, if it does not become fewer")
        else:
            yield ok(f"queue {queue}", f"{length} messages")
    held = int(redis.hlen(UNACKED_KEY))
    index = cast("list[tuple[str, float]]", redis.zrange(f"{UNACKED_KEY}.index", 0, 0, withscores=True))
    age = time.time() - index[0][1] if index else 0.0
    timeout = float(app.conf.broker_transport_options["visibility_timeout"])
    if age > 2 * timeout:
        yield warn("held messages", f"{held}, the oldest for {age:.0f} s", "no worker gives them back: start one")
    else:
        yield ok("held messages", f"{held} with workers")


def check_ledger(ledger: Ledger, redis: Redis, settings: WorkerSettings) -> Iterator[Finding]:
    """Yield what holds submissions back, and which jobs are stuck."""
    keys, now_ms = Keys(settings.account), ledger.now_ms()
    limits = ledger.account_limits()
    cap = 0 if limits is None else limits.max_in_flight
    yield _gate(ledger, now_ms, cap)
    yield _throttling(Reader(redis, settings).read())
    due = cast("list[tuple[str, float]]", redis.zrange(keys.due, 0, 0, withscores=True))
    late_ms = now_ms - due[0][1] if due else 0.0
    if late_ms > _LATE_SECONDS * 1000:
        yield fail(
            "clock of jobs", f"a job is due for {spelled(round(late_ms))}", "beat or workers do not keep up: see above"
        )
    else:
        yield ok("clock of jobs", f"{int(redis.zcard(keys.due))} jobs, none late")
    yield from _slots(ledger, now_ms, cap)
    yield _waiting(ledger, now_ms)
    failed, dead = int(redis.zcard(keys.failed)), int(redis.llen(keys.dead))
    yield ok("failed", f"{failed} jobs are kept")
    if dead:
        yield warn("dead letters", f"{dead} messages that nobody could use", "look at them: wanimate-worker dead")
    else:
        yield ok("dead letters", "none")


def _gate(ledger: Ledger, now_ms: int, cap: int) -> Finding:
    gate = ledger.gate()
    stops = stops_of(gate, now_ms)
    if stops:
        return (fail if stops[0].is_failure else warn)("gate", stops[0].text, stops[0].advice)
    if trouble := trouble_of(gate, now_ms):
        return warn(
            "gate", f"open; {trouble}", "it is tried again by itself; see the reason, and the finding `api key`"
        )
    if gate.lowered_cap is not None and gate.lowered_cap < cap:
        return warn(
            "gate",
            f"open; the cap was lowered to {gate.lowered_cap} of {cap}",
            "the vendor counts more tasks than we do: does somebody else use the key? It grows back in ten minutes",
        )
    return ok("gate", "open")


def _waiting(ledger: Ledger, now_ms: int) -> Finding:
    first = ledger.records(ledger.page("waiting", 0, _FIRST_WAITING))
    since = first[0].fields.get("waiting_at_ms") if first else None
    age = f", the next one since {spelled(now_ms - int(since))}" if since else ""
    parked = ledger.records(ledger.page("parked", 0, _FIRST_WAITING))
    text = f"{ledger.waiting()} jobs{f', {ledger.parked()} of them parked' if parked else ''}{age}"
    refused = [record for record in parked if int(record.fields.get("refusals", 0)) >= _MANY_REFUSALS]
    if refused:
        worst = max(refused, key=lambda record: int(record.fields["refusals"]))
        cause = read_history(worst.fields)[-1].cause
        return warn(
            "waiting",
            f"{text}; {worst.job_id} was refused {worst.fields['refusals']} times ({cause})",
            "whose fault it is shows when other jobs are sent: docs/refusals.md; look at it with wanimate-worker show "
            f"{worst.job_id}, or cancel it for free",
        )
    often = [record for record in first if int(record.fields.get("attempts", 0)) >= _MANY_ATTEMPTS]
    if not often:
        return ok("waiting", text)
    worst = max(often, key=lambda record: int(record.fields["attempts"]))
    cause = read_history(worst.fields)[-1].cause
    return warn(
        "waiting",
        f"{text}; {worst.job_id} was tried {worst.fields['attempts']} times ({cause})",
        f"if only few jobs come back so, something on the way refuses them: wanimate-worker show {worst.job_id}",
    )


def _throttling(snapshot: Snapshot) -> Finding:
    recent = snapshot.recent
    counted = (
        "" if recent is None else f"{recent.tally.throttled} in the last {spelled(round(recent.over_seconds * 1000))}"
    )
    problem = throttling_of(snapshot)
    if problem is not None:
        text = ", ".join(filter(None, (counted, problem.text[:1].lower() + problem.text[1:])))
        return warn("429 answers", text, f"{problem.advice[:1].lower()}{problem.advice[1:]}: {problem.command}")
    return ok("429 answers", counted or "no request yet")


def _slots(ledger: Ledger, now_ms: int, cap: int) -> Iterator[Finding]:
    job_ids: list[str] = []
    while page := ledger.page("slots", len(job_ids), 500):
        job_ids += page
    records = ledger.records(job_ids)
    lost = [record.job_id for record in records if not record.fields]
    if lost:
        yield warn(
            "slots",
            f"{len(lost)} of {len(job_ids)} without a record, such as {lost[0]}",
            "records were evicted or deleted; their slots are freed when their time comes",
        )
    else:
        yield ok("slots", f"{len(job_ids)} of {cap} in use")
    yield _unknown([record for record in records if record.fields.get("stage") == Stage.UNKNOWN], now_ms)
    yield _unreadable([record for record in records if "unreadable_why" in record.fields], now_ms)


def _unknown(records: list[JobRecord], now_ms: int) -> Finding:
    if not records:
        return ok("unknown submissions", "none")
    oldest = min(read_history(record.fields)[-1].at_ms for record in records)
    return warn(
        "unknown submissions",
        f"{len(records)}, the oldest for {spelled(now_ms - oldest)}: {_ids(records)}",
        "each may be accepted and billed: find its task at the vendor, then wanimate-worker resolve ID --task-id T; "
        "else it is decided when its time is up",
    )


def _unreadable(records: list[JobRecord], now_ms: int) -> Finding:
    if not records:
        return ok("unreadable tasks", "none")
    first = min(records, key=lambda record: int(record.fields["unreadable_since_ms"]))
    age = spelled(now_ms - int(first.fields["unreadable_since_ms"]))
    return warn(
        "unreadable tasks",
        f"{len(records)} slots are held by tasks whose answers cannot be read, the first for {age} "
        f"({first.fields['unreadable_why']}): {_ids(records)}",
        "they are asked about for as long as it takes; ask the vendor, or give one up: wanimate-worker end ID",
    )


def _ids(records: list[JobRecord]) -> str:
    more = " …" if len(records) > _SHOWN_IDS else ""
    return ", ".join(record.job_id for record in records[:_SHOWN_IDS]) + more
