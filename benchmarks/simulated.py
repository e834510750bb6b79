"""Polling simulated: the worker's own pacer and the request budget, against tasks of a known distribution.

Nothing is run: a clock is set forward in small steps.
"""

from __future__ import annotations

import heapq
import random
from collections import Counter, deque
from dataclasses import dataclass
from math import exp
from statistics import fmean
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from wanimate.contract.durations import DEFAULT_RESOLUTION, EDGES, TOTAL_FIELD, bin_of, field_of, kind_of
from wanimate.contract.durations import EXPECTED_SECONDS as EXPECTED
from wanimate_worker.engine.pacer import Pacer
from wanimate_worker.ledger import AccountLimits, Survey
from wanimate_worker.pacing import RequestRate
from wanimate_worker.settings import WorkerSettings

if TYPE_CHECKING:
    from wanimate_worker.ledger import Ledger

REQUEST = {"type": "animate", "resolution": DEFAULT_RESOLUTION}
#: What the prior expects, in seconds.
EXPECTED_SECONDS = EXPECTED[DEFAULT_RESOLUTION]
#: From one look at what is due to the next, and a request to the vendor and back, in seconds.
LOOK_SECONDS, ANSWER_SECONDS = 0.05, 0.05


@dataclass(frozen=True, slots=True)
class Load:
    """What is simulated: an account with a backlog of jobs, from its first one on; their durations are log-normal."""

    slots: int
    per_minute: int
    jobs: int
    mean_seconds: float = EXPECTED_SECONDS
    sigma: float = 0.3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it."""

    #: How late each end was noticed, in mean durations, rising.
    late: list[float]
    #: Polls of one job, on average.
    polls: float
    #: The share of slots whose task was at work while a backlog was left, without the first fifth.
    slot_use: float
    #: The most requests in any minute.
    fullest_minute: int

    @property
    def mean(self) -> float:
        """How late on average."""
        return fmean(self.late)

    def quantile(self, share: float) -> float:
        """Return how late this share is at most."""
        return self.late[min(len(self.late) - 1, int(share * len(self.late)))]


class Budget:
    """The request budget as the ledger's scripts keep it (GCRA)."""

    def __init__(self, slots: int, per_minute: int) -> None:
        rate = RequestRate(per_minute)
        self.headroom = int(AccountLimits(slots, per_minute).fields()["poll_headroom"])
        self._burst, self._interval = rate.burst, rate.emission_interval_us / 1e6
        self.per_second = 1 / self._interval
        self._full_at = 0.0
        self._sent: deque[float] = deque()
        self.fullest_minute = 0

    def permits(self, now: float, headroom: int = 0) -> int:
        """Return how many requests may be sent."""
        room = max(1, self._burst - headroom)
        return max(0, int(room - (max(self._full_at, now) - now) / self._interval + 1e-9))

    def take(self, now: float, headroom: int = 0) -> bool:
        """Take a permit, if there is one."""
        if not self.permits(now, headroom):
            return False
        self._full_at = max(self._full_at, now) + self._interval
        self._sent.append(now)
        while self._sent[0] <= now - 60:
            self._sent.popleft()
        self.fullest_minute = max(self.fullest_minute, len(self._sent))
        return True


class Account:
    """A ledger and a vendor in one, as far as the pacer sees them."""

    def __init__(self, load: Load) -> None:
        self.load, self.now, self.polls = load, 0.0, 0
        self.budget, self._chance = Budget(load.slots, load.per_minute), random.Random(1)
        pace = load.mean_seconds / EXPECTED_SECONDS
        # With fast tasks the worker looks more often, and with slow ones nothing is lost if it does so seldom.
        self._step = LOOK_SECONDS * min(4.0, max(0.2, pace))
        self.pacer = Pacer(
            cast("Ledger", SimpleNamespace(polls=self)),
            WorkerSettings(poll_floor_seconds=0.5 * pace),
            clock=lambda: self.now,
            chance=self._chance.random,
        )
        self.waiting, self._free_at = load.jobs, [0.0] * load.slots
        #: Of each job that is under way: when its slot was taken and when its task ends.
        self._tasks: dict[int, tuple[float, float]] = {}
        self._due: list[tuple[float, int]] = []
        self._counts: Counter[str] = Counter()
        self._late: list[float] = []

    def survey(self, grace_ms: int) -> Survey:
        """Return what the ledger would."""
        bins = Counter(bin_of(self.now - begun) for begun, _ in self._tasks.values())
        return Survey(
            len(self._tasks),
            self.waiting,
            sum(at <= self.now - grace_ms / 1000 for at, _ in self._due),
            self.budget.permits(self.now, self.budget.headroom),
            [((EDGES[number] + EDGES[number + 1]) / 2, count) for number, count in sorted(bins.items())],
            {field: str(count) for field, count in self._counts.items()},
            max_in_flight=self.load.slots,
            requests_per_second=self.budget.per_second,
        )

    def run(self) -> Outcome:
        """Work off all jobs."""
        load, steps, at_work = self.load, 0, 0
        while len(self._late) < load.jobs:
            self.now += self._step
            self._submit()
            self._poll()
            if self.waiting and len(self._late) >= load.jobs // 5:
                steps += 1
                at_work += sum(end > self.now for _, end in self._tasks.values())
        slot_use = at_work / (load.slots * steps)
        return Outcome(sorted(self._late), self.polls / load.jobs, slot_use, self.budget.fullest_minute)

    def _submit(self) -> None:
        while self.waiting and self._free_at and self._free_at[0] <= self.now and self.budget.take(self.now):
            heapq.heappop(self._free_at)
            self.waiting -= 1
            seconds = self.load.mean_seconds * exp(self._chance.gauss(0, self.load.sigma) - self.load.sigma**2 / 2)
            self._tasks[self.waiting] = (self.now, self.now + ANSWER_SECONDS / 2 + seconds)
            first_at = self.now + ANSWER_SECONDS + self.pacer.next_poll_ms(REQUEST) / 1000
            heapq.heappush(self._due, (first_at, self.waiting))

    def _poll(self) -> None:
        while self._due and self._due[0][0] <= self.now and self.budget.take(self.now, self.budget.headroom):
            _, job = heapq.heappop(self._due)
            begun, end = self._tasks[job]
            seen_at = self.now + ANSWER_SECONDS / 2
            self.polls += 1
            if end <= seen_at:
                del self._tasks[job]
                self._late.append((seen_at - end) / self.load.mean_seconds)
                self._counts.update((TOTAL_FIELD, field_of(kind_of(REQUEST), end - begun)))
                heapq.heappush(self._free_at, self.now + 2 * ANSWER_SECONDS)
            else:
                age_ms = max(1, round((self.now - begun) * 1000))
                heapq.heappush(self._due, (self.now + self.pacer.next_poll_ms(REQUEST, age_ms) / 1000, job))


def simulate(load: Load) -> Outcome:
    """Return what came of a load."""
    return Account(load).run()
