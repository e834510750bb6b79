"""One worker process: its threads, how they start, and how they stop."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from ..telemetry import get_logger
from .delivering import Deliverer
from .polling import Poller
from .pool import Pool
from .sending import AGAIN_SECONDS
from .submitting import Submitter

if TYPE_CHECKING:
    from .callers import Callers
    from .runtime import Runtime

log = get_logger(__name__)


class Engine:
    """Submits jobs that have a slot, polls tasks that are due, delivers outcomes.

    Args:
        runtime: The ledger, the vendor and the settings.
        callers: Where outcomes go.
        submissions: How many submissions may be under way at once.
    """

    def __init__(self, runtime: Runtime, callers: Callers, submissions: int) -> None:
        self._runtime = runtime
        self._submitters = Pool(submissions, "submitter")
        self.deliverer = Deliverer(runtime, callers)
        self.submitter = Submitter(runtime, callers, self.deliverer)
        self.poller = Poller(runtime, self.deliverer)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start to take jobs that are ready, and to poll due ones."""
        self._runtime.take = self.take
        for name, work in (("doorbell", self._listen), ("poller", self.poller.poll_until_stopped)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self, *, waits: bool = True) -> None:
        """Take no more jobs, and finish what was begun.

        Args:
            waits: Whether to wait for the answers of requests under way; each has a time-out.
        """
        self._runtime.take = None
        self._stopping.set()
        self.poller.stop()
        if waits:
            for thread in self._threads:
                thread.join()
        for pool in (self._submitters, self.poller.askers):
            pool.close(waits=waits)
        if waits:
            with suppress(RedisError):
                self.poller.write_news()

    def take(self, job_ids: list[str]) -> list[str]:
        """Start work on jobs that have a slot or an outcome, and return those for which no thread is free."""
        for number, job_id in enumerate(job_ids):
            if self._stopping.is_set() or not self._submitters.start_if_free(self.submitter.advance, job_id):
                return job_ids[number:]
        return []

    def tick(self) -> None:
        """Handle a tick, and claim due jobs until the next one."""
        self.poller.tick()

    def _listen(self) -> None:
        """Take jobs that other processes offer, while a submitter is free."""
        runtime, is_away = self._runtime, False
        while not self._stopping.is_set():
            room = self._submitters.wait_for_room(1, AGAIN_SECONDS)
            try:
                job_ids = runtime.doorbell.wait_ready(room) if room else []
                if job_ids:
                    runtime.go_on(job_ids)
                is_away = False
            except RedisError as error:
                if not is_away:
                    log.warning("Redis is unavailable; offered jobs are taken later", cause=error)
                is_away = True
                time.sleep(AGAIN_SECONDS)
            except Exception:
                log.exception("unexpected error; the jobs continue when their leases end")
                time.sleep(AGAIN_SECONDS)
