"""Poll the tasks of due jobs, as the request budget allows."""

from __future__ import annotations

import time
from threading import Event, Lock
from typing import TYPE_CHECKING, Final

from ..ledger import News
from ..outage import is_away
from ..stopwatch import Stopwatch
from ..telemetry import get_logger
from ..vendor import Failed, NotSent, Pending, Succeeded, Throttled
from .account import probe_account, read_balance
from .asking import Poll
from .pool import Pool
from .recovering import recover
from .sending import AGAIN_SECONDS, RightToSend

if TYPE_CHECKING:
    from ..ledger import Claim, JobFields
    from .delivering import Deliverer
    from .runtime import Runtime

log = get_logger(__name__)

#: The shortest pause between two claims, in seconds: jobs that become due meanwhile are claimed together.
_MIN_PAUSE_SECONDS: Final = 0.02
#: How long a worker waits for a wake-up before it checks whether it got the tick, in seconds.
_IDLE_WAIT_SECONDS: Final = 0.25
#: A worker that did not get the tick leaves wake-ups to others for so long after one, in seconds.
_REST_SECONDS: Final = 0.1
#: Jobs that get no request permit for so long stay due for a later claim, in seconds.
_PATIENCE_SECONDS: Final = 0.5
#: Pause before permits are requested again, in seconds: at 10,000 requests a minute there are eight more.
_NEXT_PERMITS_SECONDS: Final = 0.05
#: A step of the clock up to this is harmless and not reported, in milliseconds.
_HARMLESS_STEP_MS: Final = 1_000


class Poller:
    """Claims due jobs in one thread, and sends status requests in others.

    The worker that got the last tick claims all the time; any other worker when a callback wakes it.
    """

    def __init__(self, runtime: Runtime, deliverer: Deliverer) -> None:
        self._runtime = runtime
        self._deliverer = deliverer
        self.askers = Pool(runtime.settings.poll_concurrency, "asker")
        self._stopping = Event()
        self._claim_until = 0.0
        self._pause_seconds = _MIN_PAUSE_SECONDS
        self._news = News()
        self._answering = Lock()

    def tick(self) -> None:
        """Probe a suspended account, grant free slots, read the balance; then claim due jobs until the next tick."""
        runtime = self._runtime
        if self._stopping.is_set():
            return
        tick = runtime.ledger.polls.tick(runtime.settings.account_limits())
        if tick.set_back_ms > _HARMLESS_STEP_MS:
            log.error("the clock of Redis was set back; due times were moved", step_ms=tick.set_back_ms)
        if tick.set_back_ms:
            runtime.ledger.outbox.set_back(tick.set_back_ms)
        asked = Stopwatch()
        if runtime.ledger.gate.claim_probe():
            self.askers.start(probe_account, runtime, asked)
        runtime.go_on(runtime.ledger.polls.grant())
        asked = Stopwatch()
        if (credit := runtime.ledger.balance.claim()) is not None:
            self.askers.start(read_balance, runtime, asked, credit)
        if runtime.ledger.records.in_flight():
            self._claim_until = time.monotonic() + runtime.settings.poll_tick_seconds + _IDLE_WAIT_SECONDS
        runtime.doorbell.ring_wake()

    def poll_until_stopped(self) -> None:
        """Claim due jobs after each callback or tick; while tasks are in flight all the time."""
        was_away = False
        while not self._stopping.is_set():
            try:
                rest_seconds = self._wait()
                while rest_seconds and self.poll_due() and not self._stopping.is_set():
                    pass
                was_away = False
            except Exception as error:
                if not is_away(error):
                    log.exception("unexpected error; the claimed jobs are checked again when their leases end")
                elif not was_away:
                    text = "Redis is unavailable; the claimed jobs are checked again when their leases end"
                    log.warning(text, cause=error)
                was_away = is_away(error)
                rest_seconds = AGAIN_SECONDS
            self._stopping.wait(rest_seconds)

    def _wait(self) -> float:
        """Wait until jobs may be due, and return how long to rest before the claim; 0 if none are."""
        doorbell = self._runtime.doorbell
        if time.monotonic() < self._claim_until:
            # The rest is a part of the pause. Only a long one is worth an exchange with Redis to cut it short.
            if self._pause_seconds > 2 * _MIN_PAUSE_SECONDS:
                doorbell.wait_wake(self._pause_seconds - _MIN_PAUSE_SECONDS)
            return _MIN_PAUSE_SECONDS
        # Most status requests that were sent before the rest are answered by now.
        self.write_news()
        return _REST_SECONDS if doorbell.wait_wake(_IDLE_WAIT_SECONDS) else 0.0

    def stop(self) -> None:
        """Claim no more jobs; requests under way go on."""
        self._stopping.set()

    def poll_due(self) -> bool:
        """Claim as many due jobs as there are free threads, and poll them; return whether more may be due."""
        runtime = self._runtime
        # Many at a time: with each thread that becomes free one job would be claimed.
        free = self.askers.wait_for_room(runtime.settings.poll_concurrency // 2, _PATIENCE_SECONDS)
        wanted, permitted = min(runtime.settings.poll_batch_size, free), Stopwatch()
        claim = runtime.ledger.polls.claim(wanted, takes_permits=True, news=self._take_news())
        self._pause_until(claim.due_in_ms)
        jobs = runtime.ledger.records.read(claim.job_ids)
        recover(runtime, claim, [job for job in jobs if job.asks_about is None])
        has_more = claim.due_in_ms == 0
        if has_more:
            # Another process begins with it while this one waits for answers.
            runtime.doorbell.ring_wake()
        asked = [job for job in jobs if job.asks_about is not None]
        return self._ask_all(claim, asked, claim.permits, permitted) and has_more

    def _pause_until(self, due_in_ms: int | None) -> None:
        """Set when to claim next. What is planned meanwhile is due after the floor at the earliest."""
        longest = max(_MIN_PAUSE_SECONDS, self._runtime.settings.poll_floor_seconds)
        due_in_seconds = longest if due_in_ms is None else due_in_ms / 1000
        self._pause_seconds = min(longest, max(_MIN_PAUSE_SECONDS, due_in_seconds))

    def write_news(self) -> None:
        """Record what the answers since the last claim mean."""
        news = self._take_news()
        if news != News():
            self._runtime.ledger.polls.write(news)

    def _take_news(self) -> News:
        with self._answering:
            news, self._news = self._news, News()
        return news

    def _ask_all(self, claim: Claim, jobs: list[JobFields], permits: int, permitted: Stopwatch) -> bool:
        """Poll each job once it has a request permit, and return whether the budget allowed all."""
        ledger, settings = self._runtime.ledger, self._runtime.settings
        give_up_at = time.monotonic() + _PATIENCE_SECONDS
        while jobs:
            for job in jobs[:permits]:
                self.askers.start(self._ask, claim, job, RightToSend(settings, permitted))
            jobs = jobs[permits:]
            if permits:
                give_up_at = time.monotonic() + _PATIENCE_SECONDS
            elif time.monotonic() < give_up_at and not self._stopping.is_set():
                time.sleep(_NEXT_PERMITS_SECONDS)
            elif jobs:
                # Due again at once, for the next claim of any worker.
                ledger.polls.plan(claim.token, dict.fromkeys((job.job_id for job in jobs), 0))
                self._pause_seconds = _MIN_PAUSE_SECONDS
                return False
            if jobs:
                # Taken just before they are used: a permit that waits would be used in the window of other requests.
                permitted = Stopwatch()
                permits = ledger.polls.permit(len(jobs))
        return True

    def _ask(self, claim: Claim, job: JobFields, may_send: RightToSend) -> None:
        poll = Poll(self._runtime, self._deliverer, claim, job)
        answer = poll.ask(may_send)
        next_ms = poll.next_ms(answer)
        with self._answering:
            news = self._news
            news.answered += not isinstance(answer, Throttled | NotSent)
            if isinstance(answer, Pending | Succeeded | Failed):
                news.answered_since_ms = max(news.answered_since_ms or 0, claim.claimed_at_ms)
            if next_ms is not None:
                # Counted from the claim, as the age was that it is planned from.
                news.plans += (claim.token, claim.claimed_at_ms + next_ms, job.job_id)
