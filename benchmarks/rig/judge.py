"""The judge: the simulator's ground truth, and what would have been ideal."""

from __future__ import annotations

import heapq
from collections import Counter
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import httpx

from .load import marker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .contender import Contender
    from .load import Load

Task = dict[str, Any]
_PAGE = 10_000


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


def figures(contender: Contender, arrived_ms: Mapping[str, float]) -> dict[str, Any]:
    """Return what became of the contender's jobs; the caller had the result of each task at a Unix time in ms."""
    load = contender.load
    truth, accepted = summary(contender.simulator_url), tasks(contender.simulator_url)
    has_result = set(arrived_ms)
    if len(has_result) < load.jobs:
        has_result |= contender.late_results()
    times_accepted = Counter(task["marker"] for task in accepted)
    wanted = {marker(number) for number in range(load.jobs)}
    missing = wanted - {task["marker"] for task in accepted if task["task_id"] in has_result}
    mean_seconds = fmean(task["duration_seconds"] for task in accepted) / load.speed
    lags = [
        (arrived_ms[task["task_id"]] - task["completed_at_ms"]) / 1000
        for task in accepted
        if task["task_id"] in arrived_ms and task["completed_at_ms"] is not None
    ]
    ideal, makespan = ideal_makespan_seconds(accepted, load), truth["makespan_seconds"] or 0.0
    handovers = handovers_ms(accepted, load.cap)
    return {
        "contender": contender.name,
        "jobs": load.jobs,
        "cap": load.cap,
        "rate": load.rate,
        "speed": load.speed,
        "finished": load.jobs - len(missing),
        "never_sent": len(wanted - set(times_accepted)),
        "stranded": len(missing & set(times_accepted)),
        "unknown": len(contender.unknown(missing)) if missing else 0,
        "paid_twice": sum(times > 1 for times in times_accepted.values()),
        "slot_use": truth["slot_use"],
        "in_flight_max": truth["in_flight_max"],
        "above_cap": truth["violations_of_cap"],
        "requests_window_max": truth["requests_window_max"],
        "429_per_job": sum(truth["count_429"].values()) / load.jobs,
        "polls_per_job": truth["polls_per_task"]["mean"],
        "makespan_seconds": makespan,
        "makespan_ratio": makespan / ideal if ideal else None,
        "mean_duration_seconds": mean_seconds,
        "handover_ms": median(handovers) if handovers else None,
        **noticing(accepted),
        **lateness(lags, mean_seconds),
    }


def lateness(lags_seconds: Sequence[float], mean_seconds: float) -> dict[str, float | None]:
    """Return how late results came, in mean durations, and in ms."""
    lags = sorted(lag / mean_seconds for lag in lags_seconds)
    if not lags:
        return dict.fromkeys(("late_mean", "late_p50", "late_p99", "late_ms"))
    middle = median(lags)
    p99 = lags[int(len(lags) * 0.99)]
    return {"late_mean": fmean(lags), "late_p50": middle, "late_p99": p99, "late_ms": middle * mean_seconds * 1000}


def noticing(accepted: Sequence[Task]) -> dict[str, float | None]:
    """Return how long after its end the vendor first told of a task, in ms: the median, and 99 of 100."""
    lags = sorted(
        task["first_told_at_ms"] - task["completed_at_ms"]
        for task in accepted
        if task["first_told_at_ms"] is not None and task["completed_at_ms"] is not None
    )
    if not lags:
        return dict.fromkeys(("noticed_p50_ms", "noticed_p99_ms"))
    return {"noticed_p50_ms": median(lags), "noticed_p99_ms": lags[int(len(lags) * 0.99)]}


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
