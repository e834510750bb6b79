"""The least detection lag that polling can reach within a request budget, computed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import exp, log
from statistics import NormalDist

#: Moments at which a poll may be planned; more of them change the fourth digit.
_MOMENTS = 500
_HALVINGS = 22


@dataclass(frozen=True, slots=True)
class Bound:
    """What the best polling would do.

    Args:
        lag_seconds: Mean time from a task's end to the poll that tells it.
        slot_use: Share of the slots that renders, if the next job starts at that poll.
        polls: Polls of one task.
    """

    lag_seconds: float
    slot_use: float
    polls: float


@cache
def polling_bound(cap: int, requests_per_second: float, mean_seconds: float, sigma: float) -> Bound:
    """Return the bound for log-normal durations while every slot is taken.

    A plan says after which times a running task is asked about. Each job takes a slot for mean + lag and costs one
    submission and its polls, so the budget is used up when cap (1 + polls) / (mean + lag) equals it. The plan with the
    least lag for a price of a poll is found by dynamic programming, and the price by halving.

    Args:
        cap: Tasks in flight.
        requests_per_second: The budget of submissions and polls.
        mean_seconds: Mean duration.
        sigma: Deviation of the duration's logarithm.
    """
    low, high = 1e-4, mean_seconds
    best = _best_plan(high, mean_seconds, sigma)
    for _ in range(_HALVINGS):
        price = (low * high) ** 0.5
        lag, polls = _best_plan(price, mean_seconds, sigma)
        if cap * (1 + polls) / (mean_seconds + lag) > requests_per_second:
            low = price
        else:
            high, best = price, (lag, polls)
    lag, polls = best
    return Bound(lag, mean_seconds / (mean_seconds + lag), polls)


def _best_plan(price_seconds: float, mean_seconds: float, sigma: float) -> tuple[float, float]:
    """Return lag and polls of the plan that makes lag + price x polls least."""
    moments, survival, below = _distribution(mean_seconds, sigma)
    last = len(moments) - 1
    # From each moment on, if the task was seen running then, times the chance of that: cost, lag, polls.
    cost, lag, polls = [0.0] * (last + 1), [0.0] * (last + 1), [0.0] * (last + 1)
    reach = last
    for now in range(last - 1, -1, -1):
        base = price_seconds * survival[now]
        chosen, least, waited = now + 1, float("inf"), 0.0
        # A later start never wants an earlier next poll, so the search goes down from the last choice.
        for then in range(min(reach, last), now, -1):
            late = moments[then] * (survival[now] - survival[then]) - (below[then] - below[now])
            total = base + late + cost[then]
            if total < least:
                chosen, least, waited = then, total, late
        reach = chosen
        cost[now], lag[now], polls[now] = least, waited + lag[chosen], survival[now] + polls[chosen]
    return lag[0], polls[0]


@cache
def _distribution(mean_seconds: float, sigma: float) -> tuple[list[float], list[float], list[float]]:
    """Return moments, the chance to run then still, and the mean of the durations up to then times their chance."""
    normal = NormalDist()
    middle = log(mean_seconds) - sigma**2 / 2
    longest = exp(middle + 4.5 * sigma)
    moments = [longest * step / _MOMENTS for step in range(_MOMENTS + 1)]
    survival, below = [1.0], [0.0]
    for moment in moments[1:]:
        z = (log(moment) - middle) / sigma
        survival.append(normal.cdf(-z))
        below.append(mean_seconds * normal.cdf(z - sigma))
    return moments, survival, below
