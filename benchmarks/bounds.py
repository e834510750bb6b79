"""What polling can reach, computed: the polls and the delay of a schedule, and the best use of slots at a budget."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING, Final

from wanimate_worker.pacing.planner import FIRST_STRIDES, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wanimate.contract.durations import Durations

#: Schedules end when fewer tasks than this share are left.
_NOBODY: Final = 1e-9


@dataclass(frozen=True, slots=True)
class Reach:
    """What a way of polling reaches in a steady state, with a backlog.

    Args:
        scale: The argument of the schedule that uses the budget: an interval in seconds, a stride, a price.
        polls: Polls of one task, on average.
        lag_seconds: From a task's end to the poll that notices it, on average.
        slot_use: The share of slots whose task is at work.
    """

    scale: float
    polls: float
    lag_seconds: float
    slot_use: float


def cost(polls_at_seconds: Iterable[float], durations: Durations) -> tuple[float, float]:
    """Return how many polls a schedule makes and how late it notices the end, both on average.

    A poll at t(k) is made if the task had not ended at t(k-1), and covers the time between. So the polls are the sum of
    S(t(k-1)), and the mean time of the noticing poll is the sum of S(t(k-1)) (t(k) - t(k-1)).

    Args:
        polls_at_seconds: The ages at which a task is polled, rising.
        durations: How long tasks take.

    Returns:
        The mean number of polls, and the mean delay in seconds.
    """
    polls = noticed = before = 0.0
    left = 1.0
    for at in polls_at_seconds:
        polls += left
        noticed += left * (at - before)
        before, left = at, durations.survival_at(at)
        if left < _NOBODY:
            break
    return polls, noticed - durations.mean_seconds


def every(interval_seconds: float) -> Iterator[float]:
    """Yield the ages at which uniform polling asks."""
    number = 0
    while True:
        number += 1
        yield number * interval_seconds


def by_hazard(durations: Durations, stride: float) -> Iterator[float]:
    """Yield the ages at which hazard-aware polling asks, without floor and jitter."""
    urgency = Urgency(durations)
    number = 0
    while True:
        yield urgency.age_at((FIRST_STRIDES + number) * stride)
        number += 1


def reach(
    schedule: Callable[[float], Iterable[float]], durations: Durations, slots: int, requests_per_second: float
) -> Reach:
    """Return what a schedule reaches when all slots are in use and the whole budget is used.

    Args:
        schedule: Makes the ages at which a task is polled; the larger its argument, the fewer.
        durations: How long tasks take.
        slots: Tasks at once.
        requests_per_second: The budget of submissions and polls.
    """
    mean = durations.mean_seconds
    fewest, most = mean * 100, 1e-4

    def used(scale: float) -> float:
        polls, lag = cost(schedule(scale), durations)
        return slots / (mean + lag) * (1 + polls)

    for _ in range(50):
        middle = sqrt(fewest * most)
        fewest, most = (fewest, middle) if used(middle) > requests_per_second else (middle, most)
    polls, lag = cost(schedule(fewest), durations)
    return Reach(fewest, polls, lag, mean / (mean + lag))


def best_schedule(durations: Durations, lag_per_poll_seconds: float, grid_seconds: Iterable[float]) -> list[float]:
    """Return the schedule on a grid that makes delay plus the price of polls least, by dynamic programming.

    No way of polling is better; it is too slow to plan with. It is the oracle that the planner is judged by.

    Args:
        durations: How long tasks take.
        lag_per_poll_seconds: The price of a poll, as the delay it is worth.
        grid_seconds: The ages at which polls may be, rising.
    """
    grid = [0.0, *grid_seconds]
    left = [durations.survival_at(age) for age in grid]
    last = next((number for number, share in enumerate(left) if share < _NOBODY), len(grid) - 1)
    least = [0.0] * (last + 1)
    then = [last] * (last + 1)
    for here in range(last - 1, -1, -1):
        least[here] = left[here] * (grid[last] - grid[here] + lag_per_poll_seconds)
        for there in range(here + 1, last):
            wait = left[here] * (grid[there] - grid[here] + lag_per_poll_seconds)
            if wait >= least[here]:
                # Later ones only wait longer.
                break
            if wait + least[there] < least[here]:
                least[here], then[here] = wait + least[there], there
    schedule, here = [], 0
    while here < last:
        here = then[here]
        schedule.append(grid[here])
    return schedule
