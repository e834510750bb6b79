"""What polling can reach, computed: polls and delay of a schedule, and the best use of slots with a request budget."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import log, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Final

from wanimate.contract.durations import BINS, EDGES, Durations
from wanimate_worker.pacing.planner import FIRST_STRIDES, Urgency

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: The vendor's limits ("Rate Limits") and its example of a duration, in seconds.
SLOTS: Final = 1000
REQUESTS_PER_SECOND: Final = 10_000 / 60
MEAN_SECONDS: Final = 41.0
#: Schedules end when fewer tasks than this share are left.
_NEGLIGIBLE: Final = 1e-9


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


def counts(sigma: float, mean_seconds: float = MEAN_SECONDS, tasks: float = 1e7) -> list[float]:
    """Return how many of so many tasks end in each bin, if durations are log-normal."""
    normal = NormalDist(log(mean_seconds) - sigma**2 / 2, sigma)
    cumulated = [0.0, *(normal.cdf(log(edge)) for edge in EDGES[1:-1]), 1.0]
    return [tasks * (cumulated[number + 1] - cumulated[number]) for number in range(BINS)]


def log_normal(sigma: float, mean_seconds: float = MEAN_SECONDS) -> Durations:
    """Return what is learnt from so many tasks of a log-normal duration that the prior does not matter."""
    return Durations(counts(sigma, mean_seconds))


def cost(polls_at_seconds: Iterable[float], durations: Durations) -> tuple[float, float]:
    """Return how many polls a schedule makes and how late, in seconds, it notices the end, both on average.

    A poll at t(k) is made if the task had not ended at t(k-1), and covers the time between. So the polls are the sum of
    S(t(k-1)), and the mean time of the noticing poll is the sum of S(t(k-1)) (t(k) - t(k-1)).
    """
    polls = noticed = before = 0.0
    left = 1.0
    for at in polls_at_seconds:
        polls += left
        noticed += left * (at - before)
        before, left = at, durations.survival_at(at)
        if left < _NEGLIGIBLE:
            break
    return polls, noticed - durations.mean_seconds


def every(interval_seconds: float) -> Iterator[float]:
    """Yield the ages at which uniform polling polls."""
    number = 0
    while True:
        number += 1
        yield number * interval_seconds


def by_hazard(durations: Durations, stride: float) -> Iterator[float]:
    """Yield the ages at which hazard-aware polling polls, without floor and jitter."""
    urgency = Urgency(durations)
    number = 0
    while True:
        yield urgency.age_at((FIRST_STRIDES + number) * stride)
        number += 1


def reach(
    schedule: Callable[[float], Iterable[float]], durations: Durations, slots: int, requests_per_second: float
) -> Reach:
    """Return what a schedule reaches when all slots are in use and submissions and polls use the whole budget.

    The schedule makes the ages at which a task is polled; the larger its argument, the fewer.
    """
    return spend(lambda scale: cost(schedule(scale), durations), durations.mean_seconds, requests_per_second / slots)


def spend(costs: Callable[[float], tuple[float, float]], mean_seconds: float, requests: float) -> Reach:
    """Return what the scale reaches that uses the whole budget.

    Args:
        costs: Mean polls and delay of a task at a scale; the larger the scale, the fewer polls.
        mean_seconds: How long a task takes.
        requests: The budget of submissions and polls, per second and slot.
    """
    fewest, most = mean_seconds * 100, 1e-4
    for _ in range(40):
        middle = sqrt(fewest * most)
        polls, lag = costs(middle)
        fewest, most = (fewest, middle) if 1 + polls > requests * (mean_seconds + lag) else (middle, most)
    polls, lag = costs(fewest)
    return Reach(fewest, polls, lag, mean_seconds / (mean_seconds + lag))


# -- the best of all schedules ----------------------------------------------------------------------------------------


@cache
def polling_bound(slots: int, requests_per_second: float, mean_seconds: float, sigma: float) -> Reach:
    """Return what no polling of log-normal durations surpasses while every slot is taken."""
    durations = log_normal(sigma, mean_seconds)
    return best(lambda price: cheapest(durations, price), mean_seconds, requests_per_second / slots)


def best(costs: Callable[[float], tuple[float, float]], mean_seconds: float, requests: float) -> Reach:
    """Return what no schedule can surpass within the budget.

    The schedule that makes delay plus price times polls least, of cost C, gives a bound for all others: their delay is
    at least C minus the price of their polls, whatever the price (weak duality). The price with the highest bound, at
    which the best schedule uses just the budget, is searched. The arguments are those of `spend`, by price.
    """
    cheap, dear = mean_seconds * 1e-4, mean_seconds
    found = Reach(0, 0, 0, 0)
    for _ in range(11):
        price = sqrt(cheap * dear)
        polls, lag = costs(price)
        least_lag = (lag + price * polls - price * (requests * mean_seconds - 1)) / (1 + price * requests)
        if least_lag > found.lag_seconds:
            seconds = mean_seconds + least_lag
            found = Reach(price, requests * seconds - 1, least_lag, mean_seconds / seconds)
        cheap, dear = (price, dear) if 1 + polls > requests * (mean_seconds + lag) else (cheap, price)
    return found


def cheapest(durations: Durations, price: float) -> tuple[float, float]:
    """Return mean polls and delay of the best schedule at a price, in steps much shorter than any interval."""
    step = durations.remaining_seconds(durations.mean_seconds) / 80
    return cost(best_schedule(durations, price, [step * number for number in range(1, 1800)]), durations)


def best_schedule(durations: Durations, lag_per_poll_seconds: float, grid_seconds: Iterable[float]) -> list[float]:
    """Return the schedule on a grid that makes delay plus the price of polls least, by dynamic programming.

    It is too slow to plan with, and the oracle that the planner is judged by. The price is the delay that a poll is
    worth; the grid has the ages at which polls may be, rising.
    """
    grid = [0.0, *grid_seconds]
    left = [durations.survival_at(age) for age in grid]
    last = next((number for number, share in enumerate(left) if share < _NEGLIGIBLE), len(grid) - 1)
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
