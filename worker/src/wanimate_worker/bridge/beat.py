"""Celery's beat for this queue: ticks by a clock that is never set, and no more of them than workers take."""

from __future__ import annotations

from functools import cached_property
from time import monotonic
from typing import TYPE_CHECKING, Any

from celery.beat import Scheduler as CeleryScheduler
from celery.beat import SchedulingError
from redis.exceptions import RedisError
from wanimate.contract import GENERATE_TASK

from ..database import open_database
from ..queues import has_enough_ticks
from ..telemetry import get_logger

if TYPE_CHECKING:
    from redis import Redis

log = get_logger(__name__)


class Scheduler(CeleryScheduler):
    """Sends each tick after its interval, which is all that the schedule of `app.py` asks for.

    Celery's own goes by the time of day: where that is set back by an hour it sends nothing for an hour. It also sends
    where no worker takes anything, and the queue grows until Redis is full.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        #: When each entry is sent next, by `monotonic`.
        self._due: dict[str, float] = {}
        self._why_not = ""
        super().__init__(*args, **options)

    def tick(self, *_: Any, **__: Any) -> float:
        """Send what is due, and return in how many seconds something will be; Celery calls this."""
        for name, entry in list(self.schedule.items()):
            now, every = monotonic(), entry.schedule.run_every.total_seconds()
            due = self._due.setdefault(name, now)
            if due <= now:
                self._send(entry)
                # In step, and none for those that a sleeping machine has missed.
                self._due[name] = due + every if due + every > now else now + every
        return float(min(self.max_interval, max(0.0, min(self._due.values()) - monotonic())))

    def _send(self, entry: Any) -> None:
        why_not, error = "", None
        try:
            if has_enough_ticks(self._redis):
                why_not = "no worker reads them"
            else:
                self.apply_async(entry, producer=self.producer)
        except (RedisError, SchedulingError) as refused:
            why_not, error = "Redis is away", refused
        if why_not != self._why_not:
            if why_not:
                log.warning("ticks are paused and resume automatically", cause=why_not, error=error)
            else:
                log.info("ticks resume")
            self._why_not = why_not

    @cached_property
    def _redis(self) -> Redis:
        return open_database(self.app.tasks[GENERATE_TASK].runtime.settings).redis
