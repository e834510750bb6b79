"""Workers and beat: whether they are there, and whether they answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from redis.exceptions import ResponseError
from wanimate.contract import Keys

from ..durations import spelled
from ..roster import answering_workers, connected_workers
from ..stops import longest_silence_seconds
from .finding import Finding, fail, ok, warn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from celery import Celery
    from redis import Redis

    from ..ledger import Ledger
    from ..settings import WorkerSettings

#: How long all workers have to answer, and those that did not have once more, in seconds.
_ANSWER_SECONDS: Final = 2.0
_LAST_ANSWER_SECONDS: Final = 5.0
#: So many workers are named.
_NAMED: Final = 5


def check_workers(app: Celery, ledger: Ledger, redis: Redis, settings: WorkerSettings) -> Iterator[Finding]:
    """Yield whether workers answer, and whether beat ticks."""
    yield from _workers(app, redis)
    yield _beat(ledger, redis, settings)


def _workers(app: Celery, redis: Redis) -> Iterator[Finding]:
    answering = answering_workers(app, _ANSWER_SECONDS)
    silent: set[str] = set()
    try:
        silent = connected_workers(redis) - answering
        if silent:
            late = answering_workers(app, _LAST_ANSWER_SECONDS, sorted(silent))
            # Those that have ended meanwhile are no worry.
            silent = (silent - late) & connected_workers(redis)
            answering |= late
    except ResponseError as error:
        text = f"cannot be seen here ({type(error).__name__})"
        yield warn("frozen workers", text, "allow the user +client|list and +client|setname")
    text = f"{len(answering)} answer: {_named(answering)}" if answering else "none answers"
    if silent:
        text = f"{text}; connected to Redis, but no answer from {_named(silent)}"
        yield fail("workers", text, "they are frozen or overloaded, or just stopping: see their logs, restart them")
    elif answering:
        yield ok("workers", text)
    else:
        yield fail("workers", text, "start one: celery -A wanimate_worker worker")


def _named(workers: Iterable[str]) -> str:
    names = sorted(workers)
    return f"{', '.join(names[:_NAMED])}{' …' if len(names) > _NAMED else ''}"


def _beat(ledger: Ledger, redis: Redis, settings: WorkerSettings) -> Finding:
    last = cast("str | None", redis.get(Keys(settings.account).tick))
    bound_ms = longest_silence_seconds(settings.poll_tick_seconds) * 1000
    advice = "start beat: celery -A wanimate_worker beat; if it runs, see its log and whether workers answer"
    if last is None:
        return fail("beat", "no poll in the last day", advice)
    if (age_ms := ledger.now_ms() - int(last)) > bound_ms:
        return fail("beat", f"the last poll was {spelled(age_ms)} ago", advice)
    return ok("beat", f"the last poll was {spelled(age_ms)} ago")
