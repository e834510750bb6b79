"""The vendor's plans, simulated: what the planner and the budget make of few slots and few requests."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass
from math import exp

import pytest
from wanimate.contract.durations import Durations
from wanimate_worker.ledger import AccountLimits
from wanimate_worker.pacing import RequestRate, polls_per_second, reserve, stride_of
from wanimate_worker.pacing.bounds import by_hazard, reach

from .spread import MEAN_SECONDS, counts, mix_of

SIGMA = 0.3
STEP_SECONDS = 0.1
#: A message to a worker, and the request.
WAY_SECONDS = 0.2
FLOOR_SECONDS = 0.5


@dataclass
class Task:
    begun: float
    ends: float
    due: float


class Budget:
    """The request budget of some limits, and what was sent."""

    def __init__(self, slots: int, per_minute: int) -> None:
        self._rate = RequestRate(per_minute)
        self.headroom = int(AccountLimits(slots, per_minute).fields()["poll_headroom"])
        self.per_second = 1e6 / self._rate.emission_interval_us
        self._tat_us = 0
        self._sent: deque[float] = deque()
        self.fullest_minute = 0

    def take(self, now: float, headroom: int = 0) -> bool:
        reserved = reserve(self._tat_us, round(now * 1e6), 1, self._rate, headroom=headroom)
        self._tat_us = reserved.tat_us
        if reserved.granted:
            self._sent.append(now)
            while self._sent[0] <= now - 60:
                self._sent.popleft()
            self.fullest_minute = max(self.fullest_minute, len(self._sent))
        return reserved.granted > 0

    def spare(self, now: float) -> int:
        return reserve(self._tat_us, round(now * 1e6), 100, self._rate, headroom=self.headroom).granted


def slot_use(slots: int, budget: Budget, seconds: float) -> float:
    """Keep the slots busy for so long, as workers do, and return the share of them that holds a task at work."""
    generator, mix = random.Random(5), mix_of(animate_480p=counts(SIGMA))
    urgency, stride, busy, planned_at = mix.of("animate:480p"), 1.0, 0.0, 0.0
    tasks: list[Task] = []
    free_since = [0.0] * slots

    def next_poll_seconds(age: float) -> float:
        interval = urgency.next_poll_seconds(age, stride, FLOOR_SECONDS, generator.random())
        return max(FLOOR_SECONDS, interval - 1 / budget.per_second)

    for step in range(round(seconds / STEP_SECONDS)):
        now = step * STEP_SECONDS
        while free_since and free_since[0] + WAY_SECONDS <= now and budget.take(now):
            free_since.pop(0)
            length = MEAN_SECONDS * exp(generator.gauss(0, SIGMA) - SIGMA**2 / 2)
            tasks.append(Task(now, now + length, now + next_poll_seconds(0)))
        if now >= planned_at:
            planned_at += 1
            polls = polls_per_second(
                budget.per_second,
                len(tasks),
                mix.mean_seconds,
                lag_seconds=mix.lag_seconds(budget.per_second, len(tasks)),
                free_and_wanted=slots - len(tasks),
                late=sum(task.due < now - max(0.25, 3 / budget.per_second) for task in tasks),
                spare=budget.spare(now),
            )
            sum_of_all = mix.urgency([(now - task.begun, 1) for task in tasks])
            stride = stride_of(sum_of_all, polls, mix.mean_seconds, FLOOR_SECONDS)
        for task in sorted((task for task in tasks if task.due <= now), key=lambda each: each.due):
            if not budget.take(now, budget.headroom):
                break
            if task.ends <= now:
                tasks.remove(task)
                free_since.append(now)
            else:
                task.due = now + next_poll_seconds(now - task.begun)
        busy += sum(task.ends > now for task in tasks)
    return busy * STEP_SECONDS / (slots * seconds)


@pytest.mark.parametrize(
    ("slots", "per_minute", "share", "seconds"), [(3, 10, 0.92, 10_000), (10, 60, 0.96, 4000), (100, 1000, 0.97, 500)]
)
def test_slots_of_every_plan_are_used_nearly_as_well_as_is_possible(
    slots: int, per_minute: int, share: float, seconds: float
) -> None:
    truth, budget = Durations(counts(SIGMA)), Budget(slots, per_minute)
    possible = reach(lambda stride: by_hazard(truth, stride), truth, slots, per_minute / 60).slot_use
    assert slot_use(slots, budget, seconds) >= share * possible
    assert budget.fullest_minute <= per_minute
