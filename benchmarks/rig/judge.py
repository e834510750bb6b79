"""The judge: the simulator's ground truth, what would have been ideal, and what polling can reach at all."""

from __future__ import annotations

import heapq
from collections import Counter
from dataclasses import dataclass
from functools import cache
from math import exp, log
from statistics import NormalDist, fmean, median
from typing import TYPE_CHECKING, Any

import httpx

from .load import marker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contender import Arrivals, Contender
    from .load import Load

Task = dict[str, Any]
_PAGE = 10_000
#: Moments at which the computed bound may plan a poll; more of them change the fourth digit.
_MOMENTS = 500
_HALVINGS = 22


def summary(simulator_url: str) -> dict[str, Any]:
    """Return the ground truth's totals."""
    answer = httpx.get(f"{simulator_url}/simulator/summary", trust_env=False, timeout=60)
    return answer.raise_for_status().json()  # type: ignore[no-any-return]


def tasks(simulator_url: str, offset: int = 0) -> list[Task]:
    """Return every accepted task from the offset on, in order of acceptance."""
    found: list[Task] = []
    while True:
        page = httpx.get(
            f"{simulator_url}/simulator/tasks",
            params={"offset": offset + len(found), "limit": _PAGE},
            trust_env=False,
            timeout=60,
        ).json()
        found += page["tasks"]
        if not page["tasks"] or offset + len(found) >= page["total"]:
            return found


def figures(contender: Contender, arrivals: Arrivals) -> dict[str, Any]:
    """Return what became of the load's jobs, by the ground truth and by when the caller had each result."""
    load = contender.load
    truth, accepted = summary(contender.simulator_url), tasks(contender.simulator_url)
    told = set(arrivals.at_ms)
    if len(told) < load.jobs:
        told |= contender.late_results()
    times_accepted = Counter(task["marker"] for task in accepted)
    told_markers = {task["marker"] for task in accepted if task["task_id"] in told}
    wanted = {marker(number) for number in range(load.jobs)}
    missing = wanted - told_markers
    mean_seconds = fmean(task["duration_seconds"] for task in accepted) / load.speed
    lags = [
        (arrivals.at_ms[task["task_id"]] - task["completed_at_ms"]) / 1000
        for task in accepted
        if task["task_id"] in arrivals.at_ms and task["completed_at_ms"] is not None
    ]
    ideal, makespan = ideal_makespan_seconds(accepted, load), truth["makespan_seconds"] or 0.0
    handovers = handovers_ms(accepted, load.cap)
    return {
        "contender": contender.name,
        "jobs": load.jobs,
        "cap": load.cap,
        "rate": load.rate,
        "speed": load.speed,
        "finished": len(told_markers & wanted),
        "never_sent": len(wanted - set(times_accepted)),
        "stranded": len((wanted & set(times_accepted)) - told_markers),
        "unknown": len(contender.unknown(missing)) if missing else 0,
        "paid_twice": sum(1 for times in times_accepted.values() if times > 1),
        "told_twice": arrivals.count - len(arrivals.at_ms),
        "slot_use": truth["slot_use"],
        "in_flight_max": truth["in_flight_max"],
        "above_cap": truth["violations_of_cap"],
        "requests_window_max": truth["requests_window_max"],
        "count_429": sum(truth["count_429"].values()),
        "throttled_per_job": sum(truth["count_429"].values()) / load.jobs,
        "polls_per_job": truth["polls_per_task"]["mean"],
        "makespan_seconds": makespan,
        "makespan_ratio": makespan / ideal if ideal else None,
        "mean_duration_seconds": mean_seconds,
        "handover_median_ms": median(handovers) if handovers else None,
        **lateness(lags, mean_seconds),
    }


def lateness(lags_seconds: Sequence[float], mean_seconds: float) -> dict[str, float | None]:
    """Return how late ends were told, in mean durations."""
    lags = sorted(lag / mean_seconds for lag in lags_seconds)
    return {
        "lag_mean": fmean(lags) if lags else None,
        "lag_p50": median(lags) if lags else None,
        "lag_p99": lags[int(len(lags) * 0.99)] if lags else None,
        "lag_median_ms": median(lags_seconds) * 1000 if lags else None,
    }


def handovers_ms(accepted: Sequence[Task], cap: int) -> list[float]:
    """Return how long each slot was free between two tasks while jobs waited, in ms.

    Slots are alike, so the slot that the k-th end frees is taken by the k-th acceptance after the first `cap` ones.
    """
    ends = sorted(task["completed_at_ms"] for task in accepted if task["completed_at_ms"] is not None)
    starts = sorted(task["accepted_at_ms"] for task in accepted)
    return [start - end for end, start in zip(ends, starts[cap:], strict=False)]


def ideal_makespan_seconds(accepted: Sequence[Task], load: Load) -> float:
    """Return the makespan of list scheduling: each job starts, in order, the moment a slot is free."""
    free_at = [0.0] * min(load.cap, max(len(accepted), 1))
    for task in accepted:
        heapq.heapreplace(free_at, free_at[0] + task["duration_seconds"] / load.speed)
    return max(free_at)


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


def callback_bound(load: Load) -> Bound:
    """Return what the best use of callbacks would do: one submission and one poll that confirms, which the rate allows.

    Args:
        load: The vendor's limits.
    """
    lag_seconds = max(0.0, 2 * load.cap / (load.rate / 60) - load.mean_seconds)
    return Bound(lag_seconds, load.mean_seconds / (load.mean_seconds + lag_seconds), 1.0)


@cache
def polling_bound(cap: int, requests_per_second: float, mean_seconds: float, sigma: float) -> Bound:
    """Return the bound for log-normal durations while every slot is taken.

    A plan says after which times a running task is polled. Each job takes a slot for mean + lag and costs one
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
